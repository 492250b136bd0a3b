-- A removed account whose keys are gone with the root that they went by, locked, with what its certificate says. Counted from the
-- change of the root that took its tenant: the shares are those of the root that it destroyed.
-- params: 1 closure
-- rows: maybe
SELECT c.tenant, c.state,
       to_char((c.anchor + 1)::timestamp AT TIME ZONE c.zone AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
       to_char(c.not_before AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
       to_char(m.removed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
       c.zone, c.claimed_plan, m.vacuumed,
       (SELECT coalesce(bool_and(k.controlled), false) FROM expunge.closure_chunk k WHERE k.closure_id = c.id),
       m.n_keys, array_to_string(m.keys, ' '), m.n_archives, g.epoch, coalesce(p.n_shares, h.n_shares),
       array_to_string(h.drivers[:coalesce(p.n_shares, h.n_shares)], chr(31)),
       h.state IS NOT NULL AND NOT EXISTS (SELECT FROM expunge.key_leaf l WHERE l.tenant = c.tenant AND l.shredded_epoch IS NULL)
  FROM expunge.closure c
  JOIN expunge.closure_removal m ON m.closure_id = c.id
  LEFT JOIN expunge.key_gone g ON g.tenant = c.tenant
  LEFT JOIN expunge.key_change h ON h.epoch = g.epoch - 1 AND h.state = 'done'
  LEFT JOIN expunge.key_change p ON p.epoch = h.epoch - 1 AND p.state = 'done'
 WHERE c.id = $1::uuid AND m.recounted_at IS NOT NULL
   FOR UPDATE OF c

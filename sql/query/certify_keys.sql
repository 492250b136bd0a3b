-- The leaf keys that went with requests, the changes of the root that they went by, and how many archives that were
-- taken before the removal have rows under each: those whose generation is younger than the leaf, and the one that it was
-- made for. An archive's time is its host's, to the second: the log's position says which came first, but of the archives of a
-- history that was lost. A change counts the shares of the root that it makes: those of the root that it destroys are counted by the
-- change before.
-- params: 1 requests uuid[]
-- rows: many
SELECT q.request_id, encode(l.kcv, 'hex'), l.shredded_epoch, coalesce(p.n_shares, c.n_shares),
       array_to_string(c.drivers[:coalesce(p.n_shares, c.n_shares)], chr(31)),
       (SELECT count(*) FROM expunge.archive a
         WHERE a.tenant = l.tenant AND a.state = 'complete'
           AND (a.lsn < r.removed_lsn OR a.created_at < r.removed_at - interval '1 minute')
           AND a.generation >= coalesce((SELECT max(g.id) FROM expunge.key_leaf g
                                          WHERE g.tenant = l.tenant AND g.kind = 'generation' AND g.id < l.id), l.id))
  FROM expunge.request_leaf q
  JOIN expunge.request r ON r.id = q.request_id
  JOIN expunge.key_leaf l ON l.id = q.leaf_id
  LEFT JOIN expunge.key_change c ON c.epoch = l.shredded_epoch - 1 AND c.state = 'done'
  LEFT JOIN expunge.key_change p ON p.epoch = c.epoch - 1 AND p.state = 'done'
 WHERE q.request_id = ANY ($1::uuid[])
 ORDER BY q.request_id, l.id

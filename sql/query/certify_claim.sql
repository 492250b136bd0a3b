-- Removed and recounted requests, locked, with what a certificate says of each. The external stores that the
-- approved plan names must have been told, too: the map may have lost one since. And no leaf key of the subject lives,
-- nor does the root that it went by. Where nothing is done between recount and signing, the signing's own recount is the
-- only one, and the vacuum that comes before it must have been tried. The oldest first, by an index: each OFFSET 0 keeps a condition from being
-- worked out for all requests that wait, at every batch.
-- params: 1 how many, 2 requests to leave alone uuid[], 3 names of the external stores text[]: all must have been told, 4 number of the subject's table, 5 via of the subject's key, 6 the signing's recount is the only one
-- rows: many
WITH chosen AS MATERIALIZED (
    SELECT r.id, r.kind, r.tenant, r.subject, r.ground, r.received_at, r.identified_at, r.due_on, r.decided_at, r.decided_by,
           r.approved_plan, r.removed_at, r.vacuumed, plan.document, r.controlled
      FROM expunge.request r
     CROSS JOIN LATERAL (SELECT CASE WHEN p.hash = r.approved_plan THEN p.document ELSE p.approved_document END
                           FROM expunge.plan p WHERE p.request_id = r.id OFFSET 0) AS plan(document)
     WHERE r.state = 'removed' AND r.kind <> 'replay' AND r.id <> ALL ($2::uuid[])
       AND (r.recounted_at IS NOT NULL OR $6::boolean AND r.vacuumed IS NOT NULL AND 'settled' = ANY (r.waits_for))
       AND NOT EXISTS (SELECT FROM unnest($3::text[]) AS store(name)
                        WHERE NOT EXISTS (SELECT FROM expunge.recipient t
                                           WHERE t.request_id = r.id AND t.name = store.name AND t.removed_xid = r.removed_xid)
                       OFFSET 0)
       AND NOT EXISTS (SELECT FROM regexp_split_to_table(plan.document, '\n') AS line
                        WHERE strpos(plan.document, chr(10) || 'tells: ') > 0 AND starts_with(line, 'tells: ')
                          AND NOT EXISTS (SELECT FROM expunge.recipient t
                                           WHERE t.request_id = r.id AND t.removed_xid = r.removed_xid
                                             AND starts_with(line, 'tells: ' || t.name || ': '))
                       OFFSET 0)
       AND NOT EXISTS (SELECT FROM expunge.key_leaf l
                         JOIN expunge.key_set k ON l.name = k.key[1]
                        WHERE l.tenant = r.tenant AND l.kind = 'subject' AND l.shredded_epoch IS NULL
                          AND k.request_id = r.id AND k.table_id = $4::smallint AND k.via = $5::smallint
                       OFFSET 0)
       AND NOT EXISTS (SELECT FROM expunge.request_leaf q
                         JOIN expunge.key_leaf l ON l.id = q.leaf_id
                         LEFT JOIN expunge.key_change c ON c.epoch = l.shredded_epoch - 1 AND c.state = 'done'
                        WHERE q.request_id = r.id AND c.state IS NULL
                       OFFSET 0)
     ORDER BY r.removed_at, r.id
     LIMIT $1::integer
       FOR UPDATE OF r SKIP LOCKED
)
SELECT c.id, c.tenant, c.subject, c.ground,
       to_char(c.received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
       to_char(c.identified_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
       to_char((c.due_on + 1)::timestamp AT TIME ZONE i.zone AT TIME ZONE 'UTC' - interval '1 second', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
       to_char(c.decided_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
       c.decided_by, c.approved_plan,
       to_char(c.removed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
       c.vacuumed, c.document, c.controlled,
       (SELECT count(*) FROM expunge.recipient t WHERE t.request_id = c.id),
       (SELECT count(t.acknowledged_at) FROM expunge.recipient t WHERE t.request_id = c.id),
       (SELECT t.consent FROM expunge.support_test_subject t WHERE c.kind = 'test-subject' AND t.id = c.id)
  FROM chosen c
 CROSS JOIN expunge.instance i
 ORDER BY c.removed_at, c.id

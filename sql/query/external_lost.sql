-- Removed requests that wait for nothing but their recount, or have had it, whose approved plan names external stores that were not told of the removal: what
-- is left after each store of the map was told is a store that the map has lost since. Locked.
-- params: 1 requests to leave alone uuid[]
-- rows: many
SELECT r.id, lost.stores
  FROM expunge.request r
  JOIN expunge.plan p ON p.request_id = r.id
 CROSS JOIN LATERAL (SELECT CASE WHEN p.hash = r.approved_plan THEN p.document ELSE p.approved_document END) AS plan(document)
 CROSS JOIN LATERAL (
       SELECT string_agg(split_part(substr(line, 8), ':', 1), ', ') AS stores
         FROM regexp_split_to_table(plan.document, '\n') AS line
        WHERE starts_with(line, 'tells: ')
          AND NOT EXISTS (SELECT FROM expunge.recipient t
                           WHERE t.request_id = r.id AND t.removed_xid = r.removed_xid
                             AND starts_with(line, 'tells: ' || t.name || ': '))) lost
 WHERE r.state = 'removed' AND (r.recounted_at IS NOT NULL OR r.vacuumed IS NOT NULL) AND r.id <> ALL ($1::uuid[])
   AND strpos(plan.document, chr(10) || 'tells: ') > 0 AND lost.stores IS NOT NULL
 ORDER BY r.removed_at, r.id
   FOR UPDATE OF r SKIP LOCKED

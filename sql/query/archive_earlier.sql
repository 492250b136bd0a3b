-- The latest archive of a tenant whose generation's key lives, and behind it those that it refers to.
-- params: 1 tenant
-- rows: many
WITH latest AS (
       SELECT a.id, a.needs FROM expunge.archive a
         JOIN expunge.key_leaf l ON l.id = a.generation AND l.shredded_epoch IS NULL
        WHERE a.tenant = $1 AND a.state = 'complete' AND a.kind = 'backup'
        ORDER BY a.created_at DESC, a.finished_at DESC, a.id LIMIT 1)
SELECT a.id, a.sha256, a.size, floor(extract(epoch FROM a.created_at))::bigint,
       array_to_string(array(SELECT unnest(a.destinations) EXCEPT SELECT unnest(a.damaged)), E'\n')
  FROM latest JOIN expunge.archive a ON a.id = latest.id OR a.id = ANY (latest.needs)
 ORDER BY a.id <> latest.id, a.id

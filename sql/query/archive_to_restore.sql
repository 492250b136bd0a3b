-- The archive to restore: the one named, or the latest backup of the tenant whose generation's key lives.
-- params: 1 tenant, 2 archive or null
-- rows: maybe
SELECT a.id, a.sha256, a.generation, array_to_string(a.destinations, E'\n'),
       to_char(a.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), a.size
  FROM expunge.archive a
 WHERE a.tenant = $1 AND a.state = 'complete' AND (a.id = $2 OR ($2::text IS NULL AND a.kind = 'backup' AND
       EXISTS (SELECT FROM expunge.key_leaf l WHERE l.id = a.generation AND l.shredded_epoch IS NULL)))
 ORDER BY a.created_at DESC, a.id
 LIMIT 1

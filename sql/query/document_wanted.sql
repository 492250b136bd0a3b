-- Of removed requests, those whose rows named files.
-- params: 1 requests uuid[], 2 lowest via of files
-- rows: many
SELECT r.id
  FROM expunge.request r
 WHERE r.state = 'removed' AND r.id = ANY ($1::uuid[])
   AND EXISTS (SELECT FROM expunge.key_set k WHERE k.request_id = r.id AND k.via >= $2::smallint)
 ORDER BY r.removed_at, r.id

-- The files outside the database that the collected rows of requests name, each as often as tables name it.
-- params: 1 requests uuid[], 2 round (null: all of them), 3 lowest via of files
-- rows: many
SELECT k.request_id, k.key[1], k.key[2], m.name, k.table_id, k.via
  FROM expunge.key_set k
  JOIN expunge.mapped_table m ON m.id = k.table_id
 WHERE k.request_id = ANY($1::uuid[]) AND k.via >= $3::smallint AND (k.round = $2::smallint OR $2 IS NULL)
 ORDER BY k.request_id, k.key[1] COLLATE "C", k.key[2] COLLATE "C", m.name COLLATE "C", k.via

-- The files outside the database that collected rows name, by kind.
-- params: 1 set, 2 lowest via of files
-- rows: many
SELECT k.key[1], count(DISTINCT k.key[2])
  FROM expunge.key_set k
 WHERE k.request_id = $1::uuid AND k.via >= $2::smallint
 GROUP BY 1
 ORDER BY 1

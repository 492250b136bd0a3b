-- The keys under which stores may know the subject: its own, and those of duplicates merged into it.
-- params: 1 request, 2 number of the subject's table, 3 via of the subject's key
-- rows: many
SELECT DISTINCT k.key[1] AS key
  FROM expunge.key_set k
 WHERE k.request_id = $1::uuid AND k.table_id = $2::smallint AND k.via = $3::smallint
 ORDER BY 1

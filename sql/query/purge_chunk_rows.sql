-- What was collected of a chunk in a round: rows, and those of the subject's table.
-- params: 1 chunk, 2 number of the subject's table, 3 round
-- rows: one
SELECT count(*), count(*) FILTER (WHERE k.table_id = $2::smallint)
  FROM expunge.key_set k
 WHERE k.request_id = $1::uuid AND k.via = 0 AND k.round = $3::smallint

-- Per request and table: rows collected in the planned round, and in later ones.
-- params: 1 requests uuid[], 2 round
-- rows: many
SELECT k.request_id, k.table_id,
       count(*) FILTER (WHERE k.round = $2::smallint), count(*) FILTER (WHERE k.round > $2::smallint)
  FROM expunge.key_set k
 WHERE k.request_id = ANY($1::uuid[]) AND k.via = 0 AND k.round >= $2::smallint
 GROUP BY k.request_id, k.table_id

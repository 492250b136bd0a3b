-- The archives of a dormant account and how many of their rows have left the live database.
-- params: 1 closure
-- rows: many
SELECT k.archive_id, sum(k.n_rows)::bigint
  FROM expunge.dormancy d JOIN expunge.dormancy_chunk k ON k.closure_id = d.closure_id
 WHERE d.closure_id = $1::uuid AND d.phase = 'dormant'
 GROUP BY k.archive_id ORDER BY k.archive_id

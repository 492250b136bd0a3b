-- What of a dormant account goes with its purge, table by table: number of the table, rows.
-- params: 1 closure
-- rows: many
SELECT t.table_id, sum(t.n_rows)::bigint
  FROM expunge.dormancy d
  JOIN expunge.dormancy_chunk k ON k.closure_id = d.closure_id
  JOIN expunge.dormancy_taken t ON t.chunk_id = k.id
 WHERE d.closure_id = $1::uuid AND d.phase = 'dormant' AND t.table_id IS NOT NULL
 GROUP BY t.table_id

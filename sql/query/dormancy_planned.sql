-- What of a dormant account goes with its purge, table by table: number of the table, rows, its name.
-- params: 1 closure
-- rows: many
SELECT t.table_id, sum(t.n_rows)::bigint, m.name
  FROM expunge.dormancy d
  JOIN expunge.dormancy_chunk k ON k.closure_id = d.closure_id
  JOIN expunge.dormancy_taken t ON t.chunk_id = k.id
  JOIN expunge.mapped_table m ON m.id = t.table_id
 WHERE d.closure_id = $1::uuid AND d.phase = 'dormant'
 GROUP BY t.table_id, m.name

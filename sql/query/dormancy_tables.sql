-- Tables that rows of a dormant account left, and whether large objects went with them.
-- params: 1 closure
-- rows: many
SELECT m.name, bool_or(EXISTS (SELECT FROM expunge.dormancy_taken o WHERE o.chunk_id = t.chunk_id AND o.table_id IS NULL))
  FROM expunge.dormancy_chunk k
  JOIN expunge.dormancy_taken t ON t.chunk_id = k.id
  JOIN expunge.mapped_table m ON m.id = t.table_id
 WHERE k.closure_id = $1::uuid
 GROUP BY m.name ORDER BY m.name

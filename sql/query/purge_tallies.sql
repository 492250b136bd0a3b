-- The counts of an account, table by table.
-- params: 1 closure
-- rows: many
SELECT m.name, t.class, t.n_before, t.n_arrived, t.n_removed, t.n_created
  FROM expunge.closure_tally t
  JOIN expunge.mapped_table m ON m.id = t.table_id
 WHERE t.closure_id = $1::uuid AND t.n_removed + t.n_created > 0
 ORDER BY m.name COLLATE "C"

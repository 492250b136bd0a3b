-- The counts of requests, table by table.
-- params: 1 requests uuid[]
-- rows: many
SELECT t.request_id, m.name, t.class, t.n_before, t.n_arrived, t.n_removed, t.n_masked, t.n_retained, t.n_created
  FROM expunge.tally t
  JOIN expunge.mapped_table m ON m.id = t.table_id
 WHERE t.request_id = ANY($1::uuid[])
 ORDER BY t.request_id, m.name COLLATE "C"

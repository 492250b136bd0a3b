-- Tables that an account's removal took rows from, and whether large objects went with them.
-- params: 1 closure, 2 lowest via of large objects, 3 lowest via behind them
-- rows: many
SELECT m.name, EXISTS (SELECT FROM expunge.closure_chunk c JOIN expunge.key_set k ON k.request_id = c.id
                        WHERE c.closure_id = t.closure_id AND k.table_id = t.table_id AND k.via >= $2::smallint AND k.via < $3::smallint)
  FROM expunge.closure_tally t
  JOIN expunge.mapped_table m ON m.id = t.table_id
 WHERE t.closure_id = $1::uuid
 ORDER BY m.name

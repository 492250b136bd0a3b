-- Tables that removed and not yet certified requests took rows from, and whether large objects went with them.
-- params: 1 lowest via of large objects, 2 lowest via behind them
-- rows: many
SELECT m.name, bool_or((r.id, t.table_id) IN (SELECT k.request_id, k.table_id FROM expunge.key_set k
                                           WHERE k.via >= $1::smallint AND k.via < $2::smallint))
  FROM expunge.request r
  JOIN expunge.tally t ON t.request_id = r.id
  JOIN expunge.mapped_table m ON m.id = t.table_id
 WHERE r.state = 'removed' AND r.vacuumed IS NOT TRUE
 GROUP BY m.name
 ORDER BY m.name

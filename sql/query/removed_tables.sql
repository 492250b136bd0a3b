-- Tables that removed and not yet certified requests took rows from.
-- params: none
-- rows: many
SELECT DISTINCT m.name
  FROM expunge.request r
  JOIN expunge.tally t ON t.request_id = r.id
  JOIN expunge.mapped_table m ON m.id = t.table_id
 WHERE r.state = 'removed' AND NOT r.vacuumed
 ORDER BY 1

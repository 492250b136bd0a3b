-- A table's rows are known by other columns from now on: only while no key of them is saved.
-- params: 1 table, 2 columns
-- rows: maybe
UPDATE expunge.mapped_via v SET columns = $2
 WHERE v.table_id = $1::smallint AND v.via = 0
   AND NOT EXISTS (SELECT FROM expunge.key_set k WHERE k.table_id = $1::smallint)
RETURNING v.table_id

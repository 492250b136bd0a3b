-- Which columns each number of a via stands for.
-- params: none
-- rows: many
SELECT v.table_id, v.via, v.columns FROM expunge.mapped_via v ORDER BY v.table_id, v.via

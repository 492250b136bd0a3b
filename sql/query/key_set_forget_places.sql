-- Forgets the places (tableoid, ctid) of rows of tables without a key.
-- params: 1 requests uuid[], 2 numbers of such tables
-- rows: none
DELETE FROM expunge.key_set k
 WHERE k.request_id = ANY($1::uuid[]) AND k.table_id = ANY($2::smallint[]) AND k.via = 0

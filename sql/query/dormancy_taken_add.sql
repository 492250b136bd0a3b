-- Which rows of an archive a transaction took, of one table.
-- params: 1 chunk, 2 number in the archive, 3 number of the table or null, 4 class, 5 rows, 6 created, 7 firsts bigint[], 8 lasts bigint[]
-- rows: none
INSERT INTO expunge.dormancy_taken (chunk_id, number, table_id, class, n_rows, n_created, firsts, lasts)
VALUES ($1::uuid, $2::integer, $3::smallint, $4, $5::bigint, $6::bigint, $7::bigint[], $8::bigint[])

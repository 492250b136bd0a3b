-- Rows left the live database, in this transaction; their keys are forgotten again.
-- params: 1 chunk, 2 closure, 3 archive, 4 subjects, 5 rows, 6 controlled, 7 last, 8 row hashes text[], 9 birth hashes text[]
-- rows: none
WITH chunk AS (
    INSERT INTO expunge.dormancy_chunk (id, closure_id, archive_id, n_subjects, n_rows, controlled, is_last)
    VALUES ($1::uuid, $2::uuid, $3, $4::bigint, $5::bigint, $6::boolean, $7::boolean)
), subject AS (
    INSERT INTO expunge.dormancy_subject (chunk_id, row_hash, birth_hash)
    SELECT $1::uuid, s.row, s.birth FROM unnest($8::text[], $9::text[]) AS s(row, birth)
), counted AS (
    UPDATE expunge.dormancy SET n_rows = n_rows + $5::bigint WHERE closure_id = $2::uuid
)
DELETE FROM expunge.key_set WHERE request_id = $1::uuid

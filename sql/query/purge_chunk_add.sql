-- One chunk of an account's removal, in its transaction; taken again, it has more rows, and perhaps files again.
-- params: 1 chunk, 2 closure, 3 subjects, 4 rows, 5 lowest via of files, 6 other tenants' rows were compared, 7 the tenant's own row went
-- rows: none
INSERT INTO expunge.closure_chunk AS c (id, closure_id, n_subjects, n_rows, has_files, controlled, is_last)
SELECT $1::uuid, $2::uuid, $3::bigint, $4::bigint,
       EXISTS (SELECT FROM expunge.key_set k WHERE k.request_id = $1::uuid AND k.via >= $5::smallint), $6::boolean, $7::boolean
ON CONFLICT (id) DO UPDATE
   SET n_subjects = c.n_subjects + EXCLUDED.n_subjects, n_rows = c.n_rows + EXCLUDED.n_rows,
       has_files = c.has_files OR EXCLUDED.has_files

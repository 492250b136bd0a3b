-- Keeps the newest plan of a request.
-- params: 1 request, 2 hash, 3 document, 4 rows, 5 new rows, 6 obstacles
-- rows: none
INSERT INTO expunge.plan AS p (request_id, hash, document, n_rows, n_new_rows, blockers)
VALUES ($1::uuid, $2, $3, $4::bigint, $5::bigint, $6)
ON CONFLICT (request_id) DO UPDATE
   SET hash = EXCLUDED.hash, document = EXCLUDED.document, n_rows = EXCLUDED.n_rows,
       n_new_rows = EXCLUDED.n_new_rows, blockers = EXCLUDED.blockers, made_at = now(), made_by = session_user

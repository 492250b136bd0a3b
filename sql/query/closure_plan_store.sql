-- Keeps the plan of a closing account, unless it was claimed meanwhile.
-- params: 1 closure, 2 hash, 3 document, 4 rows, 5 subjects, 6 blockers or null
-- rows: maybe
INSERT INTO expunge.closure_plan AS p (closure_id, hash, document, n_rows, n_subjects, blockers)
SELECT c.id, $2, $3, $4::bigint, $5::bigint, $6
  FROM expunge.closure c
 WHERE c.id = $1::uuid AND c.state IN ('cooling-off', 'due')
   FOR UPDATE OF c
ON CONFLICT (closure_id) DO UPDATE
   SET hash = EXCLUDED.hash, document = EXCLUDED.document, n_rows = EXCLUDED.n_rows, n_subjects = EXCLUDED.n_subjects,
       blockers = EXCLUDED.blockers, made_at = now(), made_by = session_user
RETURNING p.hash

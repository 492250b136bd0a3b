-- Keeps the newest plan of a request, and the approved one beside it; unless a decision was faster.
-- params: 1 request, 2 hash, 3 document, 4 rows, 5 new rows, 6 obstacles
-- rows: maybe
INSERT INTO expunge.plan AS p (request_id, hash, document, n_rows, n_new_rows, blockers)
SELECT r.id, $2, $3, $4::bigint, $5::bigint, $6
  FROM expunge.request r
 WHERE r.id = $1::uuid
   AND (r.state IN ('received', 'identified', 'blocked') OR (r.state = 'failed' AND r.removed_at IS NOT NULL))
   FOR SHARE
ON CONFLICT (request_id) DO UPDATE
   SET approved_document = CASE WHEN p.hash = (SELECT q.approved_plan FROM expunge.request q WHERE q.id = p.request_id)
                                THEN p.document ELSE p.approved_document END,
       hash = EXCLUDED.hash, document = EXCLUDED.document, n_rows = EXCLUDED.n_rows,
       n_new_rows = EXCLUDED.n_new_rows, blockers = EXCLUDED.blockers, made_at = now(), made_by = session_user
RETURNING p.request_id

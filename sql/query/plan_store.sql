-- Keeps the newest plan of requests, and the approved one beside it; unless a decision was faster. Answers which were kept.
-- params: 1 requests uuid[], 2 hashes, 3 documents, 4 rows bigint[], 5 new rows bigint[], 6 obstacles ('' for none)
-- rows: many
INSERT INTO expunge.plan AS p (request_id, hash, document, n_rows, n_new_rows, blockers)
SELECT r.id, g.hash, g.document, g.n_rows, g.n_new_rows, nullif(g.obstacles, '')
  FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[])
           g(request, hash, document, n_rows, n_new_rows, obstacles)
  JOIN expunge.request r ON r.id = g.request
 WHERE r.state IN ('received', 'identified', 'blocked') OR (r.state = 'failed' AND r.removed_at IS NOT NULL)
   FOR SHARE OF r
ON CONFLICT (request_id) DO UPDATE
   SET approved_document = CASE WHEN p.hash = (SELECT q.approved_plan FROM expunge.request q WHERE q.id = p.request_id)
                                THEN p.document ELSE p.approved_document END,
       hash = EXCLUDED.hash, document = EXCLUDED.document, n_rows = EXCLUDED.n_rows,
       n_new_rows = EXCLUDED.n_new_rows, blockers = EXCLUDED.blockers, made_at = now(), made_by = session_user
RETURNING p.request_id

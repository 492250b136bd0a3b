-- The present states of requests, and whether their removal was carried out.
-- params: 1 requests uuid[]
-- rows: many
SELECT r.id, r.state, r.removed_at IS NOT NULL FROM expunge.request r WHERE r.id = ANY($1::uuid[])

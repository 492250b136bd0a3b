-- The present states of requests.
-- params: 1 requests uuid[]
-- rows: many
SELECT r.id, r.state FROM expunge.request r WHERE r.id = ANY($1::uuid[])

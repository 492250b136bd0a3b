-- One removed request, locked for this transaction; none while somebody else works on it.
-- params: 1 request
-- rows: maybe
SELECT r.id FROM expunge.request r WHERE r.id = $1::uuid AND r.state = 'removed' FOR UPDATE SKIP LOCKED

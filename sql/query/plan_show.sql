-- The newest plan of a request.
-- params: 1 request
-- rows: maybe
SELECT p.document, p.hash FROM expunge.plan p WHERE p.request_id = $1::uuid

-- Extends a request's time.
-- params: 1 request, 2 reason
-- rows: one
SELECT expunge.extend_request($1::uuid, $2)

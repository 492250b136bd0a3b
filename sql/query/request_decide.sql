-- Decides a request.
-- params: 1 request, 2 decision, 3 basis, 4 plan hash
-- rows: one
SELECT expunge.decide_request($1::uuid, $2, $3, $4)

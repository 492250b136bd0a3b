-- The person's identity is established.
-- params: 1 request
-- rows: one
SELECT expunge.identify_request($1::uuid)

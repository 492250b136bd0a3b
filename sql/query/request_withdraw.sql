-- Withdraws a request.
-- params: 1 request
-- rows: one
SELECT expunge.withdraw_request($1::uuid)

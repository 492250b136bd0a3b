-- Sets the state of requests with one reason.
-- params: 1 requests uuid[], 2 state, 3 reason
-- rows: none
UPDATE expunge.request r SET state = $2, reason = left($3, 400), reason_at = now() WHERE r.id = ANY($1::uuid[])

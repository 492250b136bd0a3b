-- Sets the state of requests with one reason. A failure counts as an attempt: the next run takes others first.
-- params: 1 requests uuid[], 2 state, 3 reason
-- rows: none
UPDATE expunge.request r
   SET state = $2, reason = left($3, 400), reason_at = now(),
       attempts = r.attempts + CASE WHEN $2 = 'failed' THEN 1 ELSE 0 END
 WHERE r.id = ANY($1::uuid[])

-- Sets the state of requests with one reason, if they are still in the state that the run left them in: meanwhile
-- somebody may have withdrawn or held them, or another host carried them out. A failure counts as an attempt:
-- the next run takes others first.
-- params: 1 requests uuid[], 2 state, 3 reason, 4 present state
-- rows: none
UPDATE expunge.request r
   SET state = $2, reason = left($3, 400), reason_at = now(),
       attempts = r.attempts + CASE WHEN $2 = 'failed' THEN 1 ELSE 0 END
 WHERE r.id = ANY($1::uuid[]) AND r.state = $4

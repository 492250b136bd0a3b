-- Marks claimed requests as running.
-- params: 1 requests uuid[]
-- rows: none
UPDATE expunge.request r SET state = 'running', attempts = r.attempts + 1, reason = NULL, reason_at = NULL
 WHERE r.id = ANY($1::uuid[])

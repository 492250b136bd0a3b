-- Requests whose recount had found something are recounted again.
-- params: none
-- rows: none
UPDATE expunge.request r SET state = 'removed', reason = NULL, reason_at = NULL
 WHERE r.state = 'failed' AND r.removed_at IS NOT NULL

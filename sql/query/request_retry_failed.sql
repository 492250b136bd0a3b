-- Approved requests that failed before anything was removed are tried again.
-- params: none
-- rows: none
UPDATE expunge.request r SET state = 'scheduled'
 WHERE r.state = 'failed' AND r.removed_at IS NULL AND r.approved_plan IS NOT NULL

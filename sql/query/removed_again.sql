-- Requests whose recount had found something are recounted again, but those somebody is working on.
-- params: none
-- rows: none
UPDATE expunge.request r SET state = 'removed', reason = NULL, reason_at = NULL
 WHERE r.id IN (
       SELECT q.id FROM expunge.request q
        WHERE q.state = 'failed' AND q.removed_at IS NOT NULL
          FOR UPDATE SKIP LOCKED)

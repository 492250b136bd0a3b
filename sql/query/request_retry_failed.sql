-- Approved requests that failed before anything was removed are tried again, but those somebody is working on.
-- params: none
-- rows: none
UPDATE expunge.request r SET state = 'scheduled'
 WHERE r.id IN (
       SELECT q.id FROM expunge.request q
        WHERE q.state = 'failed' AND q.removed_at IS NULL AND q.approved_plan IS NOT NULL
          FOR UPDATE SKIP LOCKED)

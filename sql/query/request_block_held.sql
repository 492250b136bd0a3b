-- Blocks approved requests that are under a hold. Rows that somebody is working on are left alone: the run
-- reads holds again inside each batch.
-- params: none
-- rows: many
UPDATE expunge.request r SET state = 'blocked', reason = 'hold', reason_at = now()
 WHERE r.id IN (
       SELECT q.id FROM expunge.request q
        WHERE q.state IN ('identified', 'scheduled')
          AND EXISTS (SELECT FROM expunge.hold h WHERE h.tenant = q.tenant AND h.released_at IS NULL
                       AND (h.subject IS NULL OR h.subject = q.subject))
          FOR UPDATE SKIP LOCKED)
RETURNING r.id

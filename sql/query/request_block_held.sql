-- Blocks approved requests that are under a hold, and says which.
-- params: none
-- rows: many
UPDATE expunge.request r SET state = 'blocked', reason = 'hold', reason_at = now()
 WHERE r.state IN ('identified', 'scheduled')
   AND EXISTS (SELECT FROM expunge.hold h WHERE h.tenant = r.tenant AND h.released_at IS NULL
                AND (h.subject IS NULL OR h.subject = r.subject))
RETURNING r.id

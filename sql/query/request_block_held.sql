-- Blocks approved requests that are under a hold, and those of accounts whose rows are sealed. Rows that somebody is working on are left alone: the run
-- reads holds again inside each batch.
-- params: none
-- rows: many
UPDATE expunge.request r SET state = 'blocked', reason_at = now(),
       reason = CASE WHEN x.held THEN 'hold' ELSE 'account-dormant: its rows are sealed; they go with its purge, or when the practice is back' END
  FROM (SELECT q.id, h.held FROM expunge.request q
         CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM expunge.hold h WHERE h.tenant = q.tenant AND h.released_at IS NULL
                       AND (h.subject IS NULL OR h.subject = q.subject))) h(held)
        WHERE q.state IN ('identified', 'scheduled')
          AND (h.held OR EXISTS (SELECT FROM expunge.dormancy d WHERE d.tenant = q.tenant AND d.phase <> 'awake' AND d.n_rows > 0))
          FOR UPDATE OF q SKIP LOCKED) x
 WHERE r.id = x.id
RETURNING r.id

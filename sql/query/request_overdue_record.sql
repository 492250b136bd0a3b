-- Enters what is past its due date in the register of events, once a day and request.
-- params: none
-- rows: none
INSERT INTO expunge.event (kind, tenant, request_id, detail)
SELECT 'request-overdue', q.tenant, q.id, 'due on ' || q.due_on || ': ' || q.why_not_yet
  FROM expunge.request_list q
 WHERE q.late
   AND NOT EXISTS (SELECT FROM expunge.event e
                    WHERE e.request_id = q.id AND e.kind = 'request-overdue'
                      AND expunge.civil_date(e.at) = expunge.civil_date(now()))

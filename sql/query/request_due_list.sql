-- What the next run would take.
-- params: none
-- rows: many
SELECT q.id, q.tenant, q.due_on, q.plan_rows, q.plan_hash
  FROM expunge.request_list q
 WHERE q.state = 'scheduled' AND q.not_before <= now()
 ORDER BY q.due_on, q.received_at, q.id

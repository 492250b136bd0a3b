-- Requests for people.
-- params: 1 tenant or null, 2 those at their end too
-- rows: many
SELECT q.id, q.tenant, q.state, q.due_on, q.days_left, CASE WHEN q.late THEN 'LATE' ELSE '' END AS late,
       q.plan_rows, q.certificate_serial AS certificate, q.why_not_yet
  FROM expunge.request_list q
 WHERE ($1::text IS NULL OR q.tenant = $1) AND (q.open OR $2::boolean)
 ORDER BY q.due_on NULLS LAST, q.received_at, q.id

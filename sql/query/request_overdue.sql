-- Requests that are past their due date, and why.
-- params: none
-- rows: many
SELECT q.id, q.tenant, q.due_on, q.why_not_yet FROM expunge.request_list q WHERE q.late ORDER BY q.due_on, q.id

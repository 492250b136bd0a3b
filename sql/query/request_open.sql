-- Requests that are not at their end and whose removal has not begun: all, or one.
-- params: 1 request or null
-- rows: many
SELECT r.id FROM expunge.request r
 WHERE r.removed_at IS NULL AND r.state NOT IN ('certified', 'refused', 'withdrawn')
   AND ($1::uuid IS NULL OR r.id = $1::uuid)
 ORDER BY r.due_on, r.received_at, r.id

-- Requests that wait for an approval, and so for a plan.
-- params: none
-- rows: many
SELECT r.id FROM expunge.request r
 WHERE r.state IN ('identified', 'blocked') OR (r.state = 'failed' AND r.removed_at IS NOT NULL)
 ORDER BY r.due_on, r.id

-- Requests that wait for an approval, and so for a plan, and whether rows of them were collected before.
-- params: 1 how many, 2 after this due date, 3 and this id
-- rows: many
SELECT r.id, EXISTS (SELECT FROM expunge.key_set k WHERE k.request_id = r.id), coalesce(r.due_on, 'infinity') AS due_on
  FROM expunge.request r
 WHERE (r.state IN ('identified', 'blocked') OR (r.state = 'failed' AND r.removed_at IS NOT NULL))
   AND (coalesce(r.due_on, 'infinity'), r.id) > ($2::date, $3::uuid)
 ORDER BY coalesce(r.due_on, 'infinity'), r.id
 LIMIT $1::integer

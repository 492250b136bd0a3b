-- Who approved the plan that an account was purged by.
-- params: 1 closure
-- rows: many
SELECT a.approved_by
  FROM expunge.closure_approval a
  JOIN expunge.closure c ON c.id = a.closure_id AND a.plan_hash = c.claimed_plan
 WHERE c.id = $1::uuid
 ORDER BY a.approved_at, a.approved_by

-- Why an account could not be sealed or loaded; null: nothing is wrong any more.
-- params: 1 closure, 2 tenant, 3 why
-- rows: none
INSERT INTO expunge.dormancy AS d (closure_id, tenant, problem, problem_at) VALUES ($1::uuid, $2, left($3, 500), now())
ON CONFLICT (closure_id) DO UPDATE SET problem = EXCLUDED.problem, problem_at = EXCLUDED.problem_at

-- Why an account's purge was put off or failed; null: nothing is wrong any more.
-- params: 1 closure, 2 why
-- rows: none
UPDATE expunge.closure SET problem = left($2, 500), problem_at = CASE WHEN $2::text IS NOT NULL THEN now() END
 WHERE id = $1::uuid AND problem IS DISTINCT FROM left($2, 500)

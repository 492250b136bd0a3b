-- The point of no return.
-- params: 1 tenant, 2 run, 3 plan hash, 4 what the application says or null
-- rows: one
SELECT expunge.claim_closure($1, $2::uuid, $3, $4)

-- Approves the purge of an account.
-- params: 1 tenant, 2 plan hash
-- rows: one
SELECT expunge.approve_closure($1, $2) AS approvers

-- A person lets a closing account be active again.
-- params: 1 tenant, 2 reason
-- rows: one
SELECT expunge.reactivate_account($1, $2) AS was_closing

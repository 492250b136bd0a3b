-- A person enters a cancellation.
-- params: 1 tenant, 2 last paid day, 3 reason, 4 zone
-- rows: one
SELECT expunge.cancel_account($1, $2::date, $3, $4) AS id

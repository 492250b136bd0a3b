-- A person ends the account of a practice that does not pay.
-- params: 1 tenant, 2 reason, 3 last paid day or null, 4 zone
-- rows: one
SELECT expunge.terminate_account($1, $2, $3::date, $4) AS id

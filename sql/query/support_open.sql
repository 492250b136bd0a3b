-- A member of the staff enters; answers the session.
-- params: 1 tenant, 2 ticket, 3 scope, 4 reason, 5 subject, 6 idempotency key
-- rows: one
SELECT expunge_api.open_support_session($1, $2, $3, $4, $5, $6)

-- The practice consents; with a request, to what that says.
-- params: 1 tenant, 2 until, 3 ticket, 4 scope, 5 subject, 6 staff, 7 request, 8 idempotency key
-- rows: one
SELECT expunge_api.grant_support_consent($1, $2::timestamptz, $3, $4, $5, $6, $7::uuid, $8)

-- The staff asks a practice for consent, or (7) a colleague for an override.
-- params: 1 tenant, 2 ticket, 3 scope, 4 reason, 5 subject, 6 idempotency key, 7 an override
-- rows: one
SELECT CASE WHEN $7::boolean THEN expunge_api.request_support_override($1, $2, $3, $4, $5, $6)
            ELSE expunge_api.request_support($1, $2, $3, $4, $5, $6) END

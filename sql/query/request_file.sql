-- Files an erasure request; a bare date of receipt is noon of that day in the installation's zone, or now if that is earlier.
-- params: 1 tenant, 2 subject, 3 ground, 4 channel, 5 received on, 6 idempotency key
-- rows: one
SELECT expunge_api.request_erasure($1, $2, $3, coalesce($4, 'cli'), NULL,
       coalesce(least(($5::date + time '12:00') AT TIME ZONE expunge.instance_zone(), now()), now()), $6)

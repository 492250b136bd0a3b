-- Asks again for erasures whose subjects came back.
-- params: 1 requests uuid[], 2 tenants, 3 subjects, 4 received timestamptz[]
-- rows: one
SELECT expunge.replay_file($1::uuid[], $2::text[], $3::text[], $4::timestamptz[])

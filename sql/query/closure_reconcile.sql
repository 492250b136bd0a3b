-- Compares what the application says of some subscriptions with what is closing; only what came of it.
-- params: 1 tenants text[], 2 says text[], 3 cancelled at timestamptz[], 4 paid until date[], 5 reasons text[], 6 zones text[]
-- rows: many
SELECT r.tenant, r.outcome
  FROM (SELECT s.tenant, expunge.reconcile_account(s.tenant, s.says, s.cancelled_at, s.paid_until, s.reason, s.zone) AS outcome
          FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::date[], $5::text[], $6::text[])
            AS s(tenant, says, cancelled_at, paid_until, reason, zone) OFFSET 0) r
 WHERE r.outcome IS NOT NULL

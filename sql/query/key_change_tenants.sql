-- The tenants that a change takes as a whole.
-- params: 1 attempt
-- rows: many
SELECT t.tenant FROM expunge.key_change c CROSS JOIN LATERAL unnest(c.tenants) t(tenant) WHERE c.attempt = $1 ORDER BY 1

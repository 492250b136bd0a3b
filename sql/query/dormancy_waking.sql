-- Accounts that are active again and whose rows are to be loaded, the longest waiting first.
-- params: 1 tenant or null
-- rows: many
SELECT d.closure_id, d.tenant FROM expunge.dormancy d
 WHERE d.phase = 'waking' AND ($1::text IS NULL OR d.tenant = $1)
 ORDER BY d.waking_at, d.tenant

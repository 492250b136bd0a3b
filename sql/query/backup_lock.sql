-- The lock of whoever backs a tenant up, held by the session; false when another session has it.
-- params: 1 tenant
-- rows: one
SELECT pg_try_advisory_lock(hashtextextended('expunge/backup/' || $1::text, 0))

-- Gives that lock back.
-- params: 1 tenant
-- rows: one
SELECT pg_advisory_unlock(hashtextextended('expunge/backup/' || $1::text, 0))

-- The lock of a nightly run, held by the session; false when another session has it.
-- params: none
-- rows: one
SELECT pg_try_advisory_lock(hashtextextended('expunge/nightly', 0))

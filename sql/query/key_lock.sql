-- The lock of those who hold keys: shared, or alone for a change of the root. Of the session.
-- params: 1 alone
-- rows: one
SELECT CASE WHEN $1::boolean THEN pg_advisory_lock(hashtextextended('expunge/keys', 0))
            ELSE pg_advisory_lock_shared(hashtextextended('expunge/keys', 0)) END

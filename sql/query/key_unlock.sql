-- Gives that lock back.
-- params: 1 alone
-- rows: one
SELECT CASE WHEN $1::boolean THEN pg_advisory_unlock(hashtextextended('expunge/keys', 0))
            ELSE pg_advisory_unlock_shared(hashtextextended('expunge/keys', 0)) END

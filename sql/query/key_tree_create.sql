-- The first epoch.
-- params: 1 attempt, 2 run nonce
-- rows: none
WITH drawn AS (
    INSERT INTO expunge.key_nonce (nonce, timeline)
    VALUES ($2, ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint)
)
INSERT INTO expunge.key_tree (epoch, attempt) VALUES (1, $1)

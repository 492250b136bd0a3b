-- A run's nonce.
-- params: 1 nonce
-- rows: none
WITH drawn AS (
    INSERT INTO expunge.key_nonce (nonce, timeline)
    VALUES ($1, ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint)
)
UPDATE expunge.key_tree t SET run_nonce = $1

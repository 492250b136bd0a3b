-- A run's nonce. It waits for nobody who writes keys.
-- params: 1 nonce
-- rows: none
INSERT INTO expunge.key_nonce (nonce, timeline)
VALUES ($1, ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint)

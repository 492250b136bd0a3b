-- Counts nonces of another copy as ours from now on.
-- params: 1 nonces text[]
-- rows: none
INSERT INTO expunge.key_nonce (nonce, timeline)
SELECT DISTINCT n, ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint FROM unnest($1::text[]) n
ON CONFLICT (nonce) DO NOTHING

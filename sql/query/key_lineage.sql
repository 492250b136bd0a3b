-- Whether nonces were drawn by this database, whether its server is on the timeline of the last run, and whether an
-- adoption was begun and has not ended.
-- params: 1 nonces text[]
-- rows: one
SELECT (SELECT count(*) FROM unnest($1::text[]) n WHERE NOT EXISTS (SELECT FROM expunge.key_nonce k WHERE k.nonce = n)),
       coalesce((SELECT k.timeline FROM expunge.key_nonce k ORDER BY k.number DESC LIMIT 1), 0),
       ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint,
       EXISTS (SELECT FROM expunge.adoption a WHERE a.ended_at IS NULL)

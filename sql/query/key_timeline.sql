-- The timeline that the server is on; the control file would say so only after a checkpoint.
-- params: none
-- rows: one
SELECT ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint

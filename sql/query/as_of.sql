-- Now, as a certificate gives it, and the position in the write-ahead log.
-- params: none
-- rows: one
SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), pg_current_wal_lsn()

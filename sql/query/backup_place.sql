-- Where the write-ahead log is, as a number.
-- params: none
-- rows: one
SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn

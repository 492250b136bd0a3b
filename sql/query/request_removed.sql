-- Marks requests as removed by this transaction.
-- params: 1 requests uuid[], 2 other subjects' rows were compared
-- rows: none
UPDATE expunge.request r
   SET state = 'removed', removed_at = clock_timestamp(), removed_xid = pg_current_xact_id()::text,
       removed_lsn = pg_current_wal_insert_lsn(), waits_for = NULL,
       controlled = $2::boolean, vacuumed = NULL, recounted_at = NULL, recounted_lsn = NULL,
       reason = NULL, reason_at = NULL
 WHERE r.id = ANY($1::uuid[])

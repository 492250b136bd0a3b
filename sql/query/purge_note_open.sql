-- Notes which transactions are open in this database, for an account that is removed and has no such note.
-- params: 1 closure
-- rows: none
UPDATE expunge.closure_removal r
   SET waits_for = ARRAY(
       SELECT l.virtualtransaction || ' ' || l.pid
         FROM pg_catalog.pg_locks l
         JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
        WHERE l.locktype = 'virtualxid' AND l.granted AND l.mode = 'ExclusiveLock'
          AND l.pid <> pg_backend_pid() AND a.datname = current_database()
       UNION ALL
       SELECT 'prepared ' || p.transaction || ' ' || p.gid
         FROM pg_catalog.pg_prepared_xacts p WHERE p.database = current_database())
 WHERE r.closure_id = $1::uuid AND r.waits_for IS NULL

-- A transaction that an account's removal waits for (null: none), and whether those prepared since are noted, too.
-- params: 1 closure
-- rows: one
SELECT (SELECT min(o.name)
          FROM (SELECT l.virtualtransaction || ' ' || l.pid AS name FROM pg_catalog.pg_locks l
                 WHERE l.locktype = 'virtualxid' AND l.granted AND l.mode = 'ExclusiveLock'
                UNION ALL
                SELECT 'prepared ' || p.transaction || ' ' || p.gid FROM pg_catalog.pg_prepared_xacts p
                 WHERE p.database = current_database()) o
         WHERE o.name = ANY (r.waits_for)),
       'settled' = ANY (r.waits_for)
  FROM expunge.closure_removal r
 WHERE r.closure_id = $1::uuid

-- Removed requests all of whose older transactions have ended.
-- params: none
-- rows: many
SELECT r.id
  FROM expunge.request r
 WHERE r.state = 'removed' AND 'settled' = ANY (r.waits_for)
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_locks l
                    WHERE l.locktype = 'virtualxid' AND l.granted AND l.mode = 'ExclusiveLock'
                      AND l.virtualtransaction || ' ' || l.pid = ANY (r.waits_for))
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_prepared_xacts p
                    WHERE p.database = current_database()
                      AND 'prepared ' || p.transaction || ' ' || p.gid = ANY (r.waits_for))
 ORDER BY r.removed_at, r.id

-- Removed requests all of whose noted sessions' transactions have ended, and that have not been settled.
-- params: none
-- rows: many
SELECT r.id
  FROM expunge.request r
 WHERE r.state = 'removed' AND r.waits_for IS NOT NULL AND NOT 'settled' = ANY (r.waits_for)
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_locks l
                    WHERE l.locktype = 'virtualxid' AND l.granted AND l.mode = 'ExclusiveLock'
                      AND l.virtualtransaction || ' ' || l.pid = ANY (r.waits_for))

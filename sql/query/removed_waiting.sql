-- How many removed requests wait for a transaction that is still open, and one such transaction.
-- params: none
-- rows: one
WITH open(name) AS (
    SELECT l.virtualtransaction || ' ' || l.pid FROM pg_catalog.pg_locks l
     WHERE l.locktype = 'virtualxid' AND l.granted AND l.mode = 'ExclusiveLock'
    UNION ALL
    SELECT 'prepared ' || p.transaction || ' ' || p.gid FROM pg_catalog.pg_prepared_xacts p
     WHERE p.database = current_database()
), waiting AS (
    SELECT r.id, min(o.name) AS name
      FROM expunge.request r LEFT JOIN open o ON o.name = ANY (r.waits_for)
     WHERE r.state = 'removed' AND (o.name IS NOT NULL OR NOT 'settled' = ANY (r.waits_for))
     GROUP BY r.id
)
SELECT count(*), min(w.name) FROM waiting w

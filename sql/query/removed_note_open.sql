-- Notes which transactions are open in this database, for removed requests that have no such note. Where no session has
-- one, those that are prepared now are all there can be (they are looked for after the sessions, so that one that
-- is prepared meanwhile is in either list), and that is settled at once.
-- params: none
-- rows: none
WITH open(names) AS MATERIALIZED (
    SELECT ARRAY(
       SELECT l.virtualtransaction || ' ' || l.pid
         FROM pg_catalog.pg_locks l
         JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
        WHERE l.locktype = 'virtualxid' AND l.granted AND l.mode = 'ExclusiveLock'
          AND l.pid <> pg_backend_pid() AND a.datname = current_database())
), noted(names) AS MATERIALIZED (
    SELECT CASE WHEN o.names = '{}' THEN '{settled}' ELSE o.names END || ARRAY(
       SELECT 'prepared ' || p.transaction || ' ' || p.gid
         FROM pg_catalog.pg_prepared_xacts p WHERE p.database = current_database())
      FROM open o
)
UPDATE expunge.request r SET waits_for = n.names
  FROM noted n
 WHERE r.state = 'removed' AND r.waits_for IS NULL

-- What copies the rows of this database elsewhere: a line of text each, how to declare it, and its kind and names (those that
-- have none on the server are declared by their kind). A login that may not see a standby's name is shown that one is there.
-- params: none
-- rows: many
SELECT CASE s.slot_type WHEN 'logical' THEN 'logical ' ELSE '' END || 'replication slot ' || s.slot_name AS what,
       CASE s.slot_type WHEN 'logical' THEN 'its subscriber as a store of kind other called ' ELSE 'a replication-slot or standby called ' END
           || s.slot_name AS store,
       CASE s.slot_type WHEN 'logical' THEN 'other' ELSE 'replication-slot' END AS kind, s.slot_name::text AS name, '' AS other
  FROM pg_catalog.pg_replication_slots s
 WHERE NOT s.temporary AND (s.datoid IS NULL OR s.database = current_database())
UNION ALL
SELECT 'standby ' || coalesce(nullif(r.application_name, ''), 'without a name') || ' is connected', 'a standby of that name', 'standby',
       coalesce(r.application_name, ''), coalesce(s.slot_name::text, '')
  FROM pg_catalog.pg_stat_replication r
  LEFT JOIN pg_catalog.pg_replication_slots s ON s.active_pid = r.pid
 WHERE r.state IS DISTINCT FROM 'backup' AND s.temporary IS NOT TRUE AND s.slot_type IS DISTINCT FROM 'logical'
   AND (r.state IS DISTINCT FROM 'streaming' OR r.replay_lsn IS NOT NULL)
UNION ALL
SELECT 'a receiver of WAL or a base backup is connected', 'a wal-archive or physical-backup',
       CASE WHEN r.state = 'backup' OR s.temporary THEN 'physical-backup' ELSE 'wal-archive' END,
       coalesce(r.application_name, ''), coalesce(s.slot_name::text, '')
  FROM pg_catalog.pg_stat_replication r
  LEFT JOIN pg_catalog.pg_replication_slots s ON s.active_pid = r.pid
 WHERE (r.state = 'backup' OR s.temporary OR r.state = 'streaming' AND r.replay_lsn IS NULL)
   AND s.slot_type IS DISTINCT FROM 'logical'
UNION ALL
SELECT 'archive_mode is on', 'a wal-archive', 'wal-archive', '', ''
 WHERE current_setting('archive_mode') <> 'off'
UNION ALL
SELECT 'log_statement = ' || current_setting('log_statement'), 'a server-log', 'server-log', '', ''
 WHERE current_setting('log_statement') <> 'none'
UNION ALL
SELECT 'log_min_duration_statement is on', 'a server-log', 'server-log', '', ''
 WHERE current_setting('log_min_duration_statement') <> '-1'
UNION ALL
SELECT 'pg_stat_statements keeps texts of statements', 'a server-log', 'server-log', '', ''
 WHERE EXISTS (SELECT FROM pg_catalog.pg_extension e WHERE e.extname = 'pg_stat_statements')

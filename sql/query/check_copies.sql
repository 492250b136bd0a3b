-- What copies the rows of this database elsewhere: a line of text each.
-- params: none
-- rows: many
SELECT 'replication slot ' || s.slot_name AS what, 'a standby, a backup or a logical subscriber' AS store
  FROM pg_catalog.pg_replication_slots s
 WHERE s.datoid IS NULL OR s.database = current_database()
UNION ALL
SELECT 'a connected standby or WAL receiver (' || count(*) || ')', 'a standby or archived WAL'
  FROM pg_catalog.pg_stat_replication HAVING count(*) > 0
UNION ALL
SELECT 'publication ' || p.pubname, 'a logical subscriber' FROM pg_catalog.pg_publication p
UNION ALL
SELECT 'archive_mode is on', 'archived WAL'
 WHERE current_setting('archive_mode') <> 'off'
UNION ALL
SELECT 'log_statement = ' || current_setting('log_statement'), 'server logs'
 WHERE current_setting('log_statement') <> 'none'
UNION ALL
SELECT 'log_min_duration_statement is on', 'server logs'
 WHERE current_setting('log_min_duration_statement') <> '-1'
UNION ALL
SELECT 'pg_stat_statements keeps texts of statements', 'pg_stat_statements'
 WHERE EXISTS (SELECT FROM pg_catalog.pg_extension e WHERE e.extname = 'pg_stat_statements')

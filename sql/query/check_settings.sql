-- Settings of the server that the run depends on, as the present login sees them; one that it may not see is no row.
-- params: none
-- rows: many
SELECT s.name, s.setting
  FROM pg_catalog.pg_settings s
 WHERE s.name IN ('track_counts', 'fsync', 'full_page_writes', 'session_replication_role', 'default_transaction_read_only',
                  'archive_mode', 'log_statement', 'log_min_duration_statement', 'shared_preload_libraries',
                  'data_directory', 'server_version')
 ORDER BY s.name

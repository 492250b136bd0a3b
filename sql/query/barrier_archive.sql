-- Whether the server has archived the write-ahead log up to a position. Segments are archived in the order of their names, one
-- timeline after the other: a later one of the same timeline says so. The last thing archived may be no segment at all (a
-- history, a backup's label, a partial one), which says nothing.
-- params: 1 position, 2 seconds that are waited
-- rows: one
SELECT v.archives AS there, v.archives AND v.done AS passed,
       CASE WHEN NOT v.archives THEN 'the server archives no write-ahead log, archive_mode is off'
            WHEN v.done THEN 'archiving is on, the last segment archived was ' || coalesce(v.last_archived_wal, 'none')
            ELSE 'segment ' || v.segment || ' is not archived, the last one archived was ' || coalesce(v.last_archived_wal, 'none')
                 || CASE WHEN v.failing THEN '; archiving fails' || v.failure ELSE '' END END AS standing,
       CASE WHEN v.failing THEN 'archiving fails' || v.failure
            WHEN v.slow THEN 'a segment is archived once it is full, on a quiet server not within the ' || $2 || ' seconds' END AS warning,
       CASE WHEN v.failing THEN 'see archive_command, or archive_library, and the server''s log'
            WHEN v.slow THEN 'set archive_timeout to less, or GRANT EXECUTE ON FUNCTION pg_catalog.pg_switch_wal() TO expunge_owner' END AS remedy
  FROM (SELECT w.archives, w.segment, a.last_archived_wal,
               $1 = '0/0' OR coalesce(a.last_archived_wal ~ '^[0-9A-F]{24}$' AND left(a.last_archived_wal, 8) = left(w.segment, 8)
                   AND a.last_archived_wal COLLATE "C" >= w.segment COLLATE "C", false) AS done,
               coalesce(a.last_failed_time > a.last_archived_time, a.last_failed_time IS NOT NULL) AS failing,
               ': ' || a.failed_count || ' failures in all, the last one of ' || a.last_failed_wal || ' at '
                   || to_char(a.last_failed_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS failure,
               extract(epoch FROM current_setting('archive_timeout')::interval) NOT BETWEEN 1 AND $2::bigint
                   AND NOT has_function_privilege('expunge_owner', 'pg_catalog.pg_switch_wal()', 'EXECUTE') AS slow
          FROM pg_catalog.pg_stat_archiver a,
               (SELECT current_setting('archive_mode') <> 'off', pg_walfile_name(nullif($1, '0/0')::pg_lsn)) w(archives, segment)) v

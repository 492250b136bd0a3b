-- Backups and drills; counts only.
-- params: none
-- rows: one
SELECT s.archives, s.tenants, s.newest_age_seconds, s.unnamed, s.expired,
       to_char(s.last_drill AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS last_drill, s.last_drill_passed,
       extract(epoch FROM s.last_drill)::bigint AS last_drill_s, s.change_waits_for
  FROM expunge.status_archive s

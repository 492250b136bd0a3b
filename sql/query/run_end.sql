-- Ends a run's row.
-- params: 1 run, 2 exit code, 3 done, 4 blocked, 5 failed, 6 rows
-- rows: none
UPDATE expunge.run r
   SET finished_at = now(), exit_code = $2::integer, n_done = $3::integer, n_blocked = $4::integer,
       n_failed = $5::integer, n_rows = $6::bigint
 WHERE r.id = $1::uuid

-- The last start and the last success of each job, as text and in seconds since 1970.
-- params: none
-- rows: many
SELECT j.job,
       to_char(j.last_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS last_start,
       to_char(j.last_success AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS last_success,
       j.last_exit_code,
       extract(epoch FROM j.last_start)::bigint AS started,
       extract(epoch FROM j.last_success)::bigint AS succeeded,
       (extract(epoch FROM now() - j.last_success) / 3600)::bigint AS hours_since_success
  FROM expunge.status_job j
 ORDER BY j.job

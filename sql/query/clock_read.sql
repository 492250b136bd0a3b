-- The server's time, and the latest of the last run and the last time a person accepted the clock, in seconds.
-- An acceptance after a run counts more than the run: that is how a wrong time is got rid of.
-- params: none
-- rows: one
SELECT extract(epoch FROM clock_timestamp())::bigint,
       extract(epoch FROM greatest(i.clock_accepted_at,
           (SELECT max(r.started_at) FROM expunge.run r WHERE r.number > i.clock_accepted_run)))::bigint
  FROM expunge.instance i

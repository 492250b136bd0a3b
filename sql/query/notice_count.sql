-- How many notices are to be sent now, how many wait at all, and the time that a run takes as its beginning.
-- params: none
-- rows: one
SELECT count(*) FILTER (WHERE o.next_at <= now()), count(*), now()::text FROM expunge.outbox o WHERE o.state = 'queued'

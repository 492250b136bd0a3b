-- What became of a notice. One that is to be tried again waits twice as long each time, a day at most; one that was tried for
-- too long is given up.
-- params: 1 notice, 2 state: sent or bounced or queued, 3 code, 4 Message-ID, 5 minutes, 6 hours
-- rows: one
UPDATE expunge.outbox o
   SET state = n.state, last_code = $3, message_id = coalesce($4, o.message_id), attempts = o.attempts + 1,
       settled_at = CASE WHEN n.state <> 'queued' THEN clock_timestamp() END,
       next_at = clock_timestamp() + make_interval(mins => least($5::integer * 2 ^ least(o.attempts, 12), 1440)::integer)
  FROM (SELECT q.id, CASE WHEN $2 = 'queued' AND clock_timestamp() > q.since + make_interval(hours => $6::integer)
                          THEN 'given-up' ELSE $2 END AS state
          FROM expunge.outbox q WHERE q.id = $1::uuid) n
 WHERE o.id = n.id
RETURNING o.state

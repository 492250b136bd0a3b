-- Ends the stores whose last day is over by the server's clock and the host's. A standby or a slot must be past the
-- recount besides, as the server reports it: a standby that is not connected has said nothing. One that nobody declared
-- ends by that report alone, and only while it is there to be asked.
-- params: 1 the host's time in seconds since 1970
-- rows: none
WITH today AS (
    SELECT expunge.civil_date(least(now(), to_timestamp($1::bigint))) AS day
), seen AS MATERIALIZED (
    SELECT c.kind, c.name, c.other_name, c.lsn FROM expunge.copies_seen() c
     WHERE c.kind IN ('standby', 'replication-slot', 'other')
)
UPDATE expunge.request_store s
   SET ended_at = now(),
       ended_how = CASE WHEN s.kind IN ('standby', 'replication-slot') THEN 'reported' ELSE 'declared' END
  FROM expunge.request r, today t
 WHERE s.ended_at IS NULL AND r.id = s.request_id AND r.state = 'certified' AND r.final_at IS NULL AND s.until < t.day
   AND CASE
       WHEN s.kind IN ('standby', 'replication-slot') THEN
            NOT EXISTS (SELECT FROM seen c WHERE s.name IN (c.name, c.other_name)
                           AND (c.lsn IS NULL OR c.lsn < r.recounted_lsn))
            AND (s.declared AND s.kind = 'replication-slot'
                 OR EXISTS (SELECT FROM seen c WHERE s.name IN (c.name, c.other_name)
                               AND (c.kind = 'standby' OR s.kind = 'replication-slot')))
       ELSE s.declared
       END

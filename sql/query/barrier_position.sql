-- The position in the write-ahead log that a change's barriers wait for: behind its commit, kept from the first time on, but
-- taken anew on another timeline, where nobody reports the old one. The row itself is written behind it, so that on an
-- idle server, too, there is something to be sent that passes it.
-- params: 1 attempt
-- rows: maybe
UPDATE expunge.key_change c
   SET barrier_lsn = CASE WHEN c.barrier_timeline = n.timeline THEN c.barrier_lsn ELSE pg_current_wal_insert_lsn() END,
       barrier_timeline = n.timeline
  FROM (SELECT ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint AS timeline) n
 WHERE c.attempt = $1 AND c.state = 'journalled'
RETURNING c.barrier_lsn

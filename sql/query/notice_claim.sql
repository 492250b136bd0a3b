-- One notice that is to be sent, locked; those that another host is sending are passed over.
-- params: 1 when the run began: each is tried once in a run
-- rows: maybe
SELECT o.id, o.template, o.tenant, o.address, o.attempts, floor(extract(epoch FROM o.queued_at))::bigint, o.audience
  FROM expunge.outbox o
 WHERE o.state = 'queued' AND o.next_at <= $1::timestamptz
 ORDER BY o.next_at, o.id
 LIMIT 1
   FOR UPDATE SKIP LOCKED

-- What waits, and what became of the notices of the last so many days.
-- params: 1 days
-- rows: many
SELECT n.id, n.template, n.tenant, n.audience, n.once, n.state, n.late, n.attempts, n.last_code, n.queued_at, n.next_at, n.settled_at, n.message_id
  FROM expunge.notice_list n
 WHERE n.state = 'queued' OR n.settled_at > now() - make_interval(days => $1::integer)
 ORDER BY n.queued_at, n.id

-- The notices that a run would send now.
-- params: none
-- rows: many
SELECT n.id, n.template, n.tenant, n.audience, n.attempts, n.last_code, n.queued_at
  FROM expunge.notice_list n WHERE n.state = 'queued' AND n.next_at <= now() ORDER BY n.next_at, n.id

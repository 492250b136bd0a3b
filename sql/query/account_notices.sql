-- Who was told what of a closing account, and when.
-- params: 1 closure
-- rows: many
SELECT n.template, n.audience, n.state, n.queued_at, n.settled_at, n.attempts, n.last_code
  FROM expunge.notice_list n WHERE n.once LIKE $1::uuid || '/%' ORDER BY n.queued_at, n.template

-- Notices, counted.
-- params: none
-- rows: one
SELECT n.queued, n.late, n.bounced, n.given_up, n.unreached, n.sent,
       to_char(n.last_sent AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS last_sent
  FROM expunge.status_notice n

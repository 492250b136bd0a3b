-- Closing accounts, for people.
-- params: 1 those at their end too
-- rows: many
SELECT a.tenant, a.state, a.last_day, a.day, a.days, a.seal_on, a.dormancy, a.purge_on, a.complete_on, a.zone, CASE WHEN a.late THEN 'LATE' ELSE '' END AS late,
       (SELECT max(n.settled_at)::date FROM expunge.notice_list n
         WHERE n.tenant = a.tenant AND n.state = 'sent' AND n.once LIKE a.id || '/%') AS told_on,
       a.waits_for
  FROM expunge.account_list a
 WHERE a.open OR $1::boolean
 ORDER BY a.purge_on, a.tenant, a.filed_at

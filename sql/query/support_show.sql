-- One request, consent, override, session or test subject.
-- params: 1 its id
-- rows: many
SELECT l.at, l.what, l.id, l.tenant, l.staff, l.scope, l.ticket, l.subject, l.until, l.state, l.detail
  FROM expunge.support_list l
 WHERE l.id = $1::uuid AND l.what <> 'anomaly'
 ORDER BY l.at DESC

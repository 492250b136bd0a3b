-- Requests, consents, overrides, sessions, test subjects and anomalies; a period's days are those of the installation's zone.
-- params: 1 tenant or null, 2 from this day or null, 3 to this day or null, 4 also what has ended
-- rows: many
SELECT l.at, l.what, l.id, l.tenant, l.staff, l.scope, l.ticket, l.subject, l.until, l.state, l.detail
  FROM expunge.support_list l
 WHERE ($1::text IS NULL OR l.tenant = $1)
   AND ($2::date IS NULL OR l.at >= $2::date::timestamp AT TIME ZONE expunge.instance_zone())
   AND ($3::date IS NULL OR l.at < ($3::date + 1)::timestamp AT TIME ZONE expunge.instance_zone())
   AND ($4::boolean OR l.state IN ('open', 'in force', 'waiting', 'due', 'held', 'quarantined')
        OR l.what = 'anomaly' AND l.at > now() - interval '30 days')
 ORDER BY l.at, l.what, l.id

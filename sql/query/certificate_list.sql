-- Certificates issued on days of the policy's zone.
-- params: 1 tenant or null, 2 first day or null, 3 last day or null
-- rows: many
SELECT c.serial, c.id, c.kind, c.stage, c.tenant, c.request_id AS request,
       to_char(c.issued_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS issued,
       c.published_at IS NOT NULL AS published
  FROM expunge.certificate c
 CROSS JOIN expunge.instance i
 WHERE ($1::text IS NULL OR c.tenant = $1)
   AND ($2::date IS NULL OR c.issued_at >= $2::date::timestamp AT TIME ZONE i.zone)
   AND ($3::date IS NULL OR c.issued_at < ($3::date + 1)::timestamp AT TIME ZONE i.zone)
 ORDER BY c.serial

-- The signed notes of certificates issued on days of the policy's zone.
-- params: 1 tenant or null, 2 first day or null, 3 last day or null
-- rows: many
SELECT c.serial, c.id, c.note
  FROM expunge.certificate c
 CROSS JOIN expunge.instance i
 WHERE ($1::text IS NULL OR c.tenant = $1)
   AND ($2::date IS NULL OR c.issued_at >= $2::date::timestamp AT TIME ZONE i.zone)
   AND ($3::date IS NULL OR c.issued_at < ($3::date + 1)::timestamp AT TIME ZONE i.zone)
 ORDER BY c.serial

-- The stores of requests, and how each has ended: the day of it where it was reported or stated, else the last day of a copy.
-- params: 1 requests uuid[]
-- rows: many
SELECT s.request_id, CASE WHEN s.declared THEN s.name ELSE 'undeclared-' || s.kind END, s.ended_how,
       to_char(CASE s.ended_how WHEN 'declared' THEN s.until ELSE expunge.civil_date(s.ended_at) END, 'YYYY-MM-DD')
  FROM expunge.request_store s
 WHERE s.request_id = ANY ($1::uuid[])
 ORDER BY s.request_id, s.declared DESC, s.name COLLATE "C"

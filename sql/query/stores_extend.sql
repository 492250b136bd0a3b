-- What was declared since: interim certificates wait for new stores, too, and for a longer retention; never for a shorter one.
-- What had been seen and was not declared is by now, and waits as declared.
-- params: 1 names of declared stores text[], 2 their kinds text[], 3 their days integer[]
-- rows: none
INSERT INTO expunge.request_store AS s (request_id, name, kind, declared, until)
SELECT r.id, d.name, d.kind, true, expunge.civil_date(r.recounted_at) + d.days
  FROM expunge.request r
 CROSS JOIN unnest($1::text[], $2::text[], $3::integer[]) AS d(name, kind, days)
 WHERE r.state = 'certified' AND r.final_at IS NULL
ON CONFLICT (request_id, name) DO UPDATE
   SET until = greatest(s.until, EXCLUDED.until), declared = true,
       kind = CASE WHEN s.declared THEN s.kind ELSE EXCLUDED.kind END
 WHERE s.ended_at IS NULL AND (s.until < EXCLUDED.until OR NOT s.declared)

-- What a run is about to take: requests, rows, and per tenant the number of subjects.
-- params: 1 run: only what was approved before it began; or null
-- rows: many
SELECT r.tenant, count(*), sum(p.n_rows)::bigint
  FROM expunge.request r
  JOIN expunge.plan p ON p.request_id = r.id
 WHERE r.state = 'scheduled' AND r.not_before <= now()
   AND ($1::uuid IS NULL OR r.decided_at <= (SELECT n.started_at FROM expunge.run n WHERE n.id = $1::uuid))
 GROUP BY r.tenant

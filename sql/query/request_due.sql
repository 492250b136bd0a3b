-- What a run is about to take: requests, rows, and per tenant the number of subjects.
-- params: none
-- rows: many
SELECT r.tenant, count(*), sum(p.n_rows)::bigint
  FROM expunge.request r
  JOIN expunge.plan p ON p.request_id = r.id
 WHERE r.state = 'scheduled' AND r.not_before <= now()
 GROUP BY r.tenant

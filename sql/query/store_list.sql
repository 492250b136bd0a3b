-- The stores that interim certificates wait for.
-- params: none
-- rows: many
SELECT s.name, s.kind, s.declared, count(*) AS certificates, min(s.until) AS first, max(s.until) AS last
  FROM expunge.request_store s
 WHERE s.ended_at IS NULL
 GROUP BY s.name, s.kind, s.declared
 ORDER BY s.name

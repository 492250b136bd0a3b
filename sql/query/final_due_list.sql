-- The interim certificates whose stores are past their last day, and those that the server has still to report on.
-- params: none
-- rows: many
SELECT c.serial AS interim, r.id AS request, r.tenant, max(s.until) + 1 AS due_on,
       coalesce(string_agg(s.name, ', ' ORDER BY s.name)
           FILTER (WHERE s.ended_at IS NULL AND (NOT s.declared OR s.kind IN ('standby', 'replication-slot'))), '') AS must_report
  FROM expunge.request r
  JOIN expunge.certificate c ON c.request_id = r.id AND c.stage = 'interim'
  JOIN expunge.request_store s ON s.request_id = r.id
 WHERE r.state = 'certified' AND r.final_at IS NULL
 GROUP BY c.serial, r.id, r.tenant
HAVING bool_and(s.ended_how IS NOT DISTINCT FROM 'stated' OR s.until < expunge.civil_date(now()))
 ORDER BY c.serial

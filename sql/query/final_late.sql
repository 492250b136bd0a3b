-- Stores past their last day that hold up final certificates, and how many.
-- params: none
-- rows: many
SELECT s.name, s.kind, s.declared, count(*)
  FROM expunge.request_store s
  JOIN expunge.request r ON r.id = s.request_id
 WHERE s.ended_at IS NULL AND r.final_at IS NULL AND s.until < expunge.civil_date(now()) - 1
 GROUP BY s.name, s.kind, s.declared
 ORDER BY s.name

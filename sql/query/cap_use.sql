-- Uses up one raise of the caps for a run, the oldest first.
-- params: 1 run id
-- rows: maybe
UPDATE expunge.cap_raise c SET used_by = $1::uuid
 WHERE c.id = (SELECT r.id FROM expunge.cap_raise r WHERE r.used_by IS NULL OR r.used_by = $1::uuid ORDER BY r.id LIMIT 1)
RETURNING c.id

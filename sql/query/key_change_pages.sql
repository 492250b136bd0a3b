-- The pages that a change of the root has sealed.
-- params: 1 attempt
-- rows: many
SELECT p.id FROM expunge.key_change c JOIN expunge.key_page p ON p.seq = c.seq WHERE c.attempt = $1 ORDER BY p.id

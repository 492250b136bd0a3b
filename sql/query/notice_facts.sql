-- The facts of a notice.
-- params: 1 notice
-- rows: many
SELECT f.key, f.value FROM expunge.outbox o, jsonb_each_text(o.facts) f WHERE o.id = $1::uuid ORDER BY f.key

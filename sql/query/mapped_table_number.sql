-- The number of a mapped table, given at first sight.
-- params: 1 table name
-- rows: one
WITH known AS (
	SELECT m.id FROM expunge.mapped_table m WHERE m.name = $1
), made AS (
	INSERT INTO expunge.mapped_table (name)
	SELECT $1 WHERE NOT EXISTS (SELECT FROM known)
	ON CONFLICT (name) DO NOTHING
	RETURNING id
)
SELECT id FROM known UNION ALL SELECT id FROM made

-- Notes that a practice wants no copy of its data.
-- params: 1 tenant, 2 how that is known
-- rows: one
SELECT expunge.waive_export($1, $2) AS changed

-- Archives of a tenant whose id begins so; two are one too many.
-- params: 1 tenant, 2 beginning of the id
-- rows: many
SELECT a.id FROM expunge.archive a WHERE a.tenant = $1 AND a.state = 'complete' AND starts_with(a.id, $2) ORDER BY a.id LIMIT 2

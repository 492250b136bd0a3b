-- Archives of a tenant whose run was killed while they got their names.
-- params: 1 tenant
-- rows: many
SELECT a.id, a.sha256, array_to_string(a.destinations, E'\n')
  FROM expunge.archive a WHERE a.tenant = $1 AND a.state = 'naming' ORDER BY a.created_at

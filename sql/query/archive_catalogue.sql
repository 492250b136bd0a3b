-- Archives of a tenant, to be read again; the generation's key is gone when that was shredded.
-- params: 1 tenant
-- rows: many
SELECT a.id, a.sha256, a.n_frames, a.n_rows, a.generation, array_to_string(a.destinations, E'\n')
  FROM expunge.archive a WHERE a.tenant = $1 AND a.state = 'complete' ORDER BY a.created_at, a.id

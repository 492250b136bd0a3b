-- Archives of a tenant, to be read again: those whose generation's key lives.
-- params: 1 tenant
-- rows: many
SELECT a.id, a.sha256, a.n_frames, a.n_rows, a.generation, array_to_string(a.destinations, E'\n'), a.size, array_to_string(a.sending, E'\n')
  FROM expunge.archive a
  JOIN expunge.key_leaf l ON l.id = a.generation AND l.shredded_epoch IS NULL
 WHERE a.tenant = $1 AND a.state = 'complete' ORDER BY a.created_at, a.id

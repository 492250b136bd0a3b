-- Archives of a tenant, to be read again: those whose generation's key lives, and before them what they refer to.
-- params: 1 tenant
-- rows: many
SELECT a.id, a.sha256, a.n_frames, a.n_rows, a.generation, array_to_string(a.destinations, E'\n'), a.size, array_to_string(a.sending, E'\n'),
       l.shredded_epoch IS NOT NULL
  FROM expunge.archive a
  JOIN expunge.key_leaf l ON l.id = a.generation
 WHERE a.tenant = $1 AND (l.shredded_epoch IS NULL AND a.state = 'complete' OR l.shredded_epoch IS NOT NULL AND EXISTS (
           SELECT FROM expunge.archive n JOIN expunge.key_leaf k ON k.id = n.generation AND k.shredded_epoch IS NULL
            WHERE n.needs @> ARRAY[a.id] AND n.state = 'complete'))
 ORDER BY a.created_at, a.finished_at, a.id

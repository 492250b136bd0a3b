-- The chunks of an account that are to be recounted, or of which files are to be taken away.
-- params: 1 closure, 2 only those with files
-- rows: many
SELECT c.id, coalesce((SELECT max(k.round) + 1 FROM expunge.key_set k WHERE k.request_id = c.id), 0), c.n_rows
  FROM expunge.closure_chunk c
 WHERE c.closure_id = $1::uuid AND (c.has_files OR NOT $2::boolean)
 ORDER BY c.removed_at, c.id

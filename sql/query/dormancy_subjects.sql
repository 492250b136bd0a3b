-- Keyed hashes of a dormant account's patients, behind one of these.
-- params: 1 closure, 2 after this row hash and birth hash
-- rows: many
SELECT s.row_hash, s.birth_hash, s.row_hash || s.birth_hash
  FROM expunge.dormancy_chunk k JOIN expunge.dormancy_subject s ON s.chunk_id = k.id
 WHERE k.closure_id = $1::uuid AND (s.row_hash || s.birth_hash) COLLATE "C" > $2
 ORDER BY (s.row_hash || s.birth_hash) COLLATE "C" LIMIT 10000

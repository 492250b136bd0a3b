-- Leaves become tombstones.
-- params: 1 leaves bigint[], 2 keyed hashes of their names, 3 epoch that begins, 4 key_seq
-- rows: many
UPDATE expunge.key_leaf l
   SET name = NULL, sealed_name = NULL, name_hash = g.hash, page = NULL, slot = NULL, shredded_epoch = $3::bigint, seq = $4::bigint
  FROM unnest($1::bigint[], $2::text[]) g(id, hash)
 WHERE l.id = g.id AND l.shredded_epoch IS NULL
RETURNING l.id

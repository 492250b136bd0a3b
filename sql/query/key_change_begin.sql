-- The intent to change the root.
-- params: 1 attempt, 2 epoch that ends, 3 leaves bigint[], 4 hash of the leaves
-- rows: none
INSERT INTO expunge.key_change (attempt, epoch, leaves, leaves_hash) VALUES ($1, $2::bigint, $3::bigint[], $4)

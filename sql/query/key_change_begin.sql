-- The intent to change the root.
-- params: 1 attempt, 2 epoch that ends, 3 leaves bigint[], 4 tenants text[], 5 hash of both
-- rows: none
INSERT INTO expunge.key_change (attempt, epoch, leaves, tenants, leaves_hash) VALUES ($1, $2::bigint, $3::bigint[], $4::text[], $5)

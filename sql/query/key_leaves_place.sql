-- Where leaves are in the tree; not those of tenants that go as a whole.
-- params: 1 leaves bigint[], 2 these tenants text[]
-- rows: many
SELECT l.id, l.page, l.slot, encode(l.kcv, 'hex'), l.tenant, l.name
  FROM expunge.key_leaf l
 WHERE l.id = ANY ($1::bigint[]) AND l.shredded_epoch IS NULL AND l.tenant <> ALL ($2::text[])
 ORDER BY l.id

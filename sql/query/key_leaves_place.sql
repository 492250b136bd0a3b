-- Where leaves are in the tree.
-- params: 1 leaves bigint[]
-- rows: many
SELECT l.id, l.page, l.slot, encode(l.kcv, 'hex'), l.tenant, l.name
  FROM expunge.key_leaf l WHERE l.id = ANY ($1::bigint[]) AND l.shredded_epoch IS NULL
 ORDER BY l.id

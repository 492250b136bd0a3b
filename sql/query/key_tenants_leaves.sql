-- Leaves of tenants that go as a whole which something else refers to: archives, and erasures. Those of patients are not looked
-- through.
-- params: 1 tenants text[]
-- rows: many
SELECT l.id, l.page, l.slot, encode(l.kcv, 'hex'), l.tenant, l.name
  FROM expunge.key_leaf l
 WHERE l.tenant = ANY ($1::text[]) AND l.kind IN ('tenant', 'record', 'generation') AND l.shredded_epoch IS NULL
UNION
SELECT l.id, l.page, l.slot, encode(l.kcv, 'hex'), l.tenant, l.name
  FROM expunge.request_leaf q
  JOIN expunge.key_leaf l ON l.id = q.leaf_id
 WHERE l.tenant = ANY ($1::text[]) AND l.shredded_epoch IS NULL
 ORDER BY 1

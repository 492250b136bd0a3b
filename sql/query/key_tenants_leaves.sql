-- Leaves of tenants that go as a whole which something else refers to: archives, and erasures.
-- params: 1 tenants text[]
-- rows: many
SELECT l.id, l.page, l.slot, encode(l.kcv, 'hex'), l.tenant, l.name
  FROM expunge.key_leaf l
 WHERE l.tenant = ANY ($1::text[]) AND l.shredded_epoch IS NULL
   AND (l.kind <> 'subject' OR EXISTS (SELECT FROM expunge.request_leaf q WHERE q.leaf_id = l.id))
 ORDER BY l.id

-- The living leaf keys of a tenant behind an id, by id.
-- params: 1 tenant, 2 after this id
-- rows: many
SELECT l.id, l.kind, l.name FROM expunge.key_leaf l
 WHERE l.tenant = $1 AND l.shredded_epoch IS NULL AND l.id > $2::bigint ORDER BY l.id LIMIT 4096

-- Names of leaves, once they are open.
-- params: 1 leaves bigint[], 2 names
-- rows: none
UPDATE expunge.key_leaf l SET name = g.name FROM unnest($1::bigint[], $2::text[]) g(id, name) WHERE l.id = g.id

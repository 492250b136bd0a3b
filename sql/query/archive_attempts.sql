-- Living keys of generations that the catalogue knows nothing of; their names are those of the archives.
-- params: none
-- rows: many
SELECT l.id, l.tenant, l.name
  FROM expunge.key_leaf l
 WHERE l.kind = 'generation' AND l.shredded_epoch IS NULL
   AND NOT EXISTS (SELECT FROM expunge.archive a WHERE a.generation = l.id)
 ORDER BY l.id

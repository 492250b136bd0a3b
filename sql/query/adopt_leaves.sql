-- Living leaves whose names are still sealed, in the order of their pages.
-- params: 1 after this page, 2 and this slot, 3 how many
-- rows: many
SELECT l.id, l.page, l.slot, encode(l.kcv, 'hex'), encode(l.sealed_name, 'hex')
  FROM expunge.key_leaf l
 WHERE l.shredded_epoch IS NULL AND (l.page, l.slot) > ($1::bigint, $2::smallint)
 ORDER BY l.page, l.slot
 LIMIT $3::integer

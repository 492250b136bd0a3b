-- The check values that the live slots of pages must have: of pages below, or of leaves.
-- params: 1 pages bigint[]
-- rows: many
SELECT c.parent, c.slot, encode(c.kcv, 'hex') FROM expunge.key_page c WHERE c.parent = ANY ($1::bigint[])
UNION ALL
SELECT l.page, l.slot, encode(l.kcv, 'hex') FROM expunge.key_leaf l WHERE l.page = ANY ($1::bigint[]) AND l.shredded_epoch IS NULL
 ORDER BY 1, 2

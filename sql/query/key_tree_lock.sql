-- The epoch of the key tree, locked: one transaction at a time writes keys; and whether a change of the root is under way.
-- params: none
-- rows: maybe
SELECT t.epoch, EXISTS (SELECT FROM expunge.key_change c WHERE c.state NOT IN ('done', 'abandoned'))
  FROM expunge.key_tree t FOR UPDATE

-- The epoch of the key tree, locked: one transaction at a time writes keys.
-- params: none
-- rows: maybe
SELECT t.epoch FROM expunge.key_tree t FOR UPDATE

-- Whether this database has a key tree, and a change of its root that was interrupted.
-- params: none
-- rows: one
SELECT EXISTS (SELECT FROM expunge.key_tree), EXISTS (SELECT FROM expunge.key_change c WHERE c.state NOT IN ('done', 'abandoned'))

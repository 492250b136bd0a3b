-- Accounts whose keys are gone with a root, or that never had any because there is no key tree; and those that were so before.
-- params: none
-- rows: many
WITH gone AS (
    UPDATE expunge.closure c SET state = 'shredded'
     WHERE c.state = 'removed'
       AND (NOT EXISTS (SELECT FROM expunge.key_tree) OR EXISTS (
               SELECT FROM expunge.key_gone g JOIN expunge.key_change h ON h.epoch = g.epoch - 1 AND h.state = 'done' WHERE g.tenant = c.tenant))
       AND NOT EXISTS (SELECT FROM expunge.key_leaf l WHERE l.tenant = c.tenant AND l.shredded_epoch IS NULL)
    RETURNING c.id, c.tenant
)
SELECT g.id, g.tenant FROM gone g
UNION ALL
SELECT c.id, c.tenant FROM expunge.closure c WHERE c.state = 'shredded'

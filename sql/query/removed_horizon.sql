-- The oldest transaction that somebody may still look behind, and whether every removal lies before it.
-- params: none
-- rows: one
SELECT o.horizon, NOT EXISTS (SELECT FROM expunge.request r
                               WHERE r.state = 'removed' AND r.removed_xid::xid8 >= o.horizon)
  FROM expunge.oldest_xmin() o

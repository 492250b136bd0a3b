-- The oldest transaction that somebody may still look behind, and whether an account's removal lies before it.
-- params: 1 closure
-- rows: one
SELECT o.horizon, r.removed_xid::xid8 < o.horizon
  FROM expunge.oldest_xmin() o, expunge.closure_removal r
 WHERE r.closure_id = $1::uuid

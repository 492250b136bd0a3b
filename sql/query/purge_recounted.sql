-- An account's removal is proven: its state says so.
-- params: 1 closure, 2 as of, 3 lsn, 4 vacuum skipped nothing, 5 horizon before the vacuum
-- rows: one
WITH removal AS (
    UPDATE expunge.closure_removal r
       SET recounted_at = $2::timestamptz, recounted_lsn = $3::pg_lsn, vacuumed = $4::boolean AND r.removed_xid::xid8 < $5::xid8
     WHERE r.closure_id = $1::uuid
    RETURNING r.closure_id, r.removed_at
), closed AS (
    UPDATE expunge.closure c SET state = 'removed', removed_at = r.removed_at, problem = NULL, problem_at = NULL
      FROM removal r
     WHERE c.id = r.closure_id AND c.state = 'claimed'
    RETURNING c.id
)
SELECT count(*) FROM closed

-- Notes the recount of requests that passed it (those that failed are not in state removed any more, and one that
-- another host has removed again since then waits for older transactions anew), and
-- whether dead rows of their removal are gone: nothing was skipped, and nobody's snapshot still needed them.
-- params: 1 requests uuid[], 2 as of or null: not recounted yet, 3 lsn or null, 4 vacuum skipped nothing, 5 horizon before the vacuum
-- rows: none
UPDATE expunge.request r
   SET recounted_at = coalesce($2::timestamptz, r.recounted_at), recounted_lsn = coalesce($3::pg_lsn, r.recounted_lsn),
       vacuumed = coalesce(r.vacuumed, false) OR ($4::boolean AND r.removed_xid::xid8 < $5::xid8)
 WHERE r.id = ANY($1::uuid[]) AND r.state = 'removed' AND 'settled' = ANY (r.waits_for)

-- Removed requests all of whose older transactions have ended, and how many rows were planned.
-- params: 1 how many, 2 after this time of removal, 3 and this id, 4 requests to leave alone uuid[]
-- rows: many
SELECT r.id, coalesce((SELECT p.n_rows FROM expunge.plan p WHERE p.request_id = r.id), 0), r.removed_at
  FROM expunge.request r
 WHERE r.state = 'removed' AND 'settled' = ANY (r.waits_for)
   AND r.id <> ALL ($4::uuid[]) AND (r.removed_at, r.id) > ($2::timestamptz, $3::uuid)
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_locks l
                    WHERE l.locktype = 'virtualxid' AND l.granted AND l.mode = 'ExclusiveLock'
                      AND l.virtualtransaction || ' ' || l.pid = ANY (r.waits_for))
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_prepared_xacts p
                    WHERE p.database = current_database()
                      AND 'prepared ' || p.transaction || ' ' || p.gid = ANY (r.waits_for))
 ORDER BY r.removed_at, r.id
 LIMIT $1::integer

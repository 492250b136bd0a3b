-- One removed and recounted request that an external store has not been told of since its removal, locked.
-- params: 1 names of stores text[], 2 requests to leave alone uuid[]
-- rows: maybe
SELECT r.id, r.tenant
  FROM expunge.request r
 WHERE r.state = 'removed' AND r.recounted_at IS NOT NULL AND r.id <> ALL ($2::uuid[])
   AND EXISTS (SELECT FROM unnest($1::text[]) AS store(name)
                WHERE NOT EXISTS (SELECT FROM expunge.recipient t
                                   WHERE t.request_id = r.id AND t.name = store.name AND t.removed_xid = r.removed_xid))
 ORDER BY r.removed_at, r.id
 LIMIT 1
   FOR UPDATE OF r SKIP LOCKED

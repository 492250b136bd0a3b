-- Requests one of whose subjects (over all aliases), or whose tenant, is under a hold.
-- params: 1 requests uuid[], 2 number of the subject table, 3 via of the subject's key
-- rows: many
SELECT DISTINCT r.id
  FROM expunge.request r
  JOIN expunge.hold h ON h.tenant = r.tenant AND h.released_at IS NULL
 WHERE r.id = ANY($1::uuid[])
   AND (h.subject IS NULL OR h.subject = r.subject
        OR EXISTS (SELECT FROM expunge.key_set k
                    WHERE k.request_id = r.id AND k.table_id = $2::smallint AND k.via = $3::smallint
                      AND k.key[1] = h.subject))

-- Ends them: each has its certificate already, under the request that it is of. While that is interim, it waits for copies from
-- the time between the restore and now, and for standbys to come to this removal, not to that of the lost history.
-- params: 1 requests uuid[], 2 keyed hashes of their subjects
-- rows: none
WITH again AS (
    SELECT q.original, max(r.recounted_at) AS at, max(r.recounted_lsn) AS lsn
      FROM expunge.request r
      JOIN expunge.replay_request q ON q.request = r.id
     WHERE r.id = ANY ($1::uuid[]) AND r.kind = 'replay' AND r.state = 'removed'
     GROUP BY q.original
), stores AS (
    UPDATE expunge.request_store s SET until = s.until + (expunge.civil_date(a.at) - expunge.civil_date(o.recounted_at))
      FROM again a
      JOIN expunge.request o ON o.id = a.original AND o.final_at IS NULL AND o.recounted_at < a.at
     WHERE s.request_id = o.id
), originals AS (
    UPDATE expunge.request o SET recounted_at = a.at, recounted_lsn = a.lsn
      FROM again a WHERE o.id = a.original AND o.final_at IS NULL
)
UPDATE expunge.request r SET state = 'certified', certified_at = now(), final_at = now(), subject = NULL, subject_hash = g.hash
  FROM unnest($1::uuid[], $2::text[]) g(id, hash)
 WHERE r.id = g.id AND r.kind = 'replay' AND r.state = 'removed'

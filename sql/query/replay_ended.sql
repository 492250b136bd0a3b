-- Ends them: each has its certificate already, under the request that it is of.
-- params: 1 requests uuid[], 2 keyed hashes of their subjects
-- rows: none
UPDATE expunge.request r SET state = 'certified', certified_at = now(), final_at = now(), subject = NULL, subject_hash = g.hash
  FROM unnest($1::uuid[], $2::text[]) g(id, hash)
 WHERE r.id = g.id AND r.kind = 'replay' AND r.state = 'removed'

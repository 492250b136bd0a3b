-- Closing accounts whose rows are to leave the live database now.
-- params: none
-- rows: many
SELECT c.id, c.tenant, EXISTS (SELECT FROM expunge.dormancy_chunk k WHERE k.closure_id = c.id AND k.is_last),
       EXISTS (SELECT FROM expunge.hold h WHERE h.tenant = c.tenant AND h.released_at IS NULL)
  FROM expunge.closure c
  LEFT JOIN expunge.dormancy d ON d.closure_id = c.id
 WHERE c.state IN ('cooling-off', 'due') AND now() >= c.seal_at AND c.disagreement IS NULL AND coalesce(d.phase = 'sealed', true)
   AND NOT EXISTS (SELECT FROM expunge.dormancy w WHERE w.tenant = c.tenant AND w.phase = 'waking')
   AND NOT EXISTS (SELECT FROM expunge.request r WHERE r.tenant = c.tenant AND r.state IN ('running', 'removed'))
 ORDER BY c.seal_at, c.tenant

-- The archives that have rows of a dormant account, in the order of their sealing.
-- params: 1 closure
-- rows: many
SELECT a.id, a.sha256, a.generation, array_to_string(a.destinations, E'\n'), a.size, a.state = 'complete'
  FROM expunge.dormancy_archive y JOIN expunge.archive a ON a.id = y.archive_id
 WHERE y.closure_id = $1::uuid AND EXISTS (SELECT FROM expunge.dormancy_chunk k WHERE k.archive_id = y.archive_id)
 ORDER BY y.sealed_at, a.id

-- An archive of a dormant account: its generation, and where it is.
-- params: 1 closure, 2 archive
-- rows: maybe
SELECT a.generation, array_to_string(a.destinations, E'\n')
  FROM expunge.dormancy_archive y JOIN expunge.archive a ON a.id = y.archive_id
 WHERE y.closure_id = $1::uuid AND a.id = $2 AND a.state = 'complete'

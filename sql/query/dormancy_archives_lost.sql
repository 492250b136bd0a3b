-- Archives that have rows of a dormant account and that the catalogue does not know any more.
-- params: 1 closure
-- rows: one
SELECT count(DISTINCT k.archive_id) FROM expunge.dormancy_chunk k
 WHERE k.closure_id = $1::uuid AND NOT EXISTS (SELECT FROM expunge.archive a WHERE a.id = k.archive_id AND a.state = 'complete')

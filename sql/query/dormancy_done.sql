-- None of its rows is left: it is dormant. Archives that nothing was taken of are given up.
-- params: 1 closure
-- rows: maybe
WITH closed AS (
    SELECT c.id FROM expunge.closure c WHERE c.id = $1::uuid AND c.state IN ('cooling-off', 'due') FOR SHARE
), spare AS (
    UPDATE expunge.dormancy_archive a SET given_up = true
     WHERE a.closure_id = $1::uuid AND NOT EXISTS (SELECT FROM expunge.dormancy_chunk k WHERE k.archive_id = a.archive_id)
)
UPDATE expunge.dormancy d SET phase = 'dormant', dormant_at = now(), problem = NULL, problem_at = NULL
  FROM closed WHERE d.closure_id = closed.id AND d.phase = 'sealed'
RETURNING d.n_rows

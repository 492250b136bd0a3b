-- All of its rows are loaded, in this transaction; its archives are given up.
-- params: 1 closure
-- rows: none
WITH spare AS (
    UPDATE expunge.dormancy_archive a SET given_up = true WHERE a.closure_id = $1::uuid
)
UPDATE expunge.dormancy d SET phase = 'awake', awake_at = now(), problem = NULL, problem_at = NULL
 WHERE d.closure_id = $1::uuid AND d.phase = 'waking'

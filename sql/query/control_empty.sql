-- Empties a control sample.
-- params: 1 id of the sample
-- rows: none
DELETE FROM expunge.control_set k WHERE k.request_id = $1::uuid

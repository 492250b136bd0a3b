-- Rows of an account were found after its removal: it is to be removed again.
-- params: 1 closure
-- rows: none
DELETE FROM expunge.closure_removal r WHERE r.closure_id = $1::uuid AND r.recounted_at IS NULL

-- The newest plan of a closing account.
-- params: 1 closure
-- rows: maybe
SELECT p.document, p.hash FROM expunge.closure_plan p WHERE p.closure_id = $1::uuid

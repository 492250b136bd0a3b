-- Approves the plan of a test subject under the consent that its session had.
-- params: 1 test subject, 2 hash of the plan
-- rows: one
SELECT expunge.approve_test_subject($1::uuid, $2)

-- Notes that a test subject is not there any more.
-- params: 1 test subject
-- rows: one
SELECT expunge.forget_test_subject($1::uuid)

-- Files the erasure of a test subject; answers plan, quarantined, or why it is left alone.
-- params: 1 test subject
-- rows: one
SELECT expunge.file_test_subject($1::uuid)

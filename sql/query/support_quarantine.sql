-- Keeps a test subject from being deleted until a person of the practice decides.
-- params: 1 test subject, 2 reason
-- rows: one
SELECT expunge.quarantine_test_subject($1::uuid, $2)

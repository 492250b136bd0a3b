-- How many sessions are open, and how many test subjects there are, past their time, in quarantine.
-- params: none
-- rows: one
SELECT s.open_sessions, s.test_subjects, s.overdue, s.quarantined FROM expunge.status_support s

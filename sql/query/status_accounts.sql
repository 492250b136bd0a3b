-- Closing accounts, as counts.
-- params: none
-- rows: one
SELECT a.closing, a.due, a.under_way, a.overdue, a.disagreeing, a.failed, a.dormant, a.unsealed, a.waking FROM expunge.status_account a

-- Blocked and failed requests by the code of their reason.
-- params: none
-- rows: many
SELECT b.state, b.reason, b.n, b.oldest_days FROM expunge.status_blocked b ORDER BY b.state, b.n DESC, b.reason

-- Accepts the present time.
-- params: 1 reason
-- rows: one
SELECT expunge.accept_clock($1)

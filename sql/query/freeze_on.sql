-- Freezes.
-- params: 1 reason
-- rows: one
SELECT expunge.freeze_on($1)

-- Lifts the caps for one run.
-- params: 1 reason
-- rows: one
SELECT expunge.raise_cap($1)

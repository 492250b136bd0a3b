-- Forgets addresses and facts of notices that were settled long ago.
-- params: 1 days
-- rows: one
SELECT expunge.forget_notices($1::integer)

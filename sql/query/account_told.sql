-- A person states that a practice was told otherwise than by e-mail.
-- params: 1 tenant, 2 how
-- rows: one
SELECT expunge.told_otherwise($1, $2)

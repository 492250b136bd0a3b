-- The adoption has ended.
-- params: none
-- rows: one
SELECT expunge.adoption_end()

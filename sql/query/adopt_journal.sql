-- Puts the loaded lines of the journal into the place of what there is.
-- params: 1 epoch, 2 attempt, 3 key_seq
-- rows: one
SELECT expunge.adopt_journal($1::bigint, $2, $3::bigint)

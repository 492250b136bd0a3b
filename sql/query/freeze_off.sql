-- Ends the freeze.
-- params: none
-- rows: one
SELECT expunge.freeze_off()

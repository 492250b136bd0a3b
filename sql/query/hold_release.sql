-- Releases a hold.
-- params: 1 hold
-- rows: one
SELECT expunge.release_hold($1::uuid)

-- Approves them.
-- params: none
-- rows: one
SELECT expunge.replay_schedule()

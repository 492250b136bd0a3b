-- The timeline that the server is on.
-- params: none
-- rows: one
SELECT c.timeline_id FROM pg_catalog.pg_control_checkpoint() c

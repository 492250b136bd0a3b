-- Makes the rows of instance and certificate counter, or brings the policy up to the configuration.
-- params: 1 zone, 2 calendar, 3 undo days, 4 target days, 5 opening days, 6 hours between drill and purge, 7 days that a store keeps copies or null
-- rows: none
WITH counter AS (
    INSERT INTO expunge.certificate_counter DEFAULT VALUES ON CONFLICT DO NOTHING
)
INSERT INTO expunge.instance AS i (system_identifier, database_name, zone, calendar, undo_days, target_days, opening_days, closure_drill_hours, store_days)
SELECT c.system_identifier, current_database(), $1, $2, $3::integer, $4::integer, $5::integer, $6::integer, $7::integer
  FROM pg_catalog.pg_control_system() c
ON CONFLICT (one) DO UPDATE
   SET zone = EXCLUDED.zone, calendar = EXCLUDED.calendar, undo_days = EXCLUDED.undo_days,
       target_days = EXCLUDED.target_days, opening_days = EXCLUDED.opening_days, closure_drill_hours = EXCLUDED.closure_drill_hours,
       store_days = EXCLUDED.store_days

-- Whether the policy that the control schema works with is that of the configuration, and its zone is known.
-- params: 1 zone, 2 calendar, 3 undo days, 4 target days, 5 opening days, 6 hours between drill and purge, 7 days that a store keeps copies or null
-- rows: one
SELECT i.zone = $1 AND i.calendar = $2 AND i.undo_days = $3::integer AND i.target_days = $4::integer
           AND i.opening_days = $5::integer AND i.closure_drill_hours = $6::integer
           AND i.store_days IS NOT DISTINCT FROM $7::integer AS same,
       EXISTS (SELECT FROM pg_catalog.pg_timezone_names z WHERE z.name = $1) AS zone_known
  FROM expunge.instance i

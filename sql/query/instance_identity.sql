-- Which installation this is, and whether its control schema is where it was made.
-- params: none
-- rows: maybe
SELECT i.id, i.system_identifier, i.database_name,
       i.system_identifier = c.system_identifier AND i.database_name = current_database(), i.zone
  FROM expunge.instance i, pg_catalog.pg_control_system() c

-- Adds the transactions that are prepared now: one of the noted ones may have become one of them.
-- params: 1 closure
-- rows: none
UPDATE expunge.closure_removal r
   SET waits_for = r.waits_for || ARRAY(
       SELECT 'prepared ' || p.transaction || ' ' || p.gid
         FROM pg_catalog.pg_prepared_xacts p WHERE p.database = current_database()) || 'settled'::text
 WHERE r.closure_id = $1::uuid

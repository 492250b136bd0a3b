-- Adds the transactions that are prepared now: one of the noted ones may have become one of them. In a statement
-- of its own, after it was seen that the noted ones had ended.
-- params: 1 requests uuid[]
-- rows: none
UPDATE expunge.request r
   SET waits_for = r.waits_for || ARRAY(
       SELECT 'prepared ' || p.transaction || ' ' || p.gid
         FROM pg_catalog.pg_prepared_xacts p WHERE p.database = current_database()) || 'settled'::text
 WHERE r.id = ANY($1::uuid[]) AND r.state = 'removed'

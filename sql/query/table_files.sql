-- Which files the application's tables lie in, as one hash.
-- params: none
-- rows: one
SELECT 'sha256:' || encode(sha256(convert_to(coalesce(string_agg(c.oid::text || ' ' || c.relfilenode::text, ',' ORDER BY c.oid), ''), 'UTF8')), 'hex')
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't'
   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'expunge', 'expunge_api')

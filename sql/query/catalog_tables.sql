-- every table that may hold a person's data, with the root of its partition tree
-- params: none
-- rows: many
SELECT c.oid AS oid,
       n.nspname AS schema,
       c.relname AS name,
       quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS quoted,
       pg_get_userbyid(c.relowner) AS owner,
       c.relkind AS kind,
       CASE WHEN c.relispartition THEN pg_partition_root(c.oid)::oid END AS root,
       c.reltuples::bigint AS row_estimate,
       c.relpersistence = 'u' AS unlogged
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f', 'm')
  AND c.relpersistence <> 't'
  AND n.nspname !~ '^pg_'
  AND n.nspname NOT IN ('information_schema', 'expunge', 'expunge_api')

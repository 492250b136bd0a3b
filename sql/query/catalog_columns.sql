-- every column of those tables; type without modifiers, so that a cast to it never cuts a value short
-- params: none
-- rows: many
SELECT a.attrelid AS oid,
       a.attnum AS number,
       a.attname AS name,
       quote_ident(a.attname) AS quoted,
       format_type(a.atttypid, -1) AS type,
       format_type(a.atttypid, a.atttypmod) AS declared,
       CASE WHEN coalesce(b.typcategory, t.typcategory) = 'A'
            THEN format_type(coalesce(b.typelem, t.typelem), -1) END AS element,
       t.typcategory AS category,
       a.attnotnull OR t.typnotnull AS not_null,
       a.attgenerated <> '' AS generated,
       a.atthasdef AND a.attgenerated = '' OR a.attidentity <> '' AS has_default,
       a.attinhcount > 0 AND NOT a.attislocal AS inherited
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_type b ON b.oid = t.typbasetype AND t.typtype = 'd'
WHERE c.relkind IN ('r', 'p', 'f')
  AND c.relpersistence <> 't'
  AND n.nspname !~ '^pg_'
  AND n.nspname NOT IN ('information_schema', 'expunge', 'expunge_api')
  AND a.attnum > 0
  AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum

-- every column of those tables; type without modifiers, so that a cast to it never cuts a value short
-- params: none
-- rows: many
WITH foreign_equality AS (
    SELECT x.opcintype AS type, 'OPERATOR(' || quote_ident(n.nspname) || '.' || o.oprname || ')' AS equals
      FROM pg_catalog.pg_opclass x
      JOIN pg_catalog.pg_amop m ON m.amopfamily = x.opcfamily AND m.amopstrategy = 3
           AND m.amoplefttype = x.opcintype AND m.amoprighttype = x.opcintype
      JOIN pg_catalog.pg_operator o ON o.oid = m.amopopr
      JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
     WHERE x.opcmethod = 403 AND x.opcdefault AND n.nspname <> 'pg_catalog')
SELECT a.attrelid AS oid,
       a.attnum AS number,
       a.attname AS name,
       quote_ident(a.attname) AS quoted,
       format_type(a.atttypid, -1) AS type,
       format_type(a.atttypid, a.atttypmod) AS declared,
       format_type(e.oid, -1) AS element,
       t.typcategory AS category,
       a.attnotnull OR t.typnotnull AS not_null,
       a.attgenerated <> '' AS generated,
       a.atthasdef AND a.attgenerated = '' OR a.attidentity <> '' AS has_default,
       a.attinhcount > 0 AND NOT a.attislocal AS inherited,
       e.typcategory AS element_category,
       CASE WHEN l.collname <> 'default' THEN quote_ident(ln.nspname) || '.' || quote_ident(l.collname) END AS collation,
       q.equals AS equals,
       eq.equals AS element_equals
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_type b ON b.oid = t.typbasetype AND t.typtype = 'd'
LEFT JOIN pg_catalog.pg_type e ON coalesce(b.typcategory, t.typcategory) = 'A' AND e.oid = coalesce(b.typelem, t.typelem)
LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
LEFT JOIN pg_catalog.pg_namespace ln ON ln.oid = l.collnamespace
LEFT JOIN foreign_equality q ON q.type = coalesce(b.oid, t.oid)
LEFT JOIN foreign_equality eq ON eq.type = e.oid
WHERE c.relkind IN ('r', 'p', 'f', 'm')
  AND c.relpersistence <> 't'
  AND n.nspname !~ '^pg_'
  AND n.nspname NOT IN ('information_schema', 'expunge', 'expunge_api')
  AND a.attnum > 0
  AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum

-- A table or view and its columns, quoted.
-- params: 1 schema, 2 name
-- rows: many
SELECT a.attname AS name, quote_ident(a.attname) AS quoted, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS relation,
       c.relkind IN ('r', 'p') AS lockable, has_any_column_privilege(c.oid, 'UPDATE') AS may_lock
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')

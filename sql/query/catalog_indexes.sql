-- valid indexes of those tables: the best key first, then what can serve a look-up by equality
-- params: none
-- rows: many
SELECT i.indrelid AS oid,
       array_to_string((i.indkey::int2[])[0:i.indnkeyatts - 1], ',') AS numbers,
       i.indisprimary AS is_primary,
       i.indisunique AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL AS is_unique,
       m.amname AS method
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
JOIN pg_catalog.pg_am m ON m.oid = x.relam
JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indexrelid AND a.attnum = 1
WHERE i.indisvalid
  AND m.amname IN ('btree', 'hash', 'gin')
  AND (i.indpred IS NULL
       OR pg_get_expr(i.indpred, i.indrelid) = '(' || quote_ident(a.attname) || ' IS NOT NULL)')
  AND c.relkind IN ('r', 'p')
  AND c.relpersistence <> 't'
  AND n.nspname !~ '^pg_'
  AND n.nspname NOT IN ('information_schema', 'expunge', 'expunge_api')
ORDER BY i.indrelid, i.indisprimary DESC, i.indnkeyatts, x.relname COLLATE "C"

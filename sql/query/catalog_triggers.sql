-- triggers that people made (foreign keys and clones on partitions left out), with a digest of trigger and function
-- params: none
-- rows: many
SELECT t.tgrelid AS oid,
       t.tgname AS name,
       pn.nspname || '.' || p.proname AS function,
       t.tgtype & 4 <> 0 AS on_insert,
       t.tgtype & 16 <> 0 AS on_update,
       t.tgtype & 8 <> 0 AS on_delete,
       t.tgtype & 32 <> 0 AS on_truncate,
       t.tgtype & 1 <> 0 AS row_level,
       t.tgtype & 2 <> 0 AS before,
       t.tgdeferrable AS deferrable,
       t.tgenabled IN ('O', 'A') AS enabled,
       encode(sha256(decode(replace(pg_get_triggerdef(t.oid) || p.prosrc, '\', '\\'), 'escape')), 'hex') AS digest
FROM pg_catalog.pg_trigger t
JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
JOIN pg_catalog.pg_namespace pn ON pn.oid = p.pronamespace
WHERE NOT t.tgisinternal
  AND t.tgparentid = 0
  AND c.relkind IN ('r', 'p', 'f')
  AND c.relpersistence <> 't'
  AND n.nspname !~ '^pg_'
  AND n.nspname NOT IN ('information_schema', 'expunge', 'expunge_api')
ORDER BY t.tgrelid, t.tgname COLLATE "C"

-- rewrite rules on those tables, with a digest of their text
-- params: none
-- rows: many
SELECT r.ev_class AS oid,
       r.rulename AS name,
       r.ev_type AS event,
       r.is_instead AS instead,
       r.ev_qual <> '<>' AS conditional,
       r.ev_enabled IN ('O', 'A') AS enabled,
       encode(sha256(decode(replace(pg_get_ruledef(r.oid), '\', '\\'), 'escape')), 'hex') AS digest
FROM pg_catalog.pg_rewrite r
JOIN pg_catalog.pg_class c ON c.oid = r.ev_class
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f')
  AND c.relpersistence <> 't'
  AND n.nspname !~ '^pg_'
  AND n.nspname NOT IN ('information_schema', 'expunge', 'expunge_api')
ORDER BY r.ev_class, r.rulename COLLATE "C"

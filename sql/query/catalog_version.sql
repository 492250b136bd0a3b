-- One number for everything that the hash of the schema is made of: a row of the system catalogues that was written since
-- has another xmin. What the server changes in place (statistics, frozen rows) is none of it.
-- params: none
-- rows: one
WITH schema AS MATERIALIZED (
    SELECT n.oid, n.xmin
      FROM pg_catalog.pg_namespace n
     WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'expunge', 'expunge_api')
), relation AS MATERIALIZED (
    SELECT c.oid, c.xmin
      FROM pg_catalog.pg_class c
     WHERE c.relnamespace IN (SELECT s.oid FROM schema s) AND c.relpersistence <> 't'
), version AS (
    SELECT 'schema' AS kind, s.oid, 0 AS number, s.xmin FROM schema s
    UNION ALL SELECT 'relation', r.oid, 0, r.xmin FROM relation r
    UNION ALL SELECT 'column', r.oid, a.attnum, a.xmin
      FROM relation r
     CROSS JOIN LATERAL (SELECT c.attnum, c.xmin FROM pg_catalog.pg_attribute c WHERE c.attrelid = r.oid AND c.attnum > 0 OFFSET 0) a
    UNION ALL SELECT 'index', i.indexrelid, 0, i.xmin FROM pg_catalog.pg_index i JOIN relation r ON r.oid = i.indexrelid
    UNION ALL SELECT 'parent', h.inhrelid, h.inhseqno, h.xmin FROM pg_catalog.pg_inherits h
    UNION ALL SELECT 'constraint', k.oid, 0, k.xmin FROM pg_catalog.pg_constraint k WHERE k.contype = 'f'
    UNION ALL SELECT 'trigger', t.oid, 0, t.xmin FROM pg_catalog.pg_trigger t
    UNION ALL SELECT 'rule', w.oid, 0, w.xmin FROM pg_catalog.pg_rewrite w JOIN relation r ON r.oid = w.ev_class
    UNION ALL SELECT 'function', p.oid, 0, p.xmin FROM pg_catalog.pg_proc p
     WHERE p.oid >= 16384 OR p.oid = ANY (ARRAY(SELECT t.tgfoid FROM pg_catalog.pg_trigger t))
    UNION ALL SELECT 'type', y.oid, 0, y.xmin
      FROM pg_catalog.pg_type y JOIN pg_catalog.pg_namespace n ON n.oid = y.typnamespace
     WHERE y.oid >= 16384 AND n.nspname !~ '^pg_(temp|toast)'
)
SELECT count(*) || ' ' || sum(hashtextextended(v.kind || ' ' || v.oid || ' ' || v.number || ' ' || v.xmin, 0)) FROM version v

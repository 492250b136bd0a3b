-- Which triggers and rules of the database are enabled, as one hash.
-- params: none
-- rows: one
SELECT 'sha256:' || encode(sha256(convert_to(coalesce(string_agg(x.line, chr(10) ORDER BY x.line COLLATE "C"), ''), 'UTF8')), 'hex')
  FROM (SELECT 't ' || t.oid::text || ' ' || t.tgenabled::text FROM pg_catalog.pg_trigger t
        UNION ALL
        SELECT 'r ' || r.oid::text || ' ' || r.ev_enabled::text FROM pg_catalog.pg_rewrite r) x(line)

-- Which triggers and rules of the database are enabled, as one hash.
-- params: none
-- rows: one
SELECT 'sha256:' || encode(sha256(convert_to(coalesce(string_agg(x.line, chr(10) ORDER BY x.line COLLATE "C"), ''), 'UTF8')), 'hex')
  FROM (SELECT 't ' || t.oid || ' ' || t.tgenabled FROM pg_catalog.pg_trigger t
        UNION ALL
        SELECT 'r ' || r.oid || ' ' || r.ev_enabled FROM pg_catalog.pg_rewrite r) x(line)

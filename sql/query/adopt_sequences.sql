-- Advances the application's sequences to where the journal saw them: no number of an erased row is given again.
-- params: 1 schemas, 2 names, 3 values bigint[]
-- rows: many
SELECT n.nspname, c.relname, setval(c.oid, CASE WHEN q.seqincrement > 0 THEN g.highest ELSE g.lowest END)
  FROM (SELECT s.schema, s.name, max(s.value) AS highest, min(s.value) AS lowest
          FROM unnest($1::text[], $2::text[], $3::bigint[]) s(schema, name, value) GROUP BY 1, 2) g
  JOIN pg_catalog.pg_namespace n ON n.nspname = g.schema
  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = g.name AND c.relkind = 'S'
  JOIN pg_catalog.pg_sequence q ON q.seqrelid = c.oid
 WHERE CASE WHEN q.seqincrement > 0 THEN coalesce(pg_sequence_last_value(c.oid), q.seqmin - 1) < g.highest
            ELSE coalesce(pg_sequence_last_value(c.oid), q.seqmax + 1) > g.lowest END

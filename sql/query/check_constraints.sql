-- those of the named constraints (schema.name) that do not exist or cannot be deferred
-- params: 1 schemas as an array, 2 names as an array
-- rows: many
SELECT n.schema || '.' || n.name AS name
FROM unnest($1::text[], $2::text[]) AS n (schema, name)
WHERE NOT EXISTS (
    SELECT FROM pg_catalog.pg_constraint k
    JOIN pg_catalog.pg_namespace s ON s.oid = k.connamespace
    WHERE s.nspname = n.schema AND k.conname = n.name AND k.condeferrable)

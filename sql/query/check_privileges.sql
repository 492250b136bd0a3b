-- what the removing login may do to each table, and whether row-level security hides rows from it
-- params: 1 login or null for the session's, 2 table oids as an array
-- rows: many
SELECT c.oid AS oid,
       has_schema_privilege(r.oid, c.relnamespace, 'USAGE') AS can_use_schema,
       has_table_privilege(r.oid, c.oid, 'SELECT') AS can_select,
       has_table_privilege(r.oid, c.oid, 'DELETE') AS can_delete,
       has_table_privilege(r.oid, c.oid, 'UPDATE') AS can_update,
       pg_has_role(r.oid, c.relowner, 'USAGE') AS is_owner,
       c.relrowsecurity AND NOT r.rolbypassrls AND NOT r.rolsuper
           AND (c.relforcerowsecurity OR NOT pg_has_role(r.oid, c.relowner, 'USAGE')) AS hides_rows,
       r.rolname AS login
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_roles r ON r.rolname = coalesce($1::text, session_user::text)
WHERE c.oid = ANY ($2::oid[])

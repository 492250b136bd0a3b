-- the removing login itself; no row when there is no such role
-- params: 1 login or null for the session's
-- rows: maybe
SELECT r.rolname AS login,
       r.rolsuper OR current_setting('lo_compat_privileges')::boolean AS may_unlink_any
FROM pg_catalog.pg_roles r
WHERE r.rolname = coalesce($1::text, session_user::text)

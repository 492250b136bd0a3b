-- The present login and the removing one: rights that the run needs, and rights that no run should have.
-- params: 1 the removing login or null for the present one
-- rows: many
SELECT r.rolname AS login,
       r.rolcanlogin AS can_login,
       r.rolsuper AS is_super,
       EXISTS (SELECT FROM pg_catalog.pg_roles e WHERE e.rolname = 'expunge_job') AS has_roles,
       coalesce((SELECT pg_has_role(r.oid, e.oid, 'USAGE') FROM pg_catalog.pg_roles e WHERE e.rolname = 'expunge_job'), false) AS is_job,
       coalesce((SELECT bool_or(pg_has_role(r.oid, e.oid, 'MEMBER')) FROM pg_catalog.pg_roles e
                  WHERE e.rolname IN ('expunge_approver', 'expunge_operator', 'expunge_dpo', 'expunge_intake', 'expunge_owner')), false) AS is_more
  FROM pg_catalog.pg_roles r
 WHERE r.rolname IN (session_user::text, coalesce($1::text, session_user::text))
 ORDER BY r.rolname <> session_user::text

-- How many logins that are not superusers are members of each role that a person or the application needs.
-- params: none
-- rows: many
SELECT e.rolname AS role,
       count(m.oid) AS n
  FROM pg_catalog.pg_roles e
  LEFT JOIN pg_catalog.pg_roles m
         ON m.rolcanlogin AND NOT m.rolsuper AND m.oid <> e.oid AND pg_has_role(m.oid, e.oid, 'MEMBER')
 WHERE e.rolname IN ('expunge_intake', 'expunge_approver', 'expunge_operator')
 GROUP BY e.rolname
 ORDER BY e.rolname

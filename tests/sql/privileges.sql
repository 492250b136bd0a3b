-- The privilege matrix as the catalogue has it: one line for each object of schemas expunge and
-- expunge_api, one column for each role: public intake approver operator job dpo monitor support.
-- r SELECT, a INSERT, w UPDATE, d DELETE, t anything else on a table; upper case: on some columns
-- only; x EXECUTE; u USAGE, c CREATE of a schema; - nothing, and at the end of a line nothing at all. The owner is left out.
WITH role(position, oid) AS (
	SELECT n.position, coalesce(r.oid, 0)
	FROM unnest(ARRAY['public', 'expunge_intake', 'expunge_approver', 'expunge_operator', 'expunge_job',
		'expunge_dpo', 'expunge_monitor', 'expunge_support']) WITH ORDINALITY n(name, position)
	LEFT JOIN pg_catalog.pg_roles r ON r.rolname = n.name
), object(name, owner, acl, partial) AS (
	SELECT 'schema ' || n.nspname, n.nspowner, n.nspacl, false
	FROM pg_catalog.pg_namespace n WHERE n.nspname IN ('expunge', 'expunge_api')
	UNION ALL
	SELECT n.nspname || '.' || c.relname, c.relowner, c.relacl, false
	FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
	WHERE n.nspname IN ('expunge', 'expunge_api') AND c.relkind IN ('r', 'v', 'm', 'p', 'S')
	UNION ALL
	SELECT n.nspname || '.' || c.relname, c.relowner, t.attacl, true
	FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
	JOIN pg_catalog.pg_attribute t ON t.attrelid = c.oid
	WHERE n.nspname IN ('expunge', 'expunge_api') AND t.attacl IS NOT NULL
	UNION ALL
	SELECT n.nspname || '.' || p.proname || '()', p.proowner,
		coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner)), false
	FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
	WHERE n.nspname IN ('expunge', 'expunge_api')
), granted(name, oid, letter) AS (
	SELECT o.name, a.grantee, CASE WHEN o.partial THEN upper(l.letter) ELSE l.letter END
	FROM object o, pg_catalog.aclexplode(o.acl) a,
		LATERAL (SELECT coalesce((ARRAY['r', 'a', 'w', 'd', 'x', 'u', 'c'])[array_position(
			ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'EXECUTE', 'USAGE', 'CREATE'], a.privilege_type)], 't')) l(letter)
	WHERE a.grantee <> o.owner
), cell(name, position, letters) AS (
	SELECT o.name, r.position,
		coalesce((SELECT string_agg(DISTINCT g.letter, '' ORDER BY g.letter) FROM granted g
			WHERE g.name = o.name AND g.oid = r.oid), '-')
	FROM (SELECT DISTINCT name FROM object) o, role r
)
SELECT rpad(c.name, 40) || ' ' || string_agg(CASE WHEN c.position = 8 AND c.letters = '-' THEN '' ELSE rpad(c.letters, 5) END, ' ' ORDER BY c.position)
FROM cell c GROUP BY c.name ORDER BY c.name COLLATE "C";

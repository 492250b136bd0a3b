-- The roles of Expunge, which the databases of a cluster share. Run by `expunge init` each time, as a
-- superuser; idempotent. Nobody logs in as one of these: a login is made for each person or job and
-- made a member (GRANT expunge_job TO nightly). Memberships are the administrator's and stay as
-- they are; the passwords, too.
--
--   expunge_owner     owns every object; its rights are what the SECURITY DEFINER functions run with
--   expunge_intake    the application: files and withdraws the requests of its own tenants
--   expunge_approver  decides requests that somebody else filed
--   expunge_operator  identifies, extends, holds, freezes; reads everything but keys and openings
--   expunge_job       the nightly run: the only role that removes
--   expunge_dpo       the data protection officer: certificates, holds, freeze
--   expunge_monitor   counts and ages, no identifiers of subjects
--   expunge_support   the operator's support staff: asks for consent, and enters under it
DO $$
DECLARE
	role  name;
	other pg_catalog.pg_roles%ROWTYPE;
BEGIN
	FOREACH role IN ARRAY ARRAY['expunge_owner', 'expunge_intake', 'expunge_approver', 'expunge_operator',
	                            'expunge_job', 'expunge_dpo', 'expunge_monitor', 'expunge_support']::name[]
	LOOP
		SELECT r.* INTO other FROM pg_catalog.pg_roles r WHERE r.rolname = role;
		IF NOT FOUND THEN
			EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', role);
		-- a role of this name that somebody made for another purpose must not silently inherit ours
		ELSIF other.rolsuper OR other.rolbypassrls OR other.rolcreaterole OR other.rolreplication THEN
			RAISE EXCEPTION 'role % exists with attributes that bypass the safeguards', role
				USING ERRCODE = 'EX507',
				HINT = pg_catalog.format('ALTER ROLE %I NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOREPLICATION', role);
		END IF;
	END LOOP;
	-- pg_stat_activity hides the snapshots of other users' sessions, and oldest_xmin() must see them all
	IF NOT pg_catalog.pg_has_role('expunge_owner', 'pg_read_all_stats', 'MEMBER') THEN
		GRANT pg_read_all_stats TO expunge_owner;
	END IF;
END
$$;

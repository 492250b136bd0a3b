-- What guards the rows of the control schema: row-level security by tenant, the allowed changes of
-- a request's state, and an event table that nobody edits.
-- Run by `expunge init` as a superuser, inside one transaction, after 001_control.sql.

CREATE SCHEMA expunge_api AUTHORIZATION expunge_owner;
REVOKE ALL ON SCHEMA expunge_api FROM PUBLIC;
COMMENT ON SCHEMA expunge_api IS 'what an application calls; members of expunge_intake only';

-- What expunge_owner creates is nobody else's until sql/api/90_grants.sql says so.
ALTER DEFAULT PRIVILEGES FOR ROLE expunge_owner REVOKE ALL ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE expunge_owner REVOKE ALL ON TYPES FROM PUBLIC;

SET LOCAL ROLE expunge_owner;

-- ---------------------------------------------------------------- who is asking

CREATE FUNCTION expunge.session_tenants() RETURNS text[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT coalesce(array_agg(DISTINCT t.tenant), '{}')
	FROM (
		SELECT CASE l.tenant WHEN '*' THEN nullif(current_setting('expunge.tenant', true), '') ELSE l.tenant END
		FROM expunge.tenant_login l
		WHERE l.login = session_user
	) t(tenant)
	WHERE t.tenant IS NOT NULL
$$;
COMMENT ON FUNCTION expunge.session_tenants() IS
	'the tenants that the authenticated login speaks for; expunge.tenant counts only for logins mapped to *';

-- MEMBER, not USAGE: a login made NOINHERIT reaches its role by SET ROLE.
CREATE FUNCTION expunge.session_sees_all() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT pg_has_role(session_user, 'expunge_job', 'MEMBER')
		OR pg_has_role(session_user, 'expunge_operator', 'MEMBER')
		OR pg_has_role(session_user, 'expunge_approver', 'MEMBER')
		OR pg_has_role(session_user, 'expunge_dpo', 'MEMBER')
		OR pg_has_role(session_user, 'expunge_monitor', 'MEMBER')
$$;
COMMENT ON FUNCTION expunge.session_sees_all() IS
	'true for those who serve all tenants; an application sees its own tenants only';

-- ---------------------------------------------------------------- row-level security
-- FORCE: the SECURITY DEFINER functions run as the owner, and a mistake in one of them must not
-- show a practice the rows of another. The sub-selects make it one evaluation per statement.

ALTER TABLE expunge.request     ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE expunge.hold        ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE expunge.certificate ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE expunge.opening     ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY by_tenant ON expunge.request
	USING ((SELECT expunge.session_sees_all()) OR tenant = ANY ((SELECT expunge.session_tenants())::text[]));
CREATE POLICY by_tenant ON expunge.hold
	USING ((SELECT expunge.session_sees_all()) OR tenant = ANY ((SELECT expunge.session_tenants())::text[]));
CREATE POLICY by_tenant ON expunge.certificate
	USING ((SELECT expunge.session_sees_all()) OR tenant = ANY ((SELECT expunge.session_tenants())::text[]));
CREATE POLICY by_tenant ON expunge.opening
	USING ((SELECT expunge.session_sees_all()) OR tenant = ANY ((SELECT expunge.session_tenants())::text[]));

-- ---------------------------------------------------------------- states of a request

CREATE TABLE expunge.transition (
	from_state text NOT NULL,
	to_state   text NOT NULL,
	by_job     boolean NOT NULL,
	PRIMARY KEY (from_state, to_state)
);
COMMENT ON TABLE expunge.transition IS 'the allowed changes of a request''s state';
COMMENT ON COLUMN expunge.transition.by_job IS 'the run may make it by itself; the others are made by a person, through a function';

INSERT INTO expunge.transition (from_state, to_state, by_job) VALUES
	('received',   'identified', false),
	('received',   'refused',    false),
	('received',   'withdrawn',  false),
	('identified', 'scheduled',  false), -- approved: the run has no right to the columns of an approval
	('identified', 'refused',    false),
	('identified', 'withdrawn',  false),
	('identified', 'blocked',    true),  -- a hold, or something that the plan cannot take
	('identified', 'failed',     true),  -- no plan could be made
	('scheduled',  'running',    true),
	('scheduled',  'blocked',    true),  -- a hold, or new rows
	('scheduled',  'failed',     true),
	('scheduled',  'refused',    false), -- the approver thinks better of it inside the undo window
	('scheduled',  'withdrawn',  false),
	('running',    'scheduled',  true),  -- rolled back, to be tried again
	('running',    'removed',    true),
	('running',    'blocked',    true),
	('running',    'failed',     true),
	('removed',    'certified',  true),
	('removed',    'failed',     true),  -- the recount found something
	('blocked',    'identified', true),  -- what blocked is gone, and nobody had approved yet
	('blocked',    'scheduled',  true),  -- what blocked is gone, and the approval stands
	('blocked',    'failed',     true),
	('blocked',    'refused',    false),
	('blocked',    'withdrawn',  false),
	('failed',     'identified', true),
	('failed',     'scheduled',  true),  -- to be tried again under the approval that it has
	('failed',     'removed',    true),  -- to be recounted again
	('failed',     'blocked',    true),
	('failed',     'refused',    false),
	('failed',     'withdrawn',  false);

CREATE FUNCTION expunge.guard_transition() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	may_job boolean;
BEGIN
	IF NEW.state IS NOT DISTINCT FROM OLD.state THEN
		RETURN NEW;
	END IF;
	-- what a restored database has lost: the journal says that it is certified
	IF NEW.state = 'certified' AND current_user = 'expunge_owner' AND EXISTS (SELECT FROM expunge.adoption a WHERE a.ended_at IS NULL) THEN
		RETURN NEW;
	END IF;
	SELECT t.by_job INTO may_job FROM expunge.transition t
	WHERE t.from_state = OLD.state AND t.to_state = NEW.state;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'request % cannot go from % to %', OLD.id, OLD.state, NEW.state
			USING ERRCODE = 'EX430', HINT = 'the allowed changes are listed in expunge.transition';
	END IF;
	-- inside our SECURITY DEFINER functions current_user is the owner; elsewhere it is a run
	IF NOT may_job AND current_user <> 'expunge_owner' THEN
		RAISE EXCEPTION 'request % goes from % to % only by a person''s decision', OLD.id, OLD.state, NEW.state
			USING ERRCODE = 'EX432', HINT = 'use expunge.identify_request, expunge.decide_request or expunge.withdraw_request';
	END IF;
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION expunge.guard_transition() IS 'trigger: refuses a change of state that expunge.transition does not list';
CREATE TRIGGER guard_transition BEFORE UPDATE OF state ON expunge.request
	FOR EACH ROW EXECUTE FUNCTION expunge.guard_transition();

-- Every change of state is an event, whoever makes it and by whatever statement.
CREATE FUNCTION expunge.record_state() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF TG_OP = 'UPDATE' AND NEW.state IS NOT DISTINCT FROM OLD.state THEN
		RETURN NULL;
	END IF;
	INSERT INTO expunge.event (kind, tenant, request_id, detail)
	VALUES ('request-' || NEW.state, NEW.tenant, NEW.id,
		CASE NEW.state
			WHEN 'received' THEN NEW.ground
			WHEN 'scheduled' THEN NEW.decision || ' ' || NEW.approved_plan
			WHEN 'refused' THEN NEW.basis
			WHEN 'blocked' THEN NEW.reason
			WHEN 'failed' THEN NEW.reason
		END);
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION expunge.record_state() IS 'trigger: writes an event of kind request-STATE at each change of a request''s state';
CREATE TRIGGER record_state AFTER INSERT OR UPDATE OF state ON expunge.request
	FOR EACH ROW EXECUTE FUNCTION expunge.record_state();

-- So is what a store outside was told and what it answered.
CREATE FUNCTION expunge.record_recipient() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	INSERT INTO expunge.event (kind, tenant, request_id, detail)
	SELECT CASE WHEN NEW.acknowledged_at IS NULL THEN 'recipient-told' ELSE 'recipient-acknowledged' END,
		r.tenant, NEW.request_id, NEW.name
	FROM expunge.request r WHERE r.id = NEW.request_id;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION expunge.record_recipient() IS 'trigger: writes an event when an external store is told, and when it acknowledges';
CREATE TRIGGER record_recipient AFTER INSERT OR UPDATE ON expunge.recipient
	FOR EACH ROW EXECUTE FUNCTION expunge.record_recipient();

-- ---------------------------------------------------------------- events stay

CREATE FUNCTION expunge.guard_event() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF current_user <> 'expunge_owner' THEN
		RAISE EXCEPTION 'events are append-only'
			USING ERRCODE = 'EX431', HINT = 'nothing is to be done: an event is never changed or removed';
	END IF;
	RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END
$$;
COMMENT ON FUNCTION expunge.guard_event() IS 'trigger: refuses to change, delete or truncate events, also to a superuser who has not become the owner';
CREATE TRIGGER guard_event BEFORE UPDATE OR DELETE ON expunge.event
	FOR EACH ROW EXECUTE FUNCTION expunge.guard_event();
CREATE TRIGGER guard_event_truncate BEFORE TRUNCATE ON expunge.event
	FOR EACH STATEMENT EXECUTE FUNCTION expunge.guard_event();

RESET ROLE;

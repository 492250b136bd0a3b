-- Support mode: who asked to see a practice's account, who let them in, what they did there, and the patients that they made
-- to look at instead of real ones. One table of events, to which is only added; what is in force is read from it.

SET LOCAL ROLE expunge_owner;

CREATE TABLE expunge.support_policy (
	one             boolean PRIMARY KEY DEFAULT true CHECK (one),
	request_hours   integer NOT NULL DEFAULT 12 CHECK (request_hours BETWEEN 1 AND 168),
	session_hours   integer NOT NULL DEFAULT 4 CHECK (session_hours BETWEEN 1 AND 24),
	consent_days    integer NOT NULL DEFAULT 31 CHECK (consent_days BETWEEN 1 AND 366),
	test_days       integer NOT NULL DEFAULT 7 CHECK (test_days BETWEEN 1 AND 366),
	override        boolean NOT NULL DEFAULT false,
	office_from     integer NOT NULL DEFAULT 8 CHECK (office_from BETWEEN 0 AND 23),
	office_until    integer NOT NULL DEFAULT 18 CHECK (office_until BETWEEN 1 AND 24),
	tenants_per_day integer NOT NULL DEFAULT 5 CHECK (tenants_per_day > 0)
);
INSERT INTO expunge.support_policy DEFAULT VALUES;
COMMENT ON TABLE expunge.support_policy IS 'the settings of support mode; init copies them from the configuration';

CREATE TABLE expunge.staff_login (
	login name PRIMARY KEY
);
COMMENT ON TABLE expunge.staff_login IS 'logins of an application that speaks for several members of staff: it names the one with SET expunge.staff, and is trusted';

CREATE TABLE expunge.support_event (
	number  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	at      timestamptz NOT NULL,
	actor   name NOT NULL DEFAULT session_user,
	kind    text NOT NULL CHECK (kind IN ('consent-requested', 'request-lapsed', 'consent-granted', 'consent-revoked',
	        'override-requested', 'override-confirmed', 'session-opened', 'session-closed', 'session-ended', 'activity',
	        'test-subject-registered', 'test-subject-quarantined', 'test-subject-kept', 'test-subject-handed-over',
	        'test-subject-erased', 'test-subject-gone')),
	id      uuid NOT NULL,
	of      uuid,
	tenant  text NOT NULL CHECK (length(tenant) BETWEEN 1 AND 200),
	staff   text CHECK (length(staff) BETWEEN 1 AND 100),
	scope   text CHECK (scope IN ('settings', 'records', 'record')),
	ticket  text CHECK (length(ticket) BETWEEN 1 AND 60),
	subject text CHECK (subject ~ '^sha256:[0-9a-f]{64}$'),
	reason  text CHECK (length(reason) BETWEEN 1 AND 500),
	until   timestamptz,
	key     text CHECK (length(key) BETWEEN 1 AND 200),
	CHECK (kind NOT IN ('consent-requested', 'consent-granted', 'override-requested', 'override-confirmed', 'session-opened')
		OR (scope IS NOT NULL AND ticket IS NOT NULL AND until > at)),
	CHECK (kind NOT IN ('session-opened', 'override-requested', 'override-confirmed') OR (staff IS NOT NULL AND reason IS NOT NULL)),
	CHECK (kind NOT IN ('session-opened', 'test-subject-registered') OR of IS NOT NULL)
);
COMMENT ON TABLE expunge.support_event IS 'append only: everything that happened in support mode; expunge.support_entry() is each event''s entry for the log';
COMMENT ON COLUMN expunge.support_event.id IS 'what it is about: a request, a consent (an override is one), a session, a test subject; the first event of each gives it its id';
COMMENT ON COLUMN expunge.support_event.of IS 'of a consent the request that it answers, of a session its consent, of a test subject its session';
COMMENT ON COLUMN expunge.support_event.staff IS 'the member of staff; NULL in a consent: whoever works on the ticket';
COMMENT ON COLUMN expunge.support_event.subject IS 'salted: expunge.support_subject says whose it is, until that subject is erased';
COMMENT ON COLUMN expunge.support_event.until IS 'when it ends, by itself; at this instant it has ended';
COMMENT ON COLUMN expunge.support_event.key IS 'by which a caller repeats a call whose answer was lost';

-- each of these happens once
CREATE UNIQUE INDEX support_event_first ON expunge.support_event (id)
	WHERE kind IN ('consent-requested', 'consent-granted', 'override-requested', 'session-opened', 'test-subject-registered');
CREATE UNIQUE INDEX support_event_last ON expunge.support_event (id)
	WHERE kind IN ('request-lapsed', 'consent-revoked', 'session-closed', 'session-ended', 'test-subject-kept',
		'test-subject-handed-over', 'test-subject-erased', 'test-subject-gone');
CREATE UNIQUE INDEX support_event_confirmed ON expunge.support_event (id) WHERE kind = 'override-confirmed';
CREATE UNIQUE INDEX support_event_quarantined ON expunge.support_event (id) WHERE kind = 'test-subject-quarantined';
CREATE UNIQUE INDEX support_event_answer ON expunge.support_event (of) WHERE kind = 'consent-granted';
CREATE UNIQUE INDEX support_event_key ON expunge.support_event (tenant, key) WHERE key IS NOT NULL;
CREATE INDEX support_event_id ON expunge.support_event (id, number);
CREATE INDEX support_event_of ON expunge.support_event (of, kind);
CREATE INDEX support_event_consent ON expunge.support_event (tenant, ticket) WHERE kind IN ('consent-granted', 'override-confirmed');
CREATE INDEX support_event_staff ON expunge.support_event (staff, at) WHERE kind = 'session-opened';
CREATE INDEX support_event_at ON expunge.support_event (at);
CREATE INDEX support_event_kind ON expunge.support_event (kind, number)
	WHERE kind IN ('session-opened', 'consent-requested', 'test-subject-registered', 'test-subject-quarantined');

CREATE TABLE expunge.support_subject (
	id       uuid PRIMARY KEY,
	tenant   text NOT NULL,
	subject  text NOT NULL CHECK (length(subject) BETWEEN 1 AND 200),
	salt     text NOT NULL,
	test     boolean NOT NULL DEFAULT false,
	row_hash text,
	CHECK (test = (row_hash IS NOT NULL))
);
CREATE UNIQUE INDEX support_subject_test ON expunge.support_subject (tenant, subject) WHERE test;
CREATE INDEX support_subject_subject ON expunge.support_subject (tenant, subject);
COMMENT ON TABLE expunge.support_subject IS 'whose record a consent, request or override (scope record) is for, and who the test subjects are; gone when that subject is erased';
COMMENT ON COLUMN expunge.support_subject.row_hash IS 'of a test subject''s own row as it was registered: the key of somebody else, or a row that was edited since, is not it';

ALTER TABLE expunge.support_event   ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE expunge.support_subject ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE TRIGGER guard_event BEFORE UPDATE OR DELETE ON expunge.support_event
	FOR EACH ROW EXECUTE FUNCTION expunge.guard_event();
CREATE TRIGGER guard_event_truncate BEFORE TRUNCATE ON expunge.support_event
	FOR EACH STATEMENT EXECUTE FUNCTION expunge.guard_event();

-- ---------------------------------------------------------------- who is asking

CREATE FUNCTION expunge.session_is_staff() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT pg_has_role(session_user, 'expunge_support', 'MEMBER')
$$;
COMMENT ON FUNCTION expunge.session_is_staff() IS 'true for the support staff, whose functions look for consents of any practice';

CREATE FUNCTION expunge.session_staff() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT CASE
		WHEN NOT expunge.session_is_staff() THEN NULL
		WHEN EXISTS (SELECT FROM expunge.staff_login l WHERE l.login = session_user)
			THEN nullif(current_setting('expunge.staff', true), '')
		ELSE session_user::text
	END
$$;
COMMENT ON FUNCTION expunge.session_staff() IS
	'the member of staff that is asking: the authenticated login; expunge.staff counts only for logins of expunge.staff_login';

CREATE POLICY by_tenant ON expunge.support_event
	USING ((SELECT expunge.session_sees_all() OR expunge.session_is_staff()) OR tenant = ANY ((SELECT expunge.session_tenants())::text[]));
CREATE POLICY by_tenant ON expunge.support_subject
	USING ((SELECT expunge.session_sees_all() OR expunge.session_is_staff()) OR tenant = ANY ((SELECT expunge.session_tenants())::text[]));

-- whoever enters without consent puts the notices of it
CREATE POLICY by_staff ON expunge.contact USING ((SELECT expunge.session_is_staff()));
CREATE POLICY by_staff ON expunge.outbox USING ((SELECT expunge.session_is_staff()));

-- ---------------------------------------------------------------- erased is erased

-- Whoever's request it was: no row says any more whom it was about.
CREATE FUNCTION expunge.forget_support_subject() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	WITH gone AS (
		DELETE FROM expunge.support_subject s WHERE s.tenant = OLD.tenant AND s.subject = OLD.subject
		RETURNING s.id, s.tenant, s.test
	)
	INSERT INTO expunge.support_event (at, kind, id, tenant)
	SELECT clock_timestamp(), 'test-subject-erased', g.id, g.tenant FROM gone g WHERE g.test
	ON CONFLICT DO NOTHING;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION expunge.forget_support_subject() IS 'trigger: a certified erasure takes the subject out of the records of support mode, too';
CREATE TRIGGER forget_support_subject AFTER UPDATE OF subject ON expunge.request
	FOR EACH ROW WHEN (NEW.state = 'certified' AND OLD.subject IS NOT NULL AND NEW.subject IS NULL)
	EXECUTE FUNCTION expunge.forget_support_subject();

RESET ROLE;

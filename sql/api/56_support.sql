-- Support mode: consent, sessions, test subjects. Each function of expunge_api finds out who is asking, locks, takes the time, and
-- calls the one in schema expunge that knows the rule and is told the moment; nobody else may call those.
-- An end is exclusive everywhere: at the instant `until` a request has lapsed, a consent and a session have ended.
-- The SQLSTATEs are listed in 20_check.sql. Applied by every `expunge init`; idempotent.

-- Made by init from the data map; it belongs to the login that owns the application's tables, and is gone until then.
DROP FUNCTION IF EXISTS expunge.find_subject(text, text);

SET LOCAL ROLE expunge_owner;

-- ---------------------------------------------------------------- what is in force

DROP VIEW IF EXISTS expunge.support_list, expunge.support_anomaly, expunge_api.support_register, expunge.support_register,
	expunge.status_support, expunge.support_test_subject, expunge.support_session, expunge.support_consent, expunge.support_request CASCADE;

-- Row-level security shows a practice its own, and the functions below whatever they ask for; what people read is filtered further down.
CREATE VIEW expunge.support_request AS
	SELECT e.id, e.tenant, e.staff, e.scope, e.ticket, e.reason, s.subject, e.at AS asked_at, e.until AS lapses_at,
		e.kind = 'override-requested' AS override,
		(SELECT a.id FROM expunge.support_event a WHERE a.of = e.id AND a.kind = 'consent-granted'
			UNION ALL SELECT a.id FROM expunge.support_event a WHERE a.id = e.id AND a.kind = 'override-confirmed') AS consent,
		EXISTS (SELECT FROM expunge.support_event l WHERE l.id = e.id AND l.kind = 'request-lapsed') AS lapsed
	FROM expunge.support_event e
	LEFT JOIN expunge.support_subject s ON s.id = e.id
	WHERE e.kind IN ('consent-requested', 'override-requested');
COMMENT ON VIEW expunge.support_request IS 'what the staff asked for, and the consent that it got';

CREATE VIEW expunge.support_consent AS
	SELECT e.id, e.of AS request, e.tenant, e.staff, e.scope, e.ticket, s.subject, e.at AS granted_at, e.actor AS granted_by, e.until,
		e.kind = 'override-confirmed' AS override,
		(SELECT x.at FROM expunge.support_event x WHERE x.id = e.id AND x.kind = 'consent-revoked') AS revoked_at
	FROM expunge.support_event e
	LEFT JOIN expunge.support_subject s ON s.id = e.id
	WHERE e.kind IN ('consent-granted', 'override-confirmed');
COMMENT ON VIEW expunge.support_consent IS 'consents, and overrides that stand for one; in force while revoked_at is NULL and until has not come';

CREATE VIEW expunge.support_session AS
	SELECT e.id, e.of AS consent, e.tenant, e.staff, e.scope, e.ticket, e.reason, e.at AS opened_at, e.until,
		x.at AS ended_at, CASE x.kind WHEN 'session-closed' THEN 'closed' ELSE x.reason END AS ended_how
	FROM expunge.support_event e
	LEFT JOIN expunge.support_event x ON x.id = e.id AND x.kind IN ('session-closed', 'session-ended')
	WHERE e.kind = 'session-opened';
COMMENT ON VIEW expunge.support_session IS 'every visit; open while ended_at is NULL and until has not come';

CREATE VIEW expunge.support_test_subject AS
	SELECT e.id, e.of AS session, v.of AS consent, e.tenant, e.staff, e.ticket, s.subject, s.row_hash, v.at AS opened_at,
		e.at AS registered_at, e.until AS expires_at, q.at AS quarantined_at, q.reason AS quarantined_why,
		substr(x.kind, 14) AS ended_how, x.at AS ended_at, r.state AS request_state,
		EXISTS (SELECT FROM expunge.hold h
			WHERE h.tenant = e.tenant AND (h.subject IS NULL OR h.subject = s.subject) AND h.released_at IS NULL) AS held
	FROM expunge.support_event e
	JOIN expunge.support_event v ON v.id = e.of AND v.kind = 'session-opened'
	LEFT JOIN expunge.support_subject s ON s.id = e.id
	LEFT JOIN expunge.support_event q ON q.id = e.id AND q.kind = 'test-subject-quarantined'
	LEFT JOIN expunge.support_event x ON x.id = e.id
		AND x.kind IN ('test-subject-kept', 'test-subject-handed-over', 'test-subject-erased', 'test-subject-gone')
	LEFT JOIN expunge.request r ON r.id = e.id
	WHERE e.kind = 'test-subject-registered';
COMMENT ON VIEW expunge.support_test_subject IS 'every test subject: whose it is until it is erased, when its time is over, and what became of it';

-- ---------------------------------------------------------------- checks

CREATE OR REPLACE FUNCTION expunge.check_staff() RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	result text := expunge.session_staff();
BEGIN
	IF result IS NULL THEN
		RAISE EXCEPTION 'login % does not say which member of staff it is', session_user
			USING ERRCODE = 'EX731', HINT = 'it needs the role expunge_support; one of expunge.staff_login names the member of staff with SET expunge.staff';
	END IF;
	PERFORM expunge.check_text('staff', result, 100, 'EX704');
	RETURN result;
END
$$;
COMMENT ON FUNCTION expunge.check_staff() IS 'the member of staff that is asking; refuses everybody else';

CREATE OR REPLACE FUNCTION expunge.check_support(e expunge.support_event, subject text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM expunge.check_text('tenant', e.tenant, 200, 'EX201');
	PERFORM expunge.check_text('ticket', e.ticket, 60, 'EX701');
	IF e.scope IS NULL OR e.scope NOT IN ('settings', 'records', 'record') THEN
		RAISE EXCEPTION 'unknown scope' USING ERRCODE = 'EX702', HINT = 'settings, records, or record with a subject';
	END IF;
	IF (e.scope = 'record') <> (subject IS NOT NULL) THEN
		RAISE EXCEPTION 'scope record needs a subject, and the others have none'
			USING ERRCODE = 'EX705', HINT = 'name the one patient whose record it is, or another scope';
	END IF;
	IF subject IS NOT NULL THEN
		PERFORM expunge.check_text('subject', subject, 200, 'EX202');
	END IF;
	IF e.kind <> 'consent-granted' THEN
		PERFORM expunge.check_text('reason', e.reason, 500, 'EX210');
	ELSIF e.staff IS NOT NULL THEN
		PERFORM expunge.check_text('staff', e.staff, 100, 'EX704');
	END IF;
	IF e.key IS NOT NULL THEN
		PERFORM expunge.check_text('key', e.key, 200, 'EX208');
	END IF;
	PERFORM expunge.instance_zone(); -- refuses: not initialised
END
$$;
COMMENT ON FUNCTION expunge.check_support(expunge.support_event, text) IS 'refuses an event with a malformed text';

-- Sessions, consents and what hangs on them change one after the other in a practice; a member of staff opens one session at a time.
CREATE OR REPLACE FUNCTION expunge.lock_support(tenant text, staff text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET lock_timeout = '30s' AS $$
BEGIN
	PERFORM pg_advisory_xact_lock(hashtextextended('expunge/support/' || tenant, 0));
	IF staff IS NOT NULL THEN
		PERFORM pg_advisory_xact_lock(hashtextextended('expunge/staff/' || staff, 0));
	END IF;
EXCEPTION WHEN lock_not_available THEN
	RAISE EXCEPTION 'support mode of this practice is being changed by somebody else'
		USING ERRCODE = 'EX409', HINT = 'try again in a minute';
END
$$;
COMMENT ON FUNCTION expunge.lock_support(text, text) IS 'waits for others that change what is in force, and keeps them out until the end of the transaction';

CREATE OR REPLACE FUNCTION expunge.no_support(what text, id uuid) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF id IS NULL THEN
		RAISE EXCEPTION 'the id of the % is missing', what USING ERRCODE = 'EX217', HINT = 'expunge support list shows the ids';
	END IF;
	RAISE EXCEPTION 'no % %', what, id USING ERRCODE = 'EX404', HINT = 'what concerns others is not shown; expunge support list shows what there is';
END
$$;
COMMENT ON FUNCTION expunge.no_support(text, uuid) IS 'refuses an unknown id; a foreign one is answered alike';

-- ---------------------------------------------------------------- writing

-- One event, and in expunge.support_subject whose record it is about; returns its id.
CREATE OR REPLACE FUNCTION expunge.support_put(e expunge.support_event, subject text DEFAULT NULL, row_hash text DEFAULT NULL) RETURNS uuid
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	-- of two random UUIDs: 244 bits that nobody guesses
	salt text := gen_random_uuid()::text || gen_random_uuid()::text;
BEGIN
	e.id := coalesce(e.id, gen_random_uuid());
	IF subject IS NOT NULL THEN
		e.subject := 'sha256:' || encode(sha256(convert_to(salt || '/' || length(e.tenant) || '/' || e.tenant || '/' || subject, 'UTF8')), 'hex');
	END IF;
	INSERT INTO expunge.support_event (at, kind, id, of, tenant, staff, scope, ticket, subject, reason, until, key)
	VALUES (e.at, e.kind, e.id, e.of, e.tenant, e.staff, e.scope, e.ticket, e.subject, e.reason, e.until, e.key);
	IF subject IS NOT NULL THEN
		INSERT INTO expunge.support_subject (id, tenant, subject, salt, test, row_hash)
		VALUES (e.id, e.tenant, support_put.subject, salt, row_hash IS NOT NULL, row_hash);
	END IF;
	RETURN e.id;
END
$$;
COMMENT ON FUNCTION expunge.support_put(expunge.support_event, text, text) IS 'adds one event';

CREATE OR REPLACE FUNCTION expunge.support_same(e expunge.support_event, subject text) RETURNS uuid
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	o expunge.support_event;
BEGIN
	SELECT q.* INTO o FROM expunge.support_event q WHERE q.tenant = e.tenant AND q.key = e.key;
	IF o.id IS NULL THEN
		RETURN NULL;
	END IF;
	-- what follows from the time is another one at each call
	IF (o.kind, o.actor, o.scope, o.ticket) <> (e.kind, session_user::name, e.scope, e.ticket) OR o.reason IS DISTINCT FROM e.reason
		OR o.staff IS DISTINCT FROM e.staff
		OR (e.kind = 'consent-granted' AND (o.until <> e.until OR o.of IS DISTINCT FROM e.of))
		OR (SELECT s.subject FROM expunge.support_subject s WHERE s.id = o.id) IS DISTINCT FROM support_same.subject
	THEN
		RAISE EXCEPTION 'this key belongs to another call'
			USING ERRCODE = 'EX410', HINT = 'use a new key for each call, and repeat one only with the same arguments';
	END IF;
	RETURN o.id;
END
$$;
COMMENT ON FUNCTION expunge.support_same(expunge.support_event, text) IS 'what was made with this key, if the arguments were the same';

-- ---------------------------------------------------------------- consent

CREATE OR REPLACE FUNCTION expunge.support_ask(moment timestamptz, e expunge.support_event, subject text) RETURNS uuid
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	result uuid;
BEGIN
	PERFORM expunge.check_support(e, subject);
	result := expunge.support_same(e, subject);
	IF result IS NOT NULL THEN
		RETURN result;
	END IF;
	e.at := moment;
	e.until := moment + (SELECT make_interval(hours => p.request_hours) FROM expunge.support_policy p);
	RETURN expunge.support_put(e, subject);
END
$$;
COMMENT ON FUNCTION expunge.support_ask(timestamptz, expunge.support_event, text) IS 'asks for a consent, or for an override';

-- An answer is to what was asked: what the practice leaves out is the request's, and nothing may differ.
CREATE OR REPLACE FUNCTION expunge.support_answer(r expunge.support_request, INOUT e expunge.support_event, INOUT subject text)
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	e.scope := coalesce(e.scope, r.scope);
	e.ticket := coalesce(e.ticket, r.ticket);
	e.staff := coalesce(e.staff, r.staff);
	subject := coalesce(subject, r.subject);
	IF (e.scope, e.ticket, e.staff) <> (r.scope, r.ticket, r.staff) OR subject IS DISTINCT FROM r.subject THEN
		RAISE EXCEPTION 'the consent is for something else than request %', r.id
			USING ERRCODE = 'EX706', HINT = 'leave out what the request says; or grant a consent that answers no request';
	END IF;
END
$$;
COMMENT ON FUNCTION expunge.support_answer(expunge.support_request, expunge.support_event, text) IS 'the consent that a request asked for';

CREATE OR REPLACE FUNCTION expunge.check_unanswered(moment timestamptz, r expunge.support_request) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF r.consent IS NOT NULL THEN
		RAISE EXCEPTION 'request % was answered', r.id USING ERRCODE = 'EX729', HINT = 'one answer to each; the staff asks again if there is need';
	END IF;
	IF moment >= r.lapses_at THEN
		RAISE EXCEPTION 'request % has lapsed', r.id USING ERRCODE = 'EX728', HINT = 'the staff asks again if there is still need';
	END IF;
END
$$;
COMMENT ON FUNCTION expunge.check_unanswered(timestamptz, expunge.support_request) IS 'refuses an answer that comes second, or too late';

CREATE OR REPLACE FUNCTION expunge.support_grant(moment timestamptz, e expunge.support_event, subject text) RETURNS uuid
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	r      expunge.support_request;
	a      record;
	days   integer := (SELECT p.consent_days FROM expunge.support_policy p);
	result uuid;
BEGIN
	IF e.of IS NOT NULL THEN
		SELECT q.* INTO r FROM expunge.support_request q WHERE q.id = e.of AND q.tenant = e.tenant AND NOT q.override;
		IF r.id IS NULL THEN
			PERFORM expunge.no_support('request', e.of);
		END IF;
		a := expunge.support_answer(r, e, subject);
		e := a.e;
		subject := a.subject;
	END IF;
	PERFORM expunge.check_support(e, subject);
	result := expunge.support_same(e, subject);
	IF result IS NOT NULL THEN
		RETURN result;
	END IF;
	IF r.id IS NOT NULL THEN
		PERFORM expunge.check_unanswered(moment, r);
	END IF;
	IF e.until IS NULL OR e.until <= moment OR e.until > moment + make_interval(days => days) THEN
		RAISE EXCEPTION 'the end of the consent is missing, past or too far away'
			USING ERRCODE = 'EX703', HINT = format('give a time within the next %s days', days);
	END IF;
	IF EXISTS (SELECT FROM expunge.support_consent c WHERE c.tenant = e.tenant AND c.ticket = e.ticket AND c.scope = e.scope
		AND c.revoked_at IS NULL AND moment < c.until AND (c.staff IS NULL OR e.staff IS NULL OR c.staff = e.staff)
		AND NOT c.override AND c.subject IS NOT DISTINCT FROM support_grant.subject)
	THEN
		RAISE EXCEPTION 'a consent for this ticket and scope is in force'
			USING ERRCODE = 'EX730', HINT = 'one at a time: revoke that one first, or wait for its end';
	END IF;
	e.at := moment;
	RETURN expunge.support_put(e, subject);
END
$$;
COMMENT ON FUNCTION expunge.support_grant(timestamptz, expunge.support_event, text) IS 'the practice''s consent';

CREATE OR REPLACE FUNCTION expunge.support_revoke(moment timestamptz, consent uuid) RETURNS integer
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	c expunge.support_consent;
	n integer := 0;
	v expunge.support_session;
BEGIN
	SELECT q.* INTO c FROM expunge.support_consent q WHERE q.id = consent;
	IF c.revoked_at IS NOT NULL THEN
		RETURN 0;
	END IF;
	INSERT INTO expunge.support_event (at, kind, id, tenant) VALUES (moment, 'consent-revoked', c.id, c.tenant);
	FOR v IN SELECT q.* FROM expunge.support_session q WHERE q.consent = c.id AND q.ended_at IS NULL LOOP
		INSERT INTO expunge.support_event (at, kind, id, tenant, reason) VALUES (moment, 'session-ended', v.id, v.tenant, 'revoked');
		n := n + 1;
	END LOOP;
	RETURN n;
END
$$;
COMMENT ON FUNCTION expunge.support_revoke(timestamptz, uuid) IS 'ends a consent and its open sessions at once; returns how many these were';

-- ---------------------------------------------------------------- sessions

-- Of all consents that the practice has given, the one that lets this in; else the nearest reason why not.
CREATE OR REPLACE FUNCTION expunge.support_verdict(moment timestamptz, e expunge.support_event, subject text, OUT code text, OUT consent uuid, OUT until timestamptz)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	n record;
BEGIN
	SELECT count(*) AS all_of_ticket,
		count(*) FILTER (WHERE c.mine) AS mine,
		count(*) FILTER (WHERE c.mine AND c.fits) AS fits,
		count(*) FILTER (WHERE c.mine AND c.fits AND c.revoked_at IS NULL) AS standing,
		(array_agg(c.id ORDER BY c.until DESC) FILTER (WHERE c.mine AND c.fits AND c.revoked_at IS NULL AND moment < c.until))[1] AS id,
		max(c.until) FILTER (WHERE c.mine AND c.fits AND c.revoked_at IS NULL AND moment < c.until) AS until
	INTO n
	FROM (SELECT q.*, q.staff IS NULL OR q.staff = e.staff AS mine,
			q.scope = e.scope AND q.subject IS NOT DISTINCT FROM support_verdict.subject AS fits
		FROM expunge.support_consent q WHERE q.tenant = e.tenant AND q.ticket = e.ticket AND q.granted_at <= moment) c;
	consent := n.id;
	until := n.until;
	code := CASE
		WHEN n.id IS NOT NULL AND EXISTS (SELECT FROM expunge.support_session v
			WHERE v.staff = e.staff AND v.ended_at IS NULL AND moment < v.until) THEN 'EX726'
		WHEN n.id IS NOT NULL THEN '00000'
		WHEN n.standing > 0 THEN 'EX724'
		WHEN n.fits > 0 THEN 'EX725'
		WHEN n.mine > 0 THEN 'EX723'
		WHEN n.all_of_ticket > 0 THEN 'EX722'
		WHEN EXISTS (SELECT FROM expunge.support_consent c WHERE c.tenant = e.tenant AND (c.staff IS NULL OR c.staff = e.staff)
			AND c.granted_at <= moment AND c.revoked_at IS NULL AND moment < c.until) THEN 'EX721'
		ELSE 'EX720'
	END;
END
$$;
COMMENT ON FUNCTION expunge.support_verdict(timestamptz, expunge.support_event, text) IS 'whether a session may be opened: 00000 and under which consent, or the SQLSTATE of the refusal';

CREATE OR REPLACE FUNCTION expunge.support_refuse(code text) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	said text := CASE code
		WHEN 'EX720' THEN 'the practice has not consented'
		WHEN 'EX721' THEN 'the practice has consented to another ticket, not to this one'
		WHEN 'EX722' THEN 'the consent for this ticket is for another member of staff'
		WHEN 'EX723' THEN 'the consent for this ticket is for another scope, or another record'
		WHEN 'EX724' THEN 'the consent for this ticket has ended'
		WHEN 'EX725' THEN 'the consent for this ticket was revoked'
		WHEN 'EX726' THEN 'this member of staff has a session open'
	END;
BEGIN
	RAISE EXCEPTION '%', said USING ERRCODE = code, HINT = CASE code
		WHEN 'EX726' THEN 'one visit at a time: close that session first'
		ELSE 'ask the practice: expunge support request' END;
END
$$;
COMMENT ON FUNCTION expunge.support_refuse(text) IS 'the sentence of each refusal of support_verdict';

CREATE OR REPLACE FUNCTION expunge.tell_override(e expunge.support_event) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	audience text;
BEGIN
	FOREACH audience IN ARRAY ARRAY['controller', 'dpo'] LOOP
		PERFORM expunge.notice_put('support-override', e.tenant, audience, jsonb_build_object('session', e.id, 'staff', e.staff,
			'ticket', e.ticket, 'reason', e.reason, 'opened_at', to_char(e.at AT TIME ZONE i.zone, 'YYYY-MM-DD HH24:MI'),
			'ends_at', to_char(e.until AT TIME ZONE i.zone, 'YYYY-MM-DD HH24:MI')), 'session ' || e.id)
		FROM expunge.instance i;
	END LOOP;
END
$$;
COMMENT ON FUNCTION expunge.tell_override(expunge.support_event) IS 'practice and DPO learn of a session without consent, in the transaction that opens it';

CREATE OR REPLACE FUNCTION expunge.support_open(moment timestamptz, e expunge.support_event, subject text) RETURNS uuid
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	v      record;
	before uuid;
BEGIN
	PERFORM expunge.check_support(e, subject);
	before := expunge.support_same(e, NULL);
	IF before IS NOT NULL THEN
		-- an answer that was lost lets nobody in again, and the record is the consent's
		IF NOT EXISTS (SELECT FROM expunge.support_session q JOIN expunge.support_consent c ON c.id = q.consent
			WHERE q.id = before AND q.ended_at IS NULL AND moment < q.until AND c.subject IS NOT DISTINCT FROM support_open.subject)
		THEN
			RAISE EXCEPTION 'session % is over', before USING ERRCODE = 'EX727', HINT = 'open another one, with another key';
		END IF;
		RETURN before;
	END IF;
	v := expunge.support_verdict(moment, e, subject);
	IF v.code <> '00000' THEN
		PERFORM expunge.support_refuse(v.code);
	END IF;
	e.at := moment;
	e.of := v.consent;
	e.until := least(v.until, moment + (SELECT make_interval(hours => p.session_hours) FROM expunge.support_policy p));
	e.id := expunge.support_put(e);
	IF (SELECT c.override FROM expunge.support_consent c WHERE c.id = e.of) THEN
		PERFORM expunge.tell_override(e);
	END IF;
	RETURN e.id;
END
$$;
COMMENT ON FUNCTION expunge.support_open(timestamptz, expunge.support_event, text) IS 'opens a session under the consent that lets it, for as long as that and the policy let it';

-- The session, if it is this member of staff's and open.
CREATE OR REPLACE FUNCTION expunge.own_session(moment timestamptz, session uuid, staff text) RETURNS expunge.support_session
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	v expunge.support_session;
BEGIN
	SELECT q.* INTO v FROM expunge.support_session q WHERE q.id = session AND q.staff = own_session.staff;
	IF v.id IS NULL THEN
		PERFORM expunge.no_support('session', session);
	END IF;
	IF v.ended_at IS NOT NULL OR moment >= v.until THEN
		RAISE EXCEPTION 'session % is over', v.id USING ERRCODE = 'EX727', HINT = 'open another one';
	END IF;
	RETURN v;
END
$$;
COMMENT ON FUNCTION expunge.own_session(timestamptz, uuid, text) IS 'refuses a session that is over, or another''s';

-- ---------------------------------------------------------------- test subjects

CREATE OR REPLACE FUNCTION expunge.support_register(moment timestamptz, v expunge.support_session, tenant text, subject text) RETURNS uuid
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	before expunge.support_test_subject;
	found  record;
	e      expunge.support_event;
BEGIN
	IF tenant IS DISTINCT FROM v.tenant THEN
		RAISE EXCEPTION 'session % is in another practice', v.id USING ERRCODE = 'EX401', HINT = 'a test subject is of the practice that the session is in';
	END IF;
	PERFORM expunge.check_text('subject', subject, 200, 'EX202');
	IF v.scope <> 'records' THEN
		RAISE EXCEPTION 'a session of scope % makes no test subjects', v.scope USING ERRCODE = 'EX743', HINT = 'ask for a consent of scope records';
	END IF;
	IF (SELECT c.override FROM expunge.support_consent c WHERE c.id = v.consent) THEN
		RAISE EXCEPTION 'a session under an override makes no test subjects'
			USING ERRCODE = 'EX744', HINT = 'that they are deleted again is what the practice consents to: ask for its consent';
	END IF;
	SELECT q.* INTO before FROM expunge.support_test_subject q WHERE q.tenant = v.tenant AND q.subject = support_register.subject;
	IF before.session = v.id AND before.ended_at IS NULL THEN
		RETURN before.id;
	ELSIF before.id IS NOT NULL THEN
		RAISE EXCEPTION 'this test subject was registered before' USING ERRCODE = 'EX742', HINT = 'expunge support list shows what became of it';
	END IF;
	IF to_regprocedure('expunge.find_subject(text, text)') IS NULL THEN
		RAISE EXCEPTION 'this installation deletes no test subjects'
			USING ERRCODE = 'EX745', HINT = 'the data map needs a support group that says what counts as contact; then run expunge init';
	END IF;
	EXECUTE 'SELECT f.born_at, f.row_hash FROM expunge.find_subject($1, $2) f' INTO found USING v.tenant, subject;
	IF found.row_hash IS NULL THEN
		RAISE EXCEPTION 'there is no such subject in this practice' USING ERRCODE = 'EX741', HINT = 'register it when it has been made and committed';
	END IF;
	IF found.born_at IS NULL OR found.born_at < v.opened_at THEN
		RAISE EXCEPTION 'this subject was there before the session: it is no test subject'
			USING ERRCODE = 'EX740', HINT = 'make the patient in a transaction that begins when the session is open';
	END IF;
	PERFORM expunge.check_open(v.tenant, subject);
	e.at := moment;
	e.kind := 'test-subject-registered';
	e.of := v.id;
	e.tenant := v.tenant;
	e.staff := v.staff;
	e.ticket := v.ticket;
	-- seven days of the practice's calendar, also when the clocks change
	e.until := (SELECT ((moment AT TIME ZONE i.zone) + make_interval(days => p.test_days)) AT TIME ZONE i.zone
		FROM expunge.support_policy p, expunge.instance i);
	RETURN expunge.support_put(e, subject, found.row_hash);
END
$$;
COMMENT ON FUNCTION expunge.support_register(timestamptz, expunge.support_session, text, text) IS 'a patient that the staff made in this session, to be deleted when its time is over';

-- ---------------------------------------------------------------- overrides

-- Without consent: only where the configuration says so, and by two people. Practice and DPO are told when somebody enters.
CREATE OR REPLACE FUNCTION expunge.check_override() RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF NOT (SELECT p.override FROM expunge.support_policy p) THEN
		RAISE EXCEPTION 'this installation knows no override: nobody enters without consent'
			USING ERRCODE = 'EX732', HINT = 'ask the practice: expunge support request';
	END IF;
END
$$;
COMMENT ON FUNCTION expunge.check_override() IS 'refuses an override unless support.override is set';

CREATE OR REPLACE FUNCTION expunge.support_confirm(moment timestamptz, override uuid, staff text) RETURNS timestamptz
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	r expunge.support_request;
	e expunge.support_event;
BEGIN
	SELECT q.* INTO r FROM expunge.support_request q WHERE q.id = support_confirm.override AND q.override;
	IF r.id IS NULL THEN
		PERFORM expunge.no_support('override', override);
	END IF;
	SELECT q.* INTO e FROM expunge.support_event q WHERE q.id = r.id AND q.kind = 'override-requested';
	IF staff = r.staff OR e.actor = session_user AND NOT EXISTS (SELECT FROM expunge.staff_login l WHERE l.login = session_user) THEN
		RAISE EXCEPTION 'override % was asked for by the same person', r.id
			USING ERRCODE = 'EX733', HINT = 'another member of staff confirms it';
	END IF;
	PERFORM expunge.check_unanswered(moment, r);
	e.at := moment;
	e.kind := 'override-confirmed';
	e.until := moment + (SELECT make_interval(hours => p.session_hours) FROM expunge.support_policy p);
	INSERT INTO expunge.support_event (at, kind, id, tenant, staff, scope, ticket, subject, reason, until)
	VALUES (e.at, e.kind, e.id, e.tenant, e.staff, e.scope, e.ticket, e.subject, e.reason, e.until);
	RETURN e.until;
END
$$;
COMMENT ON FUNCTION expunge.support_confirm(timestamptz, uuid, text) IS
	'the second person''s word: for as long as one session lasts the override stands for a consent';

-- ---------------------------------------------------------------- the night

CREATE OR REPLACE FUNCTION expunge.support_tidy(moment timestamptz)
RETURNS TABLE (what text, id uuid, tenant text, staff text, until timestamptz)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN QUERY
		WITH over AS (
			INSERT INTO expunge.support_event (at, kind, id, tenant, reason)
			SELECT moment, 'session-ended', v.id, v.tenant, 'left open'
			FROM expunge.support_session v WHERE v.ended_at IS NULL AND v.until <= moment
			ON CONFLICT DO NOTHING RETURNING support_event.id
		), lapsed AS (
			INSERT INTO expunge.support_event (at, kind, id, tenant)
			SELECT moment, 'request-lapsed', r.id, r.tenant
			FROM expunge.support_request r WHERE r.consent IS NULL AND NOT r.lapsed AND r.lapses_at <= moment
			ON CONFLICT DO NOTHING RETURNING support_event.id
		)
		SELECT CASE e.kind WHEN 'session-opened' THEN 'session' ELSE 'request' END, e.id, e.tenant, e.staff, e.until
		FROM expunge.support_event e
		WHERE e.kind IN ('session-opened', 'consent-requested', 'override-requested')
		  AND e.id IN (SELECT o.id FROM over o UNION ALL SELECT l.id FROM lapsed l)
		ORDER BY e.number;
END
$$;
COMMENT ON FUNCTION expunge.support_tidy(timestamptz) IS 'notes what has ended by itself: sessions that were left open, requests that nobody answered';

CREATE OR REPLACE FUNCTION expunge.support_night()
RETURNS TABLE (what text, id uuid, tenant text, staff text, until timestamptz)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT * FROM expunge.support_tidy(clock_timestamp())
$$;
COMMENT ON FUNCTION expunge.support_night() IS 'support_tidy() of this moment';

CREATE OR REPLACE FUNCTION expunge.support_withdraw(test_subject uuid) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	UPDATE expunge.request r SET state = 'withdrawn', approved_plan = NULL, not_before = NULL, reason = NULL, reason_at = NULL
	WHERE r.id = test_subject AND r.kind = 'test-subject' AND r.removed_at IS NULL
	  AND r.state IN ('identified', 'scheduled', 'blocked', 'failed');
	DELETE FROM expunge.plan p USING expunge.request r WHERE p.request_id = r.id AND r.id = test_subject AND r.state = 'withdrawn';
END
$$;
COMMENT ON FUNCTION expunge.support_withdraw(uuid) IS 'takes back the request by which a test subject would have been deleted';

-- Whoever was touched, and what is in doubt, waits for a person of the practice.
CREATE OR REPLACE FUNCTION expunge.quarantine_test_subject(test_subject uuid, reason text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	t expunge.support_test_subject;
BEGIN
	SELECT q.* INTO t FROM expunge.support_test_subject q WHERE q.id = test_subject;
	IF t.id IS NULL THEN
		PERFORM expunge.no_support('test subject', test_subject);
	END IF;
	IF t.quarantined_at IS NOT NULL OR t.ended_at IS NOT NULL THEN
		RETURN false;
	END IF;
	PERFORM expunge.support_withdraw(t.id);
	INSERT INTO expunge.support_event (at, kind, id, tenant, reason)
	VALUES (clock_timestamp(), 'test-subject-quarantined', t.id, t.tenant, left(quarantine_test_subject.reason, 500));
	RETURN true;
END
$$;
COMMENT ON FUNCTION expunge.quarantine_test_subject(uuid, text) IS 'keeps a test subject from being deleted until a person of the practice decides; false if that was so already';

CREATE OR REPLACE FUNCTION expunge.forget_test_subject(test_subject uuid) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	t expunge.support_test_subject;
BEGIN
	SELECT q.* INTO t FROM expunge.support_test_subject q WHERE q.id = test_subject AND q.ended_at IS NULL;
	IF t.id IS NULL OR t.request_state IN ('running', 'removed', 'certified') THEN
		RETURN false;
	END IF;
	PERFORM expunge.support_withdraw(t.id);
	INSERT INTO expunge.support_event (at, kind, id, tenant) VALUES (clock_timestamp(), 'test-subject-gone', t.id, t.tenant);
	DELETE FROM expunge.support_subject s WHERE s.id = t.id;
	RETURN true;
END
$$;
COMMENT ON FUNCTION expunge.forget_test_subject(uuid) IS 'notes that a test subject is not there any more: somebody has deleted it by hand';

-- Its request carries the number of the test subject. plan: it waits for one; quarantined; else why it is left alone.
CREATE OR REPLACE FUNCTION expunge.file_test_subject(test_subject uuid) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	t expunge.support_test_subject;
	r expunge.request;
BEGIN
	SELECT q.* INTO t FROM expunge.support_test_subject q WHERE q.id = test_subject;
	IF t.id IS NULL THEN
		PERFORM expunge.no_support('test subject', test_subject);
	END IF;
	SELECT q.* INTO r FROM expunge.request q WHERE q.id = t.id;
	IF t.ended_at IS NOT NULL OR t.quarantined_at IS NOT NULL OR r.removed_at IS NOT NULL THEN
		RETURN 'over';
	ELSIF clock_timestamp() < t.expires_at THEN
		RETURN 'not due';
	ELSIF EXISTS (SELECT FROM expunge.support_consent c WHERE c.id = t.consent AND c.revoked_at IS NOT NULL) THEN
		PERFORM expunge.quarantine_test_subject(t.id, 'the consent was revoked');
		RETURN 'quarantined';
	ELSIF r.state IN ('withdrawn', 'refused') THEN
		PERFORM expunge.quarantine_test_subject(t.id, 'its erasure was ' || r.state);
		RETURN 'quarantined';
	ELSIF r.state = 'blocked' AND r.reason ~ '^touched:' THEN
		PERFORM expunge.quarantine_test_subject(t.id, r.reason);
		RETURN 'quarantined';
	ELSIF r.id IS NOT NULL THEN
		RETURN CASE WHEN r.state IN ('identified', 'blocked') THEN 'plan' ELSE 'scheduled' END;
	END IF;
	INSERT INTO expunge.request (id, kind, tenant, subject, ground, channel, received_at, identified_at, identified_by, due_on, state)
	VALUES (t.id, 'test-subject', t.tenant, t.subject, '17-1-a', 'support', t.registered_at, t.registered_at, session_user,
		expunge.civil_date(t.expires_at) + 1, 'identified')
	ON CONFLICT DO NOTHING; -- somebody else's request for it is open, and takes it
	RETURN CASE WHEN FOUND THEN 'plan' ELSE 'requested' END;
END
$$;
COMMENT ON FUNCTION expunge.file_test_subject(uuid) IS 'files the erasure of a test subject whose time is over, if nothing is in the way';

-- The standing approval: what the practice consented to when it let the session in.
CREATE OR REPLACE FUNCTION expunge.approve_test_subject(test_subject uuid, plan_hash text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	n integer;
BEGIN
	UPDATE expunge.request r SET state = 'scheduled', decision = 'accepted', decided_at = now(), decided_by = c.granted_by,
		approved_plan = p.hash, not_before = now(), reason = NULL, reason_at = NULL
	FROM expunge.plan p, expunge.support_test_subject t, expunge.support_consent c
	WHERE r.id = test_subject AND r.kind = 'test-subject' AND r.state IN ('identified', 'blocked', 'failed') AND r.removed_at IS NULL
	  AND p.request_id = r.id AND p.hash = plan_hash AND coalesce(p.blockers, '') = ''
	  AND t.id = r.id AND t.quarantined_at IS NULL AND t.ended_at IS NULL AND clock_timestamp() >= t.expires_at AND NOT t.held
	  AND c.id = t.consent AND c.revoked_at IS NULL AND NOT c.override;
	GET DIAGNOSTICS n = ROW_COUNT;
	RETURN n = 1;
END
$$;
COMMENT ON FUNCTION expunge.approve_test_subject(uuid, text) IS 'approves the plan of an untouched test subject under the consent that its session had; false if that does not stand, or a hold does';

-- ---------------------------------------------------------------- what an application calls

CREATE OR REPLACE FUNCTION expunge_api.request_support(tenant text, ticket text, scope text, reason text,
	subject text DEFAULT NULL, key text DEFAULT NULL) RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	e expunge.support_event;
BEGIN
	e.staff := expunge.check_staff();
	e.kind := 'consent-requested';
	e.tenant := tenant;
	e.ticket := ticket;
	e.scope := scope;
	e.reason := reason;
	e.key := key;
	PERFORM expunge.lock_support(tenant, NULL);
	RETURN expunge.support_ask(clock_timestamp(), e, subject);
END
$$;
COMMENT ON FUNCTION expunge_api.request_support(text, text, text, text, text, text) IS 'the staff asks a practice for consent; unanswered, it lapses';

CREATE OR REPLACE FUNCTION expunge_api.request_support_override(tenant text, ticket text, scope text, reason text,
	subject text DEFAULT NULL, key text DEFAULT NULL) RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	e expunge.support_event;
BEGIN
	e.staff := expunge.check_staff();
	PERFORM expunge.check_override();
	e.kind := 'override-requested';
	e.tenant := tenant;
	e.ticket := ticket;
	e.scope := scope;
	e.reason := reason;
	e.key := key;
	PERFORM expunge.lock_support(tenant, NULL);
	RETURN expunge.support_ask(clock_timestamp(), e, subject);
END
$$;
COMMENT ON FUNCTION expunge_api.request_support_override(text, text, text, text, text, text) IS 'the staff asks a colleague to let it in without consent';

CREATE OR REPLACE FUNCTION expunge_api.confirm_support_override(override uuid) RETURNS timestamptz
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	who   text := expunge.check_staff();
	whose text := (SELECT r.tenant FROM expunge.support_request r WHERE r.id = confirm_support_override.override);
BEGIN
	PERFORM expunge.check_override();
	IF whose IS NOT NULL THEN
		PERFORM expunge.lock_support(whose, NULL);
	END IF;
	RETURN expunge.support_confirm(clock_timestamp(), override, who);
END
$$;
COMMENT ON FUNCTION expunge_api.confirm_support_override(uuid) IS 'the second person of an override, which stands for a consent until the time returned; whoever enters under it, practice and DPO are told';

CREATE OR REPLACE FUNCTION expunge_api.grant_support_consent(tenant text, until timestamptz, ticket text DEFAULT NULL, scope text DEFAULT NULL,
	subject text DEFAULT NULL, staff text DEFAULT NULL, request uuid DEFAULT NULL, key text DEFAULT NULL) RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	e expunge.support_event;
BEGIN
	PERFORM expunge.check_own_tenant(tenant);
	e.kind := 'consent-granted';
	e.tenant := tenant;
	e.until := until;
	e.ticket := ticket;
	e.scope := scope;
	e.staff := nullif(staff, '');
	e.of := request;
	e.key := key;
	PERFORM expunge.lock_support(tenant, NULL);
	RETURN expunge.support_grant(clock_timestamp(), e, subject);
END
$$;
COMMENT ON FUNCTION expunge_api.grant_support_consent(text, timestamptz, text, text, text, text, uuid, text) IS
	'the practice consents: for one ticket and scope until a time, to one member of staff or, without, whoever works on the ticket; with request, as that says';

CREATE OR REPLACE FUNCTION expunge_api.revoke_support_consent(consent uuid) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	whose text := (SELECT c.tenant FROM expunge.support_consent c
		WHERE c.id = revoke_support_consent.consent AND c.tenant = ANY (expunge.session_tenants()));
BEGIN
	IF whose IS NULL THEN
		PERFORM expunge.no_support('consent', consent);
	END IF;
	PERFORM expunge.lock_support(whose, NULL);
	RETURN expunge.support_revoke(clock_timestamp(), consent);
END
$$;
COMMENT ON FUNCTION expunge_api.revoke_support_consent(uuid) IS
	'ends a consent, or an override, and its open sessions at once; returns how many these were, 0 if it was revoked before';

CREATE OR REPLACE FUNCTION expunge_api.open_support_session(tenant text, ticket text, scope text, reason text,
	subject text DEFAULT NULL, key text DEFAULT NULL) RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	e expunge.support_event;
BEGIN
	e.staff := expunge.check_staff();
	PERFORM expunge.check_text('tenant', tenant, 200, 'EX201');
	e.kind := 'session-opened';
	e.tenant := tenant;
	e.ticket := ticket;
	e.scope := scope;
	e.reason := reason;
	e.key := key;
	PERFORM expunge.lock_support(tenant, e.staff);
	RETURN expunge.support_open(clock_timestamp(), e, subject);
END
$$;
COMMENT ON FUNCTION expunge_api.open_support_session(text, text, text, text, text, text) IS
	'lets a member of staff in under a consent that is in force, for at most support.session_hours; returns the session''s id';

CREATE OR REPLACE FUNCTION expunge_api.close_support_session(session uuid) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	who text := expunge.check_staff();
	v   expunge.support_session;
BEGIN
	SELECT q.* INTO v FROM expunge.support_session q WHERE q.id = session AND q.staff = who;
	IF v.id IS NULL THEN
		PERFORM expunge.no_support('session', session);
	END IF;
	PERFORM expunge.lock_support(v.tenant, NULL);
	INSERT INTO expunge.support_event (at, kind, id, tenant) VALUES (clock_timestamp(), 'session-closed', v.id, v.tenant) ON CONFLICT DO NOTHING;
	RETURN FOUND;
END
$$;
COMMENT ON FUNCTION expunge_api.close_support_session(uuid) IS 'ends a session; false if it had ended before';

CREATE OR REPLACE FUNCTION expunge_api.note_support_activity(session uuid, activity text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	who text := expunge.check_staff();
	v   expunge.support_session;
BEGIN
	IF activity IS NULL OR length(activity) > 60 OR activity !~ '^[a-z][a-z0-9 ._-]*$' THEN
		RAISE EXCEPTION 'activity is missing or malformed'
			USING ERRCODE = 'EX707', HINT = 'up to 60 lower case letters, digits, blanks, dots and hyphens: what was done, never to whom';
	END IF;
	v := expunge.own_session(clock_timestamp(), session, who);
	INSERT INTO expunge.support_event (at, kind, id, tenant, staff, reason) VALUES (clock_timestamp(), 'activity', v.id, v.tenant, who, activity);
END
$$;
COMMENT ON FUNCTION expunge_api.note_support_activity(uuid, text) IS 'writes down what is done in a session';

CREATE OR REPLACE FUNCTION expunge_api.register_test_subject(session uuid, tenant text, subject text) RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	who text := expunge.check_staff();
	v   expunge.support_session;
BEGIN
	PERFORM expunge.check_text('tenant', tenant, 200, 'EX201');
	PERFORM expunge.lock_support(tenant, NULL);
	v := expunge.own_session(clock_timestamp(), session, who);
	RETURN expunge.support_register(clock_timestamp(), v, tenant, subject);
END
$$;
COMMENT ON FUNCTION expunge_api.register_test_subject(uuid, text, text) IS
	'a patient that was made in this session, as it shall stay: deleted when its time is over, unless the practice touches it';

CREATE OR REPLACE FUNCTION expunge_api.decide_test_subject(test_subject uuid, decision text) RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	t      expunge.support_test_subject;
	wanted text := CASE decision WHEN 'keep' THEN 'kept' WHEN 'erase' THEN 'handed-over' END;
BEGIN
	IF wanted IS NULL THEN
		RAISE EXCEPTION 'unknown decision' USING ERRCODE = 'EX212', HINT = 'keep, or erase';
	END IF;
	SELECT q.* INTO t FROM expunge.support_test_subject q WHERE q.id = test_subject AND q.tenant = ANY (expunge.session_tenants());
	IF t.id IS NULL THEN
		PERFORM expunge.no_support('test subject', test_subject);
	END IF;
	PERFORM expunge.lock_support(t.tenant, NULL);
	SELECT q.* INTO t FROM expunge.support_test_subject q WHERE q.id = test_subject;
	IF t.quarantined_at IS NULL OR (t.ended_at IS NOT NULL AND t.ended_how <> wanted) OR t.subject IS NULL THEN
		RAISE EXCEPTION 'test subject % waits for no decision', t.id
			USING ERRCODE = 'EX746', HINT = 'decided, once, are those in quarantine';
	END IF;
	INSERT INTO expunge.support_event (at, kind, id, tenant) VALUES (clock_timestamp(), 'test-subject-' || wanted, t.id, t.tenant)
	ON CONFLICT DO NOTHING;
	-- the ordinary way: a plan, another person's approval, the undo window
	IF wanted = 'handed-over' THEN
		RETURN expunge_api.request_erasure(t.tenant, t.subject, '17-1-a', 'support', NULL, NULL, 'test subject ' || t.id);
	END IF;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION expunge_api.decide_test_subject(uuid, text) IS
	'a person of the practice decides on a test subject in quarantine: keep it as a patient, or file its erasure, whose id is returned';

-- ---------------------------------------------------------------- what people read

-- The entry of the log that an event makes (its SHA-256 goes into the tree): no value holds a line end, so that no two events have one text.
CREATE OR REPLACE FUNCTION expunge.support_entry(e expunge.support_event) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT 'expunge-support-event/v1' || chr(10) || string_agg(f.name || ': ' || f.value || chr(10), '' ORDER BY f.place)
	FROM (VALUES
		(1, 'number', e.number::text), (2, 'at', to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')),
		(3, 'actor', e.actor::text), (4, 'kind', e.kind), (5, 'id', e.id::text), (6, 'of', e.of::text), (7, 'tenant', e.tenant),
		(8, 'staff', e.staff), (9, 'scope', e.scope), (10, 'ticket', e.ticket), (11, 'subject', e.subject), (12, 'reason', e.reason),
		(13, 'until', to_char(e.until AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')), (14, 'key', e.key)
	) f(place, name, value)
	WHERE f.value IS NOT NULL
$$;
COMMENT ON FUNCTION expunge.support_entry(expunge.support_event) IS 'an event as the text whose hash the log holds';

CREATE VIEW expunge.support_register WITH (security_barrier) AS
	SELECT e.number, e.at, e.actor, e.kind, e.id, e.of, e.tenant, e.staff, e.scope, e.ticket, s.subject, e.reason, e.until,
		'sha256:' || encode(sha256(convert_to(expunge.support_entry(e), 'UTF8')), 'hex') AS entry
	FROM expunge.support_event e
	LEFT JOIN expunge.support_subject s ON s.id = e.id
	WHERE (SELECT expunge.session_sees_all()) OR e.tenant = ANY ((SELECT expunge.session_tenants())::text[])
		OR e.staff = (SELECT expunge.session_staff());
COMMENT ON VIEW expunge.support_register IS
	'every event: a practice sees its own, a member of staff those that name him, those who serve all tenants everything';

CREATE VIEW expunge_api.support_register WITH (security_barrier) AS SELECT * FROM expunge.support_register;
COMMENT ON VIEW expunge_api.support_register IS 'the events of support mode in the caller''s tenants';

CREATE VIEW expunge.support_anomaly AS
	SELECT 'out-of-hours' AS what, v.id, v.opened_at AS at, v.tenant, v.staff, v.ticket, NULL::text AS detail
	FROM expunge.support_session v, expunge.instance i, expunge.support_policy p, LATERAL (SELECT v.opened_at AT TIME ZONE i.zone) l(civil)
	WHERE extract(hour FROM l.civil) < p.office_from OR extract(hour FROM l.civil) >= p.office_until
		OR expunge.working_day_on_or_after(i.calendar, l.civil::date) <> l.civil::date
	UNION ALL
	SELECT 'left-open', v.id, v.until, v.tenant, v.staff, v.ticket, NULL
	FROM expunge.support_session v WHERE v.ended_how = 'left open' OR (v.ended_at IS NULL AND v.until <= now())
	UNION ALL
	SELECT 'no-activity', v.id, v.opened_at, v.tenant, v.staff, v.ticket, NULL
	FROM expunge.support_session v
	WHERE (v.ended_at IS NOT NULL OR v.until <= now())
	  AND NOT EXISTS (SELECT FROM expunge.support_event e WHERE e.id = v.id AND e.kind = 'activity')
	  AND NOT EXISTS (SELECT FROM expunge.support_event e WHERE e.of = v.id AND e.kind = 'test-subject-registered')
	UNION ALL
	SELECT 'many-tenants', NULL, max(v.opened_at), NULL, v.staff, NULL, count(DISTINCT v.tenant) || ' practices on ' || expunge.civil_date(v.opened_at)
	FROM expunge.support_session v GROUP BY v.staff, expunge.civil_date(v.opened_at)
	HAVING count(DISTINCT v.tenant) > (SELECT p.tenants_per_day FROM expunge.support_policy p)
	UNION ALL
	-- refused, and written down by the program that met the refusal
	SELECT 'other-ticket', NULL, d.at, d.tenant, d.actor::text, NULL, d.detail FROM expunge.event d WHERE d.kind = 'denied' AND d.detail ~ ' EX721$';
COMMENT ON VIEW expunge.support_anomaly IS
	'what somebody should look at: visits out of hours, left open, without any recorded activity, of many practices in a day, under a consent to another ticket';

CREATE VIEW expunge.support_list WITH (security_barrier) AS
	SELECT l.what, l.id, l.at, l.tenant, l.staff, l.scope, l.ticket, l.subject, l.until, l.state, l.detail
	FROM (
		SELECT CASE WHEN r.override THEN 'override-request' ELSE 'request' END AS what, r.id, r.asked_at AS at, r.tenant, r.staff, r.scope,
			r.ticket, r.subject, r.lapses_at AS until,
			CASE WHEN r.consent IS NOT NULL THEN 'answered' WHEN r.lapses_at <= now() THEN 'lapsed' ELSE 'open' END AS state, r.reason AS detail
		FROM expunge.support_request r
		UNION ALL
		SELECT CASE WHEN c.override THEN 'override' ELSE 'consent' END, c.id, c.granted_at, c.tenant, c.staff, c.scope, c.ticket, c.subject, c.until,
			CASE WHEN c.revoked_at IS NOT NULL THEN 'revoked' WHEN c.until <= now() THEN 'ended' ELSE 'in force' END, 'by ' || c.granted_by
		FROM expunge.support_consent c
		UNION ALL
		SELECT 'session', v.id, v.opened_at, v.tenant, v.staff, v.scope, v.ticket, NULL, v.until,
			CASE WHEN v.ended_at IS NOT NULL THEN v.ended_how WHEN v.until <= now() THEN 'left open' ELSE 'open' END, v.reason
		FROM expunge.support_session v
		UNION ALL
		SELECT 'test-subject', t.id, t.registered_at, t.tenant, t.staff, NULL, t.ticket, t.subject, t.expires_at,
			CASE WHEN t.ended_at IS NOT NULL THEN t.ended_how WHEN t.quarantined_at IS NOT NULL THEN 'quarantined'
				WHEN t.held THEN 'held' WHEN t.expires_at <= now() THEN 'due' ELSE 'waiting' END, t.quarantined_why
		FROM expunge.support_test_subject t
		UNION ALL
		SELECT 'anomaly', a.id, a.at, a.tenant, a.staff, NULL, a.ticket, NULL, NULL, a.what, a.detail
		FROM expunge.support_anomaly a
	) l
	WHERE (SELECT expunge.session_sees_all()) OR l.tenant = ANY ((SELECT expunge.session_tenants())::text[])
		OR coalesce(l.staff, (SELECT expunge.session_staff())) = (SELECT expunge.session_staff());
COMMENT ON VIEW expunge.support_list IS 'requests, consents, overrides, sessions, test subjects and anomalies, each with its present state';

CREATE VIEW expunge.status_support AS
	SELECT (SELECT count(*) FROM expunge.support_session v WHERE v.ended_at IS NULL AND v.until > now()) AS open_sessions,
		-- a night has had its chance
		count(*) FILTER (WHERE t.quarantined_at IS NULL AND NOT t.held AND t.expires_at < now() - interval '1 day') AS overdue,
		count(*) FILTER (WHERE t.quarantined_at IS NOT NULL) AS quarantined,
		count(*) AS test_subjects
	FROM expunge.support_test_subject t
	WHERE t.ended_at IS NULL AND t.subject IS NOT NULL;
COMMENT ON VIEW expunge.status_support IS 'one row of counts: open sessions; test subjects that are there, past their time, in quarantine';

RESET ROLE;

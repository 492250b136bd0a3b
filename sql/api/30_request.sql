-- The life of a request up to the run: identify, decide, withdraw, extend. Who may call what is in
-- 90_grants.sql; the SQLSTATEs are listed in 20_check.sql. Applied by every `expunge init`; idempotent.

SET LOCAL ROLE expunge_owner;

-- The clock starts at the latest of receipt and identification. An identity that was never in doubt
-- was known at receipt: the caller says so by information_at = received_at.
CREATE OR REPLACE FUNCTION expunge.identify_request(request uuid, information_at timestamptz DEFAULT NULL) RETURNS date
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	r      expunge.request := expunge.lock_request(request);
	at     timestamptz := coalesce(information_at, now());
	result date;
BEGIN
	IF r.state <> 'received' THEN
		RAISE EXCEPTION 'request % is %, not received', r.id, r.state
			USING ERRCODE = 'EX420', HINT = 'a request is identified once, after its receipt';
	END IF;
	IF at > now() + interval '5 minutes' OR at < r.received_at THEN
		RAISE EXCEPTION 'the identity cannot have been known before receipt or in the future'
			USING ERRCODE = 'EX218', HINT = 'give the time at which the identity information came, or leave it out for now';
	END IF;
	UPDATE expunge.request q
	SET state = 'identified', identified_at = at, identified_by = session_user, reason = NULL, reason_at = NULL,
		due_on = expunge.due_date(expunge.civil_date(at), i.calendar, CASE WHEN q.extended_on IS NULL THEN 1 ELSE 3 END)
	FROM expunge.instance i
	WHERE q.id = r.id
	RETURNING q.due_on INTO result;
	RETURN result;
END
$$;
COMMENT ON FUNCTION expunge.identify_request(uuid, timestamptz) IS
	'records that the subject''s identity is established, and returns the due date';

CREATE OR REPLACE FUNCTION expunge.check_basis(decision text, basis text) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF decision = 'accepted' THEN
		IF basis IS NOT NULL THEN
			RAISE EXCEPTION 'an accepted request has no basis'
				USING ERRCODE = 'EX213', HINT = 'leave the basis out, or decide partial to keep what the law keeps';
		END IF;
	ELSIF basis IS NULL OR basis NOT IN (
		'17-3-a', '17-3-b', '17-3-c', '17-3-d', '17-3-e', -- expression; legal duty; public health; archiving; legal claims
		'17-1',          -- no ground of Art. 17(1) applies
		'12-2',          -- the controller cannot identify the subject
		'12-5',          -- manifestly unfounded or excessive
		'dpa-2018-sch-2', 'dpa-2018-sch-3') -- exemptions of the Data Protection Act 2018
	THEN
		RAISE EXCEPTION 'a basis in law is missing or unknown'
			USING ERRCODE = 'EX213', HINT = 'one of 17-3-a to 17-3-e, 17-1, 12-2, 12-5, dpa-2018-sch-2, dpa-2018-sch-3';
	END IF;
END
$$;
COMMENT ON FUNCTION expunge.check_basis(text, text) IS 'refuses a refusal or partial decision without a basis in law';

CREATE OR REPLACE FUNCTION expunge.check_approval(r expunge.request, plan_hash text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	p expunge.plan;
BEGIN
	IF plan_hash IS NULL OR length(plan_hash) <> 71 OR plan_hash !~ '^sha256:[0-9a-f]{64}$' THEN
		RAISE EXCEPTION 'plan hash is missing or malformed'
			USING ERRCODE = 'EX214', HINT = 'sha256: and 64 hexadecimal digits, as expunge request show prints them';
	END IF;
	IF expunge.is_held(r.tenant, r.subject) THEN
		RAISE EXCEPTION 'request % is under hold', r.id
			USING ERRCODE = 'EX503', HINT = 'expunge hold list says why; release the hold when its reason has ended, or refuse the request';
	END IF;
	IF r.state NOT IN ('identified', 'blocked', 'failed') THEN
		RAISE EXCEPTION 'request % is %, not waiting for an approval', r.id, r.state
			USING ERRCODE = 'EX420', HINT = 'approved are requests that are identified, blocked or failed';
	END IF;
	SELECT q.* INTO p FROM expunge.plan q WHERE q.request_id = r.id;
	IF p.hash IS NULL THEN
		RAISE EXCEPTION 'request % has no plan yet', r.id
			USING ERRCODE = 'EX421', HINT = 'the nightly run makes it, or the job by expunge request plan; then look at it with expunge request show';
	END IF;
	IF p.hash <> plan_hash THEN
		RAISE EXCEPTION 'the plan of request % is another one by now', r.id
			USING ERRCODE = 'EX504', HINT = 'look at the plan again with expunge request show, and approve its hash';
	END IF;
	-- neither decision can leave rows out that something else holds on to: the data comes right first
	IF coalesce(p.blockers, '') <> '' THEN
		RAISE EXCEPTION 'the plan of request % has blockers', r.id
			USING ERRCODE = 'EX505', HINT = 'expunge request show names them; clear them and plan again, or refuse';
	END IF;
END
$$;
COMMENT ON FUNCTION expunge.check_approval(expunge.request, text) IS 'every condition of an approval but who gives it';

-- The undo window counts civil days and ends with the beginning of the due day at the latest, so
-- that the run of the due day's night still takes the request.
CREATE OR REPLACE FUNCTION expunge.undo_until(due_on date) RETURNS timestamptz
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT least(
		CASE i.undo_days WHEN 0 THEN now() ELSE ((now() AT TIME ZONE i.zone) + make_interval(days => i.undo_days)) AT TIME ZONE i.zone END,
		greatest(now(), due_on::timestamp AT TIME ZONE i.zone))
	FROM expunge.instance i
$$;
COMMENT ON FUNCTION expunge.undo_until(date) IS 'the instant before which a request approved now must not run';

CREATE OR REPLACE FUNCTION expunge.decide_request(request uuid, decision text, basis text DEFAULT NULL, plan_hash text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	r       expunge.request;
	decided text := CASE decision WHEN 'accept' THEN 'accepted' WHEN 'refuse' THEN 'refused' ELSE decision END;
	cited   text := expunge.article(nullif(basis, ''));
BEGIN
	IF decided IS NULL OR decided NOT IN ('accepted', 'partial', 'refused') THEN
		RAISE EXCEPTION 'unknown decision' USING ERRCODE = 'EX212', HINT = 'accept, partial or refuse';
	END IF;
	-- article() answers NULL to what is too long to be one: that must not read as "no basis"
	PERFORM expunge.check_basis(decided, CASE WHEN nullif(basis, '') IS NOT NULL THEN coalesce(cited, 'unknown') END);

	r := expunge.lock_request(request);
	IF r.filed_by = session_user THEN
		RAISE EXCEPTION 'request % was filed by %, who cannot decide it', r.id, session_user
			USING ERRCODE = 'EX501', HINT = 'another authenticated person with the role expunge_approver decides';
	END IF;
	IF decided = 'refused' THEN
		RETURN expunge.refuse_request(r, cited);
	END IF;
	PERFORM expunge.check_approval(r, plan_hash);
	UPDATE expunge.request q
	SET state = 'scheduled', decision = decided, basis = cited, decided_at = now(), decided_by = session_user,
		approved_plan = plan_hash, reason = NULL, reason_at = NULL,
		-- new rows of a request that was approved before: its undo window is over, or runs on
		not_before = CASE WHEN q.decision IN ('accepted', 'partial') THEN q.not_before ELSE expunge.undo_until(q.due_on) END
	WHERE q.id = r.id;
	RETURN 'scheduled';
END
$$;
COMMENT ON FUNCTION expunge.decide_request(uuid, text, text, text) IS
	'the controller''s decision, by another person than the filer; an approval names the plan''s hash; returns the new state';

CREATE OR REPLACE FUNCTION expunge.check_not_erased(r expunge.request) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF EXISTS (SELECT FROM expunge.replay_request q WHERE q.request = r.id) THEN
		RAISE EXCEPTION 'request % is of an erasure that was carried out before the database was restored', r.id
			USING ERRCODE = 'EX513', HINT = 'its subject goes again; what is in the way, expunge restore --adopt says';
	END IF;
END
$$;
COMMENT ON FUNCTION expunge.check_not_erased(expunge.request) IS 'refuses to take back what was done, and perhaps certified, in a history that is lost';

CREATE OR REPLACE FUNCTION expunge.refuse_request(r expunge.request, cited text) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF r.state NOT IN ('received', 'identified', 'scheduled', 'blocked', 'failed') OR r.removed_at IS NOT NULL THEN
		RAISE EXCEPTION 'request % is %, too late to refuse', r.id, CASE WHEN r.removed_at IS NULL THEN r.state ELSE 'removed' END
			USING ERRCODE = 'EX420', HINT = 'refused are requests whose removal has not begun';
	END IF;
	PERFORM expunge.check_not_erased(r);
	UPDATE expunge.request q
	SET state = 'refused', decision = 'refused', basis = cited, decided_at = now(), decided_by = session_user,
		approved_plan = NULL, not_before = NULL, reason = cited, reason_at = now()
	WHERE q.id = r.id;
	DELETE FROM expunge.plan p WHERE p.request_id = r.id; -- keys that nobody needs any more
	RETURN 'refused';
END
$$;
COMMENT ON FUNCTION expunge.refuse_request(expunge.request, text) IS 'the refusing half of decide_request';

CREATE OR REPLACE FUNCTION expunge.withdraw_request(request uuid) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	r expunge.request := expunge.lock_request(request);
BEGIN
	IF r.state = 'withdrawn' THEN
		RETURN false;
	END IF;
	IF r.state NOT IN ('received', 'identified', 'scheduled', 'blocked', 'failed') OR r.removed_at IS NOT NULL THEN
		RAISE EXCEPTION 'request % is %, too late to withdraw', r.id, CASE WHEN r.removed_at IS NULL THEN r.state ELSE 'removed' END
			USING ERRCODE = 'EX422', HINT = 'a request can be withdrawn until its removal begins';
	END IF;
	PERFORM expunge.check_not_erased(r);
	UPDATE expunge.request q
	SET state = 'withdrawn', approved_plan = NULL, not_before = NULL, reason = NULL, reason_at = NULL
	WHERE q.id = r.id;
	DELETE FROM expunge.plan p WHERE p.request_id = r.id;
	RETURN true;
END
$$;
COMMENT ON FUNCTION expunge.withdraw_request(uuid) IS 'takes a request back; false if that was done before';

CREATE OR REPLACE FUNCTION expunge.extend_request(request uuid, reason text) RETURNS date
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	r      expunge.request;
	start  date;
	place  text;
	today  date := expunge.civil_date(now());
	result date;
BEGIN
	PERFORM expunge.check_text('reason', reason, 500, 'EX210');
	r := expunge.lock_request(request);
	IF r.state NOT IN ('received', 'identified', 'scheduled', 'blocked', 'failed') THEN
		RAISE EXCEPTION 'request % is %, there is nothing to extend', r.id, r.state
			USING ERRCODE = 'EX420', HINT = 'extended are requests that are still open';
	END IF;
	IF r.extended_on IS NOT NULL THEN
		RAISE EXCEPTION 'request % was extended on %', r.id, r.extended_on
			USING ERRCODE = 'EX424', HINT = 'Art. 12(3) allows one extension';
	END IF;
	SELECT i.calendar INTO place FROM expunge.instance i;
	start := expunge.civil_date(greatest(r.received_at, r.identified_at));
	IF today > expunge.due_date(start, place, 1) THEN
		RAISE EXCEPTION 'the first month of request % is over', r.id
			USING ERRCODE = 'EX423', HINT = 'Art. 12(3): the person is told of an extension and its reasons within one month';
	END IF;
	UPDATE expunge.request q
	SET due_on = expunge.due_date(start, place, 3), extended_on = today, extension_reason = extend_request.reason
	WHERE q.id = r.id
	RETURNING q.due_on INTO result;
	PERFORM expunge.log_event('request-extended', r.tenant, r.id, 'due ' || result);
	RETURN result;
END
$$;
COMMENT ON FUNCTION expunge.extend_request(uuid, text) IS
	'extends the time once, to three months from the start, and returns the new due date';

CREATE OR REPLACE FUNCTION expunge.acknowledge_recipient(request uuid, store text) RETURNS timestamptz
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	done timestamptz;
	account boolean := EXISTS (SELECT FROM expunge.closure c WHERE c.id = request);
BEGIN
	IF account THEN
		UPDATE expunge.closure_recipient t SET told_at = coalesce(t.told_at, clock_timestamp()), acknowledged_at = clock_timestamp(),
			acknowledged_by = session_user
		WHERE t.closure_id = request AND t.name = store AND t.acknowledged_at IS NULL
		RETURNING t.acknowledged_at INTO done;
	ELSE
		PERFORM expunge.lock_request(request);
		UPDATE expunge.recipient t SET acknowledged_at = clock_timestamp(), acknowledged_by = session_user
		WHERE t.request_id = request AND t.name = store AND t.acknowledged_at IS NULL
		RETURNING t.acknowledged_at INTO done;
	END IF;
	IF done IS NOT NULL THEN
		RETURN done;
	END IF;
	SELECT t.acknowledged_at INTO done FROM expunge.recipient t WHERE t.request_id = request AND t.name = store;
	IF account THEN
		SELECT t.acknowledged_at INTO done FROM expunge.closure_recipient t WHERE t.closure_id = request AND t.name = store;
	END IF;
	IF done IS NULL THEN
		RAISE EXCEPTION 'no store of this name was told of %', request
			USING ERRCODE = 'EX433', HINT = 'expunge request recipients lists the stores that were told';
	END IF;
	RETURN done;
END
$$;
COMMENT ON FUNCTION expunge.acknowledge_recipient(uuid, text) IS
	'notes that an external store has acknowledged an erasure; again, it answers when it did';

RESET ROLE;

-- Closing an account: cancelled, cooling off, back again or claimed. The SQLSTATEs are listed in 20_check.sql.
-- Applied by every `expunge init`; idempotent.

SET LOCAL ROLE expunge_owner;

-- ---------------------------------------------------------------- the clock

CREATE OR REPLACE FUNCTION expunge.check_zone(zone text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET "TimeZone" = 'UTC' AS $$
DECLARE
	known boolean;
BEGIN
	-- the server's own spelling of it, and what it makes up of a rule has capitals only; pg_timezone_names would read every zone's file
	BEGIN
		known := zone ~ '^[A-Z][A-Za-z_]*/' AND zone ~ '[a-z]' AND set_config('TimeZone', zone, true) = zone;
	EXCEPTION WHEN invalid_parameter_value THEN
		known := false;
	END;
	IF known IS NOT TRUE THEN
		RAISE EXCEPTION 'unknown time zone' USING ERRCODE = 'EX221', HINT = 'an IANA name with a region, such as Europe/London';
	END IF;
END
$$;
COMMENT ON FUNCTION expunge.check_zone(text) IS 'refuses what is not the IANA name of a zone, abbreviations and offsets among it';

-- 00:00 of a civil day that begins later, because the clocks go forward at midnight, is its first instant; where it comes
-- twice, the second: never too early (date and zone are what was promised, Summer Time Act 1972 and its like the rest).
CREATE OR REPLACE FUNCTION expunge.start_of_day(day date, zone text) RETURNS timestamptz
LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
	SELECT day::timestamp AT TIME ZONE zone
$$;
COMMENT ON FUNCTION expunge.start_of_day(date, text) IS 'the instant at which a civil day begins in a zone';

-- The day after the anchor is day 1 (Matthew v Sedman [2021] UKSC 19; Dodds v Walker [1981] 1 WLR 1027): whole civil days.
CREATE OR REPLACE FUNCTION expunge.closure_clock(anchor date, zone text, days integer, meaning text, within_days integer,
	OUT purge_on date, OUT not_before timestamptz, OUT complete_on date, OUT complete_by timestamptz)
LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
	SELECT d.first, expunge.start_of_day(d.first, zone), d.last, expunge.start_of_day(d.last + 1, zone)
	FROM (SELECT CASE meaning WHEN 'not-before' THEN anchor + days + 1 ELSE anchor + days - within_days + 1 END,
		CASE meaning WHEN 'not-before' THEN anchor + days + within_days ELSE anchor + days END) d(first, last)
$$;
COMMENT ON FUNCTION expunge.closure_clock(date, text, integer, text, integer) IS
	'the first civil day on which an account may be purged and the last on which it must be, with their instants';

-- What leaves the live database on this day is in no copy any more when the last day of the promise has ended, and no day before
-- the first of the purge needs one. Never before the anchor: until then it is a practice that pays.
CREATE OR REPLACE FUNCTION expunge.seal_day(anchor date, purge_on date, complete_on date, store_days integer) RETURNS date
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT CASE WHEN complete_on - store_days < purge_on THEN greatest(complete_on - store_days, anchor + 1) END
$$;
COMMENT ON FUNCTION expunge.seal_day(date, date, date, integer) IS
	'the civil day on which an account becomes dormant, because a store keeps copies for so many days; NULL: its rows may stay until the purge';

CREATE OR REPLACE FUNCTION expunge.civil_date_in(instant timestamptz, zone text) RETURNS date
LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
	SELECT (instant AT TIME ZONE zone)::date
$$;
COMMENT ON FUNCTION expunge.civil_date_in(timestamptz, text) IS 'the civil date of an instant in a zone';

-- Not when nobody is there to notice, and not in the hour that a change of the clocks repeats or skips.
CREATE OR REPLACE FUNCTION expunge.purge_window(zone text, at timestamptz DEFAULT now()) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT CASE
		WHEN extract(isodow FROM l.t) NOT BETWEEN 1 AND 4 THEN 'not from Friday to Sunday'
		WHEN EXISTS (SELECT FROM expunge.instance i, expunge.bank_holidays(i.calendar, extract(year FROM l.t)::integer) h
			WHERE h.day = l.t::date) THEN 'not on a bank holiday'
		WHEN extract(hour FROM l.t) = 1 THEN 'not from 01:00 to 02:00'
	END
	FROM (SELECT at AT TIME ZONE zone) l(t)
$$;
COMMENT ON FUNCTION expunge.purge_window(text, timestamptz) IS 'why no account is purged at this instant; NULL when one may be';

-- ---------------------------------------------------------------- opened and ended

CREATE OR REPLACE FUNCTION expunge.lock_closure(tenant text) RETURNS expunge.closure
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET lock_timeout = '5s' AS $$
DECLARE
	result expunge.closure;
BEGIN
	SELECT c.* INTO result FROM expunge.closure c
	WHERE c.tenant = lock_closure.tenant AND c.state NOT IN ('certified', 'reactivated') FOR UPDATE;
	RETURN result;
EXCEPTION WHEN lock_not_available THEN
	RAISE EXCEPTION 'the closing of this account is being worked on'
		USING ERRCODE = 'EX409', HINT = 'try again in a minute, and look at expunge account show first';
END
$$;
COMMENT ON FUNCTION expunge.lock_closure(text) IS 'the closing account of a tenant, locked until the end of the transaction; a row of NULLs if there is none';

CREATE OR REPLACE FUNCTION expunge.same_closure(tenant text, trigger text, paid_until date, idempotency_key text) RETURNS uuid
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	c expunge.closure;
BEGIN
	SELECT o.* INTO c FROM expunge.closure o
	WHERE o.tenant = same_closure.tenant AND o.idempotency_key = same_closure.idempotency_key;
	IF c.id IS NOT NULL AND (c.state = 'reactivated' OR c.trigger <> same_closure.trigger OR c.paid_until IS DISTINCT FROM same_closure.paid_until) THEN
		RAISE EXCEPTION 'this idempotency_key belongs to another closure'
			USING ERRCODE = 'EX410', HINT = 'use a new key for each cancellation, and repeat one only with the same arguments';
	END IF;
	RETURN c.id;
END
$$;
COMMENT ON FUNCTION expunge.same_closure(text, text, date, text) IS 'the closure that was filed with this key, if its arguments were the same';

CREATE OR REPLACE FUNCTION expunge.check_closure(tenant text, paid_until date, reason text, idempotency_key text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM expunge.check_text('tenant', tenant, 200, 'EX201');
	IF reason IS NOT NULL THEN
		PERFORM expunge.check_text('reason', reason, 500, 'EX210');
	END IF;
	IF idempotency_key IS NOT NULL THEN
		PERFORM expunge.check_text('idempotency_key', idempotency_key, 200, 'EX208');
	END IF;
	IF paid_until NOT BETWEEN date '2000-01-01' AND current_date + 1100 THEN
		RAISE EXCEPTION 'the last paid day is out of range'
			USING ERRCODE = 'EX216', HINT = 'a civil date, three years ahead at most';
	END IF;
END
$$;
COMMENT ON FUNCTION expunge.check_closure(text, date, text, text) IS 'the checks of what closes an account';

-- The anchor is never a day that is past: whoever is found out to have been gone for two months has the whole of the
-- cooling-off from the day on which that was found.
CREATE OR REPLACE FUNCTION expunge.open_closure(tenant text, trigger text, source text, paid_until date, reason text,
	idempotency_key text, zone text) RETURNS uuid
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	place  text := coalesce(zone, expunge.instance_zone());
	rule   expunge.closure_rule;
	today  date;
	since  date;
	other  expunge.closure;
	result uuid;
BEGIN
	PERFORM expunge.check_closure(tenant, paid_until, reason, idempotency_key);
	IF idempotency_key IS NOT NULL THEN
		result := expunge.same_closure(tenant, trigger, paid_until, idempotency_key);
		IF result IS NOT NULL THEN
			RETURN result;
		END IF;
	END IF;
	PERFORM expunge.check_zone(place);
	SELECT r.* INTO rule FROM expunge.closure_rule r WHERE r.trigger = open_closure.trigger;
	IF rule.trigger IS NULL THEN
		RAISE EXCEPTION 'no rule says how the closing of an account by % is counted', trigger
			USING ERRCODE = 'EX416', HINT = 'declare it in closure.rules of the configuration; then a superuser runs expunge init';
	END IF;
	IF rule.anchor = 'paid-until' AND paid_until IS NULL THEN
		RAISE EXCEPTION 'the last paid day is missing' USING ERRCODE = 'EX222', HINT = format('the time of a closing by %s is counted from it', trigger);
	END IF;
	today := expunge.civil_date_in(now(), place);
	since := CASE rule.anchor WHEN 'paid-until' THEN greatest(paid_until, today) ELSE today END;
	PERFORM expunge.lock_tenant(tenant);
	other := expunge.lock_closure(tenant);
	IF other.id IS NOT NULL THEN
		RAISE EXCEPTION 'this account is closing already (%)', other.id
			USING ERRCODE = 'EX413', HINT = 'its time runs from the first cancellation; expunge account show has it';
	END IF;
	INSERT INTO expunge.closure AS c (tenant, trigger, source, reason, idempotency_key, paid_until, anchor, zone, days, meaning,
		within_days, purge_on, not_before, complete_on, complete_by, seal_on, seal_at)
	SELECT open_closure.tenant, rule.trigger, open_closure.source, open_closure.reason, open_closure.idempotency_key,
		open_closure.paid_until, since, place, rule.days, rule.meaning, rule.within_days, k.purge_on, k.not_before, k.complete_on, k.complete_by,
		s.day, expunge.start_of_day(s.day, place)
	FROM expunge.closure_clock(since, place, rule.days, rule.meaning, rule.within_days) k,
		LATERAL (SELECT expunge.seal_day(since, k.purge_on, k.complete_on, i.store_days) FROM expunge.instance i) s(day)
	RETURNING c.id INTO result;
	PERFORM expunge.tell_controller(result, 'cancelled');
	RETURN result;
END
$$;
COMMENT ON FUNCTION expunge.open_closure(text, text, text, date, text, text, text) IS
	'begins the closing of an account by one of the rules; the same key with the same arguments returns the same id';

-- From 'claimed' on nothing leads back; whoever claims locks the same row, so that one of the two wins, wholly.
CREATE OR REPLACE FUNCTION expunge.end_closure(tenant text, reason text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	c expunge.closure := expunge.lock_closure(tenant);
BEGIN
	IF c.id IS NULL THEN
		IF EXISTS (SELECT FROM expunge.closure o WHERE o.tenant = end_closure.tenant AND o.state = 'certified') THEN
			RAISE EXCEPTION 'this account is closed for good: its data is gone'
				USING ERRCODE = 'EX415', HINT = 'open a new account; the certificate says when the old one was purged';
		END IF;
		RETURN false;
	END IF;
	IF c.claimed_at IS NOT NULL THEN
		RAISE EXCEPTION 'it is too late: the purge of this account began at %', c.claimed_at
			USING ERRCODE = 'EX415', HINT = 'nothing leads back from there; expunge account show says how far it is';
	END IF;
	UPDATE expunge.closure o SET state = 'reactivated', ended_at = now(), ended_by = session_user, problem = NULL, problem_at = NULL,
		disagreement = NULL WHERE o.id = c.id;
	DELETE FROM expunge.closure_approval a WHERE a.closure_id = c.id;
	PERFORM expunge.wake_account(c.id);
	IF reason IS NOT NULL THEN
		PERFORM expunge.log_event('account-reactivation-reason', c.tenant, c.id, reason);
	END IF;
	PERFORM expunge.tell_controller(c.id, 'reactivated');
	RETURN true;
END
$$;
COMMENT ON FUNCTION expunge.end_closure(text, text) IS 'an account that was closing is active again; false if it was not closing; refused once its purge was claimed';

-- Facts for a notice: ids, dates and counts.
CREATE OR REPLACE FUNCTION expunge.tell_controller(closure uuid, template text) RETURNS integer
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
	SELECT expunge.notice_put(template, c.tenant, 'controller', jsonb_build_object(
			'practice', c.tenant, 'closure', c.id, 'ends_on', c.anchor, 'purge_on', c.purge_on, 'complete_by', c.complete_on,
			'zone', c.zone, 'reactivated_on', expunge.civil_date_in(now(), c.zone)),
		c.id || '/' || template)
	FROM expunge.closure c WHERE c.id = closure
$$;
COMMENT ON FUNCTION expunge.tell_controller(uuid, text) IS 'queues a notice of a closing account to the practice''s contacts, once; how many were queued';

-- ---------------------------------------------------------------- the application

CREATE OR REPLACE FUNCTION expunge_api.cancel_subscription(tenant text, paid_until date, reason text DEFAULT NULL,
	idempotency_key text DEFAULT NULL, zone text DEFAULT NULL) RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM expunge.check_own_tenant(tenant);
	RETURN expunge.open_closure(tenant, 'cancellation', 'api', paid_until, nullif(reason, ''), idempotency_key, zone);
END
$$;
COMMENT ON FUNCTION expunge_api.cancel_subscription(text, date, text, text, text) IS
	'the practice has cancelled: its cooling-off begins after its last paid day; the same idempotency_key with the same arguments returns the same id';

CREATE OR REPLACE FUNCTION expunge_api.reactivate_subscription(tenant text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM expunge.check_own_tenant(tenant);
	RETURN expunge.end_closure(tenant, NULL);
END
$$;
COMMENT ON FUNCTION expunge_api.reactivate_subscription(text) IS
	'the practice comes back; false if it was not closing; refused once its purge has begun';

CREATE OR REPLACE FUNCTION expunge_api.no_export_needed(tenant text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM expunge.check_own_tenant(tenant);
	RETURN expunge.waive_export(tenant, NULL);
END
$$;
COMMENT ON FUNCTION expunge_api.no_export_needed(text) IS 'the practice wants no copy of its data before it is purged; false if that was so already';

CREATE OR REPLACE VIEW expunge_api.account_status WITH (security_barrier) AS
	SELECT c.id, c.tenant, c.state, c.trigger, c.anchor AS last_day, c.purge_on, c.complete_on, c.zone,
		CASE WHEN c.state IN ('cancelled', 'cooling-off', 'due') THEN c.purge_on - expunge.civil_date_in(now(), c.zone) END AS days_left,
		(SELECT max(s.serial) FROM expunge.certificate s WHERE s.request_id = c.id) AS certificate_serial
	FROM expunge.closure c
	WHERE c.tenant = ANY ((SELECT expunge.session_tenants())::text[]);
COMMENT ON VIEW expunge_api.account_status IS 'the closing and closed accounts among the caller''s tenants';

-- ---------------------------------------------------------------- people

CREATE OR REPLACE FUNCTION expunge.cancel_account(tenant text, paid_until date, reason text, zone text DEFAULT NULL) RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN expunge.open_closure(tenant, 'cancellation', 'command', paid_until, nullif(reason, ''), NULL, zone);
END
$$;
COMMENT ON FUNCTION expunge.cancel_account(text, date, text, text) IS 'a person enters a cancellation that reached them otherwise';

CREATE OR REPLACE FUNCTION expunge.terminate_account(tenant text, reason text, paid_until date DEFAULT NULL, zone text DEFAULT NULL) RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM expunge.check_text('reason', reason, 500, 'EX210');
	RETURN expunge.open_closure(tenant, 'termination', 'command', paid_until, reason, NULL, zone);
END
$$;
COMMENT ON FUNCTION expunge.terminate_account(text, text, date, text) IS 'a person ends the account of a practice that does not pay; no run ever does';

CREATE OR REPLACE FUNCTION expunge.reactivate_account(tenant text, reason text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM expunge.check_text('tenant', tenant, 200, 'EX201');
	PERFORM expunge.check_text('reason', reason, 500, 'EX210');
	RETURN expunge.end_closure(tenant, reason);
END
$$;
COMMENT ON FUNCTION expunge.reactivate_account(text, text) IS 'a person lets a closing account be active again; false if it was not closing';

CREATE OR REPLACE FUNCTION expunge.waive_export(tenant text, reason text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	c expunge.closure;
BEGIN
	PERFORM expunge.check_text('tenant', tenant, 200, 'EX201');
	c := expunge.lock_closure(tenant);
	IF c.id IS NULL THEN
		RAISE EXCEPTION 'this account is not closing' USING ERRCODE = 'EX414', HINT = 'expunge account list shows those that are';
	END IF;
	IF NOT c.export_needed THEN
		RETURN false;
	END IF;
	UPDATE expunge.closure o SET export_needed = false, export_by = session_user WHERE o.id = c.id;
	PERFORM expunge.log_event('account-no-export-needed', c.tenant, c.id, reason);
	RETURN true;
END
$$;
COMMENT ON FUNCTION expunge.waive_export(text, text) IS 'records that the practice wants no copy of its data; false if that was so already';

CREATE OR REPLACE FUNCTION expunge.record_export(tenant text, made_at timestamptz, sha256 text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	c expunge.closure;
BEGIN
	PERFORM expunge.check_text('tenant', tenant, 200, 'EX201');
	PERFORM expunge.log_event('account-exported', tenant, NULL, sha256);
	c := expunge.lock_closure(tenant);
	IF c.id IS NULL OR c.claimed_at IS NOT NULL THEN
		RETURN false;
	END IF;
	UPDATE expunge.closure o SET exported_at = least(made_at, now()), export_sha256 = sha256, export_by = session_user
	WHERE o.id = c.id AND coalesce(o.exported_at <= made_at, true);
	RETURN true;
END
$$;
COMMENT ON FUNCTION expunge.record_export(text, timestamptz, text) IS
	'the practice''s data was written out in open form, as of then; false if its account is not closing';

-- Four eyes besides the filer's; a plan that has changed since voids what was said of the old one.
CREATE OR REPLACE FUNCTION expunge.approve_closure(tenant text, plan_hash text) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	c expunge.closure;
	p expunge.closure_plan;
BEGIN
	PERFORM expunge.check_text('tenant', tenant, 200, 'EX201');
	IF plan_hash IS NULL OR plan_hash !~ '^sha256:[0-9a-f]{64}$' THEN
		RAISE EXCEPTION 'plan hash is missing or malformed'
			USING ERRCODE = 'EX214', HINT = 'give the hash that expunge account show prints, with its sha256: in front';
	END IF;
	c := expunge.lock_closure(tenant);
	IF c.id IS NULL THEN
		RAISE EXCEPTION 'this account is not closing' USING ERRCODE = 'EX414', HINT = 'expunge account list shows those that are';
	END IF;
	IF c.state NOT IN ('cooling-off', 'due') THEN
		RAISE EXCEPTION 'the account is %: its purge is approved between its last day and its purge', c.state
			USING ERRCODE = 'EX420', HINT = 'expunge account show says when that is';
	END IF;
	IF c.filed_by = session_user THEN
		RAISE EXCEPTION 'this closure was filed by %, who cannot approve it', session_user
			USING ERRCODE = 'EX501', HINT = 'two other authenticated people with the role expunge_approver do';
	END IF;
	SELECT o.* INTO p FROM expunge.closure_plan o WHERE o.closure_id = c.id FOR SHARE;
	IF p.hash IS NULL THEN
		RAISE EXCEPTION 'there is no plan yet' USING ERRCODE = 'EX421', HINT = 'the nightly run makes it, or expunge account plan';
	END IF;
	IF p.hash <> plan_hash THEN
		RAISE EXCEPTION 'the plan of this account has another hash'
			USING ERRCODE = 'EX504', HINT = 'look at the plan that there is now (expunge account show), and approve that one';
	END IF;
	IF p.blockers IS NOT NULL THEN
		RAISE EXCEPTION 'the plan of this account has blockers'
			USING ERRCODE = 'EX505', HINT = 'expunge account show lists them; each wants a person''s decision first';
	END IF;
	INSERT INTO expunge.closure_approval AS a (closure_id, plan_hash) VALUES (c.id, approve_closure.plan_hash)
	ON CONFLICT (closure_id, approved_by) DO UPDATE SET plan_hash = excluded.plan_hash, approved_at = now();
	PERFORM expunge.log_event('account-approved', c.tenant, c.id, plan_hash);
	RETURN expunge.closure_approvers(c.id);
END
$$;
COMMENT ON FUNCTION expunge.approve_closure(text, text) IS 'approves the plan of a purge; returns how many people have: it takes two';

CREATE OR REPLACE FUNCTION expunge.closure_approvers(closure uuid) RETURNS integer
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT count(DISTINCT a.approved_by)::integer
	FROM expunge.closure c
	JOIN expunge.closure_plan p ON p.closure_id = c.id AND p.blockers IS NULL
	JOIN expunge.closure_approval a ON a.closure_id = c.id AND a.plan_hash = p.hash AND a.approved_by <> c.filed_by
	WHERE c.id = closure
$$;
COMMENT ON FUNCTION expunge.closure_approvers(uuid) IS 'how many people have approved the plan that there is now';

-- By letter, by telephone: where mail does not reach a practice, a person does, and says so.
CREATE OR REPLACE FUNCTION expunge.told_otherwise(tenant text, reason text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	c expunge.closure;
BEGIN
	PERFORM expunge.check_text('tenant', tenant, 200, 'EX201');
	PERFORM expunge.check_text('reason', reason, 500, 'EX210');
	c := expunge.lock_closure(tenant);
	IF c.id IS NULL THEN
		RAISE EXCEPTION 'this account is not closing' USING ERRCODE = 'EX414', HINT = 'expunge account list shows those that are';
	END IF;
	UPDATE expunge.closure o SET told_by = session_user, told_at = now() WHERE o.id = c.id;
	PERFORM expunge.log_event('account-told', c.tenant, c.id, reason);
END
$$;
COMMENT ON FUNCTION expunge.told_otherwise(text, text) IS 'a person states that the practice knows when its data goes, although its notices did not all reach it';

-- ---------------------------------------------------------------- what a purge waits for

-- The notices that a rule calls for; those of days before the cooling-off began there are none of.
CREATE OR REPLACE FUNCTION expunge.closure_notices(c expunge.closure) RETURNS TABLE (template text, due_on date)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT 'cancelled', least(c.anchor, expunge.civil_date_in(c.filed_at, c.zone))
	UNION ALL SELECT 'ends', c.anchor
	UNION ALL SELECT 'days-' || d, c.purge_on - d FROM unnest(ARRAY[30, 14, 7, 1]) d WHERE c.purge_on - d > c.anchor
$$;
COMMENT ON FUNCTION expunge.closure_notices(expunge.closure) IS 'which notices a practice gets before its account is purged, and on which civil day';

-- One list for whoever asks why not yet, and for the claim, which refuses while it has a row. asked_at: an instant, so that
-- it can be asked what stands in the way of a later one.
CREATE OR REPLACE FUNCTION expunge.closure_obstacles(closure uuid, asked_at timestamptz DEFAULT now())
	RETURNS TABLE (code text, what text, remedy text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	WITH c AS MATERIALIZED (
		SELECT o AS closure, o.*, p.hash AS plan, p.blockers, i.closure_drill_hours AS hours,
			-- that somebody told it long before says nothing of what it was to be told since
			coalesce(o.told_at >= expunge.start_of_day(o.purge_on - 7, o.zone), false) AS is_told
		FROM expunge.instance i
		JOIN expunge.closure o ON o.id = closure_obstacles.closure
		LEFT JOIN expunge.closure_plan p ON p.closure_id = o.id
	)
	SELECT 'EX521', 'the time of the practice runs until ' || c.purge_on - 1 || ' (' || c.zone || ')', 'wait for that day'
	FROM c WHERE asked_at < c.not_before OR expunge.civil_date_in(asked_at, c.zone) < c.purge_on OR c.state <> 'due'
	UNION ALL SELECT 'EX522', 'it is outside the purge window: ' || w.closed, 'the next night inside the window goes on'
	FROM c, LATERAL expunge.purge_window(c.zone, asked_at) w(closed) WHERE w.closed IS NOT NULL
	UNION ALL SELECT 'EX421', 'there is no plan', 'the nightly run makes it, or expunge account plan' FROM c WHERE c.plan IS NULL
	UNION ALL SELECT 'EX505', 'the plan has blockers', 'expunge account show lists them; each wants a person''s decision first'
	FROM c WHERE c.blockers IS NOT NULL
	UNION ALL SELECT 'EX523', n.n || ' of 2 people have approved the plan that there is', 'two people with the role expunge_approver '
		'approve it: expunge account approve'
	FROM c, LATERAL expunge.closure_approvers(c.id) n(n) WHERE n.n < 2
	UNION ALL SELECT 'EX524', 'the practice has had no export since its last day, and has not said that it needs none',
		'expunge account export, or --not-needed with a reason'
	FROM c WHERE c.export_needed AND (c.exported_at IS NULL OR c.exported_at < expunge.start_of_day(c.anchor + 1, c.zone))
	UNION ALL SELECT 'EX503', 'a hold keeps ' || CASE WHEN bool_or(h.subject IS NULL) THEN 'the practice' ELSE 'one of its patients' END,
		'expunge hold list shows it; a person releases it, or waits'
	FROM c JOIN expunge.hold h ON h.tenant = c.tenant AND h.released_at IS NULL HAVING count(*) > 0
	UNION ALL SELECT 'EX525', 'everything is frozen', 'expunge freeze show says why; expunge freeze off'
	FROM c WHERE EXISTS (SELECT FROM expunge.freeze)
	UNION ALL SELECT 'EX526', 'the application says otherwise: ' || c.disagreement,
		'a person finds out what the practice wants, and puts the application or the closure right' FROM c WHERE c.disagreement IS NOT NULL
	UNION ALL SELECT 'EX527', 'the practice has not been told: ' || string_agg(n.template, ', ' ORDER BY n.due_on),
		'expunge contact add, or expunge account told once somebody has told it otherwise'
	FROM c, LATERAL expunge.closure_notices(c.closure) n
	WHERE NOT c.is_told AND NOT expunge.notice_reached(c.tenant, c.id || '/' || n.template)
	HAVING count(*) > 0
	UNION ALL SELECT 'EX527', 'the practice was not told a week ago or earlier', 'wait, or expunge account told once somebody has told it otherwise'
	FROM c
	WHERE NOT c.is_told AND NOT EXISTS (SELECT FROM expunge.notice_list n WHERE n.tenant = c.tenant AND n.once LIKE c.id || '/%'
		AND n.state = 'sent' AND n.settled_at <= asked_at - interval '7 days')
	UNION ALL SELECT 'EX528', 'no restore has been tried with success within ' || c.hours || ' hours', 'expunge drill, and see why if it fails'
	FROM c LEFT JOIN LATERAL (SELECT e.kind, e.at, e.detail FROM expunge.event e WHERE e.kind IN ('drill-passed', 'drill-failed')
		ORDER BY e.number DESC LIMIT 1) d ON true
	-- one that passed with a remark has tried the keys, and found no archive to open
	WHERE d.kind IS DISTINCT FROM 'drill-passed' OR d.detail IS NOT NULL OR d.at < asked_at - make_interval(hours => c.hours)
	UNION ALL SELECT 'EX528', 'no backup has been made within ' || c.hours || ' hours', 'expunge backup, and see what stands in its way'
	FROM c WHERE NOT EXISTS (SELECT FROM expunge.archive a WHERE a.state = 'complete' AND a.created_at >= asked_at - make_interval(hours => c.hours))
	UNION ALL SELECT 'EX530', 'its rows are neither all sealed nor all in the live database', 'the nightly run goes on with it; expunge account show says what is in its way'
	FROM c JOIN expunge.dormancy d ON d.tenant = c.tenant AND (d.phase = 'waking' OR (d.phase = 'sealed' AND d.n_rows > 0))
	UNION ALL SELECT 'EX529', count(*) || ' erasures of its patients are under way', 'wait until they are certified'
	FROM c JOIN expunge.request r ON r.tenant = c.tenant AND r.state IN ('running', 'removed') HAVING count(*) > 0
$$;
COMMENT ON FUNCTION expunge.closure_obstacles(uuid, timestamptz) IS 'all that stands between a closing account and its purge, with what a person does about each';

-- The point of no return. The caller has read, and locked, what the application says of the subscription in the same
-- transaction; NULL: none is declared. Everything else is read here, behind the locks, by statements that
-- begin after them.
CREATE OR REPLACE FUNCTION expunge.claim_closure(tenant text, run uuid, plan_hash text, subscription text) RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	c expunge.closure;
	o record;
BEGIN
	PERFORM expunge.check_text('tenant', tenant, 200, 'EX201');
	PERFORM expunge.lock_tenant(tenant); -- whoever places a hold waits for us, or we have waited for them
	c := expunge.lock_closure(tenant);
	IF c.id IS NULL THEN
		RAISE EXCEPTION 'this account is not closing' USING ERRCODE = 'EX520', HINT = 'it came back; nothing is to be done';
	END IF;
	IF c.claimed_at IS NOT NULL THEN
		RAISE EXCEPTION 'the purge of this account was claimed before' USING ERRCODE = 'EX420', HINT = 'the run goes on with it';
	END IF;
	PERFORM FROM expunge.closure_plan p WHERE p.closure_id = c.id FOR SHARE;
	IF subscription NOT IN ('closed', 'expired') AND NOT (subscription = 'missing' AND expunge.is_dormant(c.id)) THEN
		RAISE EXCEPTION 'the application says of this account: %', subscription
			USING ERRCODE = 'EX526', HINT = 'it is not purged until a person has found out what the practice wants';
	END IF;
	IF plan_hash IS DISTINCT FROM (SELECT p.hash FROM expunge.closure_plan p WHERE p.closure_id = c.id) THEN
		RAISE EXCEPTION 'the plan of this account has another hash than the run''s'
			USING ERRCODE = 'EX504', HINT = 'it is planned again, and approved again';
	END IF;
	FOR o IN SELECT b.* FROM expunge.closure_obstacles(c.id, clock_timestamp()) b ORDER BY b.code <> 'EX521', b.code LIMIT 1 LOOP
		RAISE EXCEPTION '%', o.what USING ERRCODE = o.code, HINT = o.remedy;
	END LOOP;
	UPDATE expunge.closure u SET state = 'claimed', claimed_at = clock_timestamp(), claimed_run = run, claimed_plan = plan_hash,
		problem = NULL, problem_at = NULL WHERE u.id = c.id;
	PERFORM expunge.count_dormant(c.id);
	RETURN c.id;
END
$$;
COMMENT ON FUNCTION expunge.claim_closure(text, uuid, text, text) IS
	'takes a closing account for its purge, if nothing stands in the way: nothing may be destroyed before this has committed';

-- ---------------------------------------------------------------- each night

CREATE OR REPLACE FUNCTION expunge.advance_closures() RETURNS TABLE (closure uuid, account text, what text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
	-- the zone tables may have changed since; what was promised is the civil day
	RETURN QUERY
		UPDATE expunge.closure c SET not_before = k.not_before, complete_by = k.complete_by
		FROM expunge.closure o, expunge.closure_clock(o.anchor, o.zone, o.days, o.meaning, o.within_days) k
		WHERE c.id = o.id AND o.state IN ('cancelled', 'cooling-off', 'due')
		  AND (o.not_before, o.complete_by) IS DISTINCT FROM (k.not_before, k.complete_by)
		RETURNING c.id, c.tenant, 'the zone''s rules have changed: ' || c.purge_on || ' begins at ' || c.not_before;
	-- how long the stores keep copies is what it is now
	RETURN QUERY
		UPDATE expunge.closure c SET seal_on = s.day, seal_at = expunge.start_of_day(s.day, c.zone)
		FROM expunge.closure o, expunge.instance i, LATERAL (SELECT expunge.seal_day(o.anchor, o.purge_on, o.complete_on, i.store_days)) s(day)
		WHERE c.id = o.id AND o.state IN ('cancelled', 'cooling-off', 'due')
		  AND (o.seal_on, o.seal_at) IS DISTINCT FROM (s.day, expunge.start_of_day(s.day, o.zone))
		RETURNING c.id, c.tenant, coalesce('dormant from ' || c.seal_on || ' on', 'not dormant before its purge') || ', as the stores keep copies now';
	RETURN QUERY
		UPDATE expunge.closure c SET state = 'cooling-off'
		WHERE c.state = 'cancelled' AND expunge.civil_date_in(now(), c.zone) > c.anchor
		RETURNING c.id, c.tenant, 'cooling off until ' || c.purge_on - 1;
	RETURN QUERY
		UPDATE expunge.closure c SET state = 'due' WHERE c.state = 'cooling-off' AND now() >= c.not_before
		RETURNING c.id, c.tenant, 'its purge is due, complete by ' || c.complete_on;
	PERFORM expunge.tell_controller(c.id, n.template)
	FROM expunge.closure c, LATERAL expunge.closure_notices(c) n
	WHERE c.state IN ('cancelled', 'cooling-off', 'due') AND n.due_on <= expunge.civil_date_in(now(), c.zone)
	ORDER BY c.id, n.due_on;
	PERFORM expunge.notice_put('approval-wanted', c.tenant, 'approver', jsonb_build_object('practice', c.tenant, 'closure', c.id,
		'purge_on', c.purge_on, 'complete_by', c.complete_on, 'plan', p.hash, 'rows', p.n_rows, 'approvals', expunge.closure_approvers(c.id)),
		c.id || '/approval-wanted/' || substr(p.hash, 8, 16))
	FROM expunge.closure c JOIN expunge.closure_plan p ON p.closure_id = c.id AND p.blockers IS NULL
	WHERE c.state IN ('cooling-off', 'due') AND c.purge_on - expunge.civil_date_in(now(), c.zone) <= 7
	  AND expunge.closure_approvers(c.id) < 2;
	-- a practice that cannot be reached is a person's task
	PERFORM expunge.notice_put('purge-paused', c.tenant, 'operator', jsonb_build_object('practice', c.tenant, 'closure', c.id,
		'purge_on', c.purge_on, 'complete_by', c.complete_on, 'cause', o.what), c.id || '/purge-paused')
	FROM expunge.closure c, LATERAL expunge.closure_obstacles(c.id) o
	WHERE c.state = 'due' AND o.code = 'EX527';
END
$$;
COMMENT ON FUNCTION expunge.advance_closures() IS 'what the passing of days changes: instants, states and notices; returns what a person would want to read';

-- Never guessed: where the two sides say different things, that is written down, and nothing is purged meanwhile.
CREATE OR REPLACE FUNCTION expunge.reconcile_account(tenant text, says text, cancelled_at timestamptz, paid_until date, reason text, zone text)
	RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	c    expunge.closure;
	last expunge.closure;
	differs text;
	code text;
BEGIN
	c := expunge.lock_closure(tenant);
	IF c.id IS NULL THEN
		IF says NOT IN ('closed', 'expired') THEN
			RETURN CASE says WHEN 'unknown' THEN 'disagrees: the status of its subscription is none that is declared'
				WHEN 'several' THEN 'disagrees: it has several subscriptions of this account' END;
		END IF;
		SELECT o.* INTO last FROM expunge.closure o WHERE o.tenant = reconcile_account.tenant ORDER BY o.filed_at DESC, o.id LIMIT 1;
		IF last.state = 'certified' AND (cancelled_at IS NULL OR cancelled_at <= last.certified_at) THEN
			RETURN NULL; -- purged; its row of the application's table tells that it was there
		END IF;
		IF last.state = 'reactivated' AND (cancelled_at IS NULL OR cancelled_at <= last.ended_at) THEN
			RETURN 'disagrees: it was reactivated here, and the application has not taken its cancellation back';
		END IF;
		PERFORM expunge.open_closure(tenant, CASE says WHEN 'expired' THEN 'expiry' ELSE 'cancellation' END, 'application', paid_until,
			left(nullif(btrim(reason), ''), 500), NULL, zone);
		RETURN 'cancelled';
	END IF;
	IF c.claimed_at IS NOT NULL THEN
		RETURN NULL;
	END IF;
	differs := CASE
		WHEN says = 'open' AND c.source = 'application' THEN NULL
		WHEN says = 'open' THEN 'it has an active subscription, and was closed by ' || c.source
		-- its rows are sealed, and this one perhaps among them
		WHEN says = 'missing' AND expunge.is_dormant(c.id) THEN NULL
		WHEN says = 'missing' THEN 'it has no subscription of this account'
		WHEN says = 'several' THEN 'it has several subscriptions of this account'
		WHEN says NOT IN ('closed', 'expired') THEN 'the status of its subscription is none that is declared'
		WHEN paid_until > c.anchor THEN 'it is paid until ' || paid_until || ', and the closing counts from ' || c.anchor
	END;
	IF says = 'open' AND differs IS NULL THEN
		PERFORM expunge.end_closure(tenant, NULL);
		RETURN 'reactivated';
	END IF;
	UPDATE expunge.closure o SET disagreement = differs WHERE o.id = c.id AND o.disagreement IS DISTINCT FROM differs;
	RETURN 'disagrees: ' || differs;
EXCEPTION WHEN OTHERS THEN -- one account never stops the rest
	GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE;
	RETURN 'failed: ' || code;
END
$$;
COMMENT ON FUNCTION expunge.reconcile_account(text, text, timestamptz, date, text, text) IS
	'compares what the application says of a subscription (open, closed, expired, missing, several, unknown) with the closing of the account: NULL, or what came of it';

-- ---------------------------------------------------------------- to look at

DROP VIEW IF EXISTS expunge.account_list;
CREATE VIEW expunge.account_list AS
	SELECT c.tenant, c.id, c.state, c.trigger, c.source, c.filed_by, c.filed_at, c.anchor AS last_day,
		CASE WHEN c.state IN ('cancelled', 'cooling-off', 'due') THEN greatest(t.today - c.anchor, 0) END AS day, c.days,
		c.purge_on, c.complete_on, c.zone, c.seal_on, c.seal_at,
		c.state NOT IN ('certified', 'reactivated') AND now() >= c.complete_by AS late,
		p.hash AS plan, p.n_rows, p.n_subjects, p.blockers,
		(SELECT string_agg(a.approved_by, ', ' ORDER BY a.approved_at) FROM expunge.closure_approval a
			WHERE a.closure_id = c.id AND a.plan_hash = p.hash) AS approved_by,
		CASE WHEN NOT c.export_needed THEN 'not needed' ELSE coalesce(c.exported_at::text, 'none') END AS export,
		c.claimed_at, c.certified_at, c.final_at,
		c.state NOT IN ('certified', 'reactivated') OR coalesce(d.phase = 'waking', false) AS open,
		CASE WHEN c.state IN ('cancelled', 'cooling-off', 'due') THEN
			(SELECT string_agg(o.what, '; ' ORDER BY o.code <> 'EX521', o.code) FROM expunge.closure_obstacles(c.id) o
				WHERE c.state = 'due' OR o.code NOT IN ('EX522', 'EX528'))
		ELSE c.problem END AS waits_for,
		d.phase AS dormancy, d.dormant_at, d.n_rows AS sealed_rows,
		CASE WHEN d.phase = 'waking' THEN 'its rows are sealed and not loaded yet' || coalesce(': ' || d.problem, '')
			WHEN d.problem IS NOT NULL THEN d.problem END AS dormancy_problem
	FROM expunge.closure c
	LEFT JOIN expunge.dormancy d ON d.closure_id = c.id
	LEFT JOIN expunge.closure_plan p ON p.closure_id = c.id
	CROSS JOIN LATERAL (SELECT expunge.civil_date_in(now(), c.zone)) t(today);
COMMENT ON VIEW expunge.account_list IS 'every closing and closed account: day n of so many, its purge date in the practice''s zone, and what it waits for';

CREATE OR REPLACE VIEW expunge.status_account AS
	SELECT count(*) FILTER (WHERE c.state IN ('cancelled', 'cooling-off', 'due')) AS closing,
		count(*) FILTER (WHERE c.state = 'due') AS due,
		count(*) FILTER (WHERE c.state IN ('claimed', 'removed', 'shredded')) AS under_way,
		count(*) FILTER (WHERE now() >= c.complete_by) AS overdue,
		count(*) FILTER (WHERE c.disagreement IS NOT NULL) AS disagreeing,
		count(*) FILTER (WHERE c.problem IS NOT NULL) AS failed,
		count(*) FILTER (WHERE d.phase = 'dormant') AS dormant,
		-- a night has had its chance
		count(*) FILTER (WHERE c.state IN ('cooling-off', 'due') AND now() >= c.seal_at + interval '1 day' AND d.phase IS DISTINCT FROM 'dormant') AS unsealed,
		(SELECT count(*) FROM expunge.dormancy w WHERE w.phase = 'waking') AS waking
	FROM expunge.closure c LEFT JOIN expunge.dormancy d ON d.closure_id = c.id
	WHERE c.state NOT IN ('certified', 'reactivated');
COMMENT ON VIEW expunge.status_account IS 'one row of counts: accounts that are closing, due, being purged, past their day, disagreed about, whose purge failed, that are dormant, should be, and that came back and whose rows did not';

RESET ROLE;

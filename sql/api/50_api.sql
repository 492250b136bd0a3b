-- What an application calls: schema expunge_api, members of expunge_intake only. Nothing here can
-- delete a row of the application. The SQLSTATEs are listed in 20_check.sql.
-- Applied by every `expunge init`; idempotent.

SET LOCAL ROLE expunge_owner;

CREATE OR REPLACE FUNCTION expunge.check_receipt(received_at timestamptz) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF received_at > now() + interval '5 minutes' THEN -- the application's clock may be a little ahead
		RAISE EXCEPTION 'received_at is in the future'
			USING ERRCODE = 'EX206', HINT = 'give the time at which the request reached the practice';
	END IF;
	IF received_at < now() - interval '90 days' THEN
		RAISE EXCEPTION 'received_at is more than 90 days ago'
			USING ERRCODE = 'EX207', HINT = 'check the date; an older request is long overdue: file it as received today and tell the DPO';
	END IF;
END
$$;
COMMENT ON FUNCTION expunge.check_receipt(timestamptz) IS 'refuses a receipt in the future or more than 90 days ago';

CREATE OR REPLACE FUNCTION expunge.check_request(subject text, ground text, channel text, requested_by text, idempotency_key text) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM expunge.check_text('subject', subject, 200, 'EX202');
	IF ground IS NULL OR ground !~ '^17-1-[a-g]$' THEN
		RAISE EXCEPTION 'unknown ground' USING ERRCODE = 'EX203', HINT = '17-1-a to 17-1-g, also written 17(1)(a) to 17(1)(g)';
	END IF;
	IF channel IS NULL OR length(channel) > 40 OR channel !~ '^[a-z][a-z0-9-]*$' THEN
		RAISE EXCEPTION 'channel is missing or malformed'
			USING ERRCODE = 'EX204', HINT = 'a word of lower case letters, digits and hyphens, such as portal, email, letter or in-person';
	END IF;
	IF requested_by IS NOT NULL THEN
		PERFORM expunge.check_text('requested_by', requested_by, 200, 'EX205');
	END IF;
	IF idempotency_key IS NOT NULL THEN
		PERFORM expunge.check_text('idempotency_key', idempotency_key, 200, 'EX208');
	END IF;
END
$$;
COMMENT ON FUNCTION expunge.check_request(text, text, text, text, text) IS 'the checks of request_erasure''s texts';

CREATE OR REPLACE FUNCTION expunge.check_open(tenant text, subject text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	other uuid := (SELECT q.id FROM expunge.request q WHERE q.tenant = check_open.tenant AND q.subject = check_open.subject
		AND q.state NOT IN ('certified', 'refused', 'withdrawn'));
BEGIN
	IF other IS NOT NULL THEN
		RAISE EXCEPTION 'request % for this subject is open', other
			USING ERRCODE = 'EX412', HINT = 'one request at a time: follow that one; its time runs from the first receipt';
	END IF;
END
$$;
COMMENT ON FUNCTION expunge.check_open(text, text) IS 'refuses a second request for a subject whose first one is open';

CREATE OR REPLACE FUNCTION expunge_api.request_erasure(tenant text, subject text, ground text, channel text DEFAULT 'api',
	requested_by text DEFAULT NULL, received_at timestamptz DEFAULT NULL, idempotency_key text DEFAULT NULL) RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	cited  text := expunge.article(ground);
	asker  text := nullif(requested_by, '');
	since  timestamptz := coalesce(received_at, now());
	result uuid;
BEGIN
	PERFORM expunge.check_own_tenant(tenant);
	PERFORM expunge.check_request(subject, cited, channel, asker, idempotency_key);
	PERFORM expunge.instance_zone();
	-- the key first: a repetition of what was filed long ago is not a receipt of long ago
	IF idempotency_key IS NOT NULL THEN
		result := expunge.same_request(tenant, subject, cited, channel, asker, received_at, idempotency_key);
		IF result IS NOT NULL THEN
			RETURN result;
		END IF;
	END IF;
	PERFORM expunge.check_receipt(since);
	PERFORM expunge.check_open(tenant, subject);
	-- the due date is provisional: identification fixes it
	INSERT INTO expunge.request AS r (tenant, subject, ground, channel, requested_by, received_at, idempotency_key, due_on)
	SELECT request_erasure.tenant, request_erasure.subject, cited, request_erasure.channel, asker, since,
		request_erasure.idempotency_key, expunge.due_date(expunge.civil_date(since), i.calendar, 1)
	FROM expunge.instance i
	ON CONFLICT DO NOTHING
	RETURNING r.id INTO result;
	IF result IS NULL THEN -- another session filed it while we waited for its commit
		result := expunge.same_request(tenant, subject, cited, channel, asker, received_at, idempotency_key);
	END IF;
	IF result IS NULL THEN
		PERFORM expunge.check_open(tenant, subject);
	END IF;
	RETURN result;
END
$$;
COMMENT ON FUNCTION expunge_api.request_erasure(text, text, text, text, text, timestamptz, text) IS
	'files the request of a data subject of one of the caller''s tenants; the same idempotency_key with the same arguments returns the same id';

CREATE OR REPLACE FUNCTION expunge.same_request(tenant text, subject text, ground text, channel text, requested_by text,
	received_at timestamptz, idempotency_key text) RETURNS uuid
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	r expunge.request;
BEGIN
	SELECT q.* INTO r FROM expunge.request q
	WHERE q.tenant = same_request.tenant AND q.idempotency_key = same_request.idempotency_key;
	IF r.id IS NULL THEN
		RETURN NULL;
	END IF;
	-- a certified request no longer knows its subject: it might be another one, whose request would be lost;
	-- a receipt left out is "now" and differs each time
	IF r.subject IS DISTINCT FROM same_request.subject OR r.ground <> same_request.ground
		OR r.channel <> same_request.channel OR r.requested_by IS DISTINCT FROM same_request.requested_by
		OR r.received_at <> same_request.received_at
	THEN
		RAISE EXCEPTION 'this idempotency_key belongs to another request'
			USING ERRCODE = 'EX410', HINT = 'use a new key for each request, and repeat one only with the same arguments';
	END IF;
	RETURN r.id;
END
$$;
COMMENT ON FUNCTION expunge.same_request(text, text, text, text, text, timestamptz, text) IS
	'the request that was filed with this key, if its arguments were the same';

CREATE OR REPLACE FUNCTION expunge.own_request(request uuid) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF request IS NULL THEN
		RAISE EXCEPTION 'request id is missing' USING ERRCODE = 'EX217', HINT = 'give the id that request_erasure returned';
	END IF;
	IF NOT EXISTS (SELECT FROM expunge.request r WHERE r.id = request AND r.tenant = ANY (expunge.session_tenants())) THEN
		PERFORM expunge.no_request(request);
	END IF;
END
$$;
COMMENT ON FUNCTION expunge.own_request(uuid) IS 'refuses a request that is not of the caller''s tenants as if it did not exist';

CREATE OR REPLACE FUNCTION expunge_api.withdraw_request(request uuid) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM expunge.own_request(request);
	RETURN expunge.withdraw_request(request);
END
$$;
COMMENT ON FUNCTION expunge_api.withdraw_request(uuid) IS
	'takes a request back until its removal begins; false if that was done before';

CREATE OR REPLACE FUNCTION expunge_api.place_hold(tenant text, subject text, kind text, reason text, review_on date) RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM expunge.check_own_tenant(tenant);
	PERFORM expunge.check_text('subject', subject, 200, 'EX202'); -- a whole tenant is held by an operator
	RETURN (SELECT h.id FROM expunge.place_hold(tenant, subject, kind, reason, review_on) h);
END
$$;
COMMENT ON FUNCTION expunge_api.place_hold(text, text, text, text, date) IS
	'keeps a subject from being erased until an operator or the DPO releases the hold; a WARNING says if rows had gone before';

CREATE OR REPLACE FUNCTION expunge_api.collect_opening(request uuid,
	OUT instance uuid, OUT tenant text, OUT subject text, OUT salt text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM expunge.own_request(request);
	DELETE FROM expunge.opening o WHERE o.request_id = request AND o.expires_at > now()
	RETURNING o.tenant, o.subject, o.salt INTO tenant, subject, salt;
	IF salt IS NULL THEN
		RAISE EXCEPTION 'request % has no opening to collect', request
			USING ERRCODE = 'EX425', HINT = 'it is there from the certificate until it is collected once or expires';
	END IF;
	instance := (SELECT i.id FROM expunge.instance i);
	PERFORM expunge.log_event('opening-collected', tenant, request, NULL);
END
$$;
COMMENT ON FUNCTION expunge_api.collect_opening(uuid) IS
	'hands out, once, what proves whose certificate it is: the parts of subject-ref; then forgets it';

CREATE OR REPLACE FUNCTION expunge_api.certificate_note(request uuid) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	result text;
BEGIN
	PERFORM expunge.own_request(request);
	SELECT c.note INTO result FROM expunge.certificate c WHERE c.request_id = request ORDER BY c.serial DESC LIMIT 1;
	IF result IS NULL THEN
		RAISE EXCEPTION 'request % has no certificate yet', request
			USING ERRCODE = 'EX426', HINT = 'expunge_api.request_status shows its state';
	END IF;
	RETURN result;
END
$$;
COMMENT ON FUNCTION expunge_api.certificate_note(uuid) IS 'the signed certificate of a request, the newest one';

-- security_barrier: a function that a caller puts into its WHERE sees none of the rows left out here.
CREATE OR REPLACE VIEW expunge_api.request_status WITH (security_barrier) AS
	SELECT r.id, r.tenant, r.state, r.reason, r.ground, r.received_at, r.due_on,
		CASE WHEN r.state NOT IN ('certified', 'refused', 'withdrawn')
			THEN r.due_on - expunge.civil_date(now()) END AS days_left,
		r.not_before,
		(SELECT max(c.serial) FROM expunge.certificate c WHERE c.request_id = r.id) AS certificate_serial
	FROM expunge.request r
	WHERE r.tenant = ANY ((SELECT expunge.session_tenants())::text[]);
COMMENT ON VIEW expunge_api.request_status IS 'the requests of the caller''s tenants';

RESET ROLE;

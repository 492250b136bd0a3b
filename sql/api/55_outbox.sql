-- Contacts and notices. Applied by every `expunge init`; idempotent. The SQLSTATEs are listed in 20_check.sql.

SET LOCAL ROLE expunge_owner;

-- ---------------------------------------------------------------- contacts

-- Plain addresses of the Internet, in ASCII: nothing that a mail header or an SMTP command could take for something else.
CREATE OR REPLACE FUNCTION expunge.check_address(address text) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF address IS NULL OR length(address) > 254 OR length(split_part(address, '@', 1)) > 64 OR address COLLATE "C" !~
		'^[A-Za-z0-9!#$%&''*+/=?^_{|}~-]+([.][A-Za-z0-9!#$%&''*+/=?^_{|}~-]+)*@[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?([.][A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$'
	THEN
		RAISE EXCEPTION 'e-mail address is missing or malformed'
			USING ERRCODE = 'EX234', HINT = 'one plain address such as manager@practice.example, without a name or angle brackets';
	END IF;
END
$$;
COMMENT ON FUNCTION expunge.check_address(text) IS 'refuses what is not one plain e-mail address';

CREATE OR REPLACE FUNCTION expunge.check_audience(audience text, tenant text) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF audience IS NULL OR audience NOT IN ('controller', 'dpo', 'operator', 'approver') THEN
		RAISE EXCEPTION 'unknown audience' USING ERRCODE = 'EX231', HINT = 'controller, dpo, operator or approver';
	END IF;
	IF tenant IS NOT NULL OR audience = 'controller' THEN
		PERFORM expunge.check_text('tenant', tenant, 200, 'EX201');
	END IF;
END
$$;
COMMENT ON FUNCTION expunge.check_audience(text, text) IS 'refuses an unknown audience, and controllers of no tenant';

-- Up to 20 for one audience of one tenant: whoever can add contacts can make us send.
CREATE OR REPLACE FUNCTION expunge.add_contact(tenant text, audience text, address text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	added bigint;
BEGIN
	PERFORM expunge.check_audience(audience, tenant);
	IF audience = 'operator' AND tenant IS NOT NULL THEN
		RAISE EXCEPTION 'operators are not a tenant''s' USING ERRCODE = 'EX231', HINT = 'leave the tenant out';
	END IF;
	PERFORM expunge.check_address(address);
	PERFORM pg_advisory_xact_lock(hashtextextended('expunge/contact/' || coalesce(tenant, ''), 0));
	INSERT INTO expunge.contact AS c (tenant, audience, address) VALUES (add_contact.tenant, add_contact.audience, add_contact.address)
	ON CONFLICT DO NOTHING RETURNING c.id INTO added;
	IF added IS NULL THEN
		RETURN false;
	END IF;
	IF (SELECT count(*) FROM expunge.contact c WHERE c.audience = add_contact.audience AND c.tenant IS NOT DISTINCT FROM add_contact.tenant) > 20 THEN
		RAISE EXCEPTION 'there are 20 contacts of this kind already' USING ERRCODE = 'EX235', HINT = 'remove one first';
	END IF;
	PERFORM expunge.log_event('contact-added', tenant, NULL, audience || ' ' || added);
	RETURN true;
END
$$;
COMMENT ON FUNCTION expunge.add_contact(text, text, text) IS
	'from now on notices for this audience go to the address as well; without a tenant, those of every tenant; false if that was so already';

CREATE OR REPLACE FUNCTION expunge.remove_contact(tenant text, audience text, address text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	removed bigint;
BEGIN
	PERFORM expunge.check_audience(audience, tenant);
	DELETE FROM expunge.contact c
	WHERE c.audience = remove_contact.audience AND lower(c.address) = lower(remove_contact.address)
		AND c.tenant IS NOT DISTINCT FROM remove_contact.tenant
	RETURNING c.id INTO removed;
	IF removed IS NULL THEN
		RETURN false;
	END IF;
	PERFORM expunge.log_event('contact-removed', tenant, NULL, audience || ' ' || removed);
	RETURN true;
END
$$;
COMMENT ON FUNCTION expunge.remove_contact(text, text, text) IS
	'no new notices go to the address; those that are queued still do; false if it was not a contact';

CREATE OR REPLACE FUNCTION expunge_api.set_contact(tenant text, address text, present boolean DEFAULT true) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM expunge.check_own_tenant(tenant);
	IF present THEN
		RETURN expunge.add_contact(tenant, 'controller', address);
	END IF;
	RETURN expunge.remove_contact(tenant, 'controller', address);
END
$$;
COMMENT ON FUNCTION expunge_api.set_contact(text, text, boolean) IS
	'notices about one of the caller''s tenants go to this address, or, with present = false, no longer; true if that changed something';

-- ---------------------------------------------------------------- notices

-- Names are those of placeholders; values are scalars, short, and such as a mail can show.
CREATE OR REPLACE FUNCTION expunge.check_facts(facts jsonb) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	f record;
BEGIN
	IF facts IS NULL OR jsonb_typeof(facts) <> 'object' OR length(facts::text) > 8000 THEN
		RAISE EXCEPTION 'facts are missing, no object or too long' USING ERRCODE = 'EX232', HINT = 'a JSON object of ids, dates and counts';
	END IF;
	FOR f IN SELECT e.key, e.value, e.value #>> '{}' AS shown FROM jsonb_each(facts) e LOOP
		IF f.key !~ '^[a-z][a-z0-9_]{0,39}$' THEN
			RAISE EXCEPTION 'a fact''s name is malformed' USING ERRCODE = 'EX232', HINT = 'lower case letters, digits and underscores';
		END IF;
		IF jsonb_typeof(f.value) NOT IN ('string', 'number', 'boolean') THEN
			RAISE EXCEPTION 'fact % is not one value', f.key USING ERRCODE = 'EX232', HINT = 'a string, a number or a boolean';
		END IF;
		IF f.shown <> '' THEN
			PERFORM expunge.check_text('fact ' || f.key, f.shown, 500, 'EX232');
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION expunge.check_facts(jsonb) IS 'refuses facts that no template could show';

CREATE OR REPLACE FUNCTION expunge.notice_id(tenant text, once text, address text) RETURNS uuid
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT left(encode(sha256(convert_to(jsonb_build_array(i.id, tenant, once, lower(address))::text, 'UTF8')), 'hex'), 32)::uuid
	FROM expunge.instance i
$$;
COMMENT ON FUNCTION expunge.notice_id(text, text, text) IS 'the id of what is told to an address: the same each time it is put';

-- In the caller's transaction: the notice is there when what it tells of has happened, and not otherwise.
CREATE OR REPLACE FUNCTION expunge.notice_put(template text, tenant text, audience text, facts jsonb, once text) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	n    integer;
	what text := concat_ws(' ', template, audience, once);
BEGIN
	IF template IS NULL OR template !~ '^[a-z][a-z0-9-]{0,39}$' THEN
		RAISE EXCEPTION 'template is missing or malformed' USING ERRCODE = 'EX230', HINT = 'the name of a file of notices.directory, without .txt';
	END IF;
	PERFORM expunge.check_audience(audience, tenant);
	PERFORM expunge.check_facts(facts);
	PERFORM expunge.check_text('once', once, 200, 'EX233');
	PERFORM expunge.instance_zone();

	INSERT INTO expunge.outbox (id, template, tenant, audience, address, facts, once)
	SELECT DISTINCT ON (expunge.notice_id(notice_put.tenant, notice_put.once, c.address))
		expunge.notice_id(notice_put.tenant, notice_put.once, c.address), notice_put.template, notice_put.tenant,
		notice_put.audience, c.address, notice_put.facts, notice_put.once
	FROM expunge.contact c
	WHERE c.audience = notice_put.audience AND (c.tenant IS NULL OR c.tenant = notice_put.tenant)
	ON CONFLICT (id) DO NOTHING;
	GET DIAGNOSTICS n = ROW_COUNT;
	IF n = 0 AND NOT EXISTS (SELECT FROM expunge.contact c
			WHERE c.audience = notice_put.audience AND (c.tenant IS NULL OR c.tenant = notice_put.tenant))
		AND NOT EXISTS (SELECT FROM expunge.event e
			WHERE e.kind = 'notice-without-contact' AND e.detail = what AND e.tenant IS NOT DISTINCT FROM notice_put.tenant)
	THEN
		PERFORM expunge.log_event('notice-without-contact', tenant, NULL, what);
	END IF;
	RETURN n;
END
$$;
COMMENT ON FUNCTION expunge.notice_put(text, text, text, jsonb, text) IS
	'queues a notice for each address of an audience that has not had one of this once yet, and returns how many; 0 with an event notice-without-contact when there is no address';

CREATE OR REPLACE VIEW expunge.notice_list AS
	SELECT o.id, o.template, o.tenant, o.audience, o.once, o.state, o.attempts, o.last_code, o.queued_at, o.next_at, o.settled_at,
		o.state = 'queued' AND o.since < now() - interval '1 day' AS late, o.message_id
	FROM expunge.outbox o;
COMMENT ON VIEW expunge.notice_list IS 'the notices and what became of them, without addresses';

-- unreached: bounced everywhere it went; a person makes a new contact, or tells them by other means
CREATE OR REPLACE VIEW expunge.status_notice AS
	SELECT count(*) FILTER (WHERE n.state = 'queued') AS queued,
		count(*) FILTER (WHERE n.late) AS late,
		count(*) FILTER (WHERE n.state = 'bounced' AND n.settled_at > now() - interval '30 days') AS bounced,
		count(*) FILTER (WHERE n.state = 'given-up' AND n.settled_at > now() - interval '30 days') AS given_up,
		(SELECT count(*) FROM (SELECT FROM expunge.outbox o GROUP BY o.tenant, o.once
			HAVING bool_and(o.state IN ('bounced', 'given-up')) AND max(o.settled_at) > now() - interval '30 days') u) AS unreached,
		count(*) FILTER (WHERE n.state = 'sent') AS sent,
		max(n.settled_at) FILTER (WHERE n.state = 'sent') AS last_sent
	FROM expunge.notice_list n;
COMMENT ON VIEW expunge.status_notice IS 'one row: notices that wait, wait for longer than a day, were refused or given up in the last 30 days, reached nobody, were sent';

CREATE OR REPLACE FUNCTION expunge.notice_bounced_all(tenant text, once text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT coalesce(bool_and(o.state IN ('bounced', 'given-up')), false)
	FROM expunge.outbox o
	WHERE o.tenant IS NOT DISTINCT FROM notice_bounced_all.tenant AND o.once = notice_bounced_all.once
$$;
COMMENT ON FUNCTION expunge.notice_bounced_all(text, text) IS
	'whether a notice was put and has reached nobody: every address refused it, or it was given up. A new contact, and the notice put again, make it false';

CREATE OR REPLACE FUNCTION expunge.notice_reached(tenant text, once text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT coalesce(bool_or(o.state = 'sent'), false)
	FROM expunge.outbox o
	WHERE o.tenant IS NOT DISTINCT FROM notice_reached.tenant AND o.once = notice_reached.once
$$;
COMMENT ON FUNCTION expunge.notice_reached(text, text) IS 'whether a mail server has taken a notice for one address at least';

-- ---------------------------------------------------------------- what a person says of a notice

CREATE OR REPLACE FUNCTION expunge.bounce_notice(notice uuid) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	UPDATE expunge.outbox o SET state = 'bounced', last_code = 'stated', settled_at = now()
	WHERE o.id = bounce_notice.notice AND o.state = 'sent';
	IF NOT FOUND THEN
		RAISE EXCEPTION 'no notice % that was sent', notice USING ERRCODE = 'EX404', HINT = 'expunge notify --list shows them';
	END IF;
END
$$;
COMMENT ON FUNCTION expunge.bounce_notice(uuid) IS 'a mail server took it, and later sent it back';

CREATE OR REPLACE FUNCTION expunge.retry_notice(notice uuid) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	UPDATE expunge.outbox o SET state = 'queued', settled_at = NULL, attempts = 0, since = now(), next_at = now()
	WHERE o.id = retry_notice.notice AND o.state <> 'sent' AND o.address IS NOT NULL;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'no notice % that could be sent again', notice
			USING ERRCODE = 'EX404', HINT = 'one that is sent, or so old that its address is forgotten, is not; expunge notify --list shows them';
	END IF;
END
$$;
COMMENT ON FUNCTION expunge.retry_notice(uuid) IS 'has a notice tried again that bounced or was given up, or one that waits, at once';

CREATE OR REPLACE FUNCTION expunge.forget_notices(keep_days integer) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	n bigint;
BEGIN
	UPDATE expunge.outbox o SET address = NULL, facts = '{}'
	WHERE o.settled_at < now() - make_interval(days => greatest(keep_days, 1)) AND o.address IS NOT NULL;
	GET DIAGNOSTICS n = ROW_COUNT;
	RETURN n;
END
$$;
COMMENT ON FUNCTION expunge.forget_notices(integer) IS 'addresses and facts of notices that were settled so many days ago go; that they were sent, and when, stays';

RESET ROLE;

-- Checks and small steps that the functions of the next files share. Not granted to anybody.
-- Applied by every `expunge init`; idempotent.
--
-- SQLSTATEs of Expunge. A refusal never quotes a value that was handed in.
--   EX2xx bad argument
--     EX201 tenant                 EX202 subject               EX203 ground
--     EX204 channel                EX205 requested_by          EX206 received_at in the future
--     EX207 received_at too old    EX208 idempotency key       EX209 kind of hold
--     EX210 reason                 EX211 review date           EX212 decision
--     EX213 basis                  EX214 plan hash             EX215 calendar
--     EX216 date out of range      EX217 id missing            EX218 time of identification
--     EX219 denied action or code   EX220 store
--     EX221 time zone              EX222 last paid day
--     EX230 template               EX231 audience              EX232 facts of a notice
--     EX233 once key               EX234 e-mail address        EX235 too many contacts
--   EX4xx wrong state, not found, not yours
--     EX401 not your tenant        EX404 no such request or hold (or not of your tenants)
--     EX409 busy, try again        EX410 idempotency key used for another request
--     EX411 not initialised        EX412 a request for this subject is open
--     EX420 wrong state for this  EX421 no plan yet
--     EX422 too late to withdraw   EX423 too late to extend    EX424 extended before
--     EX425 no opening to collect  EX426 no certificate yet    EX427 hold released before
--     EX430 no such transition     EX431 events are append-only
--     EX432 transition not a run's EX433 no such recipient
--     EX413 account is closing     EX414 account is not closing
--     EX415 too late to come back  EX416 no rule for this closing
--   EX5xx refused by a safeguard
--     EX501 filer = approver       EX503 under hold            EX504 plan hash differs
--     EX508 no adoption            EX509 replays are open      EX510 another certificate
--     EX511 journal lacks rows     EX512 another one is open   EX513 erased before the restore
--     EX505 plan has blockers      EX507 a role with attributes that bypass safeguards
--     EX520 it came back           EX521 time not over             EX522 outside the purge window
--     EX523 approvals missing      EX524 no export                 EX525 frozen
--     EX526 application disagrees  EX527 practice not told         EX528 no restore tried
--     EX529 an erasure under way   EX530 neither sealed nor live
--   EX7xx support mode
--     EX701 ticket                 EX702 scope                 EX703 end of a consent
--     EX704 staff                  EX705 subject and scope     EX706 not what was asked for
--     EX707 activity
--     EX720 no consent             EX721 to another ticket     EX722 to other staff
--     EX723 another scope, record  EX724 consent has ended     EX725 consent was revoked
--     EX726 a session is open      EX727 the session is over   EX728 the request has lapsed
--     EX729 answered before        EX730 such a consent is in force
--     EX731 not a member of staff  EX732 no overrides here     EX733 the same person
--     EX740 there before           EX741 no such subject       EX742 registered before
--     EX743 scope of the session   EX744 under an override     EX745 no support group in the map
--     EX746 waits for no decision

SET LOCAL ROLE expunge_owner;

-- Control characters, and those that reorder or hide text on a screen (zero-width, bidirectional).
-- The regular expression is put together without a backslash, which generators of C strings mangle.
CREATE OR REPLACE FUNCTION expunge.check_text(what text, value text, longest integer, code text) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	unprintable text := replace('[@u0001-@u001f@u007f-@u009f@u200b@u200e@u200f@u2028-@u202e@u2060-@u2069@ufeff]', '@', chr(92));
BEGIN
	IF value IS NULL OR value = '' THEN
		RAISE EXCEPTION '% is missing', what USING ERRCODE = code, HINT = format('give a %s of 1 to %s characters', what, longest);
	END IF;
	IF length(value) > longest THEN
		RAISE EXCEPTION '% is too long', what USING ERRCODE = code, HINT = format('at most %s characters', longest);
	END IF;
	IF value COLLATE "C" ~ unprintable THEN
		RAISE EXCEPTION '% has characters that cannot be shown', what
			USING ERRCODE = code, HINT = 'remove control, zero-width and text direction characters';
	END IF;
	IF btrim(value) = '' THEN
		RAISE EXCEPTION '% is blank', what USING ERRCODE = code, HINT = format('give a %s of 1 to %s characters', what, longest);
	END IF;
END
$$;
COMMENT ON FUNCTION expunge.check_text(text, text, integer, text) IS 'refuses a text that is missing, blank, too long or not printable';

-- '17(1)(b)', 'UK-GDPR-17(1)(b)' and '17-1-b' are one ground.
CREATE OR REPLACE FUNCTION expunge.article(cited text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT CASE WHEN length(cited) <= 40 THEN
		regexp_replace(
			regexp_replace(lower(cited), '^(?:uk-gdpr-)?([0-9]+)[(]([0-9]+)[)][(]([a-z])[)]$', replace('@1-@2-@3', '@', chr(92))),
			'^(?:uk-gdpr-)?([0-9]+)[(]([0-9]+)[)]$', replace('@1-@2', '@', chr(92)))
	END
$$;
COMMENT ON FUNCTION expunge.article(text) IS 'a cited article in the form in which it is stored: 17-1-b';

CREATE OR REPLACE FUNCTION expunge.check_own_tenant(tenant text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM expunge.check_text('tenant', tenant, 200, 'EX201');
	IF NOT tenant = ANY (expunge.session_tenants()) THEN
		RAISE EXCEPTION 'login % does not speak for this tenant', session_user
			USING ERRCODE = 'EX401',
			HINT = 'an administrator maps logins in expunge.tenant_login; one mapped to * names the tenant with SET expunge.tenant';
	END IF;
END
$$;
COMMENT ON FUNCTION expunge.check_own_tenant(text) IS 'refuses a tenant that the authenticated login does not speak for';

CREATE OR REPLACE FUNCTION expunge.log_event(kind text, tenant text, request_id uuid, detail text) RETURNS void
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
	INSERT INTO expunge.event (kind, tenant, request_id, detail) VALUES (kind, tenant, request_id, detail)
$$;
COMMENT ON FUNCTION expunge.log_event(text, text, uuid, text) IS 'writes one event; codes and ids, never values';

CREATE OR REPLACE FUNCTION expunge.no_request(id uuid) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RAISE EXCEPTION 'no request %', id
		USING ERRCODE = 'EX404', HINT = 'a request of another tenant is not shown; list the ones there are';
END
$$;
COMMENT ON FUNCTION expunge.no_request(uuid) IS 'refuses an unknown request; a foreign one is answered alike';

CREATE OR REPLACE FUNCTION expunge.lock_request(request uuid) RETURNS expunge.request
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET lock_timeout = '5s' AS $$
DECLARE
	found_request expunge.request;
BEGIN
	IF request IS NULL THEN
		RAISE EXCEPTION 'request id is missing' USING ERRCODE = 'EX217', HINT = 'give the id that request_erasure returned';
	END IF;
	BEGIN
		SELECT r.* INTO found_request FROM expunge.request r WHERE r.id = request FOR UPDATE;
	EXCEPTION WHEN lock_not_available THEN
		RAISE EXCEPTION 'request % is being worked on', request
			USING ERRCODE = 'EX409', HINT = 'try again in a minute, and look at its state first';
	END;
	IF found_request.id IS NULL THEN
		PERFORM expunge.no_request(request);
	END IF;
	RETURN found_request;
END
$$;
COMMENT ON FUNCTION expunge.lock_request(uuid) IS 'the row of a request, locked until the end of the transaction';

-- The runner takes the shared form of this lock for each tenant of a batch, in a statement of its own,
-- before it reads holds; whoever places a hold takes the exclusive form. So a batch either sees the
-- hold or has committed before it.
CREATE OR REPLACE FUNCTION expunge.lock_tenant(tenant text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET lock_timeout = '120s' AS $$
BEGIN
	PERFORM pg_advisory_xact_lock(hashtextextended('expunge/tenant/' || tenant, 0));
EXCEPTION WHEN lock_not_available THEN
	RAISE EXCEPTION 'a batch of this tenant is still running; the hold is not placed'
		USING ERRCODE = 'EX409', HINT = 'place the hold again; expunge freeze on stops the run at its next batch';
END
$$;
COMMENT ON FUNCTION expunge.lock_tenant(text) IS 'waits until no batch of the tenant runs, and keeps new ones out until the end of the transaction';

CREATE OR REPLACE FUNCTION expunge.is_held(tenant text, subject text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT EXISTS (SELECT FROM expunge.hold h
		WHERE h.tenant = is_held.tenant AND (h.subject IS NULL OR h.subject = is_held.subject) AND h.released_at IS NULL)
$$;
COMMENT ON FUNCTION expunge.is_held(text, text) IS
	'whether a hold names this subject or its whole tenant; aliases of merged subjects are the runner''s to look up';

RESET ROLE;

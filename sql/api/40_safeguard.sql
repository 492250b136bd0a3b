-- Holds, freeze, caps, the clock, denied attempts, and what the runner asks of the server.
-- Applied by every `expunge init`; idempotent.

SET LOCAL ROLE expunge_owner;

-- ---------------------------------------------------------------- holds

CREATE OR REPLACE FUNCTION expunge.check_hold(kind text, reason text, review_on date) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	today date := expunge.civil_date(now());
BEGIN
	IF kind IS NULL OR kind NOT IN ('litigation', 'complaint', 'regulator', 'public-inquiry', 'police-or-court',
	                                'safeguarding', 'open-access-request')
	THEN
		RAISE EXCEPTION 'unknown kind of hold' USING ERRCODE = 'EX209',
			HINT = 'litigation, complaint, regulator, public-inquiry, police-or-court, safeguarding or open-access-request';
	END IF;
	PERFORM expunge.check_text('reason', reason, 500, 'EX210');
	IF review_on IS NULL OR review_on < today OR review_on > today + 731 THEN
		RAISE EXCEPTION 'review date is missing, past or more than two years away'
			USING ERRCODE = 'EX211', HINT = 'give the day on which somebody looks whether the hold is still needed';
	END IF;
END
$$;
COMMENT ON FUNCTION expunge.check_hold(text, text, date) IS 'refuses a hold without kind, reason or review date';

-- already_removed: rows of the subject went before the hold could; certified erasures cannot be told,
-- because their requests no longer say whose they were.
CREATE OR REPLACE FUNCTION expunge.place_hold(tenant text, subject text, kind text, reason text, review_on date,
	OUT id uuid, OUT already_removed boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM expunge.check_text('tenant', tenant, 200, 'EX201');
	IF subject IS NOT NULL THEN
		PERFORM expunge.check_text('subject', subject, 200, 'EX202');
	END IF;
	PERFORM expunge.check_hold(kind, reason, review_on);
	PERFORM expunge.lock_tenant(tenant);

	INSERT INTO expunge.hold AS h (tenant, subject, kind, reason, review_on)
	VALUES (place_hold.tenant, place_hold.subject, place_hold.kind, place_hold.reason, place_hold.review_on)
	RETURNING h.id INTO id;
	PERFORM expunge.log_event('hold-placed', tenant, NULL, kind || ' ' || id);

	-- Rows that somebody has locked are left alone, never waited for: a run that holds one waits for
	-- our tenant lock, and will read this hold by itself.
	UPDATE expunge.request q SET state = 'blocked', reason = 'hold', reason_at = now()
	WHERE q.id IN (
		SELECT o.id FROM expunge.request o
		WHERE o.tenant = place_hold.tenant AND (place_hold.subject IS NULL OR o.subject = place_hold.subject)
		  AND o.state IN ('identified', 'scheduled')
		FOR UPDATE SKIP LOCKED);

	already_removed := EXISTS (SELECT FROM expunge.request o
		WHERE o.tenant = place_hold.tenant AND (place_hold.subject IS NULL OR o.subject = place_hold.subject)
		  AND o.removed_at IS NOT NULL AND o.state <> 'certified')
		OR EXISTS (SELECT FROM expunge.closure c WHERE c.tenant = place_hold.tenant AND c.claimed_at IS NOT NULL);
	IF already_removed THEN
		RAISE WARNING 'the erasure had already been carried out when hold % was placed', id
			USING HINT = 'look at the open requests of this tenant: rows removed before the hold cannot be kept by it';
	END IF;
END
$$;
COMMENT ON FUNCTION expunge.place_hold(text, text, text, text, date) IS
	'keeps a subject (or, without one, the whole tenant) from being erased until a person releases the hold';

-- A hold may have blocked requests of merged subjects, too: every request of the tenant that waits
-- for a hold goes on, unless another hold names it; the runner blocks it again where an alias is held.
CREATE OR REPLACE FUNCTION expunge.release_hold(hold uuid) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '5s' AS $$
DECLARE
	h expunge.hold;
	n integer;
BEGIN
	IF hold IS NULL THEN
		RAISE EXCEPTION 'hold id is missing' USING ERRCODE = 'EX217', HINT = 'give the id that expunge hold list shows';
	END IF;
	SELECT o.* INTO h FROM expunge.hold o WHERE o.id = release_hold.hold FOR UPDATE;
	IF h.id IS NULL THEN
		RAISE EXCEPTION 'no hold %', hold USING ERRCODE = 'EX404', HINT = 'expunge hold list shows the open ones';
	END IF;
	IF h.released_at IS NOT NULL THEN
		RAISE EXCEPTION 'hold % was released before', h.id USING ERRCODE = 'EX427', HINT = 'nothing is left to do';
	END IF;
	UPDATE expunge.hold o SET released_at = now(), released_by = session_user WHERE o.id = h.id;
	PERFORM expunge.log_event('hold-released', h.tenant, NULL, h.kind || ' ' || h.id);

	UPDATE expunge.request q
	SET state = CASE WHEN q.approved_plan IS NULL THEN 'identified' ELSE 'scheduled' END, reason = NULL, reason_at = NULL
	WHERE q.id IN (
		SELECT o.id FROM expunge.request o
		WHERE o.tenant = h.tenant AND o.state = 'blocked' AND o.reason ~ '^hold(:|$)'
		  AND NOT expunge.is_held(o.tenant, o.subject)
		FOR UPDATE);
	GET DIAGNOSTICS n = ROW_COUNT;
	RETURN n;
EXCEPTION WHEN lock_not_available THEN
	RAISE EXCEPTION 'hold % or a request that it blocks is being worked on', hold
		USING ERRCODE = 'EX409', HINT = 'try again in a minute';
END
$$;
COMMENT ON FUNCTION expunge.release_hold(uuid) IS
	'ends a hold by a person''s decision, and returns how many requests go on because of it';

CREATE OR REPLACE VIEW expunge.hold_list AS
	SELECT h.id, h.tenant, h.subject, h.kind, h.reason, h.review_on,
		h.review_on < expunge.civil_date(now()) AS past_review,
		h.placed_by, h.placed_at
	FROM expunge.hold h
	WHERE h.released_at IS NULL;
COMMENT ON VIEW expunge.hold_list IS 'the holds in force';

-- ---------------------------------------------------------------- freeze, caps, clock

CREATE OR REPLACE FUNCTION expunge.freeze_on(reason text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM expunge.check_text('reason', reason, 500, 'EX210');
	INSERT INTO expunge.freeze AS f (reason) VALUES (freeze_on.reason) ON CONFLICT DO NOTHING;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	PERFORM expunge.log_event('freeze-on', NULL, NULL, NULL);
	RETURN true;
END
$$;
COMMENT ON FUNCTION expunge.freeze_on(text) IS 'stops every destructive step at its next batch; false if that was so already';

CREATE OR REPLACE FUNCTION expunge.freeze_off() RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	DELETE FROM expunge.freeze;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	PERFORM expunge.log_event('freeze-off', NULL, NULL, NULL);
	RETURN true;
END
$$;
COMMENT ON FUNCTION expunge.freeze_off() IS 'lets destructive steps go on; false if nothing was frozen';

CREATE OR REPLACE FUNCTION expunge.raise_cap(reason text) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	result integer;
BEGIN
	PERFORM expunge.check_text('reason', reason, 500, 'EX210');
	INSERT INTO expunge.cap_raise AS c (reason) VALUES (raise_cap.reason) RETURNING c.id INTO result;
	PERFORM expunge.log_event('cap-raised', NULL, NULL, result::text);
	RETURN result;
END
$$;
COMMENT ON FUNCTION expunge.raise_cap(text) IS 'lifts the caps for one run';

CREATE OR REPLACE FUNCTION expunge.accept_clock(reason text) RETURNS timestamptz
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	result timestamptz;
BEGIN
	PERFORM expunge.check_text('reason', reason, 500, 'EX210');
	UPDATE expunge.instance i SET clock_accepted_at = clock_timestamp(),
		clock_accepted_run = coalesce((SELECT max(r.number) FROM expunge.run r), 0) RETURNING i.clock_accepted_at INTO result;
	IF result IS NULL THEN
		PERFORM expunge.instance_zone(); -- refuses: not initialised
	END IF;
	PERFORM expunge.log_event('clock-accepted', NULL, NULL, accept_clock.reason);
	RETURN result;
END
$$;
COMMENT ON FUNCTION expunge.accept_clock(text) IS 'a person vouches for the present time after the clock jumped';

-- ---------------------------------------------------------------- denied attempts

-- A refusal rolls its transaction back, so the program that met it writes it down in another one.
CREATE OR REPLACE FUNCTION expunge.record_denied(action text, request uuid, code text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF action IS NULL OR length(action) > 60 OR action !~ '^[a-z][a-z -]*$' OR code IS NULL OR length(code) <> 5 OR code !~ '^[0-9A-Z]{5}$' THEN
		RAISE EXCEPTION 'malformed action or code'
			USING ERRCODE = 'EX219', HINT = 'an action is a command''s name, a code an SQLSTATE';
	END IF;
	PERFORM expunge.log_event('denied', (SELECT r.tenant FROM expunge.request r WHERE r.id = request), request, action || ' ' || code);
END
$$;
COMMENT ON FUNCTION expunge.record_denied(text, uuid, text) IS 'writes down an attempt that was refused';

-- ---------------------------------------------------------------- for the runner

CREATE OR REPLACE FUNCTION expunge.forget_expired_openings() RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	n integer;
BEGIN
	DELETE FROM expunge.opening o WHERE o.expires_at <= now();
	GET DIAGNOSTICS n = ROW_COUNT;
	IF n > 0 THEN
		PERFORM expunge.log_event('openings-forgotten', NULL, NULL, n::text);
	END IF;
	RETURN n;
END
$$;
COMMENT ON FUNCTION expunge.forget_expired_openings() IS 'deletes openings that nobody collected in time';

-- Row versions deleted by transaction T can be vacuumed away only when T precedes this horizon. An xid
-- of 32 bits is put into the epoch in which it lies closest to the next one to be given.
CREATE OR REPLACE FUNCTION expunge.oldest_xmin(OUT horizon xid8, OUT held_by text)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	WITH following(full_xid) AS (
		SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint
	), needed(xid, held_by) AS (
		SELECT a.backend_xmin::text::bigint, coalesce(a.backend_type, 'backend') || ' ' || a.pid
		FROM pg_stat_activity a
		WHERE a.backend_xmin IS NOT NULL AND a.pid <> pg_backend_pid()
		  AND (a.datid IS NULL OR a.datname = current_database())
		UNION ALL
		SELECT a.backend_xid::text::bigint, coalesce(a.backend_type, 'backend') || ' ' || a.pid
		FROM pg_stat_activity a
		WHERE a.backend_xid IS NOT NULL AND a.pid <> pg_backend_pid()
		  AND (a.datid IS NULL OR a.datname = current_database())
		UNION ALL
		SELECT s.xmin::text::bigint, 'replication slot ' || s.slot_name
		FROM pg_replication_slots s WHERE s.xmin IS NOT NULL
		UNION ALL
		SELECT p.transaction::text::bigint, 'prepared transaction ' || p.gid
		FROM pg_prepared_xacts p WHERE p.database = current_database()
	), distance(full_xid, behind, held_by) AS (
		SELECT f.full_xid, ((f.full_xid & 4294967295) - n.xid + 4294967296) & 4294967295, n.held_by
		FROM following f, needed n
	), placed(full_xid, held_by) AS (
		SELECT d.full_xid - CASE WHEN d.behind >= 2147483648 THEN d.behind - 4294967296 ELSE d.behind END, d.held_by
		FROM distance d
		UNION ALL
		SELECT f.full_xid, 'nothing' FROM following f
	)
	SELECT p.full_xid::text::xid8, p.held_by FROM placed p ORDER BY p.full_xid, p.held_by = 'nothing', p.held_by LIMIT 1
$$;
COMMENT ON FUNCTION expunge.oldest_xmin() IS
	'the oldest transaction that some session, slot or prepared transaction may still look behind, and which one that is';

-- ---------------------------------------------------------------- copies outside

-- lsn: how far it has come, NULL where nobody can say. other_name: the slot that a walsender uses. A base backup and a
-- receiver of WAL replay nothing: what they wrote is a file by now, and only a declaration says how long.
CREATE OR REPLACE FUNCTION expunge.copies_seen(OUT kind text, OUT name text, OUT other_name text, OUT lsn pg_lsn)
	RETURNS SETOF record
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT CASE
			WHEN r.state = 'backup' OR s.temporary THEN 'physical-backup'
			WHEN r.state = 'streaming' AND r.replay_lsn IS NULL THEN 'wal-archive'
			ELSE 'standby'
		END,
		left(coalesce(nullif(r.application_name, ''), 'walsender'), 100), s.slot_name::text, r.replay_lsn
	FROM pg_stat_replication r
	LEFT JOIN pg_replication_slots s ON s.active_pid = r.pid
	WHERE s.slot_type IS DISTINCT FROM 'logical'
	UNION ALL
	-- a logical slot's lsn says nothing of the rows at the other end
	SELECT CASE s.slot_type WHEN 'logical' THEN 'other' ELSE 'replication-slot' END, s.slot_name::text, NULL,
		CASE s.slot_type WHEN 'physical' THEN s.restart_lsn END
	FROM pg_replication_slots s
	WHERE NOT s.temporary AND (s.database IS NULL OR s.database = current_database())
	  AND (s.restart_lsn IS NOT NULL OR s.wal_status IS NOT NULL) -- one that was never used keeps nothing
	UNION ALL
	SELECT 'wal-archive', 'archive_mode', NULL, NULL WHERE current_setting('archive_mode') <> 'off'
$$;
COMMENT ON FUNCTION expunge.copies_seen() IS
	'what copies this database elsewhere, as far as the server reports it: standbys, slots, base backups, archived WAL';

-- lsn: what is on its disk. Of the server's own word which of them are synchronous nothing is taken away: a base backup never is.
CREATE OR REPLACE FUNCTION expunge.standbys_seen(OUT name text, OUT slot text, OUT synchronous boolean, OUT lsn pg_lsn) RETURNS SETOF record
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT left(coalesce(nullif(r.application_name, ''), 'walsender'), 100), s.slot_name::text, r.sync_state IN ('sync', 'quorum'), r.flush_lsn
	FROM pg_stat_replication r
	LEFT JOIN pg_replication_slots s ON s.active_pid = r.pid
	WHERE s.slot_type IS DISTINCT FROM 'logical' AND r.state IS DISTINCT FROM 'backup'
$$;
COMMENT ON FUNCTION expunge.standbys_seen() IS 'connected standbys, whether a COMMIT waits for them, and how much of the write-ahead log each has on disk';

-- Only where the administrator lets the owner do it, and only for a change of the root that waits for it.
CREATE OR REPLACE FUNCTION expunge.switch_wal() RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF NOT has_function_privilege(current_user, 'pg_catalog.pg_switch_wal()', 'EXECUTE')
		OR NOT EXISTS (SELECT FROM expunge.key_change c WHERE c.state = 'journalled' AND c.barrier_lsn IS NOT NULL) THEN
		RETURN false;
	END IF;
	PERFORM pg_switch_wal();
	RETURN true;
END
$$;
COMMENT ON FUNCTION expunge.switch_wal() IS 'begins a new segment of the write-ahead log, so that the one before is archived, while a change of the root waits for that';

-- Rows of tenants that went as a whole, once their keys are gone from everywhere. Nobody else takes rows of leaves away.
CREATE OR REPLACE FUNCTION expunge.sweep_gone(change text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	swept   text[];
	n_pages bigint;
	n       bigint;
BEGIN
	SELECT c.tenants INTO swept FROM expunge.key_change c WHERE c.attempt = change AND c.state = 'drilled';
	DELETE FROM expunge.key_page p USING expunge.key_gone g
	WHERE g.tenant = ANY (swept) AND p.tenant = g.tenant AND p.epoch < g.epoch;
	GET DIAGNOSTICS n_pages = ROW_COUNT;
	DELETE FROM expunge.key_leaf l USING expunge.key_gone g
	WHERE g.tenant = ANY (swept) AND l.tenant = g.tenant AND l.made_epoch < g.epoch AND l.shredded_epoch IS NULL;
	GET DIAGNOSTICS n = ROW_COUNT;
	RETURN n_pages + n;
END
$$;
COMMENT ON FUNCTION expunge.sweep_gone(text) IS 'takes away what is left of tenants whose keys a change of the root has destroyed: sealed pages, and the names of patients';

CREATE OR REPLACE FUNCTION expunge.end_store(store text, reason text) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	n integer;
BEGIN
	PERFORM expunge.check_text('store', store, 100, 'EX220');
	PERFORM expunge.check_text('reason', reason, 500, 'EX210');
	UPDATE expunge.request_store s
	SET ended_at = now(), ended_how = 'stated', ended_by = session_user, ended_reason = end_store.reason
	WHERE s.name = end_store.store AND s.ended_at IS NULL;
	GET DIAGNOSTICS n = ROW_COUNT;
	IF n = 0 THEN
		RAISE EXCEPTION 'no interim certificate waits for a store of this name'
			USING ERRCODE = 'EX404', HINT = 'expunge store list shows the names';
	END IF;
	PERFORM expunge.log_event('store-ended', NULL, NULL, store || ': ' || n || ' certificates');
	RETURN n;
END
$$;
COMMENT ON FUNCTION expunge.end_store(text, text) IS
	'a person states that a store holds no copy of what has been certified so far; returns how many certificates waited for it';

RESET ROLE;

-- Adoption: a restored database is brought to where the journal of the keys ends. The job loads the journal's lines into
-- expunge.adopted_line; that they may be put in the place of what is there, and that erasures are carried out again without
-- another approval, is a person's word, which the adoption's row stands for.
-- Applied by every `expunge init`; idempotent.

SET LOCAL ROLE expunge_owner;

CREATE OR REPLACE FUNCTION expunge.adoption_begin() RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	result bigint;
BEGIN
	SELECT a.id INTO result FROM expunge.adoption a WHERE a.ended_at IS NULL FOR UPDATE;
	IF NOT FOUND THEN
		INSERT INTO expunge.adoption DEFAULT VALUES RETURNING id INTO result;
		PERFORM expunge.log_event('adoption-begun', NULL, NULL, NULL);
	END IF;
	RETURN result;
END
$$;
COMMENT ON FUNCTION expunge.adoption_begin() IS 'a person says that this database was restored; until the adoption ends, nothing else runs';

CREATE OR REPLACE FUNCTION expunge.open_adoption() RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	result bigint;
BEGIN
	SELECT a.id INTO result FROM expunge.adoption a WHERE a.ended_at IS NULL;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'no adoption is under way'
			USING ERRCODE = 'EX508', HINT = 'expunge restore --adopt begins it, by somebody with the role expunge_operator';
	END IF;
	RETURN result;
END
$$;
COMMENT ON FUNCTION expunge.open_adoption() IS 'the adoption that is under way; refuses what only an adoption may do';

CREATE OR REPLACE FUNCTION expunge.adoption_end() RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	n_open bigint;
BEGIN
	PERFORM expunge.open_adoption();
	SELECT count(*) INTO n_open FROM expunge.replay_request y JOIN expunge.request r ON r.id = y.request
	WHERE r.removed_at IS NULL AND r.state NOT IN ('certified', 'withdrawn', 'refused');
	IF n_open > 0 THEN
		RAISE EXCEPTION '% erasures are not carried out again yet', n_open
			USING ERRCODE = 'EX509', HINT = 'expunge request list shows them, and why not; then expunge restore --adopt again';
	END IF;
	UPDATE expunge.adoption a SET ended_at = clock_timestamp() WHERE a.ended_at IS NULL;
	PERFORM expunge.log_event('adoption-ended', NULL, NULL, NULL);
END
$$;
COMMENT ON FUNCTION expunge.adoption_end() IS 'the database has what the journal knows, and every erasure since is carried out again';

-- ---------------------------------------------------------------- the journal's rows

-- The last line of each key counts.
CREATE OR REPLACE FUNCTION expunge.adopted(wanted text[], keys integer[])
RETURNS TABLE (kind text, f text[])
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT DISTINCT ON (key) x.kind, x.f
	FROM (SELECT a.n, a.kind, string_to_array(a.line, ' ') AS f FROM expunge.adopted_line a WHERE a.kind = ANY (wanted)) x
	CROSS JOIN LATERAL (SELECT array_agg(x.f[i] ORDER BY i) AS key FROM unnest(keys) i) k
	ORDER BY key, x.n DESC
$$;
COMMENT ON FUNCTION expunge.adopted(text[], integer[]) IS 'the journal''s lines of some kinds, in fields, without those that a later one replaces';

CREATE OR REPLACE FUNCTION expunge.unhex(field text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT CASE field WHEN '-' THEN '' ELSE convert_from(decode(field, 'hex'), 'UTF8') END
$$;
COMMENT ON FUNCTION expunge.unhex(text) IS 'a text of the journal';

-- Names are sealed under their leaves: until the job has opened them, each leaf bears its number, which no name looks like.
CREATE OR REPLACE FUNCTION expunge.adopt_keys(head_seq bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	n_live     bigint;
	n_children bigint;
BEGIN
	DELETE FROM expunge.archive;
	DELETE FROM expunge.key_leaf;
	DELETE FROM expunge.key_page;
	DELETE FROM expunge.key_gone;
	INSERT INTO expunge.key_gone (tenant, epoch, seq)
	SELECT expunge.unhex(a.f[2]), a.f[3]::bigint, head_seq FROM expunge.adopted('{gone}', '{2}') a;
	INSERT INTO expunge.key_page (id, tenant, parent, slot, level, epoch, kcv, live, sealed, seq)
	SELECT a.f[2]::bigint, expunge.unhex(a.f[3]), a.f[4]::bigint, a.f[5]::smallint, a.f[6]::smallint, a.f[7]::bigint,
		decode(a.f[8], 'hex'), a.f[9]::bigint, decode(a.f[10], 'base64'), head_seq
	FROM expunge.adopted('{page}', '{2}') a
	WHERE NOT EXISTS (SELECT FROM expunge.key_gone g WHERE g.tenant = expunge.unhex(a.f[3]) AND g.epoch > a.f[7]::bigint);
	INSERT INTO expunge.key_leaf (id, tenant, kind, name, sealed_name, name_hash, incarnation, page, slot, kcv, made_epoch,
		shredded_epoch, seq)
	SELECT a.f[2]::bigint, expunge.unhex(a.f[3]), a.f[4],
		CASE a.kind WHEN 'leaf' THEN chr(1) || a.f[2] END,
		CASE a.kind WHEN 'leaf' THEN decode(a.f[10], 'base64') END,
		CASE a.kind WHEN 'dead' THEN expunge.unhex(a.f[9]) END,
		a.f[5]::integer,
		CASE a.kind WHEN 'leaf' THEN a.f[8]::bigint END,
		CASE a.kind WHEN 'leaf' THEN a.f[9]::smallint END,
		decode(a.f[6], 'hex'), a.f[7]::bigint,
		CASE a.kind WHEN 'dead' THEN a.f[8]::bigint END,
		head_seq
	FROM expunge.adopted('{leaf,dead}', '{2}') a
	WHERE a.kind = 'dead'
	   OR NOT EXISTS (SELECT FROM expunge.key_gone g WHERE g.tenant = expunge.unhex(a.f[3]) AND g.epoch > a.f[7]::bigint);
	SELECT sum(length(replace(p.live::bit(64)::text, '0', ''))) INTO n_live FROM expunge.key_page p;
	SELECT (SELECT count(*) FROM expunge.key_page p WHERE p.parent <> 0) +
		(SELECT count(*) FROM expunge.key_leaf l WHERE l.shredded_epoch IS NULL) INTO n_children;
	IF n_live <> n_children THEN
		RAISE EXCEPTION 'the journal''s pages hold % keys, and it has % pages and leaves for them', n_live, n_children
			USING ERRCODE = 'EX511', HINT = 'the journal lacks rows: adopt the one of another destination';
	END IF;
	DELETE FROM expunge.request_leaf q WHERE NOT EXISTS (SELECT FROM expunge.key_leaf l WHERE l.id = q.leaf_id);
	PERFORM setval('expunge.key_id', greatest((SELECT s.last_value FROM expunge.key_id s),
		(SELECT max(p.id) FROM expunge.key_page p), (SELECT max(l.id) FROM expunge.key_leaf l)));
	-- one whose generation is shredded is on its way out, wherever its file still is
	INSERT INTO expunge.archive (id, tenant, generation, state, created_at, lsn, sha256, size, n_frames, n_rows, n_withheld,
		destinations, needs, finished_at, seq)
	SELECT a.f[2], expunge.unhex(a.f[3]), l.id, s.state, s.created_at, '0/0'::pg_lsn + a.f[7]::numeric,
		a.f[8], a.f[9]::bigint, a.f[10]::bigint, a.f[11]::bigint, a.f[12]::bigint,
		string_to_array(expunge.unhex(a.f[13]), chr(10)), coalesce(string_to_array(nullif(a.f[14], '-'), ','), '{}'),
		CASE s.state WHEN 'naming' THEN NULL ELSE s.created_at END, head_seq
	FROM expunge.adopted('{archive}', '{2}') a
	JOIN expunge.key_leaf l ON l.id = a.f[4]::bigint
	CROSS JOIN LATERAL (SELECT CASE WHEN l.shredded_epoch IS NULL THEN a.f[5] ELSE 'expired' END,
		to_timestamp(a.f[6]::double precision)) s(state, created_at);
END
$$;
COMMENT ON FUNCTION expunge.adopt_keys(bigint) IS 'pages, leaves and catalogue as the journal has them, in the place of all that there is';

-- Changes of the root: those that are behind the journal are done; what the last one has left to destroy is found by going on
-- with it.
CREATE OR REPLACE FUNCTION expunge.adopt_changes(head_epoch bigint, head_attempt text, head_seq bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	DELETE FROM expunge.key_change c WHERE c.state <> 'done' OR c.epoch >= head_epoch - 1;
	INSERT INTO expunge.key_change (attempt, epoch, state, leaves, leaves_hash)
	SELECT md5('adopted ' || d.epoch), d.epoch - 1, 'done', '{}', ''
	FROM (SELECT l.shredded_epoch FROM expunge.key_leaf l WHERE l.shredded_epoch < head_epoch
		UNION SELECT g.epoch FROM expunge.key_gone g WHERE g.epoch < head_epoch) d(epoch)
	WHERE NOT EXISTS (SELECT FROM expunge.key_change c WHERE c.epoch = d.epoch - 1);
	INSERT INTO expunge.key_change (attempt, epoch, state, leaves, leaves_hash, seq)
	VALUES (head_attempt, head_epoch - 1, 'journalled', '{}', '', head_seq);
END
$$;
COMMENT ON FUNCTION expunge.adopt_changes(bigint, text, bigint) IS 'the record of changes of the root, up to the one that the journal ends with';

CREATE OR REPLACE FUNCTION expunge.adopt_certificates() RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	foreign_serial bigint;
BEGIN
	SELECT c.serial INTO foreign_serial FROM expunge.adopted('{certificate}', '{2}') a
	JOIN expunge.certificate c ON c.serial = a.f[2]::bigint AND c.id <> a.f[3] LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'certificate % of this database is another one than the journal''s', foreign_serial
			USING ERRCODE = 'EX510', HINT = 'two copies have issued certificates: restore one from before that, and adopt it';
	END IF;
	INSERT INTO expunge.replay AS y (original, adoption, serial)
	SELECT a.f[7]::uuid, expunge.open_adoption(), min(a.f[2]::bigint) FROM expunge.adopted('{certificate}', '{2}') a
	WHERE NOT EXISTS (SELECT FROM expunge.request r WHERE r.id = a.f[7]::uuid AND r.state = 'certified')
	GROUP BY 1
	ON CONFLICT (original) DO UPDATE SET adoption = EXCLUDED.adoption, serial = EXCLUDED.serial;
	INSERT INTO expunge.request AS r (id, kind, tenant, subject_hash, ground, channel, received_at, state, certified_at)
	SELECT DISTINCT ON (a.f[7]) a.f[7]::uuid, CASE a.f[4] WHEN 'account-closure' THEN a.f[4] ELSE 'subject-erasure' END,
		expunge.unhex(a.f[6]), a.f[8], a.f[9], 'journal',
		to_timestamp(a.f[10]::double precision), 'certified', to_timestamp(a.f[11]::double precision)
	FROM expunge.adopted('{certificate}', '{2}') a
	WHERE EXISTS (SELECT FROM expunge.replay y WHERE y.original = a.f[7]::uuid)
	ORDER BY a.f[7], a.f[2]::bigint
	ON CONFLICT (id) DO UPDATE SET state = 'certified', subject = NULL, subject_hash = EXCLUDED.subject_hash,
		certified_at = EXCLUDED.certified_at, reason = NULL, reason_at = NULL
	WHERE r.state <> 'certified';
	UPDATE expunge.request r SET final_at = to_timestamp(a.f[11]::double precision)
	FROM expunge.adopted('{certificate}', '{2}') a
	WHERE a.f[5] = 'final' AND r.id = a.f[7]::uuid AND r.final_at IS NULL;
	DELETE FROM expunge.plan p USING expunge.replay y WHERE p.request_id = y.original;
	DELETE FROM expunge.key_set k USING expunge.replay y WHERE k.request_id = y.original;
	INSERT INTO expunge.certificate (serial, id, kind, stage, tenant, request_id, note, issued_at)
	SELECT a.f[2]::bigint, a.f[3], a.f[4], a.f[5], expunge.unhex(a.f[6]), a.f[7]::uuid,
		convert_from(decode(a.f[12], 'base64'), 'UTF8'), to_timestamp(a.f[11]::double precision)
	FROM expunge.adopted('{certificate}', '{2}') a
	ON CONFLICT (serial) DO NOTHING;
	PERFORM expunge.adopt_stores();
	UPDATE expunge.certificate_counter n SET last = greatest(n.last, (SELECT max(c.serial) FROM expunge.certificate c));
END
$$;
COMMENT ON FUNCTION expunge.adopt_certificates() IS 'certificates that this database has lost, and their requests; which of them it never knew is kept in expunge.replay';

-- A certificate's name without its escapes (doc/certificate.md, "Names").
CREATE OR REPLACE FUNCTION expunge.certificate_name(escaped text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT convert_from(string_agg(CASE WHEN m.part[1] IS NULL THEN convert_to(m.part[2], 'UTF8') ELSE decode(m.part[1], 'hex') END,
		''::bytea ORDER BY m.n), 'UTF8')
	FROM regexp_matches(escaped, '%([0-9A-F]{2})|([^%]+)', 'g') WITH ORDINALITY m(part, n)
$$;
COMMENT ON FUNCTION expunge.certificate_name(text) IS 'a name as a certificate has it, without its escapes';

-- What an interim certificate waits for is in its note. Of a store that the server is asked about only the name is there: what
-- kind it is, the declaration says in the next night; one that is declared no more ends by a person's word.
CREATE OR REPLACE FUNCTION expunge.adopt_stores() RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	unbound uuid;
BEGIN
	UPDATE expunge.request r SET recounted_at = m.at[1]::timestamptz, recounted_lsn = m.at[2]::pg_lsn
	FROM expunge.certificate c
	CROSS JOIN LATERAL regexp_match(c.note, '(?n)^as-of: ([^ ]+) ([^ ]+)$') m(at)
	WHERE c.request_id = r.id AND r.final_at IS NULL AND EXISTS (SELECT FROM expunge.replay y WHERE y.original = r.id)
	  -- what was bound before, by this adoption, may wait for its replay by now
	  AND NOT EXISTS (SELECT FROM expunge.request_store s WHERE s.request_id = r.id);
	INSERT INTO expunge.request_store (request_id, name, kind, declared, until, bound_until)
	SELECT r.id, expunge.certificate_name(m.store[1]), CASE m.store[3] WHEN 'declared' THEN 'other' ELSE 'standby' END, m.store[3] = 'declared',
		m.store[2]::date, m.store[2]::date
	FROM expunge.request r
	JOIN expunge.certificate c ON c.request_id = r.id AND c.stage = 'interim'
	CROSS JOIN LATERAL regexp_matches(c.note, '(?n)^archives: residual (.+) until ([0-9-]{10}) (declared|reported)$', 'g') m(store)
	WHERE r.state = 'certified' AND r.final_at IS NULL AND EXISTS (SELECT FROM expunge.replay y WHERE y.original = r.id)
	ON CONFLICT DO NOTHING;
	INSERT INTO expunge.request_store (request_id, name, kind, declared, until)
	SELECT r.id, format('undeclared %s %s', m.store[1], i), m.store[1], false, expunge.civil_date(c.issued_at)
	FROM expunge.request r
	JOIN expunge.certificate c ON c.request_id = r.id AND c.stage = 'interim'
	CROSS JOIN LATERAL regexp_matches(c.note, '(?n)^archives: undeclared ([^ ]+) ([0-9]{1,4})$', 'g') m(store)
	CROSS JOIN generate_series(1, m.store[2]::integer) i
	WHERE r.state = 'certified' AND r.final_at IS NULL AND EXISTS (SELECT FROM expunge.replay y WHERE y.original = r.id)
	ON CONFLICT DO NOTHING;
	SELECT r.id INTO unbound FROM expunge.request r
	JOIN expunge.certificate c ON c.request_id = r.id AND c.stage = 'interim'
	WHERE r.final_at IS NULL AND (r.recounted_at IS NULL OR NOT EXISTS (SELECT FROM expunge.request_store s WHERE s.request_id = r.id))
	LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'the interim certificate of request % does not say what it waits for', unbound
			USING ERRCODE = 'EX511', HINT = 'the journal''s row is not a certificate of this program';
	END IF;
END
$$;
COMMENT ON FUNCTION expunge.adopt_stores() IS 'binds requests whose interim certificates were lost to the stores that these name';

-- What was withdrawn, refused or held since the copy was made is lost, and no journal has it: an approval from before then is
-- none any more, but of what the ledger says was carried out.
CREATE OR REPLACE FUNCTION expunge.adopt_approvals() RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	UPDATE expunge.request r SET state = 'blocked', decision = NULL, basis = NULL, decided_at = NULL, decided_by = NULL,
		approved_plan = NULL, not_before = NULL, reason_at = now(),
		reason = CASE WHEN r.state = 'blocked' AND r.reason ~ '^hold(:|$)' THEN r.reason
			ELSE 'restored: approved before the database was; withdrawals and holds since are lost' END
	WHERE r.state IN ('scheduled', 'running', 'blocked', 'failed') AND r.removed_at IS NULL AND r.approved_plan IS NOT NULL
	  AND NOT EXISTS (SELECT FROM expunge.replay_request q JOIN expunge.replay y ON y.original = q.original
			WHERE q.request = r.id AND y.adoption = expunge.open_adoption());
END
$$;
COMMENT ON FUNCTION expunge.adopt_approvals() IS 'takes approvals back that may have been taken back since: a person approves again';

CREATE OR REPLACE FUNCTION expunge.adopt_journal(head_epoch bigint, head_attempt text, head_seq bigint)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM expunge.open_adoption();
	SET CONSTRAINTS ALL DEFERRED;
	PERFORM expunge.adopt_keys(head_seq);
	-- every leaf is looked for next, by plans that were not made for the tables of before
	ANALYZE expunge.key_leaf, expunge.key_page;
	PERFORM expunge.adopt_changes(head_epoch, head_attempt, head_seq);
	PERFORM expunge.adopt_certificates();
	PERFORM expunge.adopt_approvals();
	DELETE FROM expunge.key_tree;
	INSERT INTO expunge.key_tree (epoch, attempt, key_seq) VALUES (head_epoch, head_attempt, head_seq);
	DELETE FROM expunge.adopted_line;
	PERFORM expunge.log_event('journal-adopted', NULL, NULL, format('epoch %s, key_seq %s', head_epoch, head_seq));
END
$$;
COMMENT ON FUNCTION expunge.adopt_journal(bigint, text, bigint) IS 'puts what the journal has into the place of what this database has, inside the job''s transaction';

-- ---------------------------------------------------------------- erasures, carried out again

-- An erasure that is certified is asked for again under a request of its own, which ends without a second certificate. One
-- that is not is the request itself, if this database still has it, or is filed under its number again. One subject of an
-- erasure at a time: its duplicates go with it, if they are merged here; else they are found to be there still, and follow.
CREATE OR REPLACE FUNCTION expunge.replay_file(originals uuid[], tenants text[], subjects text[], received timestamptz[])
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	adoption_id bigint := expunge.open_adoption();
	g           record;
	o           expunge.request;
	filed       uuid;
	n           bigint := 0;
BEGIN
	FOR g IN
		SELECT DISTINCT ON (x.original) x.* FROM unnest(originals, tenants, subjects, received) x(original, tenant, subject, received)
		ORDER BY x.original, x.subject
	LOOP
		filed := NULL;
		SELECT r.* INTO o FROM expunge.request r WHERE r.id = g.original;
		IF o.id IS NULL THEN
			INSERT INTO expunge.request (id, tenant, subject, ground, channel, received_at, identified_at, identified_by, due_on, state)
			VALUES (g.original, g.tenant, g.subject, '17-1-e', 'ledger', g.received, now(), session_user, expunge.civil_date(now()), 'identified')
			ON CONFLICT DO NOTHING RETURNING id INTO filed;
		ELSIF o.state <> 'certified' AND o.removed_at IS NULL THEN
			UPDATE expunge.request r SET state = 'identified', identified_at = now(), identified_by = session_user,
				due_on = expunge.civil_date(now())
			WHERE r.id = o.id AND (r.state = 'received' OR r.state = 'blocked' AND r.reason ~ '^restored:');
			filed := o.id;
		ELSE
			INSERT INTO expunge.request (kind, tenant, subject, ground, channel, idempotency_key, received_at, identified_at,
				identified_by, due_on, state)
			VALUES ('replay', g.tenant, g.subject, CASE o.ground WHEN '-' THEN '17-1-e' ELSE o.ground END, 'journal',
				format('replay of %s %s', o.id, (SELECT count(*) FROM expunge.replay_request y WHERE y.original = o.id)),
				o.received_at, now(), session_user, expunge.civil_date(now()), 'identified')
			ON CONFLICT DO NOTHING RETURNING id INTO filed;
		END IF;
		IF filed IS NOT NULL THEN
			INSERT INTO expunge.replay (original, adoption) VALUES (g.original, adoption_id)
			ON CONFLICT (original) DO UPDATE SET adoption = EXCLUDED.adoption;
			INSERT INTO expunge.replay_request (request, original) VALUES (filed, g.original) ON CONFLICT DO NOTHING;
			n := n + 1;
		ELSE
			SELECT r.id INTO filed FROM expunge.request r
			WHERE r.tenant = g.tenant AND r.subject = g.subject AND r.state NOT IN ('certified', 'refused', 'withdrawn');
			-- that of the last round: something is in its way
			CONTINUE WHEN EXISTS (SELECT FROM expunge.replay_request q WHERE q.request = filed);
			RAISE EXCEPTION 'erasure % cannot be asked for again while request % of the same subject is open', g.original, filed
				USING ERRCODE = 'EX512', HINT = 'its decision may have been lost with the restore: expunge request withdraw takes it away';
		END IF;
	END LOOP;
	RETURN n;
END
$$;
COMMENT ON FUNCTION expunge.replay_file(uuid[], text[], text[], timestamptz[]) IS
	'asks again for erasures whose subjects came back with the restored database; returns how many requests that are';

CREATE OR REPLACE FUNCTION expunge.replay_schedule() RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	n bigint;
BEGIN
	PERFORM expunge.open_adoption();
	UPDATE expunge.request r SET state = 'scheduled', decision = 'accepted', decided_at = now(), decided_by = session_user,
		approved_plan = p.hash, not_before = now(), reason = NULL, reason_at = NULL
	FROM expunge.plan p, expunge.replay_request y
	WHERE y.request = r.id AND p.request_id = r.id AND r.state = 'identified' AND coalesce(p.blockers, '') = '';
	GET DIAGNOSTICS n = ROW_COUNT;
	RETURN n;
END
$$;
COMMENT ON FUNCTION expunge.replay_schedule() IS 'approves what was approved and carried out before, with the plan that the restored rows give';

RESET ROLE;

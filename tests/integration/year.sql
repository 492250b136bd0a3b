-- The practices of 28-year.sh: who leaves when, what each does of it, and what must never be. Nothing here is the product's: instants are
-- reckoned from the date and the zone again, and what somebody did is what this schema has seen them do.
-- psql -v seed=N -v tenants=N -v share=N -v first=DATE -v span=DAYS

CREATE SCHEMA app AUTHORIZATION app_owner;
SET ROLE app_owner;
CREATE TABLE app.practice (id bigint PRIMARY KEY, name text NOT NULL);
CREATE TABLE app.staff (id bigint PRIMARY KEY, practice_id bigint NOT NULL REFERENCES app.practice, name text NOT NULL);
CREATE TABLE app.patient (id bigint PRIMARY KEY, practice_id bigint NOT NULL REFERENCES app.practice, name text NOT NULL, created_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE app.visit (id bigint PRIMARY KEY, patient_id bigint NOT NULL REFERENCES app.patient, what text, created_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE app.note (id bigint PRIMARY KEY, visit_id bigint NOT NULL REFERENCES app.visit ON DELETE CASCADE, body text NOT NULL, created_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX ON app.staff (practice_id);
CREATE INDEX ON app.patient (practice_id);
CREATE INDEX ON app.visit (patient_id);
CREATE INDEX ON app.note (visit_id);
RESET ROLE;

CREATE SCHEMA year;
CREATE FUNCTION year.chance(tenant text, what text) RETURNS double precision LANGUAGE sql IMMUTABLE
	RETURN ('x' || substr(md5(current_setting('year.seed') || tenant || what), 1, 8))::bit(32)::bigint::double precision / 4294967296;
SELECT format('ALTER DATABASE %I SET year.seed = %L', current_database(), :'seed') \gexec
SELECT set_config('year.seed', :'seed', false) AS seed \gset

-- what each practice is like, and will do; drawn once
CREATE TABLE year.tenant AS
	SELECT n::text AS tenant,
		(ARRAY['Europe/London', 'Europe/London', 'Europe/London', 'Europe/Dublin', 'Asia/Kolkata', 'America/New_York', 'Pacific/Auckland'])[1 + floor(year.chance(n::text, 'zone') * 7)] AS zone,
		CASE WHEN n % 97 = 0 THEN 60 ELSE 1 + floor(year.chance(n::text, 'size') * 3)::integer END AS patients,
		CASE WHEN c.mail < 0.08 THEN 'none' WHEN c.mail < 0.2 THEN 'bounces' WHEN c.mail < 0.3 THEN 'one of two' ELSE 'good' END AS mail,
		year.chance(n::text, 'told') < 0.6 AS is_told,
		CASE WHEN c.approvers < 0.07 THEN 0 WHEN c.approvers < 0.17 THEN 1 ELSE 2 END AS approvers,
		floor(year.chance(n::text, 'approve on') * 9)::integer - 6 AS approve_on, -- days from the first that it may be purged on
		year.chance(n::text, 'waives') < 0.95 AS waives,
		year.chance(n::text, 'held') < 0.12 AS is_held,
		CASE WHEN year.chance(n::text, 'comes back') < 0.4 THEN row_number() OVER (ORDER BY year.chance(n::text, 'hour')) % 72 END AS back_hour -- of days 44, 45 and 46
	FROM generate_series(1, :tenants) n, LATERAL (SELECT year.chance(n::text, 'mail'), year.chance(n::text, 'approvers')) c(mail, approvers);
ALTER TABLE year.tenant ADD PRIMARY KEY (tenant);
-- whatever is drawn, each thing that must keep an account has one that nothing else keeps, and some are kept by nothing
UPDATE year.tenant SET zone = 'Europe/London', mail = 'good', approvers = 2, approve_on = -5, waives = true, is_held = false, back_hour = NULL WHERE tenant::integer <= 10;
UPDATE year.tenant SET approvers = 1 WHERE tenant = '1';
UPDATE year.tenant SET is_held = true WHERE tenant = '2'; -- and never released
UPDATE year.tenant SET mail = 'bounces', is_told = false WHERE tenant = '3';
UPDATE year.tenant SET waives = false WHERE tenant = '4';
UPDATE year.tenant SET back_hour = 23 WHERE tenant = '5'; -- the last of day 44
UPDATE year.tenant SET back_hour = 47 WHERE tenant = '6'; -- and of day 45
CREATE TABLE year.agenda (at timestamptz NOT NULL, tenant text NOT NULL, what text NOT NULL, login name NOT NULL, done boolean NOT NULL DEFAULT false);
INSERT INTO year.agenda SELECT (:'first'::date + floor(1 + year.chance(tenant, 'leaves on') * :span)::integer)::timestamp AT TIME ZONE 'UTC' + interval '1 minute' * floor(year.chance(tenant, 'minute') * 1440),
	tenant, 'cancel', 'clinic_app' FROM year.tenant WHERE year.chance(tenant, 'leaves') * 100 < :share OR tenant::integer <= 10;
CREATE INDEX ON year.agenda (at) WHERE NOT done;
CREATE TABLE year.log (number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL DEFAULT now(), tenant text NOT NULL, what text NOT NULL, who name NOT NULL DEFAULT session_user, detail text, outcome text NOT NULL);
CREATE INDEX ON year.log (tenant);
-- what a practice was told of its time, by its own reckoning
CREATE TABLE year.promise (tenant text NOT NULL, filed_at timestamptz NOT NULL DEFAULT now(), zone text NOT NULL, first_day date NOT NULL);
CREATE TABLE year.gone (tenant text PRIMARY KEY, at timestamptz NOT NULL DEFAULT now(), closure uuid);
CREATE TABLE year.digest (tenant text PRIMARY KEY, rows text NOT NULL);
GRANT USAGE ON SCHEMA year TO PUBLIC;
GRANT ALL ON ALL TABLES IN SCHEMA year TO PUBLIC;

INSERT INTO app.practice SELECT tenant::bigint, 'Practice ' || tenant FROM year.tenant;
INSERT INTO app.staff SELECT tenant::bigint, tenant::bigint, 'Staff of ' || tenant FROM year.tenant;
INSERT INTO app.patient SELECT row_number() OVER (ORDER BY tenant::bigint, p), tenant::bigint, 'Person ' || tenant || '-' || p FROM year.tenant, generate_series(1, patients) p;
INSERT INTO app.visit SELECT id * 2 + v, id, 'visit' FROM app.patient, generate_series(0, 1) v;
INSERT INTO app.note SELECT id, id, 'told us ' || md5(id::text) FROM app.visit;
INSERT INTO expunge.tenant_login SELECT 'clinic_app', tenant FROM year.tenant ON CONFLICT DO NOTHING;
SET ROLE expunge_owner;
INSERT INTO expunge.contact (tenant, audience, address) SELECT tenant, 'controller', 'manager' || tenant || '@practice.example' FROM year.tenant WHERE mail IN ('good', 'one of two')
	UNION ALL SELECT tenant, 'controller', 'nobody' || tenant || '@practice.example' FROM year.tenant WHERE mail IN ('bounces', 'one of two')
	UNION ALL SELECT NULL, 'operator', 'root@software.example' UNION ALL SELECT NULL, 'approver', 'people@software.example';
RESET ROLE;

CREATE FUNCTION year.digests() RETURNS TABLE (tenant text, rows text) LANGUAGE sql STABLE AS $$
	SELECT practice_id::text, md5(string_agg(line, E'\n' ORDER BY line)) FROM (
		SELECT id AS practice_id, 'practice ' || t AS line FROM app.practice t
		UNION ALL SELECT practice_id, 'staff ' || t FROM app.staff t
		UNION ALL SELECT practice_id, 'patient ' || t FROM app.patient t
		UNION ALL SELECT p.practice_id, 'visit ' || t FROM app.visit t JOIN app.patient p ON p.id = t.patient_id
		UNION ALL SELECT p.practice_id, 'note ' || t FROM app.note t JOIN app.visit v ON v.id = t.visit_id JOIN app.patient p ON p.id = v.patient_id) x
	GROUP BY 1
$$;
INSERT INTO year.digest SELECT * FROM year.digests();

-- ---------------------------------------------------------------- what people do

CREATE FUNCTION year.later(t year.tenant, first_day date) RETURNS void LANGUAGE sql AS $$
	INSERT INTO year.agenda (at, tenant, what, login)
	SELECT now() + interval '1 hour' * floor(24 * (1 + 20 * year.chance(t.tenant, 'waives on'))), t.tenant, 'waive', 'clinic_app' WHERE t.waives
	UNION ALL SELECT (first_day - 4)::timestamp AT TIME ZONE t.zone + interval '12 hours', t.tenant, 'tell', 'oscar' WHERE t.is_told AND t.mail IN ('none', 'bounces')
	UNION ALL SELECT (first_day - 2)::timestamp AT TIME ZONE t.zone + interval '11 hours', t.tenant, 'hold', 'dora' WHERE t.is_held
	UNION ALL SELECT (first_day + floor(8 * year.chance(t.tenant, 'released on'))::integer)::timestamp AT TIME ZONE t.zone + interval '11 hours', t.tenant, 'release', 'dora'
		WHERE t.is_held AND t.tenant <> '2' AND year.chance(t.tenant, 'released') < 0.8
	-- day 46 is the day of the purge
	UNION ALL SELECT (first_day - 2)::timestamp AT TIME ZONE t.zone + interval '1 hour' * t.back_hour + interval '1 minute' * floor(60 * year.chance(t.tenant, 'back minute')), t.tenant, 'come back', 'clinic_app'
		WHERE t.back_hour IS NOT NULL
	UNION ALL SELECT (first_day + 3)::timestamp AT TIME ZONE t.zone + interval '10 hours', t.tenant, 'cancel', 'clinic_app'
		WHERE t.back_hour IS NOT NULL AND year.chance(t.tenant, 'leaves again') < 0.2 AND (SELECT count(*) FROM year.promise p WHERE p.tenant = t.tenant) < 2
$$;

CREATE FUNCTION year.act() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	a record;
	t year.tenant;
	got text;
	paid date;
BEGIN
	FOR a IN SELECT ctid AS row, * FROM year.agenda WHERE NOT done AND at <= now() AND login = session_user ORDER BY at, tenant, what LOOP
		SELECT * INTO t FROM year.tenant WHERE tenant = a.tenant;
		BEGIN
			IF a.what = 'cancel' THEN
				paid := (now() AT TIME ZONE t.zone)::date + floor(year.chance(a.tenant, 'paid') * 12)::integer - 8;
				PERFORM expunge_api.cancel_subscription(a.tenant, paid, zone => t.zone);
				paid := greatest(paid, (now() AT TIME ZONE t.zone)::date) + 46; -- E + 1 is day 1, and day 45 is the practice's
				INSERT INTO year.promise VALUES (a.tenant, now(), t.zone, paid);
				PERFORM year.later(t, paid);
				got := 'ok';
			ELSIF a.what = 'come back' THEN
				got := CASE WHEN expunge_api.reactivate_subscription(a.tenant) THEN 'ok' ELSE 'nothing' END;
			ELSIF a.what = 'waive' THEN
				PERFORM expunge_api.no_export_needed(a.tenant);
				got := 'ok';
			ELSIF a.what = 'tell' THEN
				PERFORM expunge.told_otherwise(a.tenant, 'by recorded letter');
				got := 'ok';
			ELSIF a.what = 'hold' THEN
				PERFORM expunge.place_hold(a.tenant, NULL, 'complaint', 'a letter', current_date + 30);
				got := 'ok';
			ELSIF a.what = 'release' THEN
				PERFORM expunge.release_hold(h.id) FROM expunge.hold_list h WHERE h.tenant = a.tenant;
				got := 'ok';
			END IF;
		EXCEPTION WHEN OTHERS THEN
			got := SQLSTATE;
		END;
		INSERT INTO year.log (tenant, what, detail, outcome) VALUES (a.tenant, a.what, CASE a.what WHEN 'cancel' THEN paid::text || ' ' || t.zone END, got);
		UPDATE year.agenda SET done = true WHERE ctid = a.row;
	END LOOP;
END
$$;

-- One of those who approve: the first two do, where they do at all.
CREATE FUNCTION year.approve(person integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	a record;
	got text;
BEGIN
	FOR a IN SELECT c.tenant, p.hash FROM expunge.closure c JOIN expunge.closure_plan p ON p.closure_id = c.id JOIN year.tenant t ON t.tenant = c.tenant
		WHERE c.state IN ('cooling-off', 'due') AND t.approvers >= person AND current_date >= c.purge_on + t.approve_on
		  AND NOT EXISTS (SELECT FROM year.log l WHERE l.tenant = c.tenant AND l.what = 'approve' AND l.who = session_user AND l.detail = p.hash) ORDER BY 1
	LOOP
		BEGIN
			PERFORM expunge.approve_closure(a.tenant, a.hash);
			got := 'ok';
		EXCEPTION WHEN OTHERS THEN
			got := SQLSTATE;
		END;
		INSERT INTO year.log (tenant, what, detail, outcome) VALUES (a.tenant, 'approve', a.hash, got);
	END LOOP;
END
$$;

-- Practices work on, also those that are leaving.
CREATE FUNCTION year.work() RETURNS void LANGUAGE sql AS $$
	INSERT INTO app.visit SELECT (SELECT max(id) FROM app.visit) + row_number() OVER (ORDER BY p.id), p.id, 'another' FROM app.patient p
		WHERE year.chance(p.id::text, now()::text) < 0.02 AND EXISTS (SELECT FROM app.practice x WHERE x.id = p.practice_id);
	UPDATE app.note SET body = 'corrected on ' || now() WHERE year.chance(id::text, now()::text) < 0.02;
	INSERT INTO year.digest SELECT * FROM year.digests() ON CONFLICT (tenant) DO UPDATE SET rows = excluded.rows;
$$;

-- ---------------------------------------------------------------- what must never be

-- The last promise of each that has left for good or is on its way, with the instants reckoned from date and zone.
CREATE VIEW year.owed AS
	SELECT DISTINCT ON (tenant) tenant, filed_at, zone, first_day, first_day::timestamp AT TIME ZONE zone AS not_before, (first_day + 7)::timestamp AT TIME ZONE zone AS over,
		EXISTS (SELECT FROM year.log l WHERE l.tenant = p.tenant AND l.what = 'come back' AND l.outcome = 'ok' AND l.at >= p.filed_at) AS is_back
	FROM year.promise p ORDER BY tenant, filed_at DESC;

CREATE FUNCTION year.violations() RETURNS TABLE (tenant text, rule text, detail text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
	INSERT INTO year.gone (tenant, closure) SELECT t.tenant, (SELECT c.id FROM expunge.closure c WHERE c.tenant = t.tenant AND c.claimed_at IS NOT NULL)
		FROM year.tenant t WHERE NOT EXISTS (SELECT FROM app.practice p WHERE p.id::text = t.tenant) ON CONFLICT DO NOTHING;
	RETURN QUERY
		SELECT g.tenant, 'nobody-left', 'rows went, and nobody had cancelled' FROM year.gone g WHERE NOT EXISTS (SELECT FROM year.owed o WHERE o.tenant = g.tenant)
		UNION ALL SELECT g.tenant, 'too-early', 'gone at ' || g.at || ', its time runs until ' || o.not_before FROM year.gone g JOIN year.owed o USING (tenant) WHERE g.at < o.not_before
		UNION ALL SELECT c.tenant, 'claimed-early', c.claimed_at || ' is before ' || o.not_before FROM expunge.closure c JOIN year.owed o USING (tenant) WHERE c.claimed_at < o.not_before
		UNION ALL SELECT g.tenant, 'came-back', 'it came back, and is gone' FROM year.gone g JOIN year.owed o USING (tenant) WHERE o.is_back
		UNION ALL SELECT l.tenant, 'not-let-back', 'refused with ' || l.outcome || ' at ' || l.at FROM year.log l JOIN year.promise p ON p.tenant = l.tenant AND l.at >= p.filed_at
			WHERE l.what = 'come back' AND l.outcome <> 'ok' AND l.at < p.first_day::timestamp AT TIME ZONE p.zone
			  AND NOT EXISTS (SELECT FROM year.promise n WHERE n.tenant = p.tenant AND n.filed_at > p.filed_at AND n.filed_at <= l.at)
			  AND NOT EXISTS (SELECT FROM year.log b WHERE b.tenant = l.tenant AND b.what = 'come back' AND b.outcome = 'ok' AND b.at >= p.filed_at AND b.number < l.number)
		UNION ALL SELECT g.tenant, 'approvers', n.n || ' people have approved the plan that was carried out' FROM year.gone g JOIN expunge.closure c ON c.id = g.closure JOIN year.owed o ON o.tenant = g.tenant,
			LATERAL (SELECT count(DISTINCT l.who) FROM year.log l WHERE l.tenant = g.tenant AND l.what = 'approve' AND l.outcome = 'ok' AND l.detail = c.claimed_plan AND l.at BETWEEN o.filed_at AND c.claimed_at) n(n)
			WHERE n.n < 2
		UNION ALL SELECT g.tenant, 'notices', string_agg(n.template, ' ') || ' did not reach anybody' FROM year.gone g JOIN year.owed o USING (tenant),
			unnest(ARRAY['cancelled', 'ends', 'days-30', 'days-14', 'days-7', 'days-1']) n(template)
			-- looked at once, in the night of the purge: a notice that was sent under a clock that had jumped says that it was later
			WHERE g.at > now() - interval '6 hours' AND NOT EXISTS (SELECT FROM expunge.outbox x WHERE x.tenant = g.tenant AND x.once = g.closure || '/' || n.template AND x.state = 'sent')
			  AND NOT EXISTS (SELECT FROM year.log l WHERE l.tenant = g.tenant AND l.what = 'tell' AND l.outcome = 'ok' AND l.at >= (o.first_day - 7)::timestamp AT TIME ZONE o.zone AND l.at <= g.at)
			GROUP BY g.tenant
		UNION ALL SELECT c.tenant, 'held', 'claimed under a hold' FROM expunge.closure c JOIN year.log l ON l.tenant = c.tenant AND l.what = 'hold' AND l.outcome = 'ok' AND l.at <= c.claimed_at
			WHERE NOT EXISTS (SELECT FROM year.log r WHERE r.tenant = l.tenant AND r.what = 'release' AND r.outcome = 'ok' AND r.number > l.number AND r.at <= c.claimed_at)
		UNION ALL SELECT g.tenant, 'export', 'it had not said that it needs no export' FROM year.gone g JOIN year.owed o USING (tenant)
			WHERE NOT EXISTS (SELECT FROM year.log l WHERE l.tenant = g.tenant AND l.what = 'waive' AND l.outcome = 'ok' AND l.at BETWEEN o.filed_at AND g.at)
		UNION ALL SELECT coalesce(d.tenant, n.tenant), 'rows-changed', 'rows are others than they were' FROM year.digest d FULL JOIN year.digests() n USING (tenant)
			WHERE d.rows IS DISTINCT FROM n.rows AND NOT EXISTS (SELECT FROM expunge.closure c WHERE c.tenant = coalesce(d.tenant, n.tenant) AND c.claimed_at IS NOT NULL)
		UNION ALL SELECT n.tenant, 'rows-left', 'rows of an account that is certified' FROM year.digests() n JOIN expunge.closure c ON c.tenant = n.tenant AND c.state = 'certified'
		UNION ALL SELECT c.tenant, 'keys-left', count(*) || ' keys of an account that is certified' FROM expunge.closure c JOIN expunge.key_leaf k ON k.tenant = c.tenant
			WHERE c.state = 'certified' AND (k.shredded_epoch IS NULL OR k.page IS NOT NULL) GROUP BY c.tenant
		UNION ALL SELECT c.tenant, 'archives-left', count(*) || ' archives of an account that is certified' FROM expunge.closure c JOIN expunge.archive a ON a.tenant = c.tenant
			WHERE c.state = 'certified' AND a.state <> 'expired' GROUP BY c.tenant
		UNION ALL SELECT c.tenant, 'no-certificate', 'certified without one, or with two' FROM expunge.closure c
			WHERE c.state = 'certified' AND (SELECT count(*) FROM expunge.certificate s WHERE s.request_id = c.id) <> 1
		UNION ALL SELECT k.tenant, 'keys-of-others', count(*) || ' keys of a live practice are destroyed' FROM expunge.key_leaf k JOIN year.tenant t USING (tenant)
			WHERE k.shredded_epoch IS NOT NULL AND NOT EXISTS (SELECT FROM expunge.closure c WHERE c.tenant = k.tenant AND c.claimed_at IS NOT NULL) GROUP BY k.tenant;
END
$$;

-- Whether a rule is noticed when it is broken: the statement breaks it, and is taken back.
CREATE FUNCTION year.notices(rule text, breaking text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	found boolean;
BEGIN
	PERFORM set_config('session_replication_role', 'replica', true);
	EXECUTE breaking;
	found := EXISTS (SELECT FROM year.violations() v WHERE v.rule = notices.rule);
	RAISE EXCEPTION USING ERRCODE = 'YEAR0', MESSAGE = found::text;
EXCEPTION WHEN SQLSTATE 'YEAR0' THEN
	RETURN SQLERRM::boolean;
END
$$;

-- Those past their last day, of which status must say so.
CREATE VIEW year.late AS SELECT o.tenant FROM year.owed o WHERE now() >= o.over AND NOT o.is_back
	AND NOT EXISTS (SELECT FROM expunge.closure c WHERE c.tenant = o.tenant AND c.state = 'certified');

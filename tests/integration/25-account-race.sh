#!/usr/bin/env bash
# At the instant of a purge: a practice comes back, and a run claims its account, over and over, side by side. One of the two wins,
# wholly: by the function for it, and by the application's own table. ACCOUNT_RACE_ROUNDS=10000 is the long version.
. "$(dirname "$0")/../lib.sh"
rounds=${ACCOUNT_RACE_ROUNDS:-500}
sql postgres 'CREATE DATABASE ctl'
"$ROOT/tests/sql/apply.sh" ctl
mkrole practice expunge_intake
mkrole night expunge_job

# every account may be claimed, now, and at any hour of the week
psql -XAtq -v ON_ERROR_STOP=1 -d ctl -v n="$rounds" <<'SQL'
INSERT INTO expunge.tenant_login SELECT 'practice', n::text FROM generate_series(1, :n) n;
INSERT INTO expunge.closure (tenant, trigger, source, filed_by, filed_at, paid_until, anchor, zone, days, meaning, within_days, purge_on,
	not_before, complete_on, complete_by, export_needed, told_by, told_at)
SELECT n::text, 'cancellation', 'api', 'practice', now() - interval '60 days', current_date - 50, current_date - 50, 'Europe/London', 45,
	'not-before', 7, k.purge_on, k.not_before, k.complete_on, k.complete_by, false, 'ops', now()
FROM generate_series(1, :n) n, expunge.closure_clock(current_date - 50, 'Europe/London', 45, 'not-before', 7) k;
SET ROLE expunge_owner;
UPDATE expunge.closure SET state = 'cooling-off';
UPDATE expunge.closure SET state = 'due';
RESET ROLE;
INSERT INTO expunge.closure_plan (closure_id, hash, document, n_rows, n_subjects) SELECT id, 'sha256:' || repeat('0', 64), '', 1, 1 FROM expunge.closure;
INSERT INTO expunge.closure_approval (closure_id, approved_by, plan_hash) SELECT c.id, a, 'sha256:' || repeat('0', 64) FROM expunge.closure c, unnest(ARRAY['ann', 'bob']) a;
INSERT INTO expunge.event (kind) VALUES ('drill-passed');
SET session_replication_role = replica; -- a backup of now, whose keys are not here
INSERT INTO expunge.archive (id, tenant, generation, state, created_at, lsn, sha256, size, n_frames, n_rows, n_withheld, destinations, finished_at, seq)
	VALUES (repeat('a', 64), '1', 1, 'complete', now(), '0/0', repeat('a', 64), 1, 1, 1, 0, '{here}', now(), 1);
RESET session_replication_role;
CREATE OR REPLACE FUNCTION expunge.purge_window(zone text, at timestamptz DEFAULT now()) RETURNS text LANGUAGE sql AS 'SELECT NULL::text';

-- Both come to the same account at once: each waits for the other at a sequence, which no transaction holds back, and then for
-- a moment more of its own.
CREATE SCHEMA race;
CREATE SEQUENCE race.claim MINVALUE 0;
CREATE SEQUENCE race.back MINVALUE 0;
CREATE TABLE race.result (who text, tenant text, outcome text, PRIMARY KEY (who, tenant));
CREATE FUNCTION race.wait_for(who text, other text, i integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	met boolean;
BEGIN
	PERFORM setval(('race.' || who)::regclass, i);
	LOOP
		EXECUTE format('SELECT last_value >= %s FROM race.%I', i, other) INTO met;
		EXIT WHEN met;
		PERFORM pg_sleep(0.0001);
	END LOOP;
	-- now the one begins a little earlier, now the other
	PERFORM pg_sleep(random() * CASE WHEN (i % 2 = 0) = (who = 'claim') THEN 0.002 ELSE 0.0005 END);
END
$$;
CREATE PROCEDURE race.run(who text, other text, rounds integer) LANGUAGE plpgsql AS $$
DECLARE
	outcome text;
BEGIN
	PERFORM setseed(CASE who WHEN 'claim' THEN 0.1 ELSE 0.2 END);
	FOR i IN 1..rounds LOOP
		PERFORM race.wait_for(who, other, i);
		BEGIN
			IF who = 'claim' THEN
				PERFORM expunge.claim_closure(i::text, '00000000-0000-0000-0000-000000000001', 'sha256:' || repeat('0', 64), NULL);
				outcome := 'won';
			ELSE
				outcome := CASE WHEN expunge_api.reactivate_subscription(i::text) THEN 'won' ELSE 'nothing' END;
			END IF;
			PERFORM pg_sleep(random() * 0.0006);
		EXCEPTION WHEN OTHERS THEN
			outcome := SQLSTATE;
		END;
		INSERT INTO race.result VALUES (who, i, outcome);
		COMMIT;
	END LOOP;
END
$$;
-- the practice pays again, and reads in the same transaction what that did
CREATE PROCEDURE race.pay(rounds integer) LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..rounds LOOP
		PERFORM race.wait_for('back', 'claim', i);
		UPDATE app.subscription SET status = 'active' WHERE practice = i;
		PERFORM pg_sleep(random() * 0.0006);
		INSERT INTO race.result SELECT 'back', i, c.state FROM expunge.closure c WHERE c.tenant = i::text;
		COMMIT;
	END LOOP;
END
$$;
GRANT USAGE ON SCHEMA race TO PUBLIC;
GRANT SELECT, USAGE, UPDATE ON ALL SEQUENCES IN SCHEMA race TO PUBLIC;
GRANT INSERT ON race.result TO PUBLIC;
SQL

sql -U practice ctl "CALL race.run('back', 'claim', $rounds)" >/dev/null &
back=$!
run sql -U night ctl "CALL race.run('claim', 'back', $rounds)"
rc_is 0 "a run claims $rounds accounts"
ok "and their practices come back" wait "$back"
note "$(sql ctl "SELECT c.outcome, b.outcome, count(*) FROM race.result c JOIN race.result b USING (tenant) WHERE c.who = 'claim' AND b.who = 'back' GROUP BY 1, 2 ORDER BY 1, 2")"
is "$(sql ctl "SELECT string_agg(DISTINCT c.outcome || ' ' || b.outcome, ', ') FROM race.result c JOIN race.result b USING (tenant)
	WHERE c.who = 'claim' AND b.who = 'back'")" "EX520 won, won EX415" "one of the two wins, and the other is told so"
is "$(sql ctl "SELECT count(*) FROM race.result r JOIN expunge.closure c USING (tenant)
	WHERE r.outcome = 'won' AND c.state <> CASE r.who WHEN 'claim' THEN 'claimed' ELSE 'reactivated' END")" 0 "what each was told is so"
is "$(sql ctl "SELECT count(*) FROM race.result WHERE outcome = 'won'")" "$rounds" "in every round"
is "$(sql ctl "SELECT count(*) FROM expunge.event e JOIN expunge.closure c ON c.id = e.request_id
	WHERE e.kind IN ('account-claimed', 'account-reactivated') AND e.kind <> 'account-' || c.state")" 0 "and nothing else was ever written"

# ---- the application's table says it
build_probe claim_probe
psql -XAtq -v ON_ERROR_STOP=1 -d ctl -v n="$rounds" <<'SQL'
SET session_replication_role = replica; -- as on the morning before
UPDATE expunge.closure SET state = 'due', claimed_at = NULL, claimed_run = NULL, claimed_plan = NULL, ended_by = NULL, ended_at = NULL;
RESET session_replication_role;
INSERT INTO expunge.closure_approval (closure_id, approved_by, plan_hash) SELECT c.id, a, 'sha256:' || repeat('0', 64) FROM expunge.closure c, unnest(ARRAY['ann', 'bob']) a
ON CONFLICT DO NOTHING;
TRUNCATE race.result;
SELECT setval('race.claim', 0), setval('race.back', 0) \g /dev/null
CREATE SCHEMA app;
CREATE TABLE app.subscription (practice integer PRIMARY KEY, status text NOT NULL, paid_until date);
INSERT INTO app.subscription SELECT n, 'cancelled', current_date - 50 FROM generate_series(1, :n) n;
GRANT USAGE ON SCHEMA app TO PUBLIC;
GRANT SELECT, UPDATE ON app.subscription TO night;
SQL
configure "$T/ctl" ctl
cat >>"$CONF" <<'CONF'
closure : {
  subscriptions = ( { table = "app.subscription"; tenant = "practice"; status = "status"; paid_until = "paid_until";
    open = ["active"]; closed = ["cancelled"]; expired = ["lapsed"]; } );
};
CONF
sql ctl "CALL race.pay($rounds)" >/dev/null &
back=$!
ok "a run claims them with what the table says" "$T/claim_probe" "$CONF" "host=$PGHOST port=$PGPORT dbname=ctl" "$rounds"
ok "and their practices pay again" wait "$back"
note "$(sql ctl "SELECT c.outcome, b.outcome, count(*) FROM race.result c JOIN race.result b USING (tenant) WHERE c.who = 'claim' AND b.who = 'back' GROUP BY 1, 2 ORDER BY 1, 2")"
is "$(sql ctl "SELECT string_agg(DISTINCT CASE c.outcome WHEN 'won' THEN c.outcome ELSE 'refused' END || ' ' || b.outcome, ', ') FROM race.result c
	JOIN race.result b USING (tenant) WHERE c.who = 'claim' AND b.who = 'back'")" "refused due, won claimed" \
	"who paid before the claim keeps the account, and who came later reads that it was taken"
is "$(sql ctl "SELECT count(*) FROM expunge.closure c WHERE c.state <> (SELECT r.outcome FROM race.result r WHERE r.who = 'back' AND r.tenant = c.tenant)")" 0 "and it stays so"
done_testing

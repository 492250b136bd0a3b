# What tests of a purge share. Source it after lib.sh; the database's name is in $DB, its configuration in $CONF.
# shellcheck shell=bash disable=SC2034,SC2153,SC2154

# probe COMMAND ARGUMENT
probe() {
	"$T/purge_probe" "$CONF" "host=$PGHOST port=$PGPORT dbname=$DB" "$@"
}

# claimed TENANT: a closure with a plan of now, claimed; its id is in $ID
claimed() {
	ID=$(sql "$DB" "SELECT gen_random_uuid()")
	CLOSURE=$ID probe plan "$1" >"$T/plan"
	psql -XAtq -v ON_ERROR_STOP=1 -v id="$ID" -v tenant="$1" -v document="$(sed '$d' "$T/plan")" -v hash="$(tail -n 1 "$T/plan")" -d "$DB" <<-'SQL'
		INSERT INTO expunge.closure (id, tenant, trigger, source, anchor, zone, days, meaning, within_days, purge_on, not_before,
			complete_on, complete_by, state, claimed_at, claimed_run, claimed_plan)
		VALUES (:'id', :'tenant', 'cancellation', 'command', current_date - 50, 'Europe/London', 45, 'not-before', 7, current_date - 4,
			now() - interval '4 days', current_date + 3, now() + interval '3 days', 'claimed', now(), gen_random_uuid(), :'hash');
		INSERT INTO expunge.closure_plan (closure_id, hash, document, n_rows, n_subjects)
		VALUES (:'id', :'hash', :'document' || chr(10), 0, 0);
	SQL
}

# others TENANT: every row of the sample application that is not this practice's, by what its schema says, without the data map
others() {
	psql -XAtq -v ON_ERROR_STOP=1 -v tenant="$1" -U postgres -d "$DB" <<-'SQL' | LC_ALL=C sort
		SET search_path = pg_catalog;
		CREATE TEMPORARY VIEW p AS SELECT id FROM app.patient WHERE practice_id <> :'tenant'::bigint;
		CREATE TEMPORARY VIEW a AS SELECT id FROM app.appointment WHERE patient_id IN (TABLE p);
		SELECT 'practice ' || t FROM app.practice t WHERE id <> :'tenant'::bigint;
		SELECT 'staff ' || t FROM app.staff t WHERE practice_id <> :'tenant'::bigint;
		SELECT 'code ' || t FROM app.code t;
		SELECT 'patient ' || t FROM app.patient t WHERE id IN (TABLE p);
		SELECT 'appointment ' || t FROM app.appointment t WHERE id IN (TABLE a);
		SELECT 'note ' || t FROM app.note t WHERE appointment_id IN (TABLE a);
		SELECT 'letter ' || t FROM app.letter t WHERE patient_id IN (TABLE p);
		SELECT 'letter_file ' || t || md5(lo_get(t.content)) FROM app.letter_file t WHERE patient_id IN (TABLE p);
		SELECT 'invoice ' || t || coalesce(md5(lo_get(t.scan)), '') FROM app.invoice t WHERE patient_id IN (TABLE p);
		SELECT 'invoice_line ' || t FROM app.invoice_line t JOIN app.invoice i ON i.id = t.invoice_id WHERE i.patient_id IN (TABLE p);
		SELECT 'message ' || t FROM app.message t
		 WHERE CASE ref_type WHEN 'patient' THEN ref_id IN (SELECT id::text FROM p) ELSE ref_id <> :'tenant' END;
		SELECT 'guarantor ' || t FROM app.guarantor t WHERE practice_id <> :'tenant'::bigint;
		SELECT 'patient_guarantor ' || t FROM app.patient_guarantor t WHERE patient_id IN (TABLE p);
		SELECT t.tableoid::regclass || ' ' || t FROM app.reminder t WHERE patient_id IN (TABLE p);
		SELECT 'log_patient ' || t FROM audit.log_patient t WHERE practice_id <> :'tenant'::bigint;
		SELECT 'log_appointment ' || t FROM audit.log_appointment t WHERE patient_id IN (TABLE p);
		SELECT 'log_note ' || t FROM audit.log_note t WHERE appointment_id IN (TABLE a);
	SQL
}

# all_rows: every row of the application, a line each
all_rows() {
	psql -XAtq -v ON_ERROR_STOP=1 -U postgres -d "$DB" <<-'SQL' | LC_ALL=C sort
		SELECT format('SELECT %L || t::text FROM ONLY %I.%I t', n.nspname || '.' || c.relname || ': ', n.nspname, c.relname)
		  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		 WHERE n.nspname !~ '^(pg_|expunge|information_schema)' AND c.relkind = 'r' \gexec
	SQL
}

# ---- accounts that are closing, in the database $DB

# at_any_hour: purges are not kept to their window, which is tried in 23-accounts.sh
at_any_hour() {
	sql "$DB" "SET default_transaction_read_only = off" \
		"CREATE OR REPLACE FUNCTION expunge.purge_window(zone text, at timestamptz DEFAULT now()) RETURNS text LANGUAGE sql AS 'SELECT NULL::text'"
}
# age TENANT DAYS: as if all of its closing had been so many days earlier
age() {
	sql "$DB" "SET default_transaction_read_only = off" "UPDATE expunge.closure c SET anchor = m.anchor - $2, filed_at = c.filed_at - interval '$2 days',
			purge_on = k.purge_on, not_before = k.not_before, complete_on = k.complete_on, complete_by = k.complete_by
		FROM expunge.closure m, expunge.closure_clock(m.anchor - $2, m.zone, m.days, m.meaning, m.within_days) k
		WHERE c.id = m.id AND m.tenant = '$1' AND m.state NOT IN ('certified', 'reactivated')"
}
# cancel TENANT: told, and wanting no export
cancel() {
	expunge_as oscar account cancel "$1" --paid-until "$(date +%F)" >/dev/null
	expunge_as oscar account told "$1" --reason "by letter" >/dev/null
	expunge_as oscar account export "$1" --not-needed --reason "by letter" >/dev/null
}
patients() { sql "$DB" "SELECT count(*) FROM app.patient WHERE practice_id = $1"; }
plan_of() { sql "$DB" "SELECT hash FROM expunge.closure_plan p JOIN expunge.closure c ON c.id = p.closure_id WHERE c.tenant = '$1' AND c.state IN ('cooling-off', 'due')"; }
# approve_account TENANT PERSON...: the plan that there is
approve_account() {
	local person
	for person in "${@:2}"; do expunge_as "$person" account approve "$1" --plan "$(plan_of "$1")" >/dev/null; done
}

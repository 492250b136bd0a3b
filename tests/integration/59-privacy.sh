#!/usr/bin/env bash
# No value of a person leaves the application's tables: a thousand planted words, every command at every log
# level, and every way to fail that quotes rows. None is in what was said, logged or written: standard output and error,
# certificates, exports, metrics, ledger, state, the control schema, core, and the server's log of our statements.
# shellcheck disable=SC2034 # for lib.sh
cluster_options=--tcp # of its own: what the server logs is a setting of the cluster
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/sessions.bash"
ulimit -c unlimited
mkdir "$T/cwd" "$T/said"
cd "$T/cwd" || exit

# ---- a clinic whose patients 1 to 75 have words that nobody else has, and a map with two more tables
fresh_db clinic
od -An -v -N 16000 -tx1 /dev/urandom | tr -d ' \n' | fold -w 12 | sed 's/^/Zq/' >"$T/words"
psql -XAtq -v ON_ERROR_STOP=1 -d clinic <<SQL >"$T/planted"
	SET ROLE app_owner; -- who has to own the large objects
	CREATE TEMPORARY TABLE word (n serial, w text);
	\\copy word (w) FROM '$T/words'
	CREATE TEMPORARY SEQUENCE next;
	CREATE FUNCTION pg_temp.word() RETURNS text VOLATILE LANGUAGE sql
		AS \$\$ SELECT w FROM word WHERE n = (SELECT nextval('pg_temp.next')) \$\$;
	UPDATE app.patient SET given_name = pg_temp.word(), family_name = pg_temp.word(), nhs_number = pg_temp.word(),
		email = pg_temp.word(), phone = pg_temp.word() WHERE id <= 75;
	UPDATE app.appointment SET reason = pg_temp.word() WHERE patient_id <= 45;
	UPDATE app.note SET body = pg_temp.word() || ' and ' || pg_temp.word() WHERE appointment_id IN
		(SELECT id FROM app.appointment WHERE patient_id <= 45);
	UPDATE app.letter SET scan = convert_to('%SCAN ' || pg_temp.word(), 'UTF8') WHERE patient_id <= 75;
	UPDATE app.letter_file SET content = lo_from_bytea(0, convert_to(pg_temp.word(), 'UTF8')) WHERE patient_id <= 75;
	UPDATE app.invoice SET payer_name = pg_temp.word(), scan = CASE WHEN scan IS NOT NULL THEN lo_from_bytea(0, convert_to(pg_temp.word(), 'UTF8')) END WHERE patient_id <= 75;
	UPDATE app.message SET body = pg_temp.word(), thread = pg_temp.word() WHERE ref_type = 'patient' AND ref_id::int <= 75;
	UPDATE app.guarantor SET name = pg_temp.word(), phone = pg_temp.word() WHERE id IN
		(SELECT guarantor_id FROM app.patient_guarantor WHERE patient_id <= 75);
	CREATE TABLE app.referral (id bigint PRIMARY KEY, here bigint REFERENCES app.patient, there bigint REFERENCES app.patient, letter text);
	CREATE INDEX ON app.referral (here);
	CREATE INDEX ON app.referral (there);
	INSERT INTO app.referral VALUES (1, 70, 71, pg_temp.word()), (2, 72, 72, pg_temp.word());
	SELECT w FROM word WHERE n <= currval('pg_temp.next');
SQL
planted=$(wc -l <"$T/planted")
ok "a thousand words are planted: $planted" test "$planted" -ge 1000
while read -r word; do
	printf '%s\n' "$word"
	printf '%s' "$word" | od -An -v -tx1 | tr -d ' \n'
	printf '\n'
done <"$T/planted" >"$T/secrets"
dump clinic >"$T/dump.sql"
is "$(grep -oiF -f "$T/secrets" "$T/dump.sql" | sort -u | wc -l)" "$planted" "the search finds each where it belongs, as text or as bytes"
rm "$T/dump.sql"

sed -e 's|action = "delete"; created = "created_at";$|&|
	s|{ table = "app.letter"; owner = "patient_id -> app.patient"; action = "delete";|& acknowledge = [ "quote" ];|
	s|^  # Nobody.s$|  { table = "app.referral"; owner = [ "here -> app.patient", "there -> app.patient" ]; action = "delete"; },\n&|
	s|harmless = \[|& "app.referral",|' \
	"$ROOT/etc/maps/sample.conf" >"$T/map.conf"
install clinic "$T/map.conf"
sed -i 's/^caps : {/log : { level = "info"; };\n&/; s/subjects_per_run = 50/subjects_per_run = 1/' "$CONF"
set_option wait_seconds 1

# An application that quotes its rows in whatever it can: what it does is in app.mode, which the tests set.
sql -U app_owner clinic "CREATE FUNCTION app.quote() RETURNS trigger LANGUAGE plpgsql AS \$\$
DECLARE
	mode text := current_setting('app.mode', true);
	name text := (SELECT display_name FROM app.patient WHERE id = OLD.patient_id) || encode(OLD.scan, 'escape');
BEGIN
	CASE split_part(coalesce(mode, ''), ' ', 1)
	WHEN 'raise' THEN RAISE EXCEPTION 'no: %', name USING ERRCODE = split_part(mode, ' ', 2), DETAIL = name, HINT = name,
		TABLE = name, COLUMN = name, CONSTRAINT = name, SCHEMA = name;
	WHEN 'warn' THEN RAISE WARNING 'so: %', name USING DETAIL = name, HINT = name;
	WHEN 'cast' THEN PERFORM name::int;
	WHEN 'divide' THEN EXECUTE format('SELECT 1 / 0 AS %I', name);
	WHEN 'dynamic' THEN EXECUTE format('SELECT %I', name);
	WHEN 'sleep' THEN PERFORM pg_sleep(60);
	WHEN 'die' THEN PERFORM pg_terminate_backend(pg_backend_pid());
	WHEN 'unique' THEN INSERT INTO app.code VALUES ('FUP', name);
	WHEN 'keep' THEN RETURN NULL;
	ELSE NULL;
	END CASE;
	RETURN OLD;
END \$\$" 'CREATE TRIGGER quote BEFORE DELETE ON app.letter FOR EACH ROW EXECUTE FUNCTION app.quote()'
mode() {
	sql postgres "ALTER DATABASE clinic SET app.mode = '$1'"
}
mode ''

# The server logs all that it can, our statements with their parameters, each line with who sent it.
sql postgres "ALTER SYSTEM SET log_line_prefix = 'by=%a|'" "ALTER SYSTEM SET log_statement = 'all'" \
	"ALTER SYSTEM SET log_duration = on" "ALTER SYSTEM SET log_parameter_max_length = -1" \
	"ALTER SYSTEM SET log_parameter_max_length_on_error = -1" "ALTER SYSTEM SET log_error_verbosity = 'verbose'" \
	'SELECT pg_reload_conf()' >/dev/null

# said CMD...: whatever it says is kept for the search
n_said=0
said() {
	n_said=$((n_said + 1))
	run "$@"
	{
		printf '%s\n' "$*"
		cat "$T/out" "$T/err"
	} >"$T/said/$n_said"
}

# clean NAME FILE...: no secret is in there
clean() {
	local name=$1 found
	shift
	found=$(grep -raoiF -f "$T/secrets" -- "$@" | sort | uniq -c | head -n 10 || true)
	is "$found" "" "$name"
}

# ---- every command at every level
patient=0
for level in error warning info debug; do
	set_option level "\"$level\""
	patient=$((patient + 4)) # with letter files, scanned invoices and logged telephones among them
	for verbose in '' -v; do
		tool() { # tool ROLE COMMAND...
			# shellcheck disable=SC2086 # an option or none
			said "$EXPUNGE" -c "$CONF" -U "$1" $verbose "${@:2}"
		}
		patient=$((patient + 1))
		tool oscar request erase --tenant 1 --subject "$patient" --ground 17-1-b
		id=$(grep -aoE '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}' "$T/out" | head -n 1)
		tool oscar request identify "$id"
		tool oscar request extend "$id" --reason 'a reason'
		tool night request plan "$id"
		tool oscar request show "$id"
		tool oscar request show "$id" --json
		tool oscar request list
		tool oscar request list --all --json
		tool oscar request recipients
		tool night erase --dry-run
		tool night erase --dry-run --json
		tool night erase --rehearse
		tool ruth request decide "$id" --accept --plan "$(sql clinic "SELECT hash FROM expunge.plan WHERE request_id = '$id'")"
		tool oscar hold place --tenant 1 --subject "$patient" --kind complaint --reason 'case 7' --review "$(date -d '+1 year' +%F)"
		tool oscar hold list
		tool night nightly
		tool oscar hold release "$(sql clinic 'SELECT id FROM expunge.hold WHERE released_at IS NULL')"
		tool night nightly --dry-run --json
		tool night nightly
		is "$(request_state clinic "$id")" certified "log.level $level $verbose: an erasure from end to end"
		tool oscar freeze on --reason 'a reason'
		tool night erase
		tool oscar freeze show
		tool oscar freeze off
		tool ruth cap raise --reason 'a reason'
		tool oscar clock accept --reason 'a reason'
		tool oscar contact add --audience operator root@software.example
		tool oscar contact list
		tool night notify
		tool night notify --list --json
		tool watch status
		tool watch status --json
		tool watch status --prometheus
		tool night check
		tool night map check
		tool night map show
		tool night map explain app.note
		tool postgres map discover
		tool dora certificate list --json
		tool dora certificate show 1
		for format in notes json csv; do
			tool dora certificate export --format "$format" --output "$T/clinic/export-$level-$verbose-$format"
		done
		tool postgres init
	done
done
clean "nothing that $n_said commands said" "$T/said"
clean "nothing in certificates, exports, ledger, state" "$T/clinic"

# ---- every way to fail; the request is tried again and again
quoted=0
fails() { # fails NAME CODE: a night that does not do it
	local before=$quoted
	said expunge_as night -v nightly
	if [ "$RC" = "$2" ]; then verdict true "$1: exit code $2"; else
		verdict false "$1: exit code $2"
		show_run
	fi
	quoted=$(grep -aoiF -f "$T/secrets" "$EXPUNGE_TEST_LOG" | wc -l)
	[ "${3:-}" = unquoted ] || ok "$1: the server's log has a word that ours must not have" test "$quoted" -gt "$before"
	clean "$1: and ours has none" "$T/said/$n_said"
}
set_option level '"debug"'
id=$(scheduled clinic 1 65) # two letters, a letter file, a guarantor of its own
for code in P0001 23505 22P02 EX501 42501 53100 XX000 P0003 08006 21000; do
	mode "raise $code"
	fails "the application raises $code" 3
done
mode 'raise 55P03'
fails "the application raises 55P03, again and again" 3
for how in cast divide dynamic unique; do
	mode "$how"
	fails "the application fails by itself ($how)" 3 "$([ "$how" != unique ] || echo unquoted)"
done
mode keep
fails "the application keeps a row" 3 unquoted
mode die
fails "the connection is lost" 1 unquoted
mode sleep
set_option statement_timeout_ms 500
fails "a statement runs out of time" 3 unquoted
set_option statement_timeout_ms 0
mode ''
sql -U app_owner clinic "ALTER TABLE app.invoice ADD CONSTRAINT payer CHECK (payer_name IS NOT NULL OR issued_at < '2000-01-01') NOT VALID"
fails "a row that may not be masked" 3 unquoted
sql -U app_owner clinic 'ALTER TABLE app.invoice DROP CONSTRAINT payer'
for name in ledger certificates; do
	mode ''
	( # a file that may not grow is as good as a full disk
		ulimit -f 0
		"$EXPUNGE" -c "$CONF" -U night -v nightly >/dev/full 2>"$T/cwd/$name.err" </dev/null || true
	)
	clean "a full disk ($name)" "$T/cwd"
	ln -s /dev/null "$T/cwd/$name" # and a directory that is none
	mv "$T/clinic/$name" "$T/clinic/$name.away"
	ln -s "$T/cwd/$name" "$T/clinic/$name"
	said expunge_as night -v nightly
	rm "$T/clinic/$name" "$T/cwd/$name"
	mv "$T/clinic/$name.away" "$T/clinic/$name"
done
mode 'raise P0001'
said expunge_as night -v erase --rehearse --request "$id"
mode warn
said expunge_as night -v erase --rehearse --request "$id"
said expunge_as night -v nightly
is "$(request_state clinic "$id")" certified "with warnings that quote rows it is done in the end"

# blockers and contested rows; rows that came back; a map that does not fit; text elsewhere
for subject in 70 72 99999 notakey; do
	other=$(file_request clinic 1 "$subject")
	said expunge_as oscar request identify "$other"
	said expunge_as night -v request plan "$other"
	said expunge_as oscar request show "$other"
	said expunge_as night -v erase --rehearse --request "$other"
done
id=$(scheduled clinic 1 66)
sql clinic "INSERT INTO app.message (thread, body, ref_type, ref_id) VALUES ('$(sed -n 1p "$T/planted")', '$(sed -n 2p "$T/planted")', 'patient', '66')"
said expunge_as night -v nightly
said expunge_as oscar request show "$id"
is "$(request_state clinic "$id")" blocked "new rows block"
sql -U app_owner clinic "ALTER TABLE app.patient ADD COLUMN nickname text DEFAULT '$(sed -n 3p "$T/planted")'"
for what in 'map check' nightly 'request list' check; do
	# shellcheck disable=SC2086 # words of a command
	said expunge_as night -v $what
done
sql -U app_owner clinic 'ALTER TABLE app.patient DROP COLUMN nickname'

# ---- killed with a core dump allowed, in the middle of a rehearsal that has read the values
session lock clinic
say lock 'BEGIN; SELECT 1 FROM app.letter WHERE patient_id = 67 FOR UPDATE'
id=$(scheduled clinic 1 67)
for signal in SEGV ABRT; do
	"$EXPUNGE" -c "$CONF" -U night nightly >"$T/cwd/out" 2>&1 </dev/null &
	pid=$!
	waits_for_lock clinic
	is "$(awk '/^Max core file size/ { print $5, $6 }' "/proc/$pid/limits")" "0 0" "a run may not write a core"
	kill -"$signal" "$pid"
	wait "$pid" 2>/dev/null || true
	await "the server ends it" holds clinic "count(*) = 0 FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'expunge%'"
done
say lock ROLLBACK
session_end lock
is "$(find "$T/cwd" -name 'core*')" "" "and writes none"

# ---- the whole harvest
clean "nothing that $n_said commands said, failing or not" "$T/said" "$T/cwd"
clean "nothing in certificates, exports, ledger, state" "$T/clinic"
pg_dump -U postgres -d clinic --schema expunge --schema expunge_api >"$T/control.sql"
clean "nothing in the control schema" "$T/control.sql"
# what the server logs by itself of an error (DETAIL: Failing row ...) and the application's words are not ours: our
# statements and their parameters are
awk '/^by=/ { ours = /^by=expunge[^|]*\|(LOG|STATEMENT|DETAIL:  [Pp]arameters)/ } ours' "$EXPUNGE_TEST_LOG" >"$T/server.log"
ok "the server has logged our statements with their parameters" test "$(grep -c 'parameters: \$1' "$T/server.log")" -gt 1000
clean "nothing in our statements and their parameters, as the server logs them" "$T/server.log"
done_testing

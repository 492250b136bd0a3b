#!/usr/bin/env bash
# Attacks that worked once: each test repeats one and expects that it fails. Where the attacker needs a
# batch stopped in its middle, it waits for a lock that the test holds.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/sessions.bash"

# practice DB: a fresh installation, two sessions of the application
practice() {
	fresh_db "$1"
	install "$1" 2>"$T/notices" # of roles that are there already
	set_option lock_timeout_ms 60000
	set_option wait_seconds 1
	rm -f "$T/fifo.app" "$T/fifo.lock"
	session app "$1" app_owner
	session lock "$1"
}

leave_practice() {
	session_end app
	session_end lock
}

# half_way DB: starts the night, which has collected and locked its rows and deleted nothing when this returns
half_way() {
	say lock 'BEGIN; LOCK TABLE expunge.control_set IN EXCLUSIVE MODE'
	start night expunge_as night nightly
	waits_for_lock "$1"
}

go_on() {
	say lock COMMIT
	finish night
}

owner() { # owner DB STATEMENT...: as the application, which is a member of expunge_job
	sql -U app_owner "$@"
}

reason() { # reason DB ID
	sql "$1" "SELECT reason FROM expunge.request WHERE id = '$2'"
}

certificates_of() { # certificates_of DB ID
	sql "$1" "SELECT count(*) FROM expunge.certificate WHERE request_id = '$2'"
}

last_note() { # last_note DB
	cat "$(find "$T/$1/certificates" -name '*.note' | LC_ALL=C sort | tail -n 1)"
}

# ---- a row that moves to another patient while the batch runs
practice moves
letter=$(sql moves 'SELECT min(id) FROM app.letter WHERE patient_id BETWEEN 20 AND 90')
patient=$(sql moves "SELECT patient_id FROM app.letter WHERE id = $letter")
id=$(scheduled moves 1 "$patient")
half_way moves
send app "UPDATE app.letter SET patient_id = 100 WHERE id = $letter RETURNING 'moved'"
await "the mover waits for the batch" holds moves "count(*) = 1 FROM pg_stat_activity
	WHERE datname = 'moves' AND usename = 'app_owner' AND application_name NOT LIKE 'expunge%' AND wait_event_type = 'Lock'"
go_on
await "the mover is answered" answered app
is "$RC $(request_state moves "$id") $(left_of moves "$patient")" "0 certified 0" "a row cannot move away from under the batch"
nok "the mover moved nothing" grep -q moved "$T/session.app"
letter=$(sql moves 'SELECT min(id) FROM app.letter WHERE patient_id BETWEEN 101 AND 140')
patient=$(sql moves "SELECT patient_id FROM app.letter WHERE id = $letter")
id=$(scheduled moves 1 "$patient")
say app "BEGIN; UPDATE app.letter SET patient_id = 100 WHERE id = $letter"
start night expunge_as night nightly
waits_for_lock moves
say app COMMIT
finish night
is "$(request_state moves "$id") $(sql moves "SELECT count(*) FROM app.letter WHERE id = $letter AND patient_id = 100")" \
	"blocked 1" "a row that moved just before is somebody else's, and the approval is void"

# ---- tables and triggers that are made while the batch runs
id=$(scheduled moves 1 50)
half_way moves
session ddl moves app_owner
session other moves app_owner
send app 'CREATE TABLE app.referral (id int PRIMARY KEY, patient_id bigint NOT NULL REFERENCES app.patient ON DELETE CASCADE)'
send ddl 'CREATE TRIGGER loot BEFORE DELETE ON app.patient FOR EACH ROW EXECUTE FUNCTION audit.log_patient()'
await "both wait for the batch" holds moves "count(*) = 2 FROM pg_stat_activity
	WHERE datname = 'moves' AND usename = 'app_owner' AND application_name NOT LIKE 'expunge%' AND wait_event_type = 'Lock'"
say other 'CREATE TABLE app.scribble (patient_id bigint, t text)'
say other "INSERT INTO app.scribble VALUES (50, 'left')"
go_on
rc_is 5 "a table made during the batch: refused"
err_like 'the schema changed while the run was under way' "which says so"
await "the DDL goes on" answered app
await "the DDL goes on" answered ddl
is "$(request_state moves "$id") $(sql moves "SELECT count(*) FROM app.patient WHERE id = 50") $(certificates_of moves "$id")" \
	"scheduled 1 0" "nothing was removed, nothing certified"
owner moves 'DROP TABLE app.scribble, app.referral' 'DROP TRIGGER loot ON app.patient'
half_way moves
send app 'CREATE TABLE app.referral (id int PRIMARY KEY, patient_id bigint NOT NULL REFERENCES app.patient ON DELETE CASCADE)'
send ddl 'CREATE TRIGGER loot BEFORE DELETE ON app.patient FOR EACH ROW EXECUTE FUNCTION audit.log_patient()'
await "both wait for the batch" holds moves "count(*) = 2 FROM pg_stat_activity
	WHERE datname = 'moves' AND usename = 'app_owner' AND application_name NOT LIKE 'expunge%' AND wait_event_type = 'Lock'"
go_on
await "the foreign key is made afterwards" answered app
await "the trigger is made afterwards" answered ddl
is "$(left_of moves 50)" 0 "DDL on a table of the batch waits: the batch ends as it was approved"
is "$(request_state moves "$id") $(certificates_of moves "$id")" "removed 0" "no certificate is signed over a schema that changed"
owner moves 'DROP TABLE app.referral' 'DROP TRIGGER loot ON app.patient'
run expunge_as night nightly
is "$RC $(request_state moves "$id") $(certificates_of moves "$id")" "0 certified 1" "with the schema as it was, there is one"
session_end ddl
session_end other

# ---- a key that is given to somebody else
sql moves "INSERT INTO app.patient (id, practice_id, given_name, family_name, born, created_at)
	VALUES (900001, 1, 'Old', 'Person', '1950-01-01', '2020-01-01')"
id=$(scheduled moves 1 900001)
sql moves 'DELETE FROM app.patient WHERE id = 900001' 'DELETE FROM audit.log_patient WHERE id = 900001' \
	"INSERT INTO app.patient (id, practice_id, given_name, family_name, born) VALUES (900001, 1, 'Somebody', 'Else', '1999-01-01')"
run expunge_as night nightly
is "$(request_state moves "$id") $(sql moves "SELECT family_name FROM app.patient WHERE id = 900001")" "blocked Else" \
	"between approval and run: another birth is another person"
run expunge_as night request show "$id"
approve_plan moves "$id"
rc_is 5 "nor can it be approved: the subject is younger than the request"
run expunge_as ruth request withdraw "$id"
id=$(scheduled moves 1 44)
say app 'BEGIN; SELECT txid_current()'
run expunge_as night nightly
is "$(request_state moves "$id")" removed "removed, and an older transaction is open"
sql moves "INSERT INTO app.patient (id, practice_id, given_name, family_name, born) VALUES (44, 1, 'New', 'Person', '2001-01-01')" \
	"INSERT INTO app.appointment (patient_id, starts_at, reason) VALUES (44, now(), 'first visit')"
say app COMMIT
run expunge_as night nightly
is "$(request_state moves "$id")" failed "after the removal: rows with that key are found"
ok "the plan of what is left says that the key is in use again" \
	holds moves "document LIKE '%blocker: the subject''s key is in use again%' FROM expunge.plan WHERE request_id = '$id'"
approve_plan moves "$id"
rc_is 5 "which nobody can approve"
run expunge_as night nightly
is "$(sql moves 'SELECT (SELECT count(*) FROM app.patient WHERE id = 44), (SELECT count(*) FROM app.appointment WHERE patient_id = 44)') $(certificates_of moves "$id")" \
	"1|1 0" "the new person keeps everything, and no certificate says otherwise"
leave_practice
drop_db moves

# ---- rows written by expunge_job in the control schema
practice forged
sed 's/^controller: .*/controller: 3/' "$ROOT/tests/vectors/good-completed.note" >"$T/good.note"
psql -XAtq -U app_owner -d forged -v ON_ERROR_STOP=1 -v note="$(cat "$T/good.note")" <<-'SQL'
	INSERT INTO expunge.certificate (serial, id, kind, stage, tenant, request_id, note)
	VALUES (412, '5b1f0c9d27e84a6fb3a2c81e90d7f645', 'subject-erasure', 'final', '3', gen_random_uuid(), :'note' || chr(10)),
		(413, md5('x'), 'subject-erasure', 'final', '3', gen_random_uuid(), 'x');
SQL
id=$(scheduled forged 1 42)
run expunge_as night nightly
rc_is 3 "forged rows among the certificates are told"
err_like 'the stored certificate 412 is not one that we signed' "the one that looks like one"
err_like 'the stored certificate 413 is not one that we signed' "and the one that does not"
is "$(request_state forged "$id") $(find "$T/forged/certificates" -name '*.note' | wc -l) $(find "$T/forged/certificates" -name '*412-*' | wc -l)" \
	"certified 1 0" "ours is published, they are not"
sql forged 'DELETE FROM expunge.certificate WHERE serial IN (412, 413)'
sql forged "INSERT INTO expunge.certificate (serial, id, kind, stage, tenant, request_id, note)
	SELECT 414, md5('y'), kind, stage, '2', gen_random_uuid(), note FROM expunge.certificate WHERE request_id = '$id'"
run expunge_as night nightly
err_like 'the stored certificate 414 belongs to another row' "nor is a note of ours in a row that is not its own"
sql forged 'DELETE FROM expunge.certificate WHERE serial = 414'
id=$(scheduled forged 1 43)
other=$(scheduled forged 2 243)
say app 'BEGIN; SELECT txid_current()'
run expunge_as night nightly
is "$(request_state forged "$id") $(request_state forged "$other")" "removed removed" "two that wait for an older transaction"
owner forged "UPDATE expunge.plan SET document = regexp_replace(document, 'out-of-scope: copies[^\n]*\n', '') WHERE request_id = '$id'"
say app COMMIT
run expunge_as night nightly
rc_is 3 "a plan that was edited after its approval"
err_like "request $id: .*the stored plan is not the one that was approved" "is told"
is "$(request_state forged "$id") $(certificates_of forged "$id") $(request_state forged "$other")" "failed 0 certified" \
	"gives no certificate, and does not stop the others"

# ---- holds whose words name nobody
review=$(date -d '+30 days' +%F)
for wrong in "01 45" "1 245"; do # a tenant that does not exist, a subject of another tenant
	read -r tenant subject <<<"$wrong"
	id=$(scheduled forged 1 45)
	run expunge_as oscar hold place --tenant "$tenant" --subject "$subject" --kind litigation --reason court --review "$review"
	run expunge_as night nightly
	is "$(request_state forged "$id") $(sql forged 'SELECT count(*) FROM app.patient WHERE id = 45')" "blocked 1" \
		"a hold on tenant $tenant, subject $subject holds what it may have meant"
	is "$(reason forged "$id")" "hold: a hold names no known subject or tenant; correct or release it (expunge hold list)" "and says so"
	sql forged 'SELECT expunge.release_hold(id) FROM expunge.hold WHERE released_at IS NULL' >/dev/null
	run expunge_as ruth request withdraw "$id"
done
leave_practice
drop_db forged

# ---- a transaction that hides from the recount by being prepared
practice late
id=$(scheduled late 1 42)
say app "BEGIN; INSERT INTO app.message (thread, body, ref_type, ref_id) VALUES ('t', 'about patient 42', 'patient', '42')"
run expunge_as night nightly
is "$RC $(request_state late "$id")" "3 removed" "an older transaction is open"
say app "PREPARE TRANSACTION 'escape'"
run expunge_as night nightly
is "$RC $(request_state late "$id") $(certificates_of late "$id")" "3 removed 0" "prepared, it is waited for all the same"
err_like 'prepared [0-9]+ escape' "and named"
sql late "COMMIT PREPARED 'escape'"
run expunge_as night nightly
is "$RC $(request_state late "$id") $(certificates_of late "$id")" "3 failed 0" "and the row that it brought is found"
err_like "request $id: rows left: app.message 1" "by the recount"

# ---- the scope that is certified is the one that was approved
id=$(file_request late 1 43)
sql late "INSERT INTO app.message (thread, body, ref_type, ref_id)
	SELECT 't', 'please ring ' || family_name, 'practice', '1' FROM app.patient WHERE id = 43"
approve late "$id"
say app "BEGIN; INSERT INTO app.message (thread, body, ref_type, ref_id) VALUES ('t', 'x', 'patient', '43')"
run expunge_as night nightly
say app COMMIT
run expunge_as night nightly
is "$(request_state late "$id")" failed "a leftover: a new plan is made when the names are gone"
sql late "DELETE FROM app.message WHERE ref_type = 'patient' AND ref_id IN ('42', '43')"
run expunge_as night nightly
approved=$(sql late "SELECT approved_plan FROM expunge.request WHERE id = '$id'")
is "$(request_state late "$id")" certified "it goes by itself"
run cat "$T/late/certificates/$(sql late "SELECT to_char(serial, 'FM00000000') || '-' || id FROM expunge.certificate WHERE request_id = '$id'").note"
out_like '^out-of-scope: free text in app.message.body names the subject' "the certificate names the text that was left"
out_like "^plan: $approved\$" "as the approved plan does"

# ---- what stays in the files
owner late 'CREATE INDEX patient_email ON app.patient (email)' "INSERT INTO app.patient (practice_id, given_name, family_name, born, email)
	SELECT 1, 'G' || i, 'Filler-' || i, '1980-01-01', 'filler' || i || '@x.example' FROM generate_series(1, 15000) i"
sql late 'ALTER TABLE app.patient SET (autovacuum_enabled = off)' 'VACUUM ANALYZE app.patient' CHECKPOINT
# One without large objects: only a superuser may vacuum those.
plain=$(sql late 'SELECT min(id) FROM app.patient p WHERE id BETWEEN 20 AND 40 AND email IS NOT NULL
	AND NOT EXISTS (SELECT FROM app.letter_file f WHERE f.patient_id = p.id)
	AND NOT EXISTS (SELECT FROM app.invoice i WHERE i.patient_id = p.id AND i.scan IS NOT NULL)')
email=$(sql late "SELECT email FROM app.patient WHERE id = $plain")
in_file() { # in_file RELATION: how many of its lines hold the e-mail, on disk
	sql late CHECKPOINT
	grep -ac -- "$email" "$(sql late 'SHOW data_directory')/$(sql late "SELECT pg_relation_filepath('$1')")" || true
}
is "$(in_file app.patient_email | sed 's/[1-9][0-9]*/some/')" some "the e-mail is in the index's file"
id=$(scheduled late 1 "$plain")
run expunge_as night nightly
is "$RC $(request_state late "$id")" "0 certified" "a few dead rows among many"
run last_note late
out_like '^level: vacuumed$' "the certificate says vacuumed"
is "$(in_file app.patient_email)" 0 "and the index's file has it no more"
# Half-full pages: the cursor's own scan would tidy a full one.
sql late 'ALTER TABLE app.patient SET (fillfactor = 50)' 'VACUUM FULL app.patient' 'ALTER TABLE app.patient RESET (fillfactor)'
page=$(sql late 'SELECT (ctid::text::point)[0]::bigint FROM app.patient WHERE id = 3')
id=$(scheduled late 1 3)
say app 'BEGIN; SELECT txid_current()'
run expunge_as night nightly
is "$(request_state late "$id")" removed "removed, not yet vacuumed"
say app "COMMIT; BEGIN; DECLARE c CURSOR FOR SELECT * FROM app.patient WHERE ctid >= '($page,0)'; FETCH 1 FROM c"
run expunge_as night nightly
is "$RC $(request_state late "$id")" "0 certified" "a cursor keeps a page pinned"
run last_note late
out_like '^level: logical$' "which the certificate does not call vacuumed"
say app COMMIT

# ---- a large object that a table of nobody shares
owner late 'ALTER TABLE app.practice ADD COLUMN logo oid'
owner late "UPDATE app.practice SET logo = lo_from_bytea(0, 'logo of practice') WHERE id = 1" \
	'INSERT INTO app.letter_file (patient_id, content) SELECT 60, logo FROM app.practice WHERE id = 1'
id=$(scheduled late 1 60)
run expunge_as night nightly
is "$RC $(request_state late "$id")" "0 certified" "a letter shares its object with the practice"
is "$(sql late "SELECT convert_from(lo_get(logo), 'UTF8') FROM app.practice WHERE id = 1")" "logo of practice" "which keeps it"

# ---- a materialized view
owner late 'CREATE MATERIALIZED VIEW app.patient_search AS SELECT id, display_name, email FROM app.patient'
run expunge_as night map check
nok "a copy that the map does not know" test "$RC" = 0
out_like 'unclassified.*app\.patient_search|app\.patient_search.*unclassified' "is an error of the map"
run expunge_as night nightly
rc_is 5 "and stops the night"
owner late 'DROP MATERIALIZED VIEW app.patient_search'

# ---- a login of one practice that holds its own request's row
mkrole app3 expunge_intake
sql late "INSERT INTO expunge.tenant_login VALUES ('app3', '3')"
p3=$(sql late 'SELECT min(id) FROM app.patient WHERE practice_id = 3')
id=$(scheduled late 1 61)
sql -U app3 late "SELECT expunge_api.place_hold('3', '$p3', 'complaint', 'x', '$review')" >/dev/null
bad=$(sql -U app3 late "SELECT expunge_api.request_erasure('3', '$p3', '17-1-b')")
sql -U app3 late "SELECT expunge.identify_request('$bad')" >/dev/null
set_option lock_timeout_ms 100
session three late app3
say three "BEGIN; SELECT expunge_api.withdraw_request('$bad')"
run expunge_as night nightly
is "$(left_of late 61) $(request_state late "$id")" "0 removed" "another practice's request is carried out all the same"
say three ROLLBACK
session_end three
run expunge_as night nightly
is "$(request_state late "$id")" certified "and certified when that transaction has ended"
sql late 'SELECT expunge.release_hold(id) FROM expunge.hold WHERE released_at IS NULL' >/dev/null

# ---- a canary whose row the application has locked
p3=$((p3 + 1))
id=$(scheduled late 3 "$p3")
sql late "UPDATE expunge.request SET received_at = received_at - interval '2 days', due_on = due_on - 2 WHERE id = '$id'"
other=$(scheduled late 2 250)
say lock "BEGIN; SELECT 1 FROM app.patient WHERE id = $p3 FOR UPDATE"
run expunge_as night nightly
rc_is 3 "the first request's row is locked"
is "$(request_state late "$id") $(left_of late 250)" "failed 0" "the second is erased"
say lock COMMIT
set_option lock_timeout_ms 60000
run expunge_as night nightly
is "$(request_state late "$id") $(request_state late "$other")" "certified certified" "and the first in the next night"

# ---- approvals while the run is under way
set_option subjects_per_run 2
ids=()
for p in 50 51 52 53; do
	id=$(file_request late 1 "$p")
	expunge_as oscar request identify "$id" >/dev/null
	expunge_as night request plan "$id" >/dev/null
	ids+=("$id")
done
approve_plan late "${ids[0]}"
half_way late
for id in "${ids[@]:1}"; do
	approve_plan late "$id"
done
go_on
is "$RC $(for id in "${ids[@]}"; do request_state late "$id"; done | sort | uniq -c | xargs)" "0 1 certified 3 scheduled" \
	"approvals given during the run wait for the next one's caps"
run expunge_as night nightly
rc_is 5 "which hold"
set_option subjects_per_run 50
run expunge_as night nightly
rc_is 0 "until somebody changes them"

# ---- no identifying value in the server's log
sql late 'ALTER DATABASE late SET log_min_duration_statement = 0' 'ALTER DATABASE late SET log_parameter_max_length = -1' \
	"ALTER DATABASE late SET log_error_verbosity = 'default'"
mapfile -t markers < <(sample_markers late 70)
from=$(($(wc -c <"$EXPUNGE_TEST_LOG") + 1))
id=$(scheduled late 1 70)
run expunge_as night erase --rehearse --request "$id"
rc_is 0 "a rehearsal with everything logged"
run expunge_as night nightly
is "$RC $(request_state late "$id")" "0 certified" "a night with everything logged"
tail -c "+$from" "$EXPUNGE_TEST_LOG" >"$T/server.log"
ok "the server has logged statements and parameters" grep -q 'DETAIL:  parameters: ' "$T/server.log"
printf '%s\n' "${markers[@]}" >"$T/markers"
is "$(grep -aciF -f "$T/markers" "$T/server.log" || true)" 0 "none of them holds a name, number or address of the patient"
sql late 'ALTER DATABASE late RESET ALL'
leave_practice
drop_db late

# ---- words that an application's function raises
practice words
mapfile -t markers < <(sample_markers words 42)
owner words "CREATE OR REPLACE FUNCTION audit.log_patient() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS \$\$
	BEGIN RAISE insufficient_privilege USING MESSAGE = 'patient ' || OLD.family_name || ' <' || OLD.email || '> may not be deleted',
	HINT = 'call ' || OLD.phone; END \$\$"
id=$(scheduled words 1 42)
run expunge_as night nightly
rc_is 3 "an application's trigger refuses with a name in its words"
is "$(request_state words "$id")" failed "the request failed"
printf '%s\n' "${markers[@]}" >"$T/markers"
is "$(printf '%s\n' "$OUT" "$ERR" | grep -ciF -f "$T/markers" || true)" 0 "the log has none of them"
is "$(sql words "SELECT reason FROM expunge.request UNION ALL SELECT detail FROM expunge.event" | grep -ciF -f "$T/markers" || true)" 0 \
	"nor has the reason or an event"
run expunge_as ruth request withdraw "$id"

# ---- an acknowledged trigger that empties a table
owner words 'CREATE TABLE app.scratch (i int)' 'INSERT INTO app.scratch SELECT generate_series(1, 10)' \
	"CREATE OR REPLACE FUNCTION audit.log_patient() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS \$\$ BEGIN RETURN NULL; END \$\$" \
	"CREATE OR REPLACE FUNCTION audit.log_note() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS \$\$
	BEGIN TRUNCATE app.scratch; RETURN NULL; END \$\$"
sed 's|^  { table = "app.code";|  { table = "app.scratch"; action = "reference"; reason = "scratch"; },\n&|' "$ROOT/etc/maps/sample.conf" >"$T/words.map"
sed -i "s|^map = .*|map = \"$T/words.map\";|" "$CONF"
id=$(scheduled words 1 43)
run expunge_as night nightly
rc_is 3 "TRUNCATE in a trigger, which the server does not count"
err_like 'a table was emptied or written anew' "is noticed"
is "$(request_state words "$id") $(sql words 'SELECT count(*) FROM app.scratch')" "failed 10" "and undone"
run expunge_as ruth request withdraw "$id"
owner words "CREATE OR REPLACE FUNCTION audit.log_note() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS \$\$ BEGIN RETURN NULL; END \$\$"
id=$(scheduled words 1 44)
run expunge_as night nightly
is "$RC $(request_state words "$id")" "0 certified" "without it, the night goes through"

# ---- keys, the ledger and the map in other hands
dir=$T/words
chmod 0664 "$T/words.map"
run expunge_as night nightly
rc_is 2 "a map that others may write to"
err_like 'words\.map: others may write to it' "is refused"
chmod 0644 "$T/words.map"
mv "$dir/issuer.pem" "$dir/away.pem"
run expunge_as postgres init
rc_is 5 "init makes no second issuer key"
nok "and leaves none" test -e "$dir/issuer.pem"
mv "$dir/away.pem" "$dir/issuer.pem"
mv "$dir/ledger/key" "$dir/ledger.key"
run expunge_as postgres init
rc_is 5 "init makes no second ledger key"
nok "and leaves none" test -e "$dir/ledger/key"
mv "$dir/ledger.key" "$dir/ledger/key"
id=$(scheduled words 1 45)
cp "$dir/ledger/erasures" "$T/erasures"
awk 'NR == 1 { sub(/[0-9]/, "x") } { print }' "$T/erasures" >"$dir/ledger/erasures"
run expunge_as night nightly
rc_is 5 "a changed ledger stops the night"
is "$(request_state words "$id") $(sql words 'SELECT count(*) FROM app.patient WHERE id = 45')" "scheduled 1" "before anything is done"
cat "$T/erasures" >"$dir/ledger/erasures"
run expunge_as night nightly
is "$RC $(request_state words "$id")" "0 certified" "restored, it goes on"
leave_practice
done_testing

#!/usr/bin/env bash
# The application goes on writing: rows of the subject before and after approval, during the removal
# and after it, merged patients, and a schema that changes under an approval.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/sessions.bash"
fresh_db clinic
install clinic
set_option lock_timeout_ms 60000
message() { # message PATIENT WHEN: a message about the patient, for which there is no foreign key
	printf "INSERT INTO app.message (thread, body, ref_type, ref_id, sent_at) VALUES ('t', 'please call back', 'patient', '%s', %s)" "$1" "$2"
}
appointment() {
	printf "INSERT INTO app.appointment (patient_id, starts_at, reason) VALUES (%s, now(), 'knee pain')" "$1"
}
note_of() { # note_of ID: the certificate's file
	cat "$T/clinic/certificates/$(sql clinic "SELECT to_char(serial, 'FM00000000') || '-' || id FROM expunge.certificate WHERE request_id = '$1'").note"
}

# ---- before the plan: planned, and listed apart when younger than the request
id=$(file_request clinic 1 42)
sql clinic "$(message 42 "now() + interval '1 minute'")" "$(message 42 "now() - interval '1 year'")"
approve clinic "$id"
is "$(sql clinic "SELECT n_new_rows FROM expunge.plan WHERE request_id = '$id'")" 1 "a row that came after receipt is counted apart"
run expunge_as night nightly
rc_is 0 "it goes with the rest"
run note_of "$id"
out_like '^live: app.message before [0-9]+ removed [0-9]+ masked 0 retained 0 arrived-later 1 after 0$' "and the certificate says so"

# ---- after the approval: blocked, planned anew, approved again
id=$(scheduled clinic 1 43)
other=$(scheduled clinic 1 44)
before=$(sql clinic "SELECT approved_plan FROM expunge.request WHERE id = '$id'")
sql clinic "$(appointment 43)"
run expunge_as night nightly
rc_is 0 "a night that meets a new row"
is "$(request_state clinic "$id")" blocked "blocks the request"
is "$(sql clinic "SELECT reason FROM expunge.request WHERE id = '$id'")" "new rows: the rows are not those that were approved" "says why"
is "$(request_state clinic "$other")" certified "and serves the others"
is "$(sql clinic 'SELECT count(*) FROM app.appointment WHERE patient_id = 43')" 7 "nothing of the blocked one went"
ok "and it has a new plan" test "$before" != "$(sql clinic "SELECT hash FROM expunge.plan WHERE request_id = '$id'")"
run expunge_as ruth request decide "$id" --accept --plan "$before"
rc_is 5 "the old hash is not approved again"
run expunge_as night nightly
is "$RC $(request_state clinic "$id")" "0 blocked" "without an approval nothing happens"
approve_plan clinic "$id"
rc_is 0 "the new one is"
run expunge_as night nightly
rc_is 0 "and then it is carried out"
run note_of "$id"
out_like '^live: app.appointment .* arrived-later 1 after 0$' "the row that came later is counted apart"

# ---- an update of a planned row changes nothing
id=$(scheduled clinic 1 45)
sql clinic "UPDATE app.appointment SET reason = 'review' WHERE patient_id = 45" "UPDATE app.patient SET phone = '07700 900999' WHERE id = 45"
run expunge_as night nightly
is "$RC $(request_state clinic "$id")" "0 certified" "an update voids no approval, and what it logged goes too"
is "$(left_of clinic 45)" 0 "with every trace"

# ---- a row that went by itself: also not what was approved
id=$(scheduled clinic 1 46)
sql clinic "DELETE FROM app.letter WHERE patient_id = 46"
run expunge_as night nightly
is "$RC $(request_state clinic "$id")" "0 blocked" "a row that is gone blocks, too"
approve_plan clinic "$id"
run expunge_as night nightly
is "$(request_state clinic "$id")" certified "until the new plan is approved"

# ---- merged into the subject after the approval, and while the batch runs
id=$(scheduled clinic 1 47)
sql clinic "UPDATE app.patient SET merged_into = 47 WHERE id = 61"
run expunge_as night nightly
is "$RC $(request_state clinic "$id")" "0 blocked" "a duplicate merged after the approval blocks"
is "$(left_of clinic 61 | grep -vc '^0$')" 1 "nobody has approved its rows"
approve_plan clinic "$id"
session app clinic
session lock clinic
say lock 'BEGIN; SELECT 1 FROM app.letter WHERE patient_id = 47 FOR UPDATE'
start night expunge_as night nightly
waits_for_lock clinic
send app 'UPDATE app.patient SET merged_into = 47 WHERE id = 63'
await "the merge waits for the batch" holds clinic "count(*) = 2 FROM pg_stat_activity WHERE datname = 'clinic' AND wait_event_type = 'Lock'"
say lock COMMIT
finish night
rc_is 0 "the batch goes on"
await "the merge is answered" answered app
is "$(request_state clinic "$id") $(left_of clinic 61)" "certified 0" "it took what was approved"
ok "a merge into a patient who is gone fails" grep -q 'violates foreign key' "$T/session.app"
is "$(sql clinic 'SELECT count(*) FROM app.patient WHERE id = 63 AND merged_into IS NULL')" 1 "and that patient is as before"

# ---- during the removal: rows with a foreign key wait and fail
id=$(scheduled clinic 1 48)
say lock 'BEGIN; SELECT 1 FROM app.appointment WHERE patient_id = 48 FOR UPDATE'
start night expunge_as night nightly
waits_for_lock clinic
send app "$(appointment 48)"
await "the insert waits" holds clinic "count(*) = 2 FROM pg_stat_activity WHERE datname = 'clinic' AND wait_event_type = 'Lock'"
say lock COMMIT
finish night
await "the insert is answered" answered app
is "$RC $(request_state clinic "$id") $(left_of clinic 48)" "0 certified 0" "an appointment booked meanwhile does not survive"
is "$(grep -c 'violates foreign key' "$T/session.app")" 2 "the application is told"

# ---- during the removal: an insert that had not committed when the rows were planned
id=$(scheduled clinic 1 49)
say app "BEGIN; $(message 49 'now()')"
start night expunge_as night nightly
await "the removal is done and waits for the older transaction" holds clinic "state = 'removed' AND waits_for <> '{}' FROM expunge.request WHERE id = '$id'"
is "$(sql clinic 'SELECT count(*) FROM expunge.certificate WHERE request_id = '"'$id'")" 0 "no certificate while it is open"
say app COMMIT
finish night
rc_is 3 "a row that was committed afterwards is found"
err_like "request $id: rows left: app.message 1" "and named by table"
is "$(request_state clinic "$id")" failed "the request failed"
is "$(sql clinic 'SELECT count(*) FROM expunge.certificate WHERE request_id = '"'$id'")" 0 "there is no certificate"
run expunge_as night nightly
rc_is 3 "it is found again each night"
run expunge_as night request plan "$id"
rc_is 0 "what is left is planned"
out_like '^rows: app.message delete 1 arrived-later 1 ' "one message"
approve_plan clinic "$id"
rc_is 0 "and approved"
run expunge_as night nightly
rc_is 0 "then it goes"
is "$(request_state clinic "$id") $(left_of clinic 49)" "certified 0" "and the certificate is there"
run note_of "$id"
out_like '^live: app.message .* arrived-later 1 after 0$' "which tells of it"
out_like '^live: app.patient before 2 removed 2 ' "and of what went first"

# ---- after the removal, before the recount (the run broke off between the two)
id=$(scheduled clinic 1 51)
say app "BEGIN; SELECT 1"
say lock "BEGIN; DECLARE c CURSOR FOR SELECT 1; FETCH c" # older than the removal: the recount waits
run expunge_as night nightly
rc_is 3 "an old transaction holds the certificate up"
err_like 'wait for transactions older than their removal' "and is named as the reason"
is "$(request_state clinic "$id")" removed "the rows are gone already"
say app "$(message 51 'now()'); COMMIT"
say lock COMMIT
run expunge_as night nightly
rc_is 3 "a row that came between removal and recount is found"
is "$(request_state clinic "$id")" failed "the request failed"
run expunge_as night nightly
approve_plan clinic "$id"
rc_is 0 "the night has planned what is left"
run expunge_as night nightly
is "$RC $(request_state clinic "$id")" "0 certified" "and it ends with its certificate"
session_end app
session_end lock
whole clinic "after arrivals"

# ---- after the certificate: a new row is a new request's business
sql clinic "$(message 51 'now()')"
run expunge_as night nightly
rc_is 0 "what comes after the certificate is not this request's"

# ---- a column and a table that came after the approval
id=$(scheduled clinic 1 52)
sql clinic 'ALTER TABLE app.patient ADD COLUMN nickname text' 'CREATE TABLE app.allergy (id bigint PRIMARY KEY, patient_id bigint NOT NULL REFERENCES app.patient)' \
	'ALTER TABLE app.allergy OWNER TO app_owner' "INSERT INTO app.allergy VALUES (1, 52)" 'CREATE INDEX ON app.allergy (patient_id)'
run expunge_as night nightly
rc_is 5 "a schema that the map does not know"
err_like 'app\.allergy' "tells the table"
is "$(request_state clinic "$id")" scheduled "and nothing is done"
sed -e 's|{ table = "app.practice"; action = "tenant"; },|{ table = "app.allergy"; owner = "patient_id -> app.patient"; action = "delete"; },\n&|; s|harmless = \[|& "app.allergy",|' \
	"$ROOT/etc/maps/sample.conf" >"$T/clinic/map.conf"
sed -i "s|^map = .*|map = \"$T/clinic/map.conf\";|" "$CONF"
run expunge_as night nightly
rc_is 5 "with a map that knows it, the approval is of another map"
err_like "request $id: blocked \\(map or schema changed" "the request is blocked"
is "$(request_state clinic "$id") $(left_of clinic 52 | grep -vc '^0$')" "blocked 1" "and nothing went"
run expunge_as night nightly
rc_is 0 "it waits"
approve_plan clinic "$id"
rc_is 0 "for the new plan's approval"
run expunge_as night nightly
is "$RC $(request_state clinic "$id") $(sql clinic 'SELECT count(*) FROM app.allergy')" "0 certified 0" "and then takes the new table's rows, too"
whole clinic "at the end"
done_testing

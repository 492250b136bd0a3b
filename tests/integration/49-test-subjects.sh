#!/usr/bin/env bash
# Patients that the support staff made: untouched ones are erased by the ordinary path when their time is over, with a
# certificate; whatever the practice has used in any way goes into quarantine, also when it is used at the last moment.
. "$(dirname "$0")/../lib.sh"
fresh_db clinic
# the note's author: not everybody who writes one is the practice; and a change of the patient's row is not seen in its log as well
sql clinic "SET ROLE app_owner" "ALTER TABLE app.note ADD author text"
sed -e 's|{ table = "app.note"; }, { table = "app.letter"; }|{ table = "app.note"; by = "author"; }, { table = "app.letter"; }|' \
	-e 's|{ table = "audit.log_patient"; }, ||; s|harmless = \[|& "audit.log_patient",|' \
	"$ROOT/etc/maps/sample.conf" >"$T/map.conf"
install clinic "$T/map.conf"
mkrole ada expunge_support
mkrole ben expunge_support

as() { sql -U "$1" clinic "${@:2}"; }
refused() { # refused ROLE SQLSTATE STATEMENT NAME
	local got
	got=$(psql -XAtq -U "$1" -d clinic -v VERBOSITY=sqlstate <<<"$3" 2>&1 >/dev/null | sed -n 's/^ERROR: *//p' | head -n 1)
	is "$got" "$2" "$4"
}
enter() { # enter TENANT TICKET: consent and session; sets C and S
	C=$(as clinic_app "SELECT expunge_api.grant_support_consent('$1', now() + interval '3 hours', '$2', 'records')")
	S=$(as ada "SELECT expunge_api.open_support_session('$1', '$2', 'records', 'bookings fail')")
}
close() { as ada "SELECT expunge_api.close_support_session('$S')" >"$T/null"; }
make_patient() { # make_patient TENANT: by the application; prints the key
	as app_owner "INSERT INTO app.patient (practice_id, given_name, family_name, born) VALUES ($1, 'Test', 'Testcase-' || gen_random_uuid(), '1980-01-01') RETURNING id"
}
register() { as ada "SELECT expunge_api.register_test_subject('$S', '$1', '$2')"; }
new() { # new TENANT: sets P and X
	P=$(make_patient "$1")
	X=$(register "$1" "$P")
}
age() { # their seven days are over
	sql clinic "SET ROLE expunge_owner" "UPDATE expunge.support_event SET until = now() - interval '1 minute' WHERE kind = 'test-subject-registered' AND until > now()"
}
state() { sql clinic "SELECT state FROM expunge.support_list WHERE id = '$1' AND what <> 'anomaly'"; }
why() { sql clinic "SELECT detail FROM expunge.support_list WHERE id = '$1' AND what = 'test-subject'"; }
there() { sql clinic "SELECT count(*) FROM app.patient WHERE id = $1"; }
night() { run expunge_as night nightly; }

# ---------------------------------------------------------------- registration
enter 1 4711
refused ada EX740 "SELECT expunge_api.register_test_subject('$S', '1', '42')" "a patient from before the session is no test patient"
refused ada EX741 "SELECT expunge_api.register_test_subject('$S', '1', '999999')" "nor one who is not there"
refused ada EX741 "SELECT expunge_api.register_test_subject('$S', '1', 'forty-two')" "nor a text that is no key"
refused ada EX741 "SELECT expunge_api.register_test_subject('$S', '1', '42; DROP TABLE app.patient')" "nor a hostile one"
P=$(make_patient 2)
refused ada EX741 "SELECT expunge_api.register_test_subject('$S', '1', '$P')" "nor a patient of another practice"
refused ada EX401 "SELECT expunge_api.register_test_subject('$S', '2', '$P')" "whose practice has not let anybody in"
new 1
is "$(register 1 "$P")" "$X" "registered again, it is the same"
refused ben EX404 "SELECT expunge_api.register_test_subject('$S', '1', '$P')" "another's session registers nothing"
is "$(sql clinic "SELECT until AT TIME ZONE 'Europe/London' - at AT TIME ZONE 'Europe/London' FROM expunge.support_event WHERE id = '$X'")" "7 days" \
	"it has seven days of the calendar"
night
rc_is 0 "a night before its time"
is "$(there "$P") $(state "$X")" "1 waiting" "leaves it alone"

# ---------------------------------------------------------------- untouched
close
markers=$(sql clinic "SELECT family_name FROM app.patient WHERE id = $P")
as app_owner "INSERT INTO app.reminder (patient_id, due_on, channel) VALUES ($P, '2026-01-01', 'sms')"
"$ROOT/tests/sample/rows.sh" clinic >"$T/before"
age
is "$(state "$X")" due "after seven days it is due"
night
rc_is 0 "the night after"
is "$(there "$P") $(state "$X")" "0 erased" "erases it"
no_trace clinic "and all that is its own" "$markers"
note=$(echo "$T"/clinic/certificates/*.note)
run cat "$note"
out_like '^kind: test-subject$' "with a certificate of its kind"
out_like "^approver: support-consent:$C [0-9a-f]{32}$" "which names the consent"
out_like '^live: app.reminder before 0 removed 1 .* arrived-later 1 ' "and counts what went"
is "$(sql clinic "SELECT count(*) FROM expunge.support_subject WHERE id = '$X'") $(sql clinic "SELECT kind FROM expunge.support_event WHERE id = '$X' ORDER BY number DESC LIMIT 1")" \
	"0 test-subject-erased" "nothing says any more who it was"
"$ROOT/tests/sample/rows.sh" clinic >"$T/after"
is "$(diff "$T/before" "$T/after" | grep -c '^>')" 0 "nobody else's row has changed"
run expunge_as night certificate verify --key "$T/clinic/certificates/issuer.pem" "$note"
rc_is 0 "it verifies"
night
rc_is 0 "another night has nothing to do"
is "$(find "$T/clinic/certificates" -name '*.note' | wc -l)" 1 "and signs nothing"

# ---------------------------------------------------------------- touched: a row in each table that counts
declare -A touch=(
	[appointment]="INSERT INTO app.appointment (patient_id, starts_at) VALUES (KEY, now())"
	[letter]="INSERT INTO app.letter (patient_id, scan) VALUES (KEY, 'x')"
	[letter_file]="INSERT INTO app.letter_file (patient_id, content) VALUES (KEY, lo_create(0))"
	[invoice]="INSERT INTO app.invoice (id, patient_id, total) VALUES ('T-' || KEY, KEY, 1)"
	[message]="INSERT INTO app.message (thread, body, ref_type, ref_id) VALUES ('t', 'hello', 'patient', 'KEY')"
	[guarantor]="WITH g AS (INSERT INTO app.guarantor (practice_id, name) VALUES (1, 'Payer') RETURNING id) INSERT INTO app.patient_guarantor SELECT KEY, id FROM g"
	[edited]="UPDATE app.patient SET phone = '07700 900000' WHERE id = KEY"
	[merged]="INSERT INTO app.patient (practice_id, given_name, family_name, born, merged_into) VALUES (1, 'Dup', 'Licate', '1980-01-01', KEY)"
	[note]="WITH a AS (INSERT INTO app.appointment (patient_id, starts_at) VALUES (KEY, now()) RETURNING id) INSERT INTO app.note (appointment_id, body, author) SELECT id, 'seen', 'dr jones' FROM a"
)
declare -A patient=() subject=()
enter 1 4712
for how in "${!touch[@]}"; do
	new 1
	patient[$how]=$P subject[$how]=$X
	as app_owner "${touch[$how]//KEY/$P}"
done
new 1
patient[nobody]=$P subject[nobody]=$X
close
"$ROOT/tests/sample/rows.sh" clinic | LC_ALL=C sort >"$T/before"
age
night
rc_is 0 "a night with nine used ones and one that is not"
err_like 'in quarantine' "says what it keeps"
for how in "${!touch[@]}"; do
	is "$(there "${patient[$how]}") $(state "${subject[$how]}")" "1 quarantined" "touched is kept: $how ($(why "${subject[$how]}"))"
done
is "$(there "${patient[nobody]}") $(state "${subject[nobody]}")" "0 erased" "and the other goes"
"$ROOT/tests/sample/rows.sh" clinic | LC_ALL=C sort >"$T/after"
is "$(LC_ALL=C comm -23 "$T/before" "$T/after" | cut -d: -f1 | tr '\n' ' ')" "app.patient " "by one row"
is "$(sql clinic "SELECT count(*) FROM expunge.request WHERE kind = 'test-subject' AND state NOT IN ('certified', 'withdrawn')")" 0 "no request stays behind"

# ---------------------------------------------------------------- a person decides
X=${subject[letter]}
refused ada 42501 "SELECT expunge_api.decide_test_subject('$X', 'erase')" "the staff does not decide"
as clinic_app "SELECT expunge_api.decide_test_subject('$X', 'keep')" >"$T/null"
is "$(state "$X")" kept "the practice keeps one"
refused clinic_app EX746 "SELECT expunge_api.decide_test_subject('$X', 'erase')" "once"
X=${subject[message]}
id=$(as clinic_app "SELECT expunge_api.decide_test_subject('$X', 'erase')")
is "$id" "$(as clinic_app "SELECT expunge_api.decide_test_subject('$X', 'erase')")" "and has another erased"
is "$(request_state clinic "$id") $(state "$X")" "received handed-over" "the ordinary way, as any patient"
night
is "$(there "${patient[message]}")" 1 "which waits for an approval"
approve clinic "$id"
night
is "$(there "${patient[message]}") $(request_state clinic "$id")" "0 certified" "and gets it"

# ---------------------------------------------------------------- whose note it is
enter 2 20
declare -A author=([staff]=ada [session]=$S [practice]='dr jones' [nobody]='')
for who in "${!author[@]}"; do
	new 2
	patient[$who]=$P subject[$who]=$X
done
# the staff writes into an appointment that the practice has made harmless for this test
sed -e 's|{ table = "app.appointment"; }, ||; s|harmless = \[|harmless = [ "app.appointment",|' "$T/map.conf" >"$T/map2.conf"
for who in "${!author[@]}"; do
	as app_owner "WITH a AS (INSERT INTO app.appointment (patient_id, starts_at) VALUES (${patient[$who]}, now()) RETURNING id)
		INSERT INTO app.note (appointment_id, body, author) SELECT id, 'n', nullif('${author[$who]}', '') FROM a"
done
close
age
cp "$T/map.conf" "$T/map.kept"
cp "$T/map2.conf" "$T/map.conf"
night
for who in staff session; do
	is "$(there "${patient[$who]}") $(state "${subject[$who]}")" "0 erased" "a note by the $who is no contact"
done
for who in practice nobody; do
	is "$(there "${patient[$who]}") $(state "${subject[$who]}")" "1 quarantined" "one by ${author[$who]:-nobody knows whom} is"
done
cp "$T/map.kept" "$T/map.conf"

# ---------------------------------------------------------------- what else keeps one
enter 1 4713
new 1
revoked=$P X1=$X
as clinic_app "SELECT expunge_api.revoke_support_consent('$C')" >"$T/null"
enter 1 4714
new 1
held=$P X2=$X
new 1
gone=$P X3=$X
new 1
reused=$P X4=$X
new 1
withdrawn=$P X5=$X
close
as app_owner "DELETE FROM app.patient WHERE id IN ($gone, $reused)" "INSERT INTO app.patient (id, practice_id, given_name, family_name, born) VALUES ($reused, 1, 'Real', 'Patient', '1950-02-03')"
expunge_as oscar hold place --tenant 1 --subject "$held" --kind complaint --reason why --review 2099-01-01 >"$T/null" 2>&1 ||
	expunge_as oscar hold place --tenant 1 --subject "$held" --kind complaint --reason why --review "$(date -d '+1 month' +%F)" >"$T/null"
age
night
is "$(there "$revoked") $(state "$X1") $(why "$X1")" "1 quarantined the consent was revoked" "whose consent was revoked has no approval"
is "$(there "$held") $(state "$X2")" "1 held" "a hold keeps it"
is "$(state "$X3")" gone "who was deleted by hand is gone"
is "$(there "$reused") $(state "$X4")" "1 quarantined" "a key that somebody else has by now is not the test patient's"
expunge_as oscar hold list --json | grep -o '"id": "[^"]*"' | cut -d'"' -f4 | while read -r hold; do expunge_as oscar hold release "$hold" >"$T/null"; done
night
is "$(there "$held") $(state "$X2")" "0 erased" "without the hold it goes"
is "$(there "$withdrawn") $(state "$X5")" "0 erased" "as did the one beside"

# ---------------------------------------------------------------- used at the last moment
enter 1 4715
new 1
early=$P X1=$X
new 1
late=$P X2=$X
close
age
sed -i 's/subjects_per_run = 50/subjects_per_run = 1/' "$CONF"
night
rc_is 5 "a night that stops at a cap"
is "$(sql clinic "SELECT string_agg(state, ' ') FROM expunge.request WHERE id IN ('$X1', '$X2')")" "scheduled scheduled" "has approved what it would have taken"
as app_owner "INSERT INTO app.message (thread, body, ref_type, ref_id) VALUES ('t', 'hello', 'patient', '$early')"
sed -i 's/subjects_per_run = 1/subjects_per_run = 50/' "$CONF"
night
is "$(there "$early") $(state "$X1") $(why "$X1")" "1 quarantined touched: app.message" "a message between planning and removal keeps the patient"
is "$(there "$late") $(state "$X2")" "0 erased" "and nobody else"

# a message has no foreign key: nothing but our lock makes whoever writes one and the removal wait for each other
enter 1 4716
new 1
close
age
psql -XAtq -U app_owner -d clinic >"$T/writer" <<-SQL &
	BEGIN;
	INSERT INTO app.message (thread, body, ref_type, ref_id) VALUES ('t', 'hello', 'patient', '$P');
	\! touch $T/written
	SELECT pg_sleep(3);
	COMMIT;
SQL
writer=$!
until [ -e "$T/written" ]; do sleep 0.1; done
night
wait "$writer"
is "$(there "$P") $(state "$X") $(why "$X")" "1 quarantined touched: app.message" "one that is being written keeps the patient, too"

# ---------------------------------------------------------------- the map
run expunge_as night map check
rc_is 0 "the map says of each table what a row of it means"
sed -i 's/{ table = "app.letter"; }, //; s/{ table = "app.letter"; },//' "$T/map.conf"
run expunge_as night map check
rc_is 2 "a table that it forgets is an error"
out_like 'app.letter.*unclassified-contact|unclassified-contact.*app.letter' "which is named"
night
rc_is 5 "and no night runs with such a map"
sed '/^support : {/,/^};/d' "$T/map.kept" >"$T/map.conf"
enter 1 4717
new 1
close
age
night
rc_is 3 "a map that has lost its support group"
err_like 'does not say what shows that a practice has used' "is complained of"
is "$(there "$P")" 1 "and deletes no test patient"
expunge_as postgres init 2>"$T/null"
enter 1 4718
refused ada EX745 "SELECT expunge_api.register_test_subject('$S', '1', '42')" "after init none is registered either"
done_testing

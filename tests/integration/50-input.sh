#!/usr/bin/env bash
# Bad input: configurations, maps, identifiers and values that nobody should have written. Each is
# refused with a reason, nothing is touched, and the right input goes through afterwards.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/sessions.bash"
fresh_db clinic
install clinic
good=$CONF

# ---- configuration: every error at once, with its line
"$ROOT/tests/sample/rows.sh" clinic >"$T/before"
CONF=$T/clinic/bad.conf
sed -e 's/^issuer : {/&\n colour = "blue";/' -e 's/subjects_per_run = 50/subjects_per_run = 0/' \
	-e 's/undo_days = 0/undo_days = "many"/' -e '/^processor/d' "$good" >"$CONF"
run expunge_as night nightly
rc_is 2 "a malformed configuration"
err_like "^$CONF:[0-9]+: issuer.colour" "tells the unknown setting with its line"
err_like "^$CONF:[0-9]+: caps.subjects_per_run" "the number out of range"
err_like "^$CONF:[0-9]+: policy.undo_days" "the wrong type"
err_like 'processor' "and what is missing, all at once"
printf 'database : { conninfo = "x;\n' >"$CONF"
run expunge_as night nightly
rc_is 2 "a configuration that does not parse"
err_like "^.*$CONF:[0-9]+" "with its line"
cp "$good" "$CONF"
chmod 0666 "$CONF"
run expunge_as night nightly
rc_is 2 "a configuration that others can write"
run "$EXPUNGE" -c "$T/clinic/none.conf" nightly
rc_is 2 "a configuration that is not there"
rm -f "$CONF"

# ---- map
CONF=$good
id=$(file_request clinic 1 42)
map_with() { # map_with SED-SCRIPT: the sample's map, changed
	sed -e "$1" "$ROOT/etc/maps/sample.conf" >"$T/clinic/map.conf"
	sed -i "s|^map = .*|map = \"$T/clinic/map.conf\";|" "$CONF"
}
map_with 's/action = "reference"/action = "shred"/; s/table = "app.staff"/tabel = "app.staff"/'
run expunge_as night nightly
rc_is 2 "a malformed map"
err_like "map.conf:[0-9]+: action must be delete, mask" "says which actions there are, and the line"
err_like "map.conf:[0-9]+:.*tabel" "and the misspelt word, at once"
map_with 's/"app.letter"/"app.leter"/; s/column = "payer_name"/column = "payer_nam"/; s/created = "booked_at"/created = "booked"/'
run expunge_as night nightly
rc_is 2 "a map that names what is not there"
err_like 'app\.leter' "tells the missing table"
err_like 'payer_nam\b' "the missing column"
err_like 'booked\b' "and the missing creation column"
err_unlike 'Farrowby|@mail' "and no value"
map_with "s/owner = \"patient_id -> app.patient\"; action = \"retain\"/owner = \"patient_id ->\"; action = \"retain\"/"
run expunge_as night erase --dry-run
rc_is 2 "a malformed owner path"
err_like 'map.conf:[0-9]+' "with its line"
map_with 's/ref_type = /ref_type; DROP TABLE app.patient; -- = /'
run expunge_as night erase --dry-run
rc_is 2 "a hostile condition in the map is no SQL"
printf 'tables = (' >"$T/clinic/map.conf"
run expunge_as night nightly
rc_is 2 "a map that does not parse"
err_like 'map.conf:[0-9]+' "with its line"
"$ROOT/tests/sample/rows.sh" clinic >"$T/after"
ok "nothing was touched" cmp "$T/before" "$T/after"
is "$(request_state clinic "$id")" received "the request waits"
map_with ''

# ---- hostile values on the command line
uuid=00000000-0000-0000-0000-000000000000
run expunge_as oscar request show "' OR true --"
rc_is 2 "an id that is none"
err_like 'is not a request id' "is told"
run expunge_as oscar request show "$uuid"
rc_is 1 "an unknown id"
err_like "there is no request $uuid" "is told"
run expunge_as night request plan "$uuid"
rc_is 1 "an unknown id is not planned"
err_like "there is no request $uuid" "and told"
run expunge_as oscar request erase --tenant "1'; DROP TABLE app.patient; --" --subject 42 --ground 17-1-b
rc_is 1 "a hostile tenant"
err_like 'does not speak for this tenant' "is none of the login's"
is "$(sql clinic "SELECT count(*) FROM expunge.event WHERE kind = 'denied' AND actor = 'oscar'")" 1 "and the attempt is written down"
run expunge_as oscar request erase --tenant 1 --subject $'42\u202e24' --ground 17-1-b
rc_is 1 "a subject with a right-to-left mark"
err_like 'characters that cannot be shown' "is refused"
run expunge_as oscar request erase --tenant 1 --subject $'4\xff2' --ground 17-1-b
rc_is 1 "malformed UTF-8"
run expunge_as oscar request erase --tenant 1 --subject "$(printf '4%.0s' {1..100000})" --ground 17-1-b
rc_is 1 "a subject of 100,000 digits"
err_like 'subject is too long' "is refused"
err_unlike '44444' "without being quoted"
run expunge_as oscar request erase --tenant 1 --subject 42 --ground "17-1-b'; DROP"
rc_is 1 "a hostile ground"
err_like 'unknown ground' "is unknown"
run expunge_as oscar request erase --tenant '' --subject 42 --ground 17-1-b
rc_is 2 "an empty tenant is refused"
run expunge_as oscar hold place --tenant 1 --subject 42 --kind litigation --reason $'x\e[2J' --review "$(date -d '+30 days' +%F)"
rc_is 1 "a reason that clears the screen"
run expunge_as oscar request erase --tenant 1 --subject 42 --ground 17-1-b --received 2026-02-30
rc_is 2 "a day that does not exist"
run expunge_as "nobody'; --" request list
rc_is 1 "a hostile login"

# ---- hostile values through the SQL interface
refuse() { # refuse NAME SQLSTATE EXPRESSION
	local got
	got=$(psql -XAtq -U clinic_app -d clinic -v VERBOSITY=sqlstate 2>&1 <<<"SELECT expunge_api.request_erasure($3)") || true
	got=$(head -n 1 <<<"$got") # "ERROR:  EX202", or an id
	is "${got##* }" "$2" "$1"
}
refuse "10 MB of subject" EX202 "'1', repeat('x', 10000000), '17-1-b'"
refuse "10 MB of tenant" EX201 "repeat('1', 10000000), '42', '17-1-b'"
refuse "10 MB of asker" EX205 "'1', '42', '17-1-b', 'portal', repeat('x', 10000000)"
refuse "a NUL in a text" 22P05 "'1', '{\"s\": \"4\\u00002\"}'::jsonb->>'s', '17-1-b'"
refuse "a line break" EX202 "'1', E'4\\n2', '17-1-b'"
refuse "a zero-width joiner" EX202 "'1', E'4\\u200b2', '17-1-b'"
refuse "a foreign tenant" EX401 "'4', '42', '17-1-b'"

# ---- subjects that are none: each waits with a reason, and stops nobody
quoted=$(file_request clinic 1 "x''; DROP TABLE app.patient; --")
huge=$(file_request clinic 1 99999999999999999999)
none=$(file_request clinic 1 4711)
foreign=$(file_request clinic 2 43)
for request in "$quoted" "$huge" "$none" "$foreign" "$id"; do
	expunge_as oscar request identify "$request" >/dev/null
done
run expunge_as night nightly
rc_is 0 "the night plans them all"
for request in "$quoted" "$huge"; do
	is "$(sql clinic "SELECT blockers FROM expunge.plan WHERE request_id = '$request'")" \
		"blocker: the subject is not a key of the subject table" "a text that is no key is told"
done
for request in "$none" "$foreign"; do
	is "$(sql clinic "SELECT blockers FROM expunge.plan WHERE request_id = '$request'")" \
		"blocker: there is no such subject in this tenant" "an unknown subject is told"
	approve_plan clinic "$request"
	rc_is 5 "and cannot be accepted"
	err_like 'has blockers' "because of its blocker"
done
# approved, and then no subject any more: the run finds out, and the others go on
gone=$(scheduled clinic 3 590)
moved=$(scheduled clinic 3 591)
spoilt=$(scheduled clinic 3 592)
sql clinic "SET session_replication_role = replica" "DELETE FROM app.patient WHERE id = 590" \
	"UPDATE app.patient SET practice_id = 2 WHERE id = 591" \
	"UPDATE expunge.request SET subject = 'no number' WHERE id = '$spoilt'" >/dev/null
approve_plan clinic "$id"
rc_is 0 "the right one is approved"
run expunge_as night nightly
rc_is 3 "the night says that one failed"
err_like "request $spoilt: 22P02" "which, and by what code"
err_unlike 'no number' "without the value"
is "$(request_state clinic "$id")" certified "and yet the right one goes through"
is "$(request_state clinic "$gone") $(request_state clinic "$moved")" "blocked blocked" "those whose subject went are blocked"
is "$(sql clinic "SELECT DISTINCT reason FROM expunge.request WHERE id IN ('$gone', '$moved')")" \
	'the subject is not there any more' "and say so"
is "$(request_state clinic "$spoilt")" failed "the spoilt one failed"
is "$(sql clinic 'SELECT count(*) FROM app.patient WHERE id IN (43, 591)')" 2 "the other practice's patients are still there"
is "$(left_of clinic 42)" 0 "the patient is gone"
whole clinic "after bad subjects"
later=$(scheduled clinic 3 593)
run expunge_as night nightly
rc_is 3 "what failed is tried again, and fails again"
is "$(request_state clinic "$later")" certified "but it is not the canary of every night: a later request goes through"
for request in "$quoted" "$huge" "$none" "$foreign" "$gone" "$moved" "$spoilt"; do
	sql -U clinic_app clinic "SELECT expunge_api.withdraw_request('$request')" >/dev/null
done

# ---- erased before, asked for again; and what is at its end is not planned again
again=$(file_request clinic 1 42)
expunge_as oscar request identify "$again" >/dev/null
run expunge_as night request plan "$again"
out_like '^blocker: there is no such subject in this tenant$' "who was erased before is not there any more"
run expunge_as ruth request decide "$again" --refuse 17-1
rc_is 0 "and the request is refused"
run expunge_as night request plan "$id"
rc_is 1 "a certified request is not planned again"
err_like 'is certified' "and says why"
is "$(sql clinic "SELECT count(*) FROM expunge.plan WHERE request_id = '$id'")" 0 "no plan is kept of it"

# ---- who filed does not decide, and the attempt is on record
mkrole mallory expunge_intake expunge_approver
sql clinic "INSERT INTO expunge.tenant_login VALUES ('mallory', '1')"
own=$(expunge_as mallory request erase --tenant 1 --subject 44 --ground 17-1-b)
expunge_as oscar request identify "$own" >/dev/null
expunge_as night request plan "$own" >/dev/null
hash=$(sql clinic "SELECT hash FROM expunge.plan WHERE request_id = '$own'")
run expunge_as mallory request decide "$own" --accept --plan "$hash"
rc_is 5 "the filer cannot approve"
err_like 'was filed by mallory, who cannot decide it' "and is told"
is "$(sql clinic "SELECT detail FROM expunge.event WHERE kind = 'denied' AND request_id = '$own'")" "request decide EX501" "the attempt is an event"
is "$(request_state clinic "$own")" identified "nothing changed"
run expunge_as ruth request decide "$own" --accept --plan "$hash"
rc_is 0 "another person approves"
run expunge_as night nightly
rc_is 0 "and the night does it"
is "$(request_state clinic "$own")" certified "to its end"

# ---- a report that nobody can read is no success
RC=0
expunge_as night request list --all >/dev/full 2>"$T/err" || RC=$?
is "$RC" 1 "a full disk on standard output"
ok "is told" grep -q 'standard output' "$T/err"
RC=0
"$EXPUNGE" --help >/dev/full 2>"$T/err" || RC=$?
is "$RC" 1 "the help, too"
done_testing

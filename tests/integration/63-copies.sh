#!/usr/bin/env bash
# Copies of archives: what is bad or missing in one place is named with its remedy, counted by status until it is mended, and
# copied again from where it is good; and whatever else waits in vain turns status red, too.
. "$(dirname "$0")/../lib.sh"
. "$ROOT/tests/integration/sessions.bash"

fresh_db clinic
install clinic
with_keys 2>/dev/null
sed -i 's/^archives : {/&\n  reuse_days = 0;/' "$CONF" # each archive by itself; 63-incremental.sh has the others
set_option wait_seconds 30
expunge_as night backup 2>/dev/null
expunge_as night nightly 2>/dev/null
instance=$(sql clinic "SELECT id FROM expunge.instance")
latest() { sql clinic "SELECT id FROM expunge.archive WHERE tenant = '$1' ORDER BY created_at DESC, finished_at DESC LIMIT 1"; }
file() { printf '%s/clinic/%s/archives/%s/%s.archive' "$T" "$1" "$instance" "$2"; }
row() { sql clinic "SELECT array_to_string(destinations, ' ') || '/' || array_to_string(sending, ' ') || '/' || array_to_string(damaged, ' ') FROM expunge.archive WHERE id = '$1'"; }
verify() { run expunge_as night backup --verify "$@"; }
status() { run expunge_as watch status "$@"; }
red() { # red WHAT REMEDY NAME: a finding that says so, and what to do
	status
	is "$RC/$(head -n 1 <<<"$OUT")" "3/NOT WELL: $1" "$3"
	out_like "^$1: .*$2" "with a remedy"
}
well() { status; is "$RC/$(head -n 1 <<<"$OUT")" "0/all well: nothing is overdue, failed, blocked or frozen" "$1"; }
well "whole copies everywhere"

# ---------------------------------------------------------------------------- bad
id=$(latest 1)
"$ROOT/tests/alter.sh" "$(file there "$id")" 5000
verify
is "$RC/$OUT" "3/7 good, 1 bad" "a bad copy"
err_like 'hint: expunge backup --verify --repair ' "comes with its remedy"
is "$(row "$id")" "here there//there" "the catalogue knows which"
red "1 copy of an archive is bad" "backup --verify --repair" "status counts it"
status --json
is "$(jq -c '[.archives.copies_bad, (.findings[] | [.what, .red])]' <<<"$OUT")" '[1,["1 copy of an archive is bad",true]]' "as JSON"
status --prometheus
out_like '^expunge_archive_copies_bad 1$' "for Prometheus"
run expunge_as night backup --repair
rc_is 2 "--repair alone is refused"
verify --repair
is "$RC/$OUT" "0/7 good, 0 bad, 1 repaired" "it is copied from the good one"
err_like "archive ${id:0:16} in there: repaired" "which is said"
ok "byte for byte" cmp "$(file here "$id")" "$(file there "$id")"
is "$(row "$id")" "here there//" "the catalogue knows"
well "status, too"
verify
is "$RC/$OUT" "0/8 good, 0 bad" "and it is read back whole"
"$ROOT/tests/alter.sh" "$(file here "$id")" 5000
"$ROOT/tests/alter.sh" "$(file there "$id")" 5000
verify --repair
is "$RC/$OUT" "3/6 good, 2 bad, 0 repaired" "what is good nowhere is not copied"
err_like 'hint: an archive that is good nowhere stays bad until it expires' "which is said"
is "$(row "$id")" "here there//here there" "and noted"
# written again from aside: found good without any repair
"$ROOT/tests/alter.sh" "$(file here "$id")" 5000
mv "$T/clinic/there" "$T/away"
verify --repair
rc_is 3 "a place that is not mounted"
err_like 'archive .* in there: not repaired: .*' "is not written to"
nok "not even a directory" test -e "$T/clinic/there"
mv "$T/away" "$T/clinic/there"
sql clinic "DELETE FROM expunge.archive WHERE id = '$id'"
verify
is "$RC/$OUT" "0/6 good, 0 bad" "when it is back, so are its copies"
well "and status knows"

# ---------------------------------------------------------------------------- missing
id=$(latest 2)
rm "$(file there "$id")"
sql clinic "UPDATE expunge.archive SET destinations = '{here}' WHERE id = '$id'"
red "1 copy of an archive is missing in its destination" "backup --verify --repair" "an archive in fewer places than configured"
verify
is "$RC/$OUT" "0/5 good, 0 bad, 1 missing" "is not bad"
err_like 'hint: expunge backup --verify --repair ' "and has the same remedy"
verify --repair --tenant 3
is "$RC/$OUT" "0/2 good, 0 bad, 0 repaired" "another tenant lacks nothing"
verify --repair
is "$RC/$OUT" "0/5 good, 0 bad, 1 repaired" "it is copied"
is "$(row "$id")/$(md5sum <"$(file here "$id")")" "here there///$(md5sum <"$(file there "$id")")" "and in the catalogue"
is "$(grep -ac "^archive $id .* $(printf 'here\nthere' | od -An -v -tx1 | tr -d ' \n') [^ ]*\$" "$T/clinic/there/keys/$instance/"*.journal | awk -F: '{ n += $NF } END { print (n > 0) }')" 1 "and in the journals"
well "status is content"

# ---------------------------------------------------------------------------- commands
mkdir -m 0700 "$T/outside"
cp "$CONF" "$T/conf"
perl -pi -e 's|^( *destinations = .*) \);|$1, { name = "outside"; store = ["/usr/bin/dd", "of='"$T"'/outside/{id}"]; fetch = ["/usr/bin/cat", "'"$T"'/outside/{id}"]; } );|' "$CONF"
red "3 copies of archives are missing in destinations" "backup --verify --repair" "a new destination"
verify --repair
is "$RC/$OUT" "0/6 good, 0 bad, 3 repaired" "a command is not given them here"
err_like 'in outside: the next backup sends it' "but is to be"
is "$(row "$id")" "here there/outside/" "as the catalogue says"
status
is "$RC" 0 "on its way is not missing"
out_like '^copies +0 missing, 0 bad, 3 on their way to a command' "but counted"
run expunge_as oscar backup list
out_like 'sending' "backup list has a column"
run expunge_as oscar backup list --tenant 2 --json
is "$(jq -r '.[] | .destinations + "/" + .sending + "/" + .damaged' <<<"$OUT")" "here there/outside/" "of what is on its way"
expunge_as night backup 2>/dev/null
is "$(row "$id")" "here there outside//" "the next backup sends them"
"$ROOT/tests/alter.sh" "$T/outside/$id" 5000
verify --tenant 2
is "$RC/$(row "$id")" "3/here there outside//outside" "a bad copy with a command"
verify --repair --tenant 2
is "$RC/$(row "$id")" "0/here there/outside/" "is to be sent again"
expunge_as night backup --tenant 2 2>/dev/null
ok "and is" cmp "$T/outside/$id" "$(file here "$id")"
rm "$(file here "$id")" "$(file there "$id")"
verify --repair --tenant 2
is "$RC" 0 "what only a command has"
ok "comes back from there" cmp "$T/outside/$id" "$(file there "$id")"
cp "$T/conf" "$CONF"

# ---------------------------------------------------------------------------- the last backup, the last drill
chmod 0500 "$T/clinic/there/archives/$instance"
if [ "$(id -u)" = 0 ]; then mv "$T/clinic/there" "$T/away"; fi
run expunge_as night backup
rc_is 3 "a backup that did not come everywhere"
status
is "$RC/$(head -n 1 <<<"$OUT")" "3/NOT WELL: 4 copies of archives are missing in destinations, the last backup ended with exit code 3" "turns status red"
out_like '^the last backup ended with exit code 3: its log names' "with a remedy"
run expunge_as night drill --positive
rc_is 1 "a drill by hand that fails"
status
is "$RC" 3 "turns it red, too"
out_like '^the last drill failed: expunge drill says why' "with a remedy"
if [ "$(id -u)" = 0 ]; then mv "$T/away" "$T/clinic/there"; fi
chmod 0700 "$T/clinic/there/archives/$instance"
expunge_as night backup 2>/dev/null
verify --repair
run expunge_as night drill --positive
status
out_like '^NOT WELL: the last drill failed$' "half a drill that passes does not clear it"
run expunge_as night drill --unrecorded
status
rc_is 3 "nor one that the register is not told of"
run expunge_as night drill
is "$RC/$OUT" "0/passed" "a whole one"
well "does"
sql clinic "SELECT 1" >/dev/null
PGPORT=1 run expunge_as nobody drill --negative
rc_is 0 "no database: a drill passes all the same"

# ---------------------------------------------------------------------------- a night that waits for what is lost
ID=$(file_request clinic 1 7)
approve clinic "$ID"
mv "$T/clinic/there" "$T/away"
run expunge_as night nightly
rc_is 3 "a destination is lost"
is "$(request_state clinic "$ID")" removed "the request is removed"
status
rc_is 3 "status is red"
out_like '^NOT WELL: 1 removed, and not certified' "says that it waits"
out_like '^1 removed, and not certified: the log of the last run names the destination' "and where to look"
status --prometheus
out_like '^expunge_requests_uncertified 1$' "for Prometheus"
mv "$T/away" "$T/clinic/there"
expunge_as night nightly 2>/dev/null
is "$(request_state clinic "$ID")" certified "it is back: the request is certified"
well "and all is well"
ID=$(file_request clinic 1 8)
approve clinic "$ID"
sql clinic "SET SESSION AUTHORIZATION app_owner" "SET default_transaction_read_only = off" "INSERT INTO app.appointment (patient_id, starts_at)
	VALUES (8, now())" >/dev/null
run expunge_as night nightly
status
is "$RC/$(request_state clinic "$ID")" "3/blocked" "a request that new rows block turns it red"
out_like '^1 blocked: .*expunge request decide' "with a remedy"
run expunge_as oscar request withdraw "$ID"
mv "$T/clinic/ledger" "$T/ledger.away"
run expunge_as night nightly
refused=$RC
status
is "$RC/$(head -n 1 <<<"$OUT")" "3/NOT WELL: the last nightly run ended with exit code $refused" "a night that was refused before it began is no secret"
out_like '^the last nightly run ended with .*: expunge check names' "with a remedy"
mv "$T/ledger.away" "$T/clinic/ledger"
expunge_as night nightly 2>/dev/null
well "until one is not"

done_testing

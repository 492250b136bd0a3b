#!/usr/bin/env bash
# How many archives a certificate says are unreadable for a patient: those that had the patient, and no other, however soon
# after the removal it was made.
. "$(dirname "$0")/../lib.sh"
. "$ROOT/tests/integration/sessions.bash"

fresh_db clinic
install clinic
with_keys 2>/dev/null
expunge_as night backup 2>/dev/null
expunge_as night backup 2>/dev/null
id=$(scheduled clinic 1 3)
expunge_as night backup 2>/dev/null

# removed, and not certified: a transaction that is older is waited for
session keeper clinic
say keeper 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM app.patient'
run expunge_as night nightly
is "$(request_state clinic "$id")" removed "the patient is removed, and not certified yet"
ok "a backup of the same second" expunge_as night backup --tenant 1
sql clinic "UPDATE expunge.archive a SET created_at = date_trunc('second', r.removed_at) FROM expunge.request r
	WHERE r.id = '$id' AND a.generation = (SELECT max(generation) FROM expunge.archive)"
session_end keeper
ok "the next night certifies" expunge_as night nightly
is "$(sql clinic "SELECT note FROM expunge.certificate WHERE request_id = '$id'" | grep -o 'generations unreadable [0-9]*')" \
	"generations unreadable 3" "three archives had the patient, and a fourth has not"
done_testing

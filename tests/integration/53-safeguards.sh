#!/usr/bin/env bash
# The safeguards: clock, freeze, caps, canary, older transactions, a request to stop. Each
# refuses before anything is deleted, says what to do, and when that is done the night goes on.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/sessions.bash"
fresh_db clinic
install clinic
set_option lock_timeout_ms 60000
dir=$T/clinic
id=$(scheduled clinic 1 42)

# untouched WHAT: the request waits as it did, its rows are there, the ledger has no intent
untouched() {
	is "$(request_state clinic "$id") $(sql clinic "SELECT count(*) FROM app.patient WHERE id = ${patient:-42}") $(grep -c intent "$dir/ledger/erasures" 2>/dev/null || true)" \
		"scheduled 1 ${entries:-}" "$1: nothing was touched"
}

# refused CODE WHAT REGEX
refused() {
	run expunge_as night nightly
	rc_is "$1" "$2"
	err_like "$3" "$2: a clear message"
	untouched "$2"
}

# ---- the clock
if command -v faketime >/dev/null && ! grep -qa __asan_init "$EXPUNGE"; then
	for offset in +1y -1y '+5 minutes'; do
		RC=0
		faketime -f "${offset/ minutes/m}" "$EXPUNGE" -c "$CONF" -U night nightly >"$T/out" 2>"$T/err" || RC=$?
		is "$RC" 5 "the host's clock at $offset"
		ok "is told from the server's" grep -q 'host and database disagree on the time by [0-9]* seconds' "$T/err"
		untouched "the host's clock at $offset"
	done
else
	skip "the host's clock a year ahead" "faketime is not installed, or the build is sanitized"
fi
sql clinic "INSERT INTO expunge.run (job, host, started_at) VALUES ('nightly', 'h', now() + interval '1 year')"
refused 5 "the clock behind the last run" 'the clock stands [0-9]+ seconds before the last run'
run expunge_as oscar clock accept --reason 'that run had the wrong year'
rc_is 0 "a person vouches for the time"
sql clinic "UPDATE expunge.run SET started_at = now() - interval '1 year'" "UPDATE expunge.instance SET clock_accepted_at = now() - interval '1 year'"
refused 5 "the clock a year after the last run" 'the clock has jumped 36[56] days since the last run'
run expunge_as night clock accept --reason 'it is me'
rc_is 1 "the job cannot vouch for itself"
run expunge_as oscar clock accept --reason 'the server was in repair'
rc_is 0 "a person can"

# ---- freeze: the row, the file, and in the midst of a run
run expunge_as oscar freeze on --reason 'wrong practice?'
rc_is 0 "a person freezes"
refused 5 "frozen by row and file" 'frozen: .*state/freeze exists'
rm "$dir/state/freeze"
refused 5 "frozen by the row alone" 'frozen by oscar since'
run expunge_as oscar freeze off
rc_is 0 "and unfreezes"
: >"$dir/state/freeze"
refused 5 "frozen by the file alone" 'frozen: .*state/freeze exists'
rm "$dir/state/freeze"

# ---- caps
second=$(scheduled clinic 2 242)
cap() { # cap NAME LIMIT NORMAL REGEX
	set_option "$1" "$2"
	refused 5 "cap $1" "$4"
	set_option "$1" "$3"
}
cap subjects_per_run 1 50 'would take 2 subjects, the cap \(caps.subjects_per_run\) is 1'
cap tenants_per_run 1 10 'would take 2 tenants'
cap rows_per_run 10 500000 'would take [0-9]+ rows'
sql clinic "UPDATE app.patient SET practice_id = 3 WHERE practice_id = 2 AND id NOT IN (242, 243)"
cap tenant_share_percent 10 100 'would take 50 per cent of the subjects of one tenant'
set_option subjects_per_run 1
run expunge_as night cap raise --reason 'all is well'
rc_is 1 "the job cannot raise a cap"
run expunge_as ruth cap raise --reason 'checked both'
rc_is 0 "a person raises the caps"
run expunge_as night nightly
rc_is 0 "for one run"
is "$(request_state clinic "$id") $(request_state clinic "$second")" "certified certified" "which does both"
entries=$(grep -c intent "$dir/ledger/erasures")
id=$(scheduled clinic 1 43) second=$(scheduled clinic 2 243) patient=43
refused 5 "and for one run only" 'would take 2 subjects'
set_option subjects_per_run 50
whole clinic "after caps"
entries=''

# ---- the canary, and frozen between two batches
session app clinic
sql clinic "CREATE RULE stay AS ON DELETE TO app.letter DO INSTEAD NOTHING"
run expunge_as night nightly
rc_is 5 "a rule that the map does not acknowledge"
err_like 'app\.letter' "is named"
is "$(states clinic)" "certified 2, scheduled 2" "nothing was begun"
sql clinic "DROP RULE stay ON app.letter"
sql clinic "ALTER TABLE app.invoice ADD CONSTRAINT payer CHECK (payer_name IS NOT NULL) NOT VALID"
run expunge_as night nightly
rc_is 3 "a constraint that forbids the mask"
err_like 'request [0-9a-f-]{36}: 23514: removing from app.invoice' "is named with its table"
err_unlike 'Farrowby|Gathercole|DETAIL' "without the row"
err_like 'the first request failed: the others wait for the next run' "the canary died"
is "$(states clinic)" "certified 2, failed 1, scheduled 1" "and the other waits"
is "$(sql clinic 'SELECT count(*) FROM app.patient WHERE id IN (43, 243)')" 2 "both patients are there"
run expunge_as night nightly
is "$RC $(states clinic)" "3 certified 2, failed 1, scheduled 1" "the next night tries the other first"
sql clinic "ALTER TABLE app.invoice DROP CONSTRAINT payer"
sed -i 's/^caps : {/batch : { subjects = 1; };\n&/' "$CONF"
say app 'BEGIN; SELECT 1 FROM app.appointment WHERE patient_id IN (43, 243) FOR UPDATE'
start night expunge_as night nightly
waits_for_lock clinic
expunge_as oscar freeze on --reason 'between two batches' >/dev/null
say app COMMIT
finish night
rc_is 5 "frozen between two batches"
is "$(states clinic)" "certified 2, removed 1, scheduled 1" "the batch under way ends, the next does not begin"
expunge_as oscar freeze off >/dev/null
run expunge_as night nightly
rc_is 0 "unfrozen, it goes on"
is "$(states clinic)" "certified 4" "to the end of both"
whole clinic "after the freeze"

# ---- older transactions
id=$(scheduled clinic 1 44)
sql clinic "BEGIN; INSERT INTO app.code VALUES ('OLD', 'old'); PREPARE TRANSACTION 'forgotten'"
set_option wait_seconds 1
run expunge_as night nightly
rc_is 3 "a prepared transaction is open"
err_like 'wait for transactions older than their removal \(the oldest: prepared [0-9]+ forgotten\)' "and named"
is "$(request_state clinic "$id") $(left_of clinic 44)" "removed 0" "the rows are gone, the certificate waits"
sql clinic "COMMIT PREPARED 'forgotten'"
run expunge_as night nightly
is "$RC $(request_state clinic "$id")" "0 certified" "when it has ended, the certificate comes"

set_option wait_seconds 5

# ---- asked to stop
id=$(scheduled clinic 1 46) second=$(scheduled clinic 1 47)
say app 'BEGIN; SELECT 1 FROM app.appointment WHERE patient_id IN (46, 47) FOR UPDATE'
start night "$EXPUNGE" -c "$CONF" -U night nightly # itself, no shell around it
waits_for_lock clinic
# shellcheck disable=SC2154 # start sets it
kill -TERM "$started_night" || true
say app COMMIT
finish night
err_like 'stopped on request after 1 of 2 requests' "SIGTERM: stops at the next safe point"
is "$(states clinic)" "certified 6, scheduled 1" "with the batch that it had begun at its end"
run expunge_as night nightly
is "$RC $(states clinic)" "0 certified 7" "and the next night does the rest"
session_end app
whole clinic "at the end"
done_testing

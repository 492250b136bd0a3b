#!/usr/bin/env bash
# Holds, withdrawals and the undo window: before a run, while its batch waits, and after.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/sessions.bash"
fresh_db clinic
install clinic
set_option lock_timeout_ms 60000
review=$(date -d '+30 days' +%F)
hold() { # hold PATIENT...: of practice 1; prints the id
	expunge_as oscar hold place --tenant 1 --subject "$1" --kind litigation --reason 'letter of claim' --review "$review" |
		grep -oE '[0-9a-f]{8}-[0-9a-f-]{27}'
}

# ---- placed before the run, on one subject and on an alias of another
id=$(scheduled clinic 1 42)
alias=$(scheduled clinic 1 148)
held=$(hold 42)
is "$(request_state clinic "$id")" blocked "a hold blocks an approved request at once"
on_alias=$(hold 150)
is "$(request_state clinic "$alias")" scheduled "a hold on a merged duplicate's duplicate is not seen yet"
run expunge_as night nightly
rc_is 0 "a held subject is not a failure"
is "$(request_state clinic "$alias")" blocked "but the run sees it over all aliases"
is "$(sql clinic "SELECT string_agg(DISTINCT reason, ',') FROM expunge.request")" hold "both say why"
is "$(left_of clinic 150)$(left_of clinic 42 | grep -c '^0$' || true)" "$(left_of clinic 150)0" "both are still there"
run expunge_as oscar request show "$alias"
out_like 'hold' "request show says what it waits for"
early=$(hold 49)
again=$(file_request clinic 1 49)
expunge_as oscar request identify "$again" >/dev/null
expunge_as night request plan "$again" >/dev/null
approve_plan clinic "$again"
rc_is 5 "nobody approves what is held"
err_like 'under hold' "and is told"
sql -U clinic_app clinic "SELECT expunge_api.withdraw_request('$again')" >/dev/null
expunge_as dora hold release "$early" >/dev/null

# ---- released: both go on by themselves, with the approval that they have
for h in "$held" "$on_alias"; do
	expunge_as dora hold release "$h" >/dev/null
done
is "$(request_state clinic "$id") $(request_state clinic "$alias")" "scheduled scheduled" "released, they are scheduled again"
run expunge_as night nightly
rc_is 0 "and the night takes them"
is "$(request_state clinic "$id") $(request_state clinic "$alias")" "certified certified" "to their end"
is "$(left_of clinic 42) $(left_of clinic 148) $(left_of clinic 149) $(left_of clinic 150)" "0 0 0 0" "with all merged duplicates"
whole clinic "after released holds"

# ---- placed while the batch waits for a row of the application: the batch was first
id=$(scheduled clinic 1 44)
session app clinic
say app 'BEGIN; SELECT 1 FROM app.appointment WHERE patient_id = 44 FOR UPDATE'
start night expunge_as night nightly
waits_for_lock clinic
start hold expunge_as oscar hold place --tenant 1 --subject 44 --kind complaint --reason 'letter 2' --review "$review"
await "the hold waits for the batch" holds clinic "count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
say app COMMIT
finish hold
rc_is 0 "the hold is placed after the batch"
err_like 'had removed rows before this hold was placed' "with a warning that it came too late"
finish night
rc_is 0 "the batch was first"
is "$(request_state clinic "$id")" certified "and is certified"
sql clinic 'UPDATE expunge.hold SET released_at = now()'

# ---- placed while the run waits for the tenant: the hold was first
# (on an alias, for the request itself would be locked by the hold and passed over)
id=$(scheduled clinic 1 99)
say app "BEGIN; SELECT id FROM expunge.place_hold('1', '100', 'regulator', 'letter 3', '$review')"
start night expunge_as night nightly
waits_for_lock clinic
say app COMMIT
finish night
rc_is 0 "the run sees a hold that was committed while it waited"
is "$(request_state clinic "$id") $(left_of clinic 99 | grep -vc '^0$')" "blocked 1" "and leaves the patient alone"
whole clinic "after a hold that was first"
sql clinic "SELECT expunge.release_hold(id) FROM expunge.hold WHERE released_at IS NULL" >/dev/null
run expunge_as night nightly
is "$(request_state clinic "$id")" certified "released, it goes on"

# ---- a hold on the whole practice; other practices go on
here=$(scheduled clinic 1 48)
there=$(scheduled clinic 2 248)
whole_hold=$(expunge_as oscar hold place --tenant 1 --kind public-inquiry --reason inquiry --review "$review" | grep -oE '[0-9a-f-]{36}')
run expunge_as night nightly
rc_is 0 "a night with a practice on hold"
is "$(request_state clinic "$here") $(request_state clinic "$there")" "blocked certified" "keeps that practice and serves the others"
expunge_as dora hold release "$whole_hold" >/dev/null

# ---- withdrawal before, during and after
id=$(scheduled clinic 1 51)
sql -U clinic_app clinic "SELECT expunge_api.withdraw_request('$id')" >/dev/null
say app 'BEGIN; SELECT 1 FROM app.appointment WHERE patient_id = 48 FOR UPDATE'
start night expunge_as night nightly
waits_for_lock clinic
run expunge_as oscar request withdraw "$here"
rc_is 1 "a request in a batch cannot be withdrawn"
err_like "request $here is being worked on" "and says why"
say app ROLLBACK
finish night
rc_is 0 "the batch goes on"
is "$(request_state clinic "$here") $(request_state clinic "$id")" "certified withdrawn" "what was withdrawn before is left alone"
is "$(left_of clinic 51 | grep -vc '^0$')" 1 "its patient, too"
run expunge_as oscar request withdraw "$here"
rc_is 1 "nothing is withdrawn after its removal"
err_like 'too late to withdraw' "which is told"

# ---- the undo window
set_option undo_days 7
expunge_as postgres init 2>/dev/null
id=$(scheduled clinic 1 52)
is "$(sql clinic "SELECT (not_before AT TIME ZONE 'Europe/London')::date - (now() AT TIME ZONE 'Europe/London')::date
	FROM expunge.request WHERE id = '$id'")" 7 "an approval waits seven days"
run expunge_as night nightly
rc_is 0 "a night in the undo window"
is "$(request_state clinic "$id")" scheduled "leaves it alone"
run expunge_as oscar request show "$id"
out_like 'undo window until' "and request show says until when"
run expunge_as oscar request withdraw "$id"
rc_is 0 "it can be withdrawn"
id=$(scheduled clinic 1 53)
sql clinic "UPDATE expunge.request SET not_before = now() - interval '1 second' WHERE id = '$id'"
run expunge_as night nightly
is "$(request_state clinic "$id")" certified "after the window it runs"
session_end app
whole clinic "at the end"
done_testing

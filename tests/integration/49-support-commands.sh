#!/usr/bin/env bash
# The commands of support mode, by the people who use them, and what status and exports say.
. "$(dirname "$0")/../lib.sh"
fresh_db clinic
install clinic
mkrole ada expunge_support
mkrole ben expunge_support
until=$(date -u -d '+3 hours' +%Y-%m-%dT%H:%M:%SZ)

run expunge_as ada support request --tenant 1 --ticket 4711 --scope records
rc_is 2 "a request without a reason"
run expunge_as ada support request --tenant 1 --ticket 4711 --scope records --reason 'bookings fail'
rc_is 0 "a request"
R=$OUT
run expunge_as ada support list
out_like " request +$R +1 +ada +records +4711 .* open +bookings fail" "is listed"
run expunge_as clinic_app support consent "$R" --tenant 1 --until tomorrow
rc_is 2 "an end that is no time"
run expunge_as clinic_app support consent --tenant 1 --until "$until"
rc_is 2 "a consent to nothing"
run expunge_as clinic_app support consent "$R" --tenant 1 --until "$until"
rc_is 0 "a consent"
C=$OUT
run expunge_as ada support open --tenant 1 --ticket 4712 --scope records --reason x
rc_is 1 "entering for another ticket"
err_like 'another ticket' "is refused"
run expunge_as ada support list
out_like ' anomaly .* other-ticket ' "and noted"
run expunge_as ada support open --tenant 1 --ticket 4711 --scope records --reason 'bookings fail'
rc_is 0 "entering"
S=$OUT
run expunge_as ben support close "$S"
rc_is 1 "nobody closes another's session"
run expunge_as watch status --json
out_like '"open_sessions": 1' "status counts it"
run expunge_as clinic_app support show "$S"
out_like "^.* session-opened " "the practice sees it, with its events"
run expunge_as ada support close "$S"
is "$RC $OUT" "0 closed" "closed"
run expunge_as ada support close "$S"
is "$RC $OUT" "0 it had ended before" "once"
run expunge_as clinic_app support revoke "$C"
is "$RC $OUT" "0 revoked; open sessions that this has ended: 0" "revoked"
run expunge_as ada support open --tenant 1 --ticket 4711 --scope records --reason x
rc_is 1 "nobody enters any more"
err_like 'was revoked' "which is said"
run expunge_as ada support request --tenant 1 --ticket 9 --scope records --reason fire --override
err_like 'nobody enters without consent' "no override where none is configured"

run expunge_as dora support export
rc_is 0 "an export"
is "$(head -n 1 "$T/out" | tr -d '\r')" "at,what,id,tenant,staff,scope,ticket,subject,until,state,detail" "has a header"
is "$(cut -d, -f2 "$T/out" | sort | uniq -c | awk '{ printf "%s %s, ", $2, $1 }')" "anomaly $(grep -c ',anomaly,' "$T/out"), consent 1, request 1, session 1, what 1, " "and everything"
run expunge_as dora support export --json
ok "as JSON, too" python3 -c 'import json, sys; assert len(json.load(open(sys.argv[1]))) >= 4' "$T/out"
run expunge_as dora support export --from 2001-01-01 --to 2001-12-31
is "$(wc -l <"$T/out")" 1 "of a period in which nothing was"
run expunge_as dora support export --from yesterday
rc_is 2 "a day that is none"
run expunge_as dora support show "$(cat /proc/sys/kernel/random/uuid)"
rc_is 1 "an id of nothing"
run expunge_as night support list
rc_is 1 "the nightly login reads no register"
run expunge_as watch status
out_like '^support +0 sessions open; 0 test patients' "status says what there is"
run expunge_as watch status --prometheus
out_like '^expunge_test_subjects_quarantined 0$' "so do the metrics"

# ---------------------------------------------------------------- an override, as configured
printf 'support : { override = true; session_hours = 2; };\n' >>"$CONF"
expunge_as postgres init
O=$(expunge_as ada support request --tenant 1 --ticket 9 --scope records --reason fire --override)
run expunge_as ada support consent --override "$O"
rc_is 1 "one person is not two"
run expunge_as ben support consent --override "$O"
rc_is 0 "a colleague confirms"
out_like '^until 20' "and is told until when"
run expunge_as ada support open --tenant 1 --ticket 9 --scope records --reason fire
rc_is 0 "which lets the first one in"
is "$(sql clinic "SELECT until - at FROM expunge.support_event WHERE kind = 'session-opened' ORDER BY number DESC LIMIT 1" | cut -c1-4)" "01:5" "for what is left of two hours"
is "$(sql clinic "SELECT count(*) FROM expunge.event WHERE kind = 'notice-without-contact' AND detail ~ 'support-override'")" 2 \
	"that nobody could be told stands in the register"
done_testing

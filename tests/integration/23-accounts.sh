#!/usr/bin/env bash
# Closing an account in the control schema: the clock's vectors, who may do what and when, each thing that stands in the way of a
# purge, the application's own table, and coming back.
. "$(dirname "$0")/../lib.sh"

sql postgres 'CREATE DATABASE ctl'
"$ROOT/tests/sql/apply.sh" ctl
mkrole practice expunge_intake
mkrole ann expunge_approver
mkrole bob expunge_approver
mkrole ops expunge_operator
mkrole two expunge_operator expunge_approver
mkrole dpo expunge_dpo
mkrole night expunge_job
rules() { # rules ROW...: those of the configuration
	sql ctl "DELETE FROM expunge.closure_rule" "INSERT INTO expunge.closure_rule VALUES $(IFS=,; echo "$*")"
}
sql ctl "INSERT INTO expunge.tenant_login SELECT 'practice', n::text FROM generate_series(1, 99) n"
rules "('cancellation', 'paid-until', 45, 'not-before', 7)" "('termination', 'told', 45, 'complete-by', 7)"

as() { # as ROLE STATEMENT...
	PGOPTIONS='-c client_min_messages=error' sql -U "$1" ctl "${@:2}"
}
refused() { # refused ROLE SQLSTATE STATEMENT [NAME]
	local got
	got=$(psql -XAtq -U "$1" -d ctl -v VERBOSITY=sqlstate <<<"$3" 2>&1 >/dev/null | sed -n 's/^ERROR: *//p' | head -n 1)
	is "$got" "$2" "${4:-$1: ${3:0:120}}"
}
of() { sql ctl "SELECT $2 FROM expunge.closure WHERE tenant = '$1' ORDER BY filed_at DESC LIMIT 1"; } # of TENANT EXPRESSION
hash() { printf 'sha256:%064d' "$1"; }
plan() { # plan TENANT N [BLOCKERS]
	as night "INSERT INTO expunge.closure_plan (closure_id, hash, document, n_rows, n_subjects, blockers)
		SELECT id, '$(hash "$2")', '', 1, 1, nullif('${3:-}', '') FROM expunge.closure WHERE tenant = '$1' AND state NOT IN ('certified', 'reactivated')
		ON CONFLICT (closure_id) DO UPDATE SET hash = excluded.hash, blockers = excluded.blockers"
}
age() { # age TENANT DAYS: as if all had been so many days earlier
	sql ctl "UPDATE expunge.closure c SET anchor = m.anchor - $2, filed_at = c.filed_at - interval '$2 days',
			purge_on = k.purge_on, not_before = k.not_before, complete_on = k.complete_on, complete_by = k.complete_by
		FROM expunge.closure m, expunge.closure_clock(m.anchor - $2, m.zone, m.days, m.meaning, m.within_days) k
		WHERE c.id = m.id AND m.tenant = '$1' AND m.state NOT IN ('certified', 'reactivated')"
}
CLAIM="'00000000-0000-0000-0000-000000000001', '$(hash 1)'"

# ---------------------------------------------------------------- the clock
while read -r anchor zone days meaning within purge instant complete why; do
	is "$(sql ctl "SELECT purge_on, to_char(not_before AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), complete_on
		FROM expunge.closure_clock('$anchor', '$zone', $days, '$meaning', $within)")" "$purge|$instant|$complete" "$anchor $zone: $why"
done <<'VECTORS'
2026-02-28 Europe/London 45 not-before 7 2026-04-15 2026-04-14T23:00:00Z 2026-04-21 into summer time
2026-09-30 Europe/London 45 not-before 7 2026-11-15 2026-11-15T00:00:00Z 2026-11-21 out of it: 45 times 24 hours would be an hour early
2028-01-15 Europe/London 45 not-before 7 2028-03-01 2028-03-01T00:00:00Z 2028-03-07 a leap year
2026-01-15 Europe/London 45 not-before 7 2026-03-02 2026-03-02T00:00:00Z 2026-03-08 no leap year
2026-02-11 Europe/London 45 not-before 7 2026-03-29 2026-03-29T00:00:00Z 2026-04-04 on the day the clocks go forward
2026-09-09 Europe/London 45 not-before 7 2026-10-25 2026-10-24T23:00:00Z 2026-10-31 on the day they go back
2026-02-28 Europe/Dublin 45 complete-by 7 2026-04-08 2026-04-07T23:00:00Z 2026-04-14 done on the last of them
2026-02-28 Asia/Kolkata 45 not-before 7 2026-04-15 2026-04-14T18:30:00Z 2026-04-21 a zone ahead
2026-02-28 America/New_York 45 not-before 7 2026-04-15 2026-04-15T04:00:00Z 2026-04-21 a zone behind
2026-01-22 Africa/Cairo 91 not-before 7 2026-04-24 2026-04-23T22:00:00Z 2026-04-30 midnight is skipped: the day begins at one
2026-09-16 America/Havana 45 not-before 7 2026-11-01 2026-11-01T05:00:00Z 2026-11-07 midnight comes twice: the second
2026-12-31 Europe/London 1 not-before 1 2027-01-02 2027-01-02T00:00:00Z 2027-01-02 across the year
VECTORS
while read -r at zone want why; do
	is "$(sql ctl "SELECT coalesce(expunge.purge_window('$zone', '$at'), 'open')" | tr ' ' '_')" "$want" "$at $zone: $why"
done <<'WINDOW'
2026-11-23T02:15:00Z Europe/London open a_Monday_night
2026-11-26T23:59:59Z Europe/London open Thursday_to_its_end
2026-11-27T00:00:00Z Europe/London not_from_Friday_to_Sunday Friday
2026-11-29T23:59:59Z Europe/London not_from_Friday_to_Sunday Sunday_to_its_end
2026-11-24T01:00:00Z Europe/London not_from_01:00_to_02:00 the_hour
2026-11-24T01:59:59Z Europe/London not_from_01:00_to_02:00 to_its_end
2026-11-24T02:00:00Z Europe/London open after_it
2026-07-07T00:30:00Z Europe/London not_from_01:00_to_02:00 summer_time
2026-12-28T12:00:00Z Europe/London not_on_a_bank_holiday Boxing_Day's_substitute
2026-11-26T20:00:00Z Asia/Kolkata not_from_Friday_to_Sunday it_is_Friday_there
WINDOW

# ---------------------------------------------------------------- filing
today=$(sql ctl "SELECT expunge.civil_date(now())")
ID=$(as practice "SELECT expunge_api.cancel_subscription('1', '$today'::date + 10, 'moving on', 'k1')")
is "$(of 1 "id, state, trigger, source, filed_by, anchor - '$today', purge_on - anchor, complete_on - anchor, zone, not_before = purge_on::timestamp AT TIME ZONE zone")" \
	"$ID|cancelled|cancellation|api|practice|10|46|52|Europe/London|t" "a cancellation counts from the last paid day"
is "$(as practice "SELECT expunge_api.cancel_subscription('1', '$today'::date + 10, 'in other words', 'k1')")" "$ID" "the same key answers with the same id"
refused practice EX410 "SELECT expunge_api.cancel_subscription('1', '$today'::date + 11, NULL, 'k1')" "... and refuses another last day"
refused practice EX413 "SELECT expunge_api.cancel_subscription('1', '$today'::date + 10)" "an account closes once"
as practice "SELECT expunge_api.cancel_subscription('2', '$today'::date - 60)" >/dev/null
is "$(of 2 "anchor - '$today'")" 0 "whoever was gone for two months has its whole time from today"
as practice "SELECT expunge_api.cancel_subscription('3', '$today', zone => 'Asia/Kolkata')" >/dev/null
is "$(of 3 "zone, not_before = purge_on::timestamp AT TIME ZONE 'Asia/Kolkata'")" "Asia/Kolkata|t" "a practice may have a zone of its own"
is "$(as practice "SELECT tenant, state, purge_on - last_day, days_left FROM expunge_api.account_status WHERE tenant = '1'")" "1|cancelled|46|56" \
	"the application sees how many days are left"
refused practice EX401 "SELECT expunge_api.cancel_subscription('100', '$today')" "not another's account"
refused practice EX401 "SELECT expunge_api.reactivate_subscription('100')" "... nor back again"
refused practice EX201 "SELECT expunge_api.cancel_subscription(NULL, '$today')" "no account at all"
refused practice EX222 "SELECT expunge_api.cancel_subscription('4', NULL)" "no last paid day"
refused practice EX216 "SELECT expunge_api.cancel_subscription('4', '$today'::date + 2000)" "a last paid day out of range"
refused practice EX216 "SELECT expunge_api.cancel_subscription('4', 'infinity')" "... or never"
for zone in GMT0 +01 EST posix/Europe/London europe/london Europe/London3 A/B3 Foo/Bar3 'Europe/London; DROP' ''; do
	refused practice EX221 "SELECT expunge_api.cancel_subscription('4', '$today', zone => '$zone')" "zone '$zone'"
done
refused practice EX210 "SELECT expunge_api.cancel_subscription('4', '$today', repeat('x', 501))" "a reason too long"
refused ops EX210 "SELECT expunge.terminate_account('4', '')" "a termination without a reason"
refused practice 42501 "SELECT expunge.terminate_account('4', 'does not pay')" "an application terminates nobody"
refused night 42501 "SELECT expunge.terminate_account('4', 'does not pay')" "... nor does the run"
refused night 42501 "SELECT expunge.cancel_account('4', '$today', NULL)" "a run closes no account by itself"
as ops "SELECT expunge.terminate_account('4', 'does not pay')" >/dev/null
is "$(of 4 "trigger, anchor - '$today', purge_on - anchor, complete_on - anchor")" "termination|0|39|45" "a termination by its own rule"
rules "('termination', 'told', 10, 'not-before', 1)"
refused practice EX416 "SELECT expunge_api.cancel_subscription('5', '$today')" "a cancellation that no rule is for"
is "$(of 1 "days, complete_on - anchor")" "45|52" "a rule that changes does not change a promise"
rules "('cancellation', 'paid-until', 45, 'not-before', 7)" "('expiry', 'paid-until', 45, 'not-before', 7)"

# ---------------------------------------------------------------- days pass
as night "SELECT * FROM expunge.advance_closures()" >/dev/null
is "$(of 1 state)" cancelled "a paid day is not one of the cooling-off"
age 1 10
as night "SELECT * FROM expunge.advance_closures()" >/dev/null
is "$(of 1 state)" cancelled "... nor is the last paid day"
is "$(sql ctl "SELECT day, days FROM expunge.account_list WHERE id = '$ID'")" "0|45" "day 0 of 45"
age 1 1
is "$(as night "SELECT account, what FROM expunge.advance_closures()")" "1|cooling off until $(of 1 "purge_on - 1")" "the day after is"
is "$(sql ctl "SELECT day, days FROM expunge.account_list WHERE id = '$ID'")" "1|45" "day 1 of 45"
refused ann EX421 "SELECT expunge.approve_closure('1', '$(hash 1)')" "no approval without a plan"
age 1 44
as night "SELECT * FROM expunge.advance_closures()" >/dev/null
is "$(of 1 state)" cooling-off "day 45 belongs to the practice"
is "$(sql ctl "SELECT day FROM expunge.account_list WHERE id = '$ID'")" 45 "... day 45 of 45"
age 1 1
as night "SELECT * FROM expunge.advance_closures()" >/dev/null
is "$(of 1 state)" due "the day after its purge is due"
sql ctl "UPDATE expunge.closure SET not_before = not_before - interval '1 hour' WHERE id = '$ID'"
is "$(as night "SELECT account FROM expunge.advance_closures()")" 1 "rules of a zone that changed are told"
is "$(sql ctl "SELECT not_before = purge_on::timestamp AT TIME ZONE zone FROM expunge.closure WHERE id = '$ID'")" t "... and the civil day stays"
is "$(sql ctl "SELECT count(*) FROM expunge.event WHERE kind = 'account-instant-moved' AND request_id = '$ID'")" 2 "... in the register, too"

# ---------------------------------------------------------------- the day by which rows leave, for the stores' sake
while read -r anchor purge complete store day why; do
	is "$(sql ctl "SELECT coalesce(expunge.seal_day('$anchor', '$purge', '$complete', nullif('$store', '-')::integer)::text, '-')")" "$day" "$why"
done <<'VECTORS'
2026-02-28 2026-04-15 2026-04-21 - - no store: no day
2026-02-28 2026-04-15 2026-04-21 1 - a store of a day needs none
2026-02-28 2026-04-15 2026-04-21 6 - nor does one that the days after the purge are enough for
2026-02-28 2026-04-15 2026-04-21 7 2026-04-14 one day more, and it is the day before the purge
2026-02-28 2026-04-15 2026-04-21 35 2026-03-17 five weeks
2026-02-28 2026-04-15 2026-04-21 51 2026-03-01 the day after the last that is paid
2026-02-28 2026-04-15 2026-04-21 400 2026-03-01 never a day that is paid
VECTORS
as practice "SELECT expunge_api.cancel_subscription('90', '$today')" >/dev/null
is "$(of 90 "seal_on, seal_at")" "|" "no store is declared: it may stay"
sql ctl "UPDATE expunge.instance SET store_days = 35"
is "$(as night "SELECT account, what FROM expunge.advance_closures() WHERE account = '90'")" "90|dormant from $(of 90 "complete_on - 35") on, as the stores keep copies now" "a store that is declared since is told"
is "$(of 90 "seal_on = complete_on - 35 AND seal_at = seal_on::timestamp AT TIME ZONE zone")" t "... and the day is reckoned again"
is "$(sql ctl "SELECT count(*) FROM expunge.event WHERE kind = 'account-seal-day-moved' AND tenant = '90'")" 1 "... and in the register"
as practice "SELECT expunge_api.cancel_subscription('91', '$today', zone => 'Asia/Kolkata')" >/dev/null
is "$(of 91 "complete_on - seal_on, to_char(seal_at AT TIME ZONE 'Asia/Kolkata', 'HH24:MI')")" "35|00:00" "with a store, the day is reckoned when it is closed, in its own zone"
sql ctl "UPDATE expunge.instance SET store_days = NULL"
as night "SELECT * FROM expunge.advance_closures()" >/dev/null
is "$(of 90 "seal_on, seal_at")" "|" "no store any more: no day"

# ---------------------------------------------------------------- all that stands in the way, one after the other
missing() { sql ctl "SELECT string_agg(DISTINCT code, ' ') FROM expunge.closure_obstacles('$ID', '2026-11-24T03:00:00Z')"; }
sql ctl "UPDATE expunge.closure SET not_before = '2026-01-01', complete_by = '2036-01-01' WHERE id = '$ID'"
# a backup of the day; what opens it is not here
sql ctl "SET session_replication_role = replica" "INSERT INTO expunge.archive (id, tenant, generation, state, created_at, lsn, sha256, size, n_frames, n_rows, n_withheld, destinations, finished_at, seq)
	VALUES (repeat('a', 64), '1', 1, 'complete', '2026-11-24T01:00:00Z', '0/0', repeat('a', 64), 1, 1, 1, 0, '{here}', now(), 1)"
is "$(missing)" "EX421 EX523 EX524 EX527 EX528" "at first nothing is there that a purge needs"
plan 1 1 'x'
is "$(missing)" "EX505 EX523 EX524 EX527 EX528" "a plan with blockers"
refused ann EX505 "SELECT expunge.approve_closure('1', '$(hash 1)')" "... is not approved"
plan 1 1
refused practice 42501 "SELECT expunge.approve_closure('1', '$(hash 1)')" "an application approves nothing"
refused ann EX214 "SELECT expunge.approve_closure('1', NULL)" "an approval names a hash"
refused ann EX504 "SELECT expunge.approve_closure('1', '$(hash 2)')" "... that of the plan"
refused ann EX414 "SELECT expunge.approve_closure('98', '$(hash 1)')" "... of an account that is closing"
is "$(as ann "SELECT expunge.approve_closure('1', '$(hash 1)')")" 1 "one person approves"
is "$(as ann "SELECT expunge.approve_closure('1', '$(hash 1)')")" 1 "... twice is once"
is "$(missing)" "EX523 EX524 EX527 EX528" "... and that does not suffice"
is "$(as bob "SELECT expunge.approve_closure('1', '$(hash 1)')")" 2 "another one does"
is "$(missing)" "EX524 EX527 EX528" "two have"
plan 1 2
is "$(missing)" "EX523 EX524 EX527 EX528" "another plan wants other approvals"
plan 1 1
is "$(as practice "SELECT expunge_api.no_export_needed('1')")" t "the practice needs no export"
is "$(as practice "SELECT expunge_api.no_export_needed('1')")" f "... and says so once"
is "$(missing)" "EX527 EX528" "... which opens that gate"
sql ctl "INSERT INTO expunge.event (kind) VALUES ('drill-passed')"
is "$(missing)" "EX527" "a restore that was tried opens another"
sql ctl "INSERT INTO expunge.event (kind) VALUES ('drill-failed')"
is "$(missing)" "EX527 EX528" "... until one fails"
sql ctl "INSERT INTO expunge.event (kind, at) VALUES ('drill-passed', timestamptz '2026-11-24T03:00:00Z' - interval '169 hours')"
is "$(missing)" "EX527 EX528" "... or is too long ago"
sql ctl "INSERT INTO expunge.event (kind, detail) VALUES ('drill-passed', 'no archive to open yet')"
is "$(missing)" "EX527 EX528" "... or has found no archive to open"
sql ctl "INSERT INTO expunge.event (kind) VALUES ('drill-passed')"
sql ctl "UPDATE expunge.archive SET created_at = created_at - interval '169 hours'"
is "$(missing)" "EX527 EX528" "a restore of what is a week old proves nothing of the backups since"
sql ctl "UPDATE expunge.archive SET created_at = created_at + interval '169 hours'"
is "$(sql ctl "SELECT what FROM expunge.closure_obstacles('$ID', '2026-11-24T03:00:00Z')")" \
	"the practice has not been told: cancelled, ends, days-30, days-14, days-7, days-1
the practice was not told a week ago or earlier" "every notice must have reached somebody"
is "$(sql ctl "SELECT count(DISTINCT split_part(detail, ' ', 1)) FROM expunge.event WHERE kind = 'notice-without-contact' AND tenant = '1'
	AND detail LIKE '% controller %'")" 6 \
	"... and each that had nobody to go to is in the register"
is "$(sql ctl "SELECT count(*) > 0 FROM expunge.event WHERE kind = 'notice-without-contact' AND detail LIKE 'purge-paused operator $ID/%'")" t "... and is an operator's task"
as ops "SELECT expunge.told_otherwise('1', 'by recorded letter')"
is "$(missing)" "" "or a person has told them, and nothing is in the way any more"
sql ctl "UPDATE expunge.closure SET told_at = told_at - interval '20 days' WHERE id = '$ID'"
is "$(missing)" EX527 "... unless that was long before"
sql ctl "UPDATE expunge.closure SET told_at = now() WHERE id = '$ID'"
is "$(sql ctl "SELECT string_agg(code, ' ' ORDER BY code) FROM expunge.closure_obstacles('$ID', '2026-11-28T03:00:00Z')")" EX522 "but the days of the week"
as practice "SELECT expunge_api.place_hold('1', '7', 'complaint', 'a letter', '$today'::date + 30)" >/dev/null
is "$(missing)" EX503 "a hold for one patient keeps the practice"
as dpo "SELECT expunge.release_hold(id) FROM expunge.hold_list" >/dev/null
as dpo "SELECT expunge.place_hold('1', NULL, 'regulator', 'a letter', '$today'::date + 30)" >/dev/null
is "$(missing)" EX503 "... one for the practice, too"
as dpo "SELECT expunge.release_hold(id) FROM expunge.hold_list" >/dev/null
as ops "SELECT expunge.freeze_on('a drill')" >/dev/null
is "$(missing)" EX525 "a freeze keeps everybody"
as ops "SELECT expunge.freeze_off()" >/dev/null
sql ctl "INSERT INTO expunge.request (tenant, subject, ground, received_at, state, decided_by, approved_plan) VALUES ('1', '9', '17-1-b', now(), 'removed', 'ann', 'x')"
is "$(missing)" EX529 "an erasure that is not certified yet is waited for"
sql ctl "DELETE FROM expunge.request"
sql ctl "UPDATE expunge.closure SET disagreement = 'it has an active subscription' WHERE id = '$ID'"
is "$(missing)" EX526 "so is a person where the application disagrees"
sql ctl "UPDATE expunge.closure SET disagreement = NULL WHERE id = '$ID'"

# ---------------------------------------------------------------- the claim
# the window is that of the moment: here it is always open, and once it is not
sql ctl "ALTER FUNCTION expunge.purge_window(text, timestamptz) RENAME TO test_window"
window() {
	sql ctl "CREATE OR REPLACE FUNCTION expunge.purge_window(zone text, at timestamptz DEFAULT now()) RETURNS text LANGUAGE sql AS 'SELECT $1::text'" \
		"ALTER FUNCTION expunge.purge_window(text, timestamptz) OWNER TO expunge_owner"
}
window "''closed''"
refused night EX522 "SELECT expunge.claim_closure('1', $CLAIM, NULL)" "no claim outside the window"
window NULL
for role in practice ann ops dpo; do
	refused "$role" 42501 "SELECT expunge.claim_closure('1', $CLAIM, NULL)" "$role claims nothing"
done
refused night EX201 "SELECT expunge.claim_closure('', $CLAIM, NULL)" "an account without a name is none"
refused night EX520 "SELECT expunge.claim_closure('%', $CLAIM, NULL)" "a pattern is no account"
refused night EX504 "SELECT expunge.claim_closure('1', '00000000-0000-0000-0000-000000000001', '$(hash 3)', NULL)" "a claim names the plan"
refused night EX504 "SELECT expunge.claim_closure('1', '00000000-0000-0000-0000-000000000001', NULL, NULL)" "... always"
refused night EX526 "SELECT expunge.claim_closure('1', $CLAIM, 'open')" "the application's word is heard to the last"
refused night EX521 "SELECT expunge.claim_closure('2', '00000000-0000-0000-0000-000000000001', NULL, NULL)" "the time of another is not over"
refused night 42501 "UPDATE expunge.closure SET state = 'claimed', claimed_at = now() WHERE tenant = '1'" "the run cannot claim past the function"
refused night EX432 "UPDATE expunge.closure SET state = 'reactivated' WHERE tenant = '1'" "... nor end a closure"
refused night 42501 "UPDATE expunge.closure SET not_before = now() - interval '1 day' WHERE tenant = '2'" "... nor move an instant"
refused night EX432 "UPDATE expunge.closure SET state = 'cooling-off' WHERE tenant = '2'" "... nor let days pass by itself"
refused night 42501 "UPDATE expunge.closure SET anchor = anchor - 10 WHERE tenant = '1'" "... nor move its days"
refused night 42501 "INSERT INTO expunge.closure_approval (closure_id, plan_hash) SELECT id, '$(hash 1)' FROM expunge.closure" "... nor approve"
is "$(as night "SELECT expunge.claim_closure('1', $CLAIM, 'closed')")" "$ID" "with all of it the account is claimed"
is "$(of 1 "state, claimed_plan")" "claimed|$(hash 1)" "... under the plan that two have approved"
refused night EX420 "SELECT expunge.claim_closure('1', $CLAIM, 'closed')" "... once"
is "$(as dpo "SELECT already_removed FROM expunge.place_hold('1', NULL, 'regulator', 'a letter', '$today'::date + 30)")" t "whoever places a hold then is told that it comes late"
as dpo "SELECT expunge.release_hold(id) FROM expunge.hold_list" >/dev/null
refused practice EX415 "SELECT expunge_api.reactivate_subscription('1')" "nothing leads back from there"
refused ops EX415 "SELECT expunge.reactivate_account('1', 'please')" "... for nobody"
for state in cancelled cooling-off due reactivated; do
	refused postgres EX430 "SET ROLE expunge_owner; UPDATE expunge.closure SET state = '$state' WHERE tenant = '1'" "... not to $state"
done

# ---------------------------------------------------------------- coming back
is "$(as practice "SELECT expunge_api.reactivate_subscription('2')")" t "a practice comes back"
is "$(of 2 "state, ended_by")" "reactivated|practice" "... and is active"
is "$(as practice "SELECT expunge_api.reactivate_subscription('2')")" f "... once"
as practice "SELECT expunge_api.cancel_subscription('2', '$today'::date + 3)" >/dev/null
is "$(of 2 "state, anchor - '$today'")" "cancelled|3" "whoever leaves again has all of the time again"
is "$(as practice "SELECT expunge_api.cancel_subscription('50', '$today')" | wc -l)" 1 "another one leaves"
age 50 46
as night "SELECT * FROM expunge.advance_closures()" >/dev/null
plan 50 1
as ann "SELECT expunge.approve_closure('50', '$(hash 1)')" >/dev/null
is "$(as ops "SELECT expunge.reactivate_account('50', 'they called')")" t "... and is back on day 46, before the claim"
as practice "SELECT expunge_api.cancel_subscription('50', '$today')" >/dev/null
is "$(sql ctl "SELECT count(*) FROM expunge.closure_approval a JOIN expunge.closure c ON c.id = a.closure_id WHERE c.tenant = '50'")" 0 "approvals end with what they were of"
refused two EX420 "SELECT expunge.approve_closure('50', '$(hash 1)')" "a purge is not approved before the last day is over"
as two "SELECT expunge.cancel_account('51', '$today', 'by letter')" >/dev/null
age 51 1
as night "SELECT * FROM expunge.advance_closures()" >/dev/null
plan 51 1
refused two EX501 "SELECT expunge.approve_closure('51', '$(hash 1)')" "nobody approves what they have filed"

# ---------------------------------------------------------------- the application's own table
says() { as night "SELECT coalesce(expunge.reconcile_account('$1', '$2', ${3:-NULL}, ${4:-NULL}, NULL, NULL), 'agrees')"; }
is "$(says 60 open)" agrees "an active account is left alone"
is "$(says 60 closed)" "failed: EX222" "one that is closed without a last paid day is told, and nothing is guessed"
is "$(says 60 closed NULL "'$today'::date + 5")" cancelled "one that is closed there closes here"
is "$(of 60 "source, trigger, anchor - '$today', filed_by")" "application|cancellation|5|night" "... by the application's word"
is "$(says 60 closed NULL "'$today'::date + 5")" agrees "... once"
is "$(says 60 expired NULL "'$today'::date + 5")" agrees "... for whatever cause"
is "$(says 60 closed NULL "'$today'::date + 30")" "disagrees: it is paid until $(sql ctl "SELECT '$today'::date + 30"), and the closing counts from $(of 60 anchor)" \
	"a last paid day that moves away is no agreement"
is "$(of 60 "disagreement IS NOT NULL")" t "... which is written down"
is "$(says 60 closed NULL "'$today'::date + 5")|$(of 60 "disagreement IS NULL")" "agrees|t" "... until they agree"
is "$(says 60 open)" reactivated "a resubscription there is one here"
is "$(says 60 closed NULL "'$today'::date + 5")" "disagrees: it was reactivated here, and the application has not taken its cancellation back" \
	"what was taken back is not cancelled again by an old word"
is "$(says 60 closed "now()" "'$today'::date + 5")" cancelled "... but by a new one"
as ops "SELECT expunge.cancel_account('61', '$today', NULL)" >/dev/null
is "$(says 61 open)" "disagrees: it has an active subscription, and was closed by command" "what a person has closed, the application's word does not open"
is "$(of 61 state)" cancelled "... it stays closing"
is "$(says 61 missing)" "disagrees: it has no subscription of this account" "an account that is not there is a disagreement"
is "$(says 61 unknown)" "disagrees: the status of its subscription is none that is declared" "... and so is a word that nobody knows"
is "$(says 1 open)" agrees "after the claim nothing is asked any more"
is "$(says 62 expired NULL "'$today'")|$(of 62 trigger)" "cancelled|expiry" "one that ran out closes by its own rule"
refused practice 42501 "SELECT expunge.reconcile_account('60', 'open', NULL, NULL, NULL, NULL)" "only the run compares"
is "$(sql ctl "SELECT count(*) FROM expunge.event e WHERE e.kind LIKE 'account-%' AND e.tenant = '60'")" 5 "and each step is in the register"
done_testing

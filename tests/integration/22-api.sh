#!/usr/bin/env bash
# The application's functions and the people's: every success, every refusal with its own SQLSTATE,
# hostile texts, repetition, foreign tenants, and two sessions at once.
. "$(dirname "$0")/../lib.sh"

sql postgres 'CREATE DATABASE ctl'
"$ROOT/tests/sql/apply.sh" ctl
mkrole practice expunge_intake  # speaks for tenants 1 and 2
mkrole other expunge_intake     # speaks for tenant 3
mkrole shared expunge_intake    # one login for all practices: SET expunge.tenant
mkrole unmapped expunge_intake
mkrole ann expunge_approver
mkrole both expunge_intake expunge_approver
mkrole ops expunge_operator
mkrole dpo expunge_dpo
mkrole night expunge_job
sql ctl "INSERT INTO expunge.tenant_login VALUES ('practice', '1'), ('practice', '2'), ('other', '3'), ('shared', '*'), ('both', '1')"

as() { # as ROLE STATEMENT...
	PGOPTIONS='-c client_min_messages=error' sql -U "$1" ctl "${@:2}"
}
refused() { # refused ROLE SQLSTATE STATEMENT [NAME]
	local got
	got=$(psql -XAtq -U "$1" -d ctl -v VERBOSITY=sqlstate <<<"$3" 2>&1 >/dev/null | sed -n 's/^ERROR: *//p' | head -n 1)
	is "$got" "$2" "${4:-$1: ${3:0:120}}"
}
state() { sql ctl "SELECT state FROM expunge.request WHERE id = '$1'"; }
file() { # file SUBJECT: a new request of tenant 1
	as practice "SELECT expunge_api.request_erasure('1', '$1', '17-1-b', 'portal')"
}
hash() { printf 'sha256:%064d' "$1"; }
plan() { # plan ID N [BLOCKERS]: the run stores a plan
	as night "INSERT INTO expunge.plan (request_id, hash, document, n_rows, n_new_rows, blockers) VALUES ('$1', '$(hash "$2")', '', 1, 0, nullif('${3:-}', ''))
		ON CONFLICT (request_id) DO UPDATE SET hash = excluded.hash, blockers = excluded.blockers"
}
approve() { as ann "SELECT expunge.decide_request('$1', 'accept', NULL, '$(hash "$2")')"; }
ready() { # ready SUBJECT: a request that is scheduled; its id is in $ID
	ID=$(file "$1")
	as ops "SELECT expunge.identify_request('$ID')" >"$T/null"
	plan "$ID" 1
	approve "$ID" 1 >"$T/null"
}
advance() { # advance ID STATE...: what the run does
	local s
	for s in "${@:2}"; do
		as night "UPDATE expunge.request SET state = '$s', removed_at = CASE WHEN '$s' = 'removed' THEN now() ELSE removed_at END WHERE id = '$1'"
	done
}

# ---------------------------------------------------------------- filing
ID=$(as practice "SELECT expunge_api.request_erasure(tenant => '1', subject => '42', ground => '17(1)(b)', channel => 'portal',
	requested_by => 'the front desk', received_at => now() - interval '3 days', idempotency_key => 'k1')")
is "$(sql ctl "SELECT tenant, subject, ground, channel, requested_by, filed_by, state, due_on =
	expunge.due_date(expunge.civil_date(received_at), 'england-wales') FROM expunge.request WHERE id = '$ID'")" \
	"1|42|17-1-b|portal|the front desk|practice|received|t" "a request is filed under the authenticated login"
for ground in 17-1-a '17(1)(g)' 'UK-GDPR-17(1)(c)' 17-1-D; do
	ok "ground $ground is known" as practice "SELECT expunge_api.request_erasure('2', 'g $ground', '$ground')"
done
is "$(as practice "SELECT due_on = expunge.due_date(expunge.civil_date(now()), 'england-wales'), days_left = due_on - expunge.civil_date(now()), reason IS NULL, certificate_serial IS NULL
	FROM expunge_api.request_status WHERE tenant = '2' LIMIT 1")" "t|t|t|t" "request_status shows the provisional due date and the days left"

file_as() { # file_as ROLE SQLSTATE ARGUMENTS NAME
	refused "$1" "$2" "SELECT expunge_api.request_erasure($3)" "$4"
}
file_as practice EX201 "NULL, '1', '17-1-b'" "no tenant"
file_as practice EX201 "'', '1', '17-1-b'" "an empty tenant"
file_as practice EX201 "'  ', '1', '17-1-b'" "a blank tenant"
file_as practice EX201 "repeat('1', 201), '1', '17-1-b'" "a long tenant"
file_as practice EX401 "'3', '1', '17-1-b'" "a foreign tenant"
file_as practice EX401 "'*', '1', '17-1-b'" "the tenant that stands for all"
file_as unmapped EX401 "'1', '1', '17-1-b'" "a login without a tenant"
file_as postgres EX401 "'1', '1', '17-1-b'" "a superuser speaks for no tenant"
file_as practice EX202 "'1', NULL, '17-1-b'" "no subject"
file_as practice EX202 "'1', '', '17-1-b'" "an empty subject"
file_as practice EX202 "'1', E'4\\n2', '17-1-b'" "a line end in a subject"
file_as practice EX202 "'1', repeat('x', 10000000), '17-1-b'" "a subject of 10 MB"
file_as practice EX202 "'1', '4' || chr(8238) || '2', '17-1-b'" "a right-to-left override in a subject"
file_as practice EX202 "'1', '42' || chr(8207), '17-1-b'" "a right-to-left mark in a subject"
file_as practice EX202 "'1', '42' || chr(8203), '17-1-b'" "a zero-width space in a subject"
file_as practice EX202 "'1', '42' || chr(27) || '[2J', '17-1-b'" "a terminal's escape sequence in a subject"
file_as practice EX202 "'1', '42' || chr(133), '17-1-b'" "a C1 control character in a subject"
file_as practice EX203 "'1', '1', NULL" "no ground"
file_as practice EX203 "'1', '1', '17-1-h'" "an unknown ground"
file_as practice EX203 "'1', '1', '17-1'" "half a ground"
file_as practice EX203 "'1', '1', repeat('17-1-b', 2000000)" "a ground of 12 MB"
file_as practice EX204 "'1', '1', '17-1-b', NULL" "no channel"
file_as practice EX204 "'1', '1', '17-1-b', 'By Post'" "a malformed channel"
file_as practice EX204 "'1', '1', '17-1-b', repeat('a', 10000000)" "a channel of 10 MB"
file_as practice EX205 "'1', '1', '17-1-b', 'api', repeat('a', 10000000)" "a requested_by of 10 MB"
file_as practice EX205 "'1', '1', '17-1-b', 'api', 'a' || chr(10)" "a line end in requested_by"
file_as practice EX206 "'1', '1', '17-1-b', 'api', NULL, now() + interval '1 hour'" "received in the future"
file_as practice EX206 "'1', '1', '17-1-b', 'api', NULL, 'infinity'" "received never"
file_as practice EX207 "'1', '1', '17-1-b', 'api', NULL, now() - interval '91 days'" "received 91 days ago"
file_as practice EX207 "'1', '1', '17-1-b', 'api', NULL, '-infinity'" "received before all time"
file_as practice EX208 "'1', '1', '17-1-b', 'api', NULL, NULL, ''" "an empty key"
file_as practice EX208 "'1', '1', '17-1-b', 'api', NULL, NULL, repeat('k', 201)" "a long key"
refused practice 22021 "SELECT expunge_api.request_erasure('1', E'4\\000', '17-1-b')" "NUL, which PostgreSQL itself refuses"
n=$(sql ctl 'SELECT count(*) FROM expunge.request')

# hostile but lawful texts are data
while IFS= read -r text; do
	id=$(psql -XAtq -v ON_ERROR_STOP=1 -U practice -d ctl -v text="$text" <<<"SELECT expunge_api.request_erasure('1', :'text', '17-1-b', 'portal', :'text', NULL, :'text')")
	is "$(sql ctl "SELECT subject || requested_by FROM expunge.request WHERE id = '$id'")" "$text$text" "kept as it is: $text"
done <<'TEXTS'
O'Brien"; --
'; DROP SCHEMA expunge CASCADE; --
$$; DELETE FROM expunge.event; $$
42\' OR 1=1
%s%n{tenant}:name
שלום 你好 😀
TEXTS
is "$(sql ctl 'SELECT count(*) FROM expunge.request')" "$((n + 6))" "each of them was one request"
run psql -XAtq -U practice -d ctl -c "SELECT expunge_api.request_erasure('Marker-1', 'Marker-2', 'Marker-3', 'Marker-4')"
err_unlike 'Marker' "a refusal does not repeat what was handed in"
err_like '^HINT: ' "and says what to do"

# ---------------------------------------------------------------- repetition
again() { as practice "SELECT expunge_api.request_erasure('1', '42', '17-1-b', 'portal', 'the front desk', $1, 'k1')"; }
is "$(again "(SELECT received_at FROM expunge_api.request_status WHERE id = '$ID')")" "$ID" "the same key and arguments give the same id"
is "$(again NULL)" "$ID" "also where the receipt is left out"
while IFS= read -r arguments; do
	file_as practice EX410 "$arguments, 'k1'" "the same key with $arguments"
done <<'ARGUMENTS'
'1', '43', '17-1-b', 'portal', 'the front desk', NULL
'1', '42', '17-1-a', 'portal', 'the front desk', NULL
'1', '42', '17-1-b', 'email', 'the front desk', NULL
'1', '42', '17-1-b', 'portal', NULL, NULL
'1', '42', '17-1-b', 'portal', 'the front desk', now()
ARGUMENTS
file_as practice EX412 "'1', '42', '17-1-b'" "a second request while the first is open"
run as practice "SELECT expunge_api.request_erasure('1', '42', '17-1-b')"
err_like "request $ID for this subject is open" "it names the first"
file_as practice EX412 "'1', '42', '17-1-b', 'portal', 'the front desk', NULL, 'another key'" "with a key of its own, too"
other=$(as practice "SELECT expunge_api.request_erasure('2', '42', '17-1-b')")
ok "the same key in another tenant is another subject" as practice "SELECT expunge_api.withdraw_request('$other')"
ok "after a withdrawal a new one may be filed" as practice "SELECT expunge_api.withdraw_request(expunge_api.request_erasure('2', '42', '17-1-b'))"
ID2=$(as practice "SELECT expunge_api.request_erasure('2', '99', '17-1-b', idempotency_key => 'k1')")
nok "the same key of another tenant is another request" test "$ID2" = "$ID"
is "$(sql ctl "SELECT count(*) FROM expunge.event WHERE request_id = '$ID'")" "1" "a repetition leaves no second event"

# two sessions with one key at once
for i in 1 2; do
	psql -XAtq -U practice -d ctl >"$T/twice$i" <<-'SQL' &
		BEGIN;
		SELECT expunge_api.request_erasure('1', '77', '17-1-b', idempotency_key => 'twice');
		SELECT pg_sleep(0.5);
		COMMIT;
	SQL
done
wait
is "$(head -n 1 "$T/twice1")" "$(head -n 1 "$T/twice2")" "two sessions with one key get one id"
is "$(sql ctl "SELECT count(*) FROM expunge.request WHERE idempotency_key = 'twice'")" "1" "and there is one request"

# ---------------------------------------------------------------- one login for all tenants
refused shared EX401 "SELECT expunge_api.request_erasure('1', '1', '17-1-b')" "without expunge.tenant a shared login speaks for nobody"
ID5=$(as shared "SET expunge.tenant = '5'" "SELECT expunge_api.request_erasure('5', '1', '17-1-b')")
refused shared EX401 "SET expunge.tenant = '5'; SELECT expunge_api.request_erasure('1', '1', '17-1-b')" "with it, for that one"
refused shared EX401 "SET expunge.tenant = ''; SELECT expunge_api.request_erasure('', '1', '17-1-b') FROM (SELECT 1) x WHERE false; SELECT expunge_api.request_erasure('5', '1', '17-1-b')" "an empty one is none"
is "$(as shared "SET expunge.tenant = '5'" 'SELECT id FROM expunge_api.request_status')" "$ID5" "and it sees that tenant's requests"
is "$(as shared 'SELECT count(*) FROM expunge_api.request_status')" "0" "or none"

# ---------------------------------------------------------------- foreign requests do not exist
for call in "expunge_api.withdraw_request('$ID')" "expunge_api.collect_opening('$ID')" "expunge_api.certificate_note('$ID')" \
	"expunge.withdraw_request('$ID')" "expunge.identify_request('$ID')"; do
	refused other EX404 "SELECT $call" "a foreign practice: ${call%%(*}"
done
for call in withdraw_request collect_opening certificate_note; do
	refused practice EX404 "SELECT expunge_api.$call(gen_random_uuid())"
	refused practice EX217 "SELECT expunge_api.$call(NULL)"
done
is "$(as other 'SELECT count(*) FROM expunge_api.request_status')" "0" "nor are they listed"

# ---------------------------------------------------------------- identification
refused ops EX217 "SELECT expunge.identify_request(NULL)"
refused ops EX218 "SELECT expunge.identify_request('$ID', now() + interval '1 day')"
refused ops EX218 "SELECT expunge.identify_request('$ID', now() - interval '4 days')"
is "$(as practice "SELECT expunge.identify_request('$ID') = expunge.due_date(expunge.civil_date(now()), 'england-wales')")" "t" \
	"the clock starts with the identification where that comes later"
is "$(sql ctl "SELECT state, identified_by FROM expunge.request WHERE id = '$ID'")" "identified|practice" "it is recorded by whom"
refused ops EX420 "SELECT expunge.identify_request('$ID')"
is "$(as ops "SELECT expunge.identify_request('$ID2', (SELECT received_at FROM expunge.request WHERE id = '$ID2'))
	= (SELECT expunge.due_date(expunge.civil_date(received_at), 'england-wales') FROM expunge.request WHERE id = '$ID2')")" "t" \
	"an identity known at receipt starts it at receipt"

# ---------------------------------------------------------------- decision
decide() { refused "$1" "$2" "SELECT expunge.decide_request('$ID', $3)" "$4"; }
decide ann EX212 "NULL" "no decision"
decide ann EX212 "'maybe'" "an unknown decision"
decide ann EX213 "'refuse'" "a refusal without a basis"
decide ann EX213 "'refuse', '17-3-f'" "a basis that the law does not have"
decide ann EX213 "'refuse', repeat('17-3-b', 2000000)" "a basis of 12 MB"
decide ann EX213 "'partial', NULL, '$(hash 1)'" "partial without a basis"
decide ann EX213 "'accept', '17-3-b', '$(hash 1)'" "accepted on a basis"
decide ann EX213 "'accept', repeat('x', 10000000), '$(hash 1)'" "accepted on a basis of 10 MB"
decide ann EX214 "'accept'" "no plan hash"
decide ann EX214 "'accept', NULL, 'sha256:00'" "half a plan hash"
decide ann EX421 "'accept', NULL, '$(hash 1)'" "no plan yet"
plan "$ID" 1
decide ann EX504 "'accept', NULL, '$(hash 2)'" "another plan than the stored one"
plan "$ID" 1 'app.staff: the subject is a member of staff'
decide ann EX505 "'accept', NULL, '$(hash 1)'" "a plan with blockers"
plan "$ID" 1
mine=$(as both "SELECT expunge_api.request_erasure('1', '55', '17-1-b')")
refused both EX501 "SELECT expunge.decide_request('$mine', 'refuse', '17-3-b')" "who filed does not refuse"
as ops "SELECT expunge.identify_request('$mine')" >"$T/null"
plan "$mine" 1
refused both EX501 "SELECT expunge.decide_request('$mine', 'accept', NULL, '$(hash 1)')" "who filed does not approve"
refused both EX501 "SET ROLE expunge_approver; SELECT expunge.decide_request('$mine', 'accept', NULL, '$(hash 1)')" "nor under another role"
refused ann EX404 "SELECT expunge.decide_request(gen_random_uuid(), 'refuse', '17-3-b')"
refused ann EX217 "SELECT expunge.decide_request(NULL, 'refuse', '17-3-b')"
is "$(approve "$ID" 1)" "scheduled" "another person approves"
is "$(sql ctl "SELECT decision, decided_by, approved_plan, basis IS NULL, not_before = expunge.undo_until(due_on) - (now() - decided_at)
	FROM expunge.request WHERE id = '$ID'")" "accepted|ann|$(hash 1)|t|t" "the approval names the plan, and waits for the undo window"
decide ann EX420 "'accept', NULL, '$(hash 1)'" "approved before"
is "$(as both "SELECT expunge.decide_request('$ID', 'refuse', '17(3)(e)')")" "refused" "an approver may still refuse in the window"
is "$(sql ctl "SELECT basis, approved_plan IS NULL, not_before IS NULL, (SELECT count(*) FROM expunge.plan WHERE request_id = '$ID')
	FROM expunge.request WHERE id = '$ID'")" "17-3-e|t|t|0" "which takes the approval and the plan's keys away"
decide ann EX420 "'refuse', '17-3-b'" "refused before"

ready 60
not_before=$(sql ctl "SELECT not_before FROM expunge.request WHERE id = '$ID'")
as night "UPDATE expunge.request SET state = 'blocked', reason = 'new-rows: app.note' WHERE id = '$ID'"
plan "$ID" 2
decide ann EX504 "'accept', NULL, '$(hash 1)'" "new rows: the old hash is no longer enough"
is "$(approve "$ID" 2)" "scheduled" "the new one re-schedules"
is "$(sql ctl "SELECT approved_plan, not_before, reason IS NULL FROM expunge.request WHERE id = '$ID'")" "$(hash 2)|$not_before|t" \
	"and does not lengthen the undo window"
PARTIAL=$(file 61)
as ops "SELECT expunge.identify_request('$PARTIAL')" >"$T/null"
plan "$PARTIAL" 1 'blocker: app.staff 1 rows refer to app.patient'
decide_partial() { as ann "SELECT expunge.decide_request('$PARTIAL', 'partial', '17-3-b', '$(hash 1)')"; }
refused ann EX505 "SELECT expunge.decide_request('$PARTIAL', 'partial', '17-3-b', '$(hash 1)')"
plan "$PARTIAL" 1 ''
is "$(decide_partial)" "scheduled" "partial is an approval, too, of a plan without blockers"

# ---------------------------------------------------------------- extension
refused ops EX210 "SELECT expunge.extend_request('$PARTIAL', '')"
refused ops EX210 "SELECT expunge.extend_request('$PARTIAL', repeat('x', 501))"
is "$(as ops "SELECT expunge.extend_request('$PARTIAL', 'many records') = expunge.due_date(expunge.civil_date(now()), 'england-wales', 3)")" "t" \
	"an extension goes to three months from the start"
refused ops EX424 "SELECT expunge.extend_request('$PARTIAL', 'again')"
late=$(file 62)
sql ctl "SET ROLE expunge_owner" "UPDATE expunge.request SET received_at = (now() AT TIME ZONE 'Europe/London' - interval '40 days') AT TIME ZONE 'Europe/London' WHERE id = '$late'"
refused ops EX423 "SELECT expunge.extend_request('$late', 'too late')"
early=$(file 63)
as ops "SELECT expunge.extend_request('$early', 'many records')" >"$T/null"
is "$(as ops "SELECT expunge.identify_request('$early') = expunge.due_date(expunge.civil_date(now()), 'england-wales', 3)")" "t" \
	"an extension before the identification stays"

# ---------------------------------------------------------------- withdrawal
is "$(as practice "SELECT expunge_api.withdraw_request('$PARTIAL')" "SELECT expunge_api.withdraw_request('$PARTIAL')" | tr '\n' ' ')" "t f " \
	"a request is withdrawn once; again is no error"
refused ops EX420 "SELECT expunge.extend_request('$PARTIAL', 'withdrawn')"
ready 64
advance "$ID" running
refused practice EX422 "SELECT expunge_api.withdraw_request('$ID')" "a running removal cannot be withdrawn"
advance "$ID" removed failed
refused practice EX422 "SELECT expunge_api.withdraw_request('$ID')" "nor one that failed after its removal"
refused ann EX420 "SELECT expunge.decide_request('$ID', 'refuse', '17-3-b')" "nor refused"
ready 65
advance "$ID" running failed
ok "one that failed before its removal can" as practice "SELECT expunge_api.withdraw_request('$ID')"

# ---------------------------------------------------------------- holds
soon="current_date + 30"
refused practice EX401 "SELECT expunge_api.place_hold('3', '70', 'complaint', 'a letter', $soon)"
refused practice EX202 "SELECT expunge_api.place_hold('1', NULL, 'complaint', 'a letter', $soon)" "a practice does not hold a whole tenant"
refused practice EX209 "SELECT expunge_api.place_hold('1', '70', 'whim', 'a letter', $soon)"
refused practice EX209 "SELECT expunge_api.place_hold('1', '70', NULL, 'a letter', $soon)"
refused practice EX210 "SELECT expunge_api.place_hold('1', '70', 'complaint', ' ', $soon)"
refused practice EX211 "SELECT expunge_api.place_hold('1', '70', 'complaint', 'a letter', NULL)"
refused practice EX211 "SELECT expunge_api.place_hold('1', '70', 'complaint', 'a letter', current_date - 2)"
refused practice EX211 "SELECT expunge_api.place_hold('1', '70', 'complaint', 'a letter', 'infinity')"
refused ops EX201 "SELECT expunge.place_hold('', '70', 'complaint', 'a letter', $soon)"
ready 70
HOLD=$(as practice "SELECT expunge_api.place_hold('1', '70', 'complaint', 'a letter', $soon)")
is "$(sql ctl "SELECT state, reason FROM expunge.request WHERE id = '$ID'")" "blocked|hold" "a hold blocks what is scheduled"
is "$(as ops "SELECT held, why_not_yet FROM expunge.request_list WHERE id = '$ID'")" "t|blocked: hold" "and the list says so"
refused ann EX503 "SELECT expunge.decide_request('$ID', 'accept', NULL, '$(hash 1)')" "nobody approves what is held"
ALL=$(as dpo "SELECT id FROM expunge.place_hold('1', NULL, 'regulator', 'an inquiry', $soon)")
refused ops EX404 "SELECT expunge.release_hold(gen_random_uuid())"
refused ops EX217 "SELECT expunge.release_hold(NULL)"
is "$(as ops "SELECT expunge.release_hold('$HOLD')")" "0" "releasing one hold frees nothing that another one holds"
is "$(state "$ID")" "blocked" "so it stays blocked"
n=$(as dpo "SELECT expunge.release_hold('$ALL')")
ok "releasing the last one frees what it held" test "$n" -ge 1
is "$(state "$ID")" "scheduled" "and an approval given before stands"
refused ops EX427 "SELECT expunge.release_hold('$HOLD')"
is "$(sql ctl "SELECT string_agg(kind, ' ' ORDER BY number) FROM expunge.event WHERE request_id = '$ID' AND number >
	(SELECT max(number) FROM expunge.event WHERE kind = 'request-scheduled' AND request_id = '$ID' AND actor = 'ann')")" \
	"request-blocked request-scheduled" "each change is an event"

# a hold on the tenant blocks what is not yet approved, too, and release gives it back as it was
open=$(file 71)
as ops "SELECT expunge.identify_request('$open')" >"$T/null"
ALL=$(as ops "SELECT id FROM expunge.place_hold('1', NULL, 'litigation', 'a claim', current_date)")
is "$(state "$open")" "blocked" "a hold blocks what is identified"
is "$(as ops "SELECT past_review FROM expunge.hold_list WHERE id = '$ALL'")" "f" "a review is not past on its day"
sql ctl "SET ROLE expunge_owner" "UPDATE expunge.hold SET review_on = current_date - 1 WHERE id = '$ALL'"
is "$(as ops 'SELECT holds_past_review FROM expunge.status')" "1" "a review date that has passed is counted"
is "$(state "$open")" "blocked" "and releases nothing"
as ops "SELECT expunge.release_hold('$ALL')" >"$T/null"
is "$(state "$open")" "identified" "what nobody had approved waits for a decision again"

# rows gone already
ready 72
advance "$ID" running removed
run psql -XAtq -U practice -d ctl -c "SELECT expunge_api.place_hold('1', '72', 'complaint', 'a letter', $soon)"
rc_is 0 "a hold may come too late"
err_like '^WARNING: .*already been carried out' "and then says so"
is "$(as ops "SELECT already_removed FROM expunge.place_hold('1', '72', 'complaint', 'a letter', $soon)")" "t" "the operator's form returns it"

# ---------------------------------------------------------------- two sessions
# A runner's batch: rows claimed, then the tenant's shared lock, then its work, then COMMIT.
batch() { # batch ID SECONDS STATE
	psql -XAtq -v ON_ERROR_STOP=1 -U night -d ctl >"$T/batch" 2>&1 <<-SQL &
		SET application_name = 'batch';
		BEGIN;
		SELECT id FROM expunge.request WHERE id = '$1' FOR UPDATE SKIP LOCKED;
		SELECT pg_advisory_xact_lock_shared(hashtextextended('expunge/tenant/1', 0));
		UPDATE expunge.request SET state = 'running' WHERE id = '$1';
		UPDATE expunge.request SET state = '$3', removed_at = CASE WHEN '$3' = 'removed' THEN now() END WHERE id = '$1';
		SELECT pg_sleep($2);
		COMMIT;
	SQL
	BATCH=$!
	for _ in $(seq 100); do
		[ -z "$(sql ctl "SELECT 1 FROM pg_stat_activity WHERE application_name = 'batch' AND wait_event = 'PgSleep'")" ] || return 0
		sleep 0.05
	done
	return 1
}
ready 80
batch "$ID" 2 removed
is "$(as ops "SELECT already_removed FROM expunge.place_hold('1', '80', 'complaint', 'a letter', $soon)")" "t" \
	"a hold placed while a batch runs waits for its commit and reports that it came too late"
ok "the batch was not disturbed" wait "$BATCH"

# The other order: the hold first; the batch, which has claimed its row already, waits and then sees it.
ready 81
psql -XAtq -v ON_ERROR_STOP=1 -U ops -d ctl >"$T/holder" 2>&1 <<-SQL &
	BEGIN;
	SELECT id FROM expunge.place_hold('1', 'nobody', 'complaint', 'a letter', $soon);
	SELECT pg_sleep(1);
	SELECT id FROM expunge.place_hold('1', '81', 'complaint', 'a letter', $soon);
	COMMIT;
SQL
holder=$!
sleep 0.4
is "$(psql -XAtq -v ON_ERROR_STOP=1 -U night -d ctl <<-SQL
	BEGIN;
	SELECT 'claimed' FROM expunge.request WHERE id = '$ID' FOR UPDATE SKIP LOCKED;
	SELECT FROM (SELECT pg_advisory_xact_lock_shared(hashtextextended('expunge/tenant/1', 0))) x WHERE false;
	SELECT pg_advisory_xact_lock_shared(hashtextextended('expunge/tenant/1', 0)) IS NULL;
	SELECT count(*) FROM expunge.hold WHERE tenant = '1' AND subject = '81' AND released_at IS NULL;
	COMMIT;
SQL
)" "$(printf 'claimed\nf\n1')" "a batch that waited for a hold sees it, and neither waits for the other's row"
ok "the hold was placed" wait "$holder"

# Withdrawal against a batch that has the row
ready 82
batch "$ID" 2 removed
refused practice EX422 "SELECT expunge_api.withdraw_request('$ID')" "a withdrawal waits for the batch and finds the rows gone"
wait "$BATCH"
ready 83
batch "$ID" 7 removed
refused practice EX409 "SELECT expunge_api.withdraw_request('$ID')" "after five seconds it gives up and says to try again"
ok "the batch went on" wait "$BATCH"
is "$(state "$ID")" "removed" "to its end"

# ---------------------------------------------------------------- certificate and opening
refused practice EX426 "SELECT expunge_api.certificate_note('$ID')"
refused practice EX425 "SELECT expunge_api.collect_opening('$ID')"
as night "UPDATE expunge.request SET state = 'certified', certified_at = now(), subject = NULL, subject_hash = 'hmac:x' WHERE id = '$ID'" \
	"INSERT INTO expunge.certificate (serial, id, kind, stage, tenant, request_id, note)
		VALUES (1, '$(printf '%032d' 1)', 'subject-erasure', 'interim', '1', '$ID', 'first'),
		       (2, '$(printf '%032d' 2)', 'subject-erasure', 'final', '1', '$ID', 'last')" \
	"INSERT INTO expunge.opening (request_id, tenant, salt, subject, expires_at) VALUES ('$ID', '1', 'pepper', '83', now() + interval '1 day')"
is "$(as practice "SELECT expunge_api.certificate_note('$ID')")" "last" "a practice reads its newest certificate"
is "$(as practice "SELECT state, certificate_serial, days_left IS NULL FROM expunge_api.request_status WHERE id = '$ID'")" "certified|2|t" "and its serial"
refused other EX404 "SELECT expunge_api.certificate_note('$ID')"
refused other EX404 "SELECT expunge_api.collect_opening('$ID')"
is "$(as practice "SELECT instance IS NOT NULL, tenant, subject, salt FROM expunge_api.collect_opening('$ID')")" "t|1|83|pepper" "an opening is handed out"
refused practice EX425 "SELECT expunge_api.collect_opening('$ID')" "once"
is "$(sql ctl "SELECT actor FROM expunge.event WHERE kind = 'opening-collected' AND request_id = '$ID'")" "practice" "and that is on record"
as night "INSERT INTO expunge.opening (request_id, tenant, salt, subject, expires_at) VALUES ('$ID', '1', 'pepper', '83', now() - interval '1 s')"
refused practice EX425 "SELECT expunge_api.collect_opening('$ID')" "an expired opening is not"
is "$(as night 'SELECT expunge.forget_expired_openings()' 'SELECT expunge.forget_expired_openings()' | tr '\n' ' ')" "1 0 " "expired openings are forgotten"
refused night EX430 "UPDATE expunge.request SET state = 'running' WHERE id = '$ID'" "a certified request never runs again"

# ---------------------------------------------------------------- freeze, caps, clock, denials
is "$(as night "SELECT expunge.freeze_on('control sample differs')" "SELECT expunge.freeze_on('again')" | tr '\n' ' ')" "t f " "a freeze is one"
is "$(as ops 'SELECT frozen FROM expunge.status')" "t" "status shows it"
is "$(as dpo 'SELECT expunge.freeze_off()' 'SELECT expunge.freeze_off()' | tr '\n' ' ')" "t f " "a person ends it"
refused ops EX210 "SELECT expunge.freeze_on(NULL)"
is "$(as ann "SELECT expunge.raise_cap('a practice moves')" "SELECT expunge.raise_cap('another one')" | tr '\n' ' ')" "1 2 " "a cap is raised by a person"
refused ann EX210 "SELECT expunge.raise_cap(E'a\\tb')"
before=$(sql ctl 'SELECT clock_accepted_at FROM expunge.instance')
as ops "SELECT expunge.accept_clock('the host was a year ahead')" >"$T/null"
is "$(sql ctl "SELECT clock_accepted_at > '$before' FROM expunge.instance")" "t" "a person vouches for the clock"
refused ops EX210 "SELECT expunge.accept_clock('')"
as both "SELECT expunge.record_denied('request decide', '$mine', 'EX501')" >"$T/null"
is "$(sql ctl "SELECT actor, tenant, detail FROM expunge.event WHERE kind = 'denied'")" "both|1|request decide EX501" "a denied attempt is on record"
refused ann EX219 "SELECT expunge.record_denied('x; DROP', NULL, 'EX501')"
refused ann EX219 "SELECT expunge.record_denied('decide', NULL, 'oops')"
refused ann EX219 "SELECT expunge.record_denied(repeat('x', 10000000), NULL, 'EX501')"

# ---------------------------------------------------------------- lists
is "$(as ops "SELECT days_left < 0, late, past_target FROM expunge.request_list WHERE id = '$late'")" "f|f|t" "past the internal target"
sql ctl "SET ROLE expunge_owner" "UPDATE expunge.request SET due_on = current_date - 1 WHERE id = '$late'"
is "$(as ops "SELECT days_left, late, why_not_yet FROM expunge.request_list WHERE id = '$late'")" "-1|t|waits to be identified" "late, and why"
is "$(as ops 'SELECT overdue, oldest_days >= 40 FROM expunge.status')" "1|t" "status counts it"
advance "$mine" failed
as night "UPDATE expunge.request SET reason = 'no-plan: app.note' WHERE id = '$mine'"
is "$(as ops "SELECT state, reason, n FROM expunge.status_blocked WHERE reason = 'no-plan'")" "failed|no-plan|1" "failures by the code of their reason"
is "$(as night "INSERT INTO expunge.run (job, host) VALUES ('erase', 'h'), ('erase', 'h')" \
	"UPDATE expunge.run SET finished_at = now(), exit_code = 3" 'SELECT job, last_exit_code, last_success IS NULL FROM expunge.status_job')" "erase|3|t" "a run that ended with 3 is no success"

# ---------------------------------------------------------------- the vacuum horizon
is "$(as ops 'SELECT held_by FROM expunge.oldest_xmin()')" "nothing" "nothing holds the horizon back"
sql ctl 'BEGIN' "INSERT INTO expunge.tenant_login VALUES ('x', 'x')" "PREPARE TRANSACTION 'left over'"
XID=$(sql ctl "SELECT pg_current_xact_id()")
is "$(as night "SELECT held_by, horizon < '$XID'::xid8 FROM expunge.oldest_xmin()")" "prepared transaction left over|t" "a prepared transaction does"
sql ctl "ROLLBACK PREPARED 'left over'"
psql -XAtq -d ctl >"$T/null" <<-'SQL' &
	SET application_name = 'reader';
	BEGIN ISOLATION LEVEL REPEATABLE READ;
	SELECT 1 FROM expunge.run LIMIT 1;
	SELECT pg_sleep(1.5);
SQL
sleep 0.5
XID=$(sql ctl "SELECT pg_current_xact_id()")
is "$(as night "SELECT held_by ~ '^client backend [0-9]+$', horizon <= '$XID'::xid8 FROM expunge.oldest_xmin()")" "t|t" "so does another user's snapshot"
wait

done_testing

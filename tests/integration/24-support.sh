#!/usr/bin/env bash
# Support mode in SQL: the verdict table, every function with its refusals, repetition, hostile texts, who may do what, and that
# no event ever changes.
. "$(dirname "$0")/../lib.sh"

sql postgres 'CREATE DATABASE ctl'
"$ROOT/tests/sql/apply.sh" ctl
mkrole practice expunge_intake # speaks for tenants 1 and 2
mkrole other expunge_intake    # speaks for tenant 3
mkrole ada expunge_support
mkrole ben expunge_support
mkrole desk expunge_support # the application of the staff, which names the member
mkrole dora expunge_dpo
mkrole night expunge_job
sql ctl "INSERT INTO expunge.tenant_login VALUES ('practice', '1'), ('practice', '2'), ('other', '3')" \
	"INSERT INTO expunge.staff_login VALUES ('desk'), ('postgres')" \
	"INSERT INTO expunge.contact (tenant, audience, address) VALUES ('1', 'controller', 'manager@practice.example'), (NULL, 'dpo', 'dpo@operator.example')"

as() { # as ROLE STATEMENT...
	sql -U "$1" ctl "${@:2}"
}
refused() { # refused ROLE SQLSTATE STATEMENT [NAME]
	local got
	got=$(psql -XAtq -U "$1" -d ctl -v VERBOSITY=sqlstate <<<"$3" 2>&1 >/dev/null | sed -n 's/^ERROR: *//p' | head -n 1)
	is "$got" "$2" "${4:-$1: ${3:0:120}}"
}
ask() { as ada "SELECT expunge_api.request_support('1', '$1', '${2:-records}', 'calendar is empty')"; }
grant() { as practice "SELECT expunge_api.grant_support_consent('1', now() + interval '${2:-2 hours}', '$1', 'records')"; }
enter() { as ada "SELECT expunge_api.open_support_session('1', '$1', 'records', 'calendar is empty')"; }
state() { sql ctl "SELECT state FROM expunge.support_list WHERE id = '$1' AND what <> 'anomaly'"; }

# ---------------------------------------------------------------- the verdicts
# shellcheck disable=SC2046 # pkg-config prints words
ok "the probe is built" "${CC:-gcc}" -std=gnu11 -g -D_GNU_SOURCE -I"$ROOT/lib" -o "$T/support_probe" "$ROOT/tests/integration/support_probe.c" \
	"$(dirname "$EXPUNGE")/libexpunge.a" $(pkg-config --cflags --libs check libpq libconfig libcrypto jansson libzstd)
run "$T/support_probe" "host=$PGHOST port=$PGPORT dbname=ctl user=postgres" "$ROOT/tests/vectors/support.verdicts"
rc_is 0 "every row of the verdict table is what the functions say"
out_like '^1[0-9][0-9] rows$' "of a hundred rows at least"
is "$(sql ctl 'SELECT count(*) FROM expunge.support_event')" 0 "and each was rolled back"

# ---------------------------------------------------------------- a visit
R=$(ask 4711)
is "$(state "$R")" open "a request waits"
C=$(as practice "SELECT expunge_api.grant_support_consent('1', now() + interval '2 hours', request => '$R')")
is "$(state "$R") $(state "$C")" "answered in force" "and is answered"
S=$(enter 4711)
is "$(state "$S")" open "the session is open"
as ada "SELECT expunge_api.note_support_activity('$S', 'looked at the calendar')" >"$T/null"
is "$(as ada "SELECT expunge_api.close_support_session('$S')") $(as ada "SELECT expunge_api.close_support_session('$S')")" "t f" "it is closed, once"
is "$(state "$S")" closed "and stays so"
S=$(enter 4711)
is "$(as practice "SELECT expunge_api.revoke_support_consent('$C')") $(as practice "SELECT expunge_api.revoke_support_consent('$C')")" "1 0" \
	"revoking the consent ends the open session"
is "$(state "$C") $(state "$S")" "revoked revoked" "at once"
refused ada EX725 "SELECT expunge_api.open_support_session('1', '4711', 'records', 'again')"
refused ada EX727 "SELECT expunge_api.note_support_activity('$S', 'looked')"
is "$(sql ctl "SELECT kind FROM expunge.support_event ORDER BY number" | tr '\n' ' ')" \
	"consent-requested consent-granted session-opened activity session-closed session-opened consent-revoked session-ended " "the events of all that, in their order"
is "$(sql ctl "SELECT DISTINCT actor FROM expunge.support_event ORDER BY 1" | tr '\n' ' ')" "ada practice " "name the authenticated logins"

# ---------------------------------------------------------------- who is asking
refused practice 42501 "SELECT expunge_api.open_support_session('1', '1', 'records', 'x')" "a practice enters nowhere by these functions"
refused ada 42501 "SELECT expunge_api.grant_support_consent('1', now() + interval '1 hour', '1', 'records')" "the staff does not consent for a practice"
refused ada 42501 "SELECT expunge_api.decide_test_subject('$C', 'keep')" "nor decide for it"
refused other EX401 "SELECT expunge_api.grant_support_consent('1', now() + interval '1 hour', '1', 'records')" "a practice consents for itself"
refused other EX404 "SELECT expunge_api.revoke_support_consent('$C')" "and revokes its own"
refused other EX404 "SELECT expunge_api.revoke_support_consent(gen_random_uuid())" "an unknown one is answered alike"
refused practice EX404 "SELECT expunge_api.grant_support_consent('2', now() + interval '1 hour', request => '$R')" "a request is of one practice"
refused desk EX731 "SELECT expunge_api.request_support('1', '1', 'records', 'x')" "an application says whom it speaks for"
D=$(as desk "SET expunge.staff = 'helen'" "SELECT expunge_api.request_support('1', '1', 'records', 'x')")
is "$(sql ctl "SELECT staff, actor FROM expunge.support_event WHERE id = '$D'")" "helen|desk" "and is trusted"
D=$(as ada "SET expunge.staff = 'helen'" "SELECT expunge_api.request_support('1', '1', 'records', 'x')")
is "$(sql ctl "SELECT staff FROM expunge.support_event WHERE id = '$D'")" "ada" "which somebody else is not"
refused ben EX404 "SELECT expunge_api.close_support_session('$S')" "another's session is not shown"

# ---------------------------------------------------------------- who sees what
grant 99 >"$T/null"
as ben "SELECT expunge_api.request_support('3', '5', 'settings', 'x')" >"$T/null"
is "$(as practice "SELECT DISTINCT tenant FROM expunge_api.support_register")" 1 "a practice reads its own"
is "$(as other "SELECT DISTINCT tenant FROM expunge_api.support_register")" 3 "and so does another"
is "$(as ada "SELECT count(*) FROM expunge.support_list WHERE staff = 'ben'")" 0 "a member of staff does not read of colleagues"
is "$(as dora "SELECT count(DISTINCT tenant) FROM expunge.support_register")" 2 "the DPO reads everything"
is "$(as practice "SELECT count(*) FROM expunge.support_list l WHERE l.tenant <> '1'")" 0 "nor does the list show others"

# ---------------------------------------------------------------- bad input
while IFS='|' read -r code function arguments; do
	case $function in
	grant) refused practice "$code" "SELECT expunge_api.grant_support_consent($arguments)" ;;
	revoke) refused practice "$code" "SELECT expunge_api.revoke_support_consent($arguments)" ;;
	decide) refused practice "$code" "SELECT expunge_api.decide_test_subject($arguments)" ;;
	ask) refused ada "$code" "SELECT expunge_api.request_support($arguments)" ;;
	enter) refused ada "$code" "SELECT expunge_api.open_support_session($arguments)" ;;
	act) refused ada "$code" "SELECT expunge_api.note_support_activity($arguments)" ;;
	register) refused ada "$code" "SELECT expunge_api.register_test_subject($arguments)" ;;
	confirm) refused ada "$code" "SELECT expunge_api.confirm_support_override($arguments)" ;;
	esac
done <<LIST
EX201|grant|NULL, now() + interval '1 hour', '1', 'records'
EX401|grant|'*', now() + interval '1 hour', '1', 'records'
EX701|grant|'1', now() + interval '1 hour', NULL, 'records'
EX701|grant|'1', now() + interval '1 hour', repeat('x', 10000000), 'records'
EX701|grant|'1', now() + interval '1 hour', E'1\\n2', 'records'
EX701|grant|'1', now() + interval '1 hour', '1' || chr(8238), 'records'
EX702|grant|'1', now() + interval '1 hour', '1', NULL
EX702|grant|'1', now() + interval '1 hour', '1', 'Records'
EX702|grant|'1', now() + interval '1 hour', '1', ''' OR true --'
EX703|grant|'1', NULL, '1', 'records'
EX703|grant|'1', now(), '1', 'records'
EX703|grant|'1', now() - interval '1 second', '1', 'records'
EX703|grant|'1', '-infinity', '1', 'records'
EX703|grant|'1', 'infinity', '1', 'records'
EX703|grant|'1', now() + interval '32 days', '1', 'records'
EX704|grant|'1', now() + interval '1 hour', '1', 'records', staff => E'a\\tb'
EX704|grant|'1', now() + interval '1 hour', '1', 'records', staff => repeat('x', 101)
EX705|grant|'1', now() + interval '1 hour', '1', 'record'
EX705|grant|'1', now() + interval '1 hour', '1', 'records', subject => '7'
EX202|grant|'1', now() + interval '1 hour', '1', 'record', subject => ''
EX208|grant|'1', now() + interval '1 hour', '1', 'records', key => repeat('x', 201)
EX404|grant|'1', now() + interval '1 hour', request => gen_random_uuid()
EX217|revoke|NULL
EX404|revoke|'$R'
EX212|decide|gen_random_uuid(), 'delete'
EX212|decide|gen_random_uuid(), NULL
EX404|decide|gen_random_uuid(), 'keep'
EX217|decide|NULL, 'keep'
EX201|ask|NULL, '1', 'records', 'x'
EX201|ask|'', '1', 'records', 'x'
EX201|ask|repeat('1', 201), '1', 'records', 'x'
EX210|ask|'1', '1', 'records', NULL
EX210|ask|'1', '1', 'records', repeat('x', 501)
EX210|ask|'1', '1', 'records', 'a' || chr(27) || '[2J'
EX701|ask|'1', repeat('x', 61), 'records', 'x'
EX201|enter|NULL, '1', 'records', 'x'
EX720|enter|'no such practice', '1', 'records', 'x'
EX210|enter|'1', '99', 'records', '  '
EX217|act|NULL, 'looked'
EX707|act|'$S', 'Looked'
EX707|act|'$S', repeat('a', 61)
EX707|act|'$S', NULL
EX201|register|'$S', NULL, '1'
EX404|register|gen_random_uuid(), '1', '1'
EX727|register|'$S', '1', '1'
EX732|confirm|gen_random_uuid()
LIST
S=$(enter 99)
refused ada EX401 "SELECT expunge_api.register_test_subject('$S', '2', '1')" "a test subject of another practice"
refused ada EX745 "SELECT expunge_api.register_test_subject('$S', '1', '1')" "without a data map that says what contact is"
refused ada EX202 "SELECT expunge_api.register_test_subject('$S', '1', E'1\\u0007')" "a hostile subject"

# ---------------------------------------------------------------- a call that is repeated
G="SELECT expunge_api.grant_support_consent('1', '$(sql ctl "SELECT now() + interval '1 hour'")', 'k', 'records', key => 'once')"
is "$(as practice "$G")" "$(as practice "$G")" "the same call gives the same consent"
refused practice EX410 "SELECT expunge_api.grant_support_consent('1', now() + interval '3 hours', 'k', 'records', key => 'once')" "another end with its key is refused"
refused practice EX410 "${G/records/settings}" "and another scope"
refused ada EX410 "SELECT expunge_api.request_support('1', 'k', 'records', 'x', key => 'once')" "and another's call"
Q="SELECT expunge_api.request_support('1', 'q', 'record', 'x', '7', 'q1')"
is "$(as ada "$Q")" "$(as ada "$Q")" "a request likewise"
refused ada EX410 "${Q/\'7\'/\'8\'}" "another record with its key is refused"
R=$(as ada "$Q")
G="SELECT expunge_api.grant_support_consent('1', '$(sql ctl "SELECT now() + interval '1 hour'")', request => '$R', key => 'q2')"
is "$(as practice "$G")" "$(as practice "$G")" "an answer likewise"

# ---------------------------------------------------------------- break-glass
refused ada EX732 "SELECT expunge_api.request_support_override('1', 'fire', 'records', 'the roof is on fire')" "no override unless it is configured"
sql ctl "UPDATE expunge.support_policy SET override = true"
as ada "SELECT expunge_api.close_support_session('$S')" >"$T/null"
O=$(as ada "SELECT expunge_api.request_support_override('1', 'fire', 'records', 'the roof is on fire')")
refused ada EX733 "SELECT expunge_api.confirm_support_override('$O')" "not by one person alone"
refused ada EX721 "SELECT expunge_api.open_support_session('1', 'fire', 'records', 'x')" "and not before the second"
as ben "SELECT expunge_api.confirm_support_override('$O')" >"$T/null"
is "$(sql ctl "SELECT count(*) FROM expunge.outbox")" 0 "nobody has entered yet"
S=$(as ada "SELECT expunge_api.open_support_session('1', 'fire', 'records', 'the roof is on fire')")
is "$(sql ctl "SELECT audience, address, facts ->> 'staff', facts ->> 'session' = '$S' FROM expunge.outbox ORDER BY audience" | tr '\n' ' ')" \
	"controller|manager@practice.example|ada|t dpo|dpo@operator.example|ada|t " "when somebody does, practice and DPO are told"
refused ada EX744 "SELECT expunge_api.register_test_subject('$S', '1', '1')" "no test subjects: nobody has consented to their end"
is "$(as practice "SELECT expunge_api.revoke_support_consent('$O')") $(state "$S")" "1 revoked" "the practice ends an override, too"

# ---------------------------------------------------------------- the night
sql ctl "SET ROLE expunge_owner" "INSERT INTO expunge.support_event (at, kind, id, of, tenant, staff, scope, ticket, reason, until)
	SELECT now() - interval '5 hours', 'session-opened', '00000000-0000-0000-0000-00000000000a', '$C', '1', 'ada', 'records', 'old', 'x', now() - interval '1 hour'" \
	"INSERT INTO expunge.support_event (at, kind, id, tenant, staff, scope, ticket, reason, until)
	SELECT now() - interval '13 hours', 'consent-requested', '00000000-0000-0000-0000-00000000000b', '1', 'ada', 'records', 'old', 'x', now() - interval '1 hour'"
is "$(as night "SELECT what, staff FROM expunge.support_night() ORDER BY 1" | tr '\n' ' ')" "request|ada session|ada " "closes what was left open, and says so"
is "$(as night "SELECT count(*) FROM expunge.support_night()")" 0 "once"
is "$(sql ctl "SELECT string_agg(what, ' ' ORDER BY what) FROM expunge.support_anomaly WHERE id = '00000000-0000-0000-0000-00000000000a' AND what <> 'out-of-hours'")" \
	"left-open no-activity" "a session left open, in which nothing was done, is looked at"
as ada "SELECT expunge.record_denied('support open', NULL, 'EX721')" >"$T/null"
is "$(sql ctl "SELECT staff FROM expunge.support_anomaly WHERE what = 'other-ticket'")" ada "so is an attempt under another ticket's consent"
sql ctl "UPDATE expunge.support_policy SET tenants_per_day = 1" "SET ROLE expunge_owner" "INSERT INTO expunge.support_event (at, kind, id, of, tenant, staff, scope, ticket, reason, until)
	SELECT t, 'session-opened', gen_random_uuid(), '$C', x, 'cyd', 'records', 'old', 'x', t + interval '1 hour'
	FROM (VALUES ('1', timestamptz '2026-06-03 23:30+01'), ('2', timestamptz '2026-06-03 10:00+01'), ('2', timestamptz '2026-06-04 00:30+01'),
		('3', timestamptz '2026-06-06 12:00+01')) v(x, t)"
is "$(sql ctl "SELECT detail FROM expunge.support_anomaly WHERE what = 'many-tenants' AND staff = 'cyd'")" "2 practices on 2026-06-03" \
	"many practices in one day of the calendar"
is "$(sql ctl "SELECT string_agg(at::date || ' ' || tenant, ', ' ORDER BY at) FROM expunge.support_anomaly WHERE what = 'out-of-hours' AND staff = 'cyd'")" \
	"2026-06-03 1, 2026-06-03 2, 2026-06-06 3" "a late evening, a night and a Saturday are out of hours"

# ---------------------------------------------------------------- events stay as they are
before=$(sql ctl "SELECT md5(string_agg(e::text, '' ORDER BY number)) FROM expunge.support_event e")
for statement in "UPDATE expunge.support_event SET staff = 'x'" "DELETE FROM expunge.support_event" "TRUNCATE expunge.support_event"; do
	refused postgres EX431 "$statement" "a superuser: $statement"
	for role in practice ada dora night; do
		refused "$role" 42501 "$statement"
	done
done
for statement in "INSERT INTO expunge.support_event (at, kind, id, tenant) VALUES (now(), 'activity', gen_random_uuid(), '1')" \
	"SELECT * FROM expunge.support_subject" "UPDATE expunge.support_policy SET override = true" "INSERT INTO expunge.staff_login VALUES (session_user)" \
	"SELECT expunge.support_tidy(now())" "SELECT expunge.support_put(NULL)" "ALTER TABLE expunge.support_event DISABLE TRIGGER ALL"; do
	for role in practice ada dora night; do
		refused "$role" 42501 "$statement"
	done
done
is "$(sql ctl "SELECT md5(string_agg(e::text, '' ORDER BY number)) FROM expunge.support_event e")" "$before" "and no event has changed"
is "$(sql ctl "SELECT count(*) FROM expunge.support_register r JOIN expunge.support_event e USING (number)
	WHERE r.entry <> 'sha256:' || encode(sha256(convert_to(expunge.support_entry(e), 'UTF8')), 'hex')")" 0 "each has its entry for the log"
is "$(sql ctl "SELECT count(DISTINCT entry) = count(*) FROM expunge.support_register")" t "no two the same"
is "$(sql ctl "SELECT expunge.support_entry(e) FROM expunge.support_event e WHERE number = (SELECT min(number) FROM expunge.support_event)" |
	sed -e 's/^\(number\|at\|id\|until\): .*/\1/' | tr '\n' ' ')" \
	"expunge-support-event/v1 number at actor: ada kind: consent-requested id tenant: 1 staff: ada scope: records ticket: 4711 reason: calendar is empty until  " \
	"which is a text of lines"

# ---------------------------------------------------------------- two at a time, and very many
as ada "SELECT expunge_api.close_support_session(id) FROM expunge.support_list WHERE what = 'session' AND state = 'open'" >"$T/null"
for i in 1 2 3 4 5 6 7 8; do
	psql -XAtq -U ada -d ctl -c "SELECT expunge_api.open_support_session('1', '99', 'records', 'race $i')" >"$T/race.$i" 2>&1 &
done
wait
is "$(cat "$T"/race.* | grep -c '^[0-9a-f-]*$')" 1 "of eight attempts at once one enters"
is "$(sql ctl "SELECT count(*) FROM expunge.support_list WHERE what = 'session' AND state = 'open' AND staff = 'ada'")" 1 "and one session is open"
sql ctl "SET ROLE expunge_owner" "INSERT INTO expunge.support_event (at, kind, id, tenant, scope, ticket, until)
	SELECT now() - interval '1 hour', 'consent-granted', gen_random_uuid(), '2', 'records', 'many-' || n, now() + interval '1 hour' FROM generate_series(1, 10000) n"
ok "one of ten thousand consents is found" as ben "SELECT expunge_api.open_support_session('2', 'many-7777', 'records', 'x')"
refused ben EX721 "SELECT expunge_api.open_support_session('2', 'many-10001', 'records', 'x')" "and none for a ticket that has none"
is "$(as practice "SELECT count(*) FROM expunge.support_list WHERE what = 'consent' AND state = 'in force' AND tenant = '2'")" 10000 "all of them are listed"
done_testing

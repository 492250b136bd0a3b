#!/usr/bin/env bash
# Contacts and notices in the database: who is told, each once, what is refused, and what becomes of a notice.
. "$(dirname "$0")/../lib.sh"

sql postgres 'CREATE DATABASE ctl'
"$ROOT/tests/sql/apply.sh" ctl
mkrole practice expunge_intake # speaks for tenant 1
mkrole other expunge_intake    # speaks for tenant 2
mkrole ops expunge_operator
mkrole night expunge_job
sql ctl "INSERT INTO expunge.tenant_login VALUES ('practice', '1'), ('other', '2')"

as() { # as ROLE STATEMENT...
	PGOPTIONS='-c client_min_messages=error' sql -U "$1" ctl "${@:2}"
}
refused() { # refused ROLE SQLSTATE STATEMENT [NAME]
	local got
	got=$(psql -XAtq -U "$1" -d ctl -v VERBOSITY=sqlstate <<<"$3" 2>&1 >/dev/null | sed -n 's/^ERROR: *//p' | head -n 1)
	is "$got" "$2" "${4:-$1: ${3:0:120}}"
}
put() { # put TEMPLATE TENANT AUDIENCE ONCE [FACTS]
	as night "SELECT expunge.notice_put('$1', nullif('$2', ''), '$3', '${5:-{\}}', '$4')"
}
events() { sql ctl "SELECT count(*) FROM expunge.event WHERE kind = '$1'"; }

# ---------------------------------------------------------------- contacts
is "$(as practice "SELECT expunge_api.set_contact('1', 'Manager@practice.example')")" "t" "a practice names whom to tell"
is "$(as practice "SELECT expunge_api.set_contact('1', 'manager@PRACTICE.example')")" "f" "the same address once, in whatever case"
is "$(as practice "SELECT expunge_api.set_contact('1', 'owner@practice.example')")" "t" "and another one"
refused practice EX401 "SELECT expunge_api.set_contact('2', 'x@practice.example')"
refused other EX401 "SELECT expunge_api.set_contact('1', 'manager@practice.example', false)"
is "$(as ops "SELECT expunge.add_contact(NULL, 'dpo', 'dpo@software.example'), expunge.add_contact('1', 'dpo', 'dpo@practice.example'),
	expunge.add_contact(NULL, 'operator', 'root@localhost')")" "t|t|t" "an operator names a dpo of all, of one practice, and an operator"
refused ops EX201 "SELECT expunge.add_contact(NULL, 'controller', 'x@y.example')"
refused ops EX231 "SELECT expunge.add_contact('1', 'operator', 'x@y.example')"
refused ops EX231 "SELECT expunge.add_contact('1', 'everybody', 'x@y.example')"
while IFS= read -r address; do
	refused ops EX234 "SELECT expunge.add_contact('1', 'controller', $address)"
done <<-'LIST'
	NULL
	''
	'nobody'
	'a@b@c.example'
	'Ann <ann@practice.example>'
	'ann@practice.example, ben@practice.example'
	'ann@practice.example '
	'.ann@practice.example'
	'ann..b@practice.example'
	'ann@practice..example'
	'ann@-practice.example'
	'"ann"@practice.example'
	'ann@[127.0.0.1]'
	'änn@practice.example'
	E'ann@practice.example\r\nBcc: x@y.example'
	E'ann@practice.example\nRCPT TO:<x@y.example>'
	'ann@practice.example>'
	repeat('a', 65) || '@practice.example'
	'a@' || repeat('b.', 130) || 'example'
LIST
as ops "SELECT expunge.add_contact('9', 'controller', 'a' || n || '@y.example') FROM generate_series(1, 20) n" >"$T/null"
refused ops EX235 "SELECT expunge.add_contact('9', 'controller', 'one-more@y.example')" "the 21st contact of a practice is refused"
is "$(sql ctl "SELECT count(*) FROM expunge.event WHERE kind LIKE 'contact-%' AND detail LIKE '%@%'")" "0" "no event carries an address"
is "$(sql ctl "SELECT kind, actor, tenant, detail FROM expunge.event WHERE kind = 'contact-added' ORDER BY number LIMIT 1")" \
	"contact-added|practice|1|controller 1" "who added one is recorded"

# ---------------------------------------------------------------- putting
is "$(put days-30 1 controller 'closure 1 days-30' '{"name": "Practice", "days": 30}')" "2" "a notice goes to each of the audience's addresses"
is "$(put days-30 1 controller 'closure 1 days-30' '{"name": "Practice", "days": 30}')" "0" "and once"
is "$(put days-14 1 controller 'closure 1 days-14')" "2" "the next occasion is another"
is "$(put days-30 9 controller 'closure 1 days-30')" "20" "another practice's is another, also where the once key is the same"
is "$(put support-override 1 dpo 'session 1')" "2" "the dpo of all and the practice's own"
is "$(put support-override 2 dpo 'session 2')" "1" "another practice's dpo is not told"
is "$(events notice-without-contact)" "0" "nobody went untold so far"
is "$(put days-30 2 controller 'closure 2 days-30')" "0" "a practice without a contact cannot be told"
put days-30 2 controller 'closure 2 days-30' >"$T/null"
is "$(sql ctl "SELECT tenant, detail FROM expunge.event WHERE kind = 'notice-without-contact'")" "2|days-30 controller closure 2 days-30" \
	"the register says so, once"
is "$(put failure '' operator 'failure 2026-01-01')" "1" "a notice of no tenant"
as practice "SELECT expunge_api.set_contact('1', 'new@practice.example')" >"$T/null"
is "$(put days-30 1 controller 'closure 1 days-30')" "1" "a contact who is new is told what the others were"
as practice "SELECT expunge_api.set_contact('1', 'new@practice.example', false)" >"$T/null"
as practice "SELECT expunge_api.set_contact('1', 'NEW@practice.example')" >"$T/null"
is "$(put days-30 1 controller 'closure 1 days-30')" "0" "taken away and named again, he is not told twice"
sql ctl "CREATE FUNCTION public.closes(t text) RETURNS integer LANGUAGE sql SECURITY DEFINER AS
	\$\$SELECT expunge.notice_put('support-override', t, 'controller', '{}', 'session 3') + expunge.notice_put('failure', NULL, 'operator', '{}', 'session 3')\$\$" \
	'ALTER FUNCTION public.closes(text) OWNER TO expunge_owner'
is "$(as practice "SELECT public.closes('1')")" "4" "a function that the application calls may tell its own practice and the operators"
is "$(as other "SELECT public.closes('1')")" "0" "and no other practice"
while IFS='|' read -r code template tenant audience facts once; do
	refused night "$code" "SELECT expunge.notice_put($template, $tenant, $audience, $facts, $once)"
done <<-'LIST'
	EX230|NULL|'1'|'controller'|'{}'|'x'
	EX230|'../secret'|'1'|'controller'|'{}'|'x'
	EX231|'done'|'1'|'all'|'{}'|'x'
	EX201|'done'|NULL|'controller'|'{}'|'x'
	EX232|'done'|'1'|'controller'|NULL|'x'
	EX232|'done'|'1'|'controller'|'[]'|'x'
	EX232|'done'|'1'|'controller'|'{"A": 1}'|'x'
	EX232|'done'|'1'|'controller'|'{"a": [1]}'|'x'
	EX232|'done'|'1'|'controller'|'{"a": null}'|'x'
	EX232|'done'|'1'|'controller'|'{"a": "x\r\nBcc: y@z.example"}'|'x'
	EX232|'done'|'1'|'controller'|jsonb_build_object('a', repeat('x', 501))|'x'
	EX233|'done'|'1'|'controller'|'{}'|NULL
	EX233|'done'|'1'|'controller'|'{}'|''
LIST

# ---------------------------------------------------------------- what becomes of one
settle() { # settle STATE ONCE WHERE
	as night "UPDATE expunge.outbox SET state = '$1', last_code = '550 5.1.1', settled_at = now() WHERE tenant = '1' AND once = '$2' AND state = 'queued' AND $3"
}
outcome() { as night "SELECT expunge.notice_bounced_all('1', '$1'), expunge.notice_reached('1', '$1')"; }
is "$(outcome 'closure 1 days-14')" "f|f" "queued: neither reached nor refused"
settle bounced 'closure 1 days-14' "address LIKE 'owner%'"
is "$(outcome 'closure 1 days-14')" "f|f" "one of two bounced: the other may still arrive"
settle given-up 'closure 1 days-14' true
is "$(outcome 'closure 1 days-14')" "t|f" "one bounced and the other given up: nobody was reached"
is "$(outcome 'no such notice')" "f|f" "a notice that was never put has not bounced"
is "$(put days-14 1 controller 'closure 1 days-14')" "1" "the contact who was named since"
is "$(outcome 'closure 1 days-14')" "f|f" "may still be reached"
settle sent 'closure 1 days-14' true
is "$(outcome 'closure 1 days-14')" "f|t" "and is"
is "$(sql ctl "SELECT kind, split_part(detail, ' ', 1), split_part(detail, ' ', 3) FROM expunge.event WHERE kind ~ '^notice-(sent|bounced|given-up)' ORDER BY number")" \
	"notice-bounced|days-14|550
notice-given-up|days-14|550
notice-sent|days-14|550" "each is an event"
SENT=$(sql ctl "SELECT id FROM expunge.outbox WHERE state = 'sent'")
GIVEN=$(sql ctl "SELECT id FROM expunge.outbox WHERE state = 'given-up'")
refused night EX430 "UPDATE expunge.outbox SET state = 'queued', settled_at = NULL WHERE id = '$SENT'" "the run does not take back what it said"
refused ops EX404 "SELECT expunge.retry_notice('$SENT')" "what was sent is not sent again"
as ops "SELECT expunge.bounce_notice('$SENT')"
is "$(outcome 'closure 1 days-14')" "t|f" "a person says that a mail came back"
refused ops EX404 "SELECT expunge.bounce_notice('$GIVEN')" "only of one that was sent"
as ops "SELECT expunge.retry_notice('$GIVEN')"
is "$(sql ctl "SELECT state, attempts, since > queued_at FROM expunge.outbox WHERE id = '$GIVEN'")" "queued|0|t" "and has one tried again"

is "$(sql -U ops ctl 'SELECT queued, late, bounced, given_up, unreached, sent FROM expunge.status_notice')" "32|0|2|0|0|0" "status counts them"
sql ctl 'SET ROLE expunge_owner' "UPDATE expunge.outbox SET since = now() - interval '25 hours' WHERE id = '$GIVEN'" \
	"UPDATE expunge.outbox SET settled_at = now() - interval '100 days' WHERE id = '$SENT'"
is "$(sql -U ops ctl 'SELECT late FROM expunge.status_notice')" "1" "one that has waited for a day is late"
is "$(as night 'SELECT expunge.forget_notices(99)')" "1" "addresses of old ones are forgotten"
is "$(sql ctl "SELECT address IS NULL, facts, state FROM expunge.outbox WHERE id = '$SENT'")" "t|{}|bounced" "with what they said, and not that they were sent"
is "$(put days-14 1 controller 'closure 1 days-14')" "0" "and are not put again"
refused ops EX404 "SELECT expunge.retry_notice('$SENT')" "nor tried again"
done_testing

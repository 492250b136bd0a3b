#!/usr/bin/env bash
# Closing an account by commands and by the application's own table of subscriptions; what check says of the promise.
. "$(dirname "$0")/../lib.sh"
fresh_db clinic
sql clinic "SET default_transaction_read_only = off" "CREATE TABLE app.subscription (practice_id bigint NOT NULL REFERENCES app.practice,
		plan text, \"Status\" text, paid_until date, cancelled timestamptz, why text)" \
	"ALTER TABLE app.subscription OWNER TO app_owner" \
	"INSERT INTO app.subscription VALUES (1, 'team', 'active', current_date + 20), (2, 'solo', 'active', current_date + 20), (3, 'solo', 'suspended', current_date - 5)"
sed 's|^tables = (|&\n  { table = "app.subscription"; owner = "practice_id -> app.practice"; action = "tenant"; },|' "$ROOT/etc/maps/sample.conf" >"$T/map.conf"
chmod 0600 "$T/map.conf"
configure "$T/clinic" clinic "$T/map.conf"
closing() { # closing RULES [STORES]: the configuration says so, and init puts it into force
	sed -i '/^closure : {/,/^};/d; /^stores = (/,/^);/d' "$CONF"
	printf 'closure : {\nrules = ( %s );\nsubscriptions = ( { table = "app.subscription"; tenant = "practice_id"; status = "Status"; paid_until = "paid_until";
		open = ["active", "suspended"]; closed = ["cancelled"]; expired = ["lapsed"]; cancelled_at = "cancelled"; reason = "why"; } );\n};\n' "$1" >>"$CONF"
	printf 'stores = (\n%s\n);\n' "${2:-}" >>"$CONF"
	expunge_as postgres init >"$T/init.log" 2>&1 || cat "$T/init.log" >&2
}
rule() { printf '{ trigger = "%s"; anchor = "%s"; days = %s; meaning = "%s"; within_days = %s; }' "$@"; }
CANCELLATION=$(rule cancellation paid-until 45 not-before 7)
closing "$CANCELLATION, $(rule expiry paid-until 45 not-before 7), $(rule termination told 45 not-before 7)"
mkrole ruth expunge_approver
mkrole rob expunge_approver
mkrole oscar expunge_operator expunge_intake
mkrole dora expunge_dpo
mkrole watch expunge_monitor
mkrole night expunge_job
mkrole clinic_app expunge_intake
today=$(sql clinic "SELECT expunge.civil_date(now())")
day() { date -d "$today +$1 days" +%F; }
subscription() { sql clinic "SET default_transaction_read_only = off" "UPDATE app.subscription SET $2 WHERE practice_id = $1"; }
state() { sql clinic "SELECT state FROM expunge.closure WHERE tenant = '$1' ORDER BY filed_at DESC LIMIT 1"; }

# ---- by a person
run expunge_as oscar account cancel 1 --paid-until "$(day 10)" --reason "moving on"
rc_is 0 "an operator enters a cancellation"
out_is "the practice's own until $(day 55); purged from $(day 56) on (Europe/London), complete by $(day 62)" "and reads the days"
run expunge_as oscar account cancel 1 --paid-until "$(day 10)"
rc_is 1 "twice is refused"
err_like 'closing already' "... and says so"
is "$(sql clinic "SELECT detail FROM expunge.event WHERE kind = 'denied'")" "account cancel EX413" "... and it is in the register"
run expunge_as oscar account cancel 1
rc_is 2 "a cancellation needs its last paid day"
run expunge_as oscar account cancel 1 --paid-until 2026-02-30
rc_is 2 "... one that there is"
run expunge_as oscar account cancel 2 --paid-until "$(day 1)" --zone Mars/Phobos
rc_is 1 "... and a zone that there is"
run expunge_as ruth account cancel 2 --paid-until "$(day 1)"
rc_is 1 "an approver closes nothing"
run expunge_as oscar account list
out_like '^1 +cancelled .*45 .*the time of the practice runs until' "the list says what it waits for"
run expunge_as dora account show 1
out_like 'EX523 +0 of 2 people' "show says all that is in the way"
out_like 'account-cancelled' "... and what has happened"
run expunge_as oscar account list --json
is "$(python3 -c 'import json,sys; a = json.load(open(sys.argv[1])); print(len(a), a[0]["tenant"], a[0]["day"], a[0]["days"])' "$T/out")" "1 1 0 45" "as JSON, too"
run expunge_as oscar account show 7
rc_is 1 "an account that is not closing is not shown"
run expunge_as oscar account export 1 --not-needed --reason "by telephone"
out_is "noted: no export needed" "a practice may want no export"
run expunge_as oscar account told 1 --reason "by letter"
rc_is 0 "a person tells the practice"
run expunge_as ruth account approve 1 --plan "sha256:$(printf '%064d' 1)"
rc_is 1 "no purge is approved before the last day is over"
run expunge_as oscar account terminate 3 --reason "has not paid since May"
rc_is 0 "an operator terminates the account of one that does not pay"
run expunge_as oscar account reactivate 3 --reason "has paid"
out_is "active again" "... and takes it back"
run expunge_as oscar account reactivate 3 --reason "has paid"
out_is "this account was not closing" "... once"
run expunge_as oscar account reactivate 1 --reason "mistake"
rc_is 0 "what was entered by mistake is ended"

# ---- by the application's table
run expunge_as night lifecycle --dry-run
rc_is 0 "where both sides agree a night has nothing to do"
subscription 2 "\"Status\" = 'cancelled', paid_until = '$(day 3)', cancelled = now(), why = 'selling the practice'"
run expunge_as night lifecycle --dry-run
err_like 'account 2: cancelled by the application' "a dry run says what it would do"
is "$(state 2)" "" "... and does nothing"
run expunge_as night nightly
rc_is 0 "a night closes the account that the application has closed"
is "$(state 2)" cancelled "... here, too"
run expunge_as night lifecycle
err_like 'accounts: 0 changed, 0 disagree' "... once"
subscription 2 "\"Status\" = 'active'"
run expunge_as night lifecycle
is "$(state 2)" reactivated "a resubscription there is one here"
subscription 2 "\"Status\" = 'cancelled', cancelled = now() - interval '1 hour'"
run expunge_as night lifecycle
rc_is 3 "an old cancellation that stands there again is a person's to look at"
err_like 'account 2: the application disagrees: it was reactivated here' "... and is told"
subscription 2 "\"Status\" = 'on hold'"
run expunge_as night lifecycle
rc_is 3 "so is a status that nobody has declared"
subscription 2 "\"Status\" = 'active'"
expunge_as oscar account cancel 1 --paid-until "$(day 10)" >/dev/null
run expunge_as night nightly
rc_is 3 "an account that a person has closed and the application has open is a disagreement"
run expunge_as oscar account list
out_like 'it has an active subscription, and was closed by command' "... which the list shows"
sql clinic "SET default_transaction_read_only = off" "INSERT INTO app.subscription VALUES (1, 'second', 'cancelled', current_date)"
run expunge_as night lifecycle
err_like 'it has several subscriptions' "of two rows neither is believed"
sql clinic "SET default_transaction_read_only = off" "DELETE FROM app.subscription WHERE practice_id = 1"
run expunge_as night lifecycle
err_like 'it has no subscription of this account' "and none at all is none"
expunge_as oscar account reactivate 1 --reason "done with" >/dev/null
expunge_as oscar account cancel 99 --paid-until "$(day 1)" >/dev/null
run expunge_as night lifecycle
err_like 'account 99: it is closing, and there is no such practice' "a name that nobody has is told"
expunge_as oscar account reactivate 99 --reason "mistyped" >/dev/null
subscription 3 "\"Status\" = 'lapsed', paid_until = NULL, cancelled = now()"
run expunge_as night lifecycle
rc_is 3 "one that cannot be judged"
err_like 'account 3: comparing it with the application failed \(EX222\)' "... is told"
subscription 2 "\"Status\" = 'cancelled', cancelled = now()"
run expunge_as night lifecycle
is "$(state 2)" cancelled "... and keeps no other from being closed"

# ---- a view that has gone wrong closes nobody
subscription 3 "\"Status\" = 'active', paid_until = current_date + 10, cancelled = NULL"
sql clinic "SET default_transaction_read_only = off" "INSERT INTO app.practice (id, name, country) SELECT 100 + g, 'practice ' || g, 'england' FROM generate_series(1, 101) g" \
	"INSERT INTO app.subscription SELECT 100 + g, NULL, 'cancelled', current_date, now() FROM generate_series(1, 101) g"
run expunge_as night lifecycle --dry-run
err_like "no account is closed by the application's word: this run would take 101 new closings of accounts, the cap \(closure.opened_per_run\) is 100" "a dry run tells that the table would not be believed"
subscription 2 "\"Status\" = 'active', cancelled = NULL"
run expunge_as night lifecycle
rc_is 5 "more closings at once than the cap"
err_like "closed by the application's word: this run would take 101 new closings" "... are not believed"
is "$(state 2)" reactivated "... but who comes back is"
subscription 2 "\"Status\" = 'cancelled', cancelled = now()"
is "$(sql clinic "SELECT count(*) FROM expunge.closure WHERE tenant::bigint > 100")" 0 "... and nobody is closed"
is "$(sql clinic "SELECT count(*) FROM expunge.notice_list WHERE tenant::bigint > 100")" 0 "... or told so"
expunge_as ruth cap raise --reason "a merger" >/dev/null
run expunge_as night lifecycle
is "$(sql clinic "SELECT count(*) FROM expunge.closure WHERE tenant::bigint > 100")" 101 "a raise lifts the cap"
run expunge_as night lifecycle
err_unlike 'new closings' "those that are closing already do not count"
sql clinic "SET default_transaction_read_only = off" "UPDATE app.subscription SET \"Status\" = 'active', cancelled = NULL WHERE practice_id > 100"
expunge_as night lifecycle 2>"$T/log"
is "$(sql clinic "SELECT count(*) FROM expunge.closure WHERE tenant::bigint > 100 AND state = 'reactivated'")" 101 "and all of them come back by the application's word"

run expunge_as watch status
out_like '^accounts +1 closing, 0 of them due; 0 being purged; 0 past their day' "status counts them"
sql clinic "SET default_transaction_read_only = off" "UPDATE expunge.closure SET complete_by = now(), not_before = now() - interval '1 day' WHERE state = 'cancelled'"
run expunge_as watch status
rc_is 3 "one past its day is red"
out_like '1 closed accounts past the day' "... and says so"
run expunge_as watch status --prometheus
out_like '^expunge_accounts_overdue 1$' "... to monitors, too"
sql clinic "SET default_transaction_read_only = off" "UPDATE expunge.closure SET complete_by = now() + interval '50 days' WHERE state = 'cancelled'"

# ---- the claim holds the application's row, so that nobody comes back unnoticed meanwhile
check_says() { # check_says TEXT NAME
	run expunge_as night check
	ok "$2" grep -q "$1" "$T/out" "$T/err"
}
sql clinic "SET default_transaction_read_only = off" "REVOKE UPDATE ON app.subscription FROM night, expunge_job, PUBLIC"
check_says 'may not hold rows of the application.s subscriptions: no purge could be claimed' "a right that the claim wants is missed in time"
sql clinic "SET default_transaction_read_only = off" "GRANT UPDATE (plan) ON app.subscription TO expunge_job" \
	'CREATE VIEW app.said AS SELECT * FROM app.subscription' "GRANT SELECT ON app.said TO expunge_job"
run expunge_as night check
ok "... and any column will do" test "$(grep -c 'may not hold rows' "$T/out")" = 0
sed -i 's/table = "app.subscription"; tenant/table = "app.said"; tenant/' "$CONF"
check_says 'subscriptions are a view' "a view cannot be held, which check says"
sql clinic "SET default_transaction_read_only = off" "DROP VIEW app.said"

# ---- the promise
closing "$CANCELLATION" '{ name = "physical backups"; kind = "physical-backup"; retention_days = 60; }'
run expunge_as night check
err_or_out=$(cat "$T/out" "$T/err")
is "$(grep -c 'physical backups are kept 60 days and the promise on cancellation is day 52: an account would have to leave the live database 8 days before its last paid day' <<<"$err_or_out")" 1 \
	"check refuses a promise that cannot be kept, and says by how much"
closing "$CANCELLATION" '{ name = "physical backups"; kind = "physical-backup"; retention_days = 35; }'
run expunge_as night check
out_like 'what is purged on the first day for it after cancellation is in them until day 81, and the promise is day 52' "... and says when copies outlast it"
closing "$CANCELLATION" '{ name = "physical backups"; kind = "physical-backup"; retention_days = 6; }'
run expunge_as night check
out_like 'closure: 1 rules|closure +1 rules|1 rules, as configured' "... and is content with one that can"
sed -i 's/days = 45; meaning/days = 40; meaning/' "$CONF"
run expunge_as night check
out_like 'the closure.rules of the configuration are not those in force' "... and notices rules that nobody put into force"
sed -i 's/tenant = "practice_id"/tenant = "practice"/' "$CONF"
run expunge_as night lifecycle
rc_is 2 "a column that is not there"
err_like 'app.subscription has no column practice$' "... is named"
for wrong in 'trigger = "cancelation"' 'days = 0' 'meaning = "about"' 'within_days = 0' 'anchor = "now"'; do
	closing "$CANCELLATION"
	sed -i "s/${wrong%% =*} = [^;]*; /$wrong; /" "$CONF"
	run expunge_as night check
	rc_is 1 "$wrong is refused"
done
closing "$CANCELLATION, $CANCELLATION" 2>/dev/null
run expunge_as night check
out_like 'two rules for cancellation' "two rules for one trigger are refused"
closing "$CANCELLATION" 2>/dev/null
sed -i 's/closed = \["cancelled"\]/closed = ["cancelled", "active"]/' "$CONF"
run expunge_as night check
out_like 'status "active" is in' "a status that opens and closes is refused"
done_testing

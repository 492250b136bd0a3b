#!/usr/bin/env bash
# What went wrong elsewhere, tried here: each case is named after who it happened to. Real attempts, on the real program; after each
# the accounts are all there, or gone as two people had decided.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/sessions.bash"
. "$(dirname "$0")/purge.bash"

today=$(date +%F)
day() { date -d "$today +$1 days" +%F; }
sqlw() { sql "$DB" "SET default_transaction_read_only = off" "$@"; }
# clinic NAME: the sample practices with subscriptions, keys, backups and a rule; its name is in $DB
clinic() {
	DB=$1
	fresh_db "$DB"
	sql "$DB" "CREATE TABLE app.subscription (practice_id bigint NOT NULL REFERENCES app.practice, status text, paid_until date, cancelled timestamptz)" \
		"ALTER TABLE app.subscription OWNER TO app_owner" "INSERT INTO app.subscription SELECT id, 'active', current_date + 20 FROM app.practice" \
		"ALTER DATABASE \"$DB\" OWNER TO app_owner"
	mkdir -p "$T/$DB.map"
	sed 's|^tables = (|&\n  { table = "app.subscription"; owner = "practice_id -> app.practice"; action = "tenant"; },|' "$ROOT/etc/maps/sample.conf" >"$T/$DB.map/map.conf"
	chmod 0600 "$T/$DB.map/map.conf"
	install "$DB" "$T/$DB.map/map.conf"
	mkrole rob expunge_approver
	with_keys 2>"$T/keys.log"
	cat >>"$CONF" <<-'CONF'
		closure : {
		  rules = ( { trigger = "cancellation"; anchor = "paid-until"; days = 45; meaning = "not-before"; within_days = 7; } );
		  subscriptions = ( { table = "app.subscription"; tenant = "practice_id"; status = "status"; paid_until = "paid_until"; cancelled_at = "cancelled";
		    open = ["active"]; closed = ["cancelled"]; expired = ["lapsed"]; } );
		  pause_seconds = 0;
		};
	CONF
	expunge_as postgres init 2>"$T/init.log"
	cp "$CONF" "$T/$DB.conf"
	at_any_hour
	expunge_as night backup 2>"$T/log"
	expunge_as night drill 2>"$T/log" >"$T/log.out"
}
cancel() { # cancel TENANT: told, and wanting no export
	sqlw "UPDATE app.subscription SET status = 'cancelled', paid_until = current_date - 60, cancelled = now() WHERE practice_id::text = '$1'"
	expunge_as oscar account cancel "$1" --paid-until "$today" >"$T/log"
	expunge_as oscar account told "$1" --reason "by letter" >"$T/log"
	expunge_as oscar account export "$1" --not-needed --reason "by letter" >"$T/log"
}
allow() { # allow TENANT...: two people approve what is planned
	local tenant person
	for tenant; do
		for person in ruth rob; do expunge_as "$person" account approve "$tenant" --plan "$(plan_of "$tenant")" >"$T/log"; done
	done
}
ready() { # ready TENANT...: due, planned and approved, so that the next night would purge them
	local tenant
	for tenant; do cancel "$tenant"; age "$tenant" 46; done
	expunge_as night nightly 2>"$T/log" || cat "$T/log" >&2
	allow "$@"
}
state() { sql "$DB" "SELECT coalesce(string_agg(state, ' ' ORDER BY filed_at), 'none') FROM expunge.closure WHERE tenant = '$1'"; }
patients_of_each() { sql "$DB" "SELECT string_agg(n::text, ' ' ORDER BY p) FROM (SELECT p, (SELECT count(*) FROM app.patient WHERE practice_id = p) n FROM generate_series(1, 3) p) x"; }
rows() { all_rows | sed '/^app\.subscription: /d'; } # which this test changes itself
kept() { # kept NAME: every row of every practice
	rows >"$T/rows.now"
	ok "$1: every row of every practice is there" cmp "$T/rows" "$T/rows.now"
}
night() { run expunge_as night nightly; }
replace() { # replace SED-SCRIPT: in the configuration as it was at first
	sed "$1" "$T/$DB.conf" >"$CONF"
}

clinic clinic
ready 2 3
is "$(state 2) $(state 3) $(plan_of 2 | cut -c1-7) $(plan_of 3 | cut -c1-7)" "due due sha256: sha256:" "two practices are due and approved: whatever stops a night now is the safeguard"
rows >"$T/rows"

# ---------------------------------------------------------------- Atlassian, 2022: ids of another kind, the wrong mode, all at once
for patient in 301 302 303; do cancel "$patient"; age "$patient" 46; done
replace 's/tenants_per_run = 10/tenants_per_run = 1/' # what is right is not to go meanwhile
night
is "$RC $(grep -c 'account 30[123]: it is closing, and there is no such practice' "$T/err")" "5 3" "Atlassian: ids of patients where those of practices were meant are told of"
run expunge_as oscar account show 301
out_like 'app.practice rows 0 are this tenant' "Atlassian: ... their plan says that they are nobody's"
run expunge_as ruth account approve 301 --plan "$(plan_of 301)"
is "$RC $(grep -c 'EX505\|has blockers' "$T/err")" "5 1" "Atlassian: ... nobody can approve it"
kept "Atlassian: ids of patients"
for patient in 301 302 303; do expunge_as oscar account reactivate "$patient" --reason "a patient's id" >"$T/log"; done

sql clinic "SELECT document FROM expunge.closure_plan p JOIN expunge.closure c ON c.id = p.closure_id WHERE c.tenant = '2'" >"$T/plan"
is "$(sed -n 's/^tenant: //p; s/^subjects: //p; s/^rows: app.practice tenant //p' "$T/plan" | xargs)" "2 200 1" "Atlassian: what is approved names the practice, and how many patients it has"
run expunge_as ruth account approve 2 --plan "$(plan_of 3)"
is "$RC $(state 2)" "5 due" "Atlassian: ... and an approval of one practice's plan is none of another's"

for mode in "oscar nightly" "ruth nightly" "clinic_app nightly" "oscar account approve 2 --plan $(plan_of 2)" "night account approve 2 --plan $(plan_of 2)"; do
	# shellcheck disable=SC2086 # words
	run expunge_as $mode
	ok "Atlassian: who enters a cancellation or approves it does not purge: ${mode%% --*}" test "$RC" != 0
done
run expunge_as oscar account cancel 1 --paid-until "$(day -400)"
out_like "own until $(day 45); purged from $(day 46) on" "Atlassian: there is no mode that purges at once: whatever last day is entered, the practice has its days from today"
run expunge_as oscar account purge 1
rc_is 2 "Atlassian: ... nor a command for it"
expunge_as oscar account reactivate 1 --reason "mistake" >"$T/log"
kept "Atlassian: the wrong mode"

night
rc_is 5 "Atlassian: more practices at once than the cap"
err_like 'no account is purged: this run would take 2 tenants, the cap \(caps.tenants_per_run\) is 1' "Atlassian: ... go only when a person has said so"
kept "Atlassian: many at once"
replace 's/rows_per_run = 500000/rows_per_run = 5000/'
night
err_like 'no account is purged: this run would take [0-9]+ rows' "Atlassian: nor more rows"
kept "Atlassian: many rows"
replace ''

# ---------------------------------------------------------------- UniSuper, 2024: a parameter left blank meant "delete it then"
refuses() { # refuses SED-SCRIPT NAME: a configuration with a blank in it
	replace "$1"
	night
	is "$RC" 2 "UniSuper: $2 is refused"
	kept "UniSuper: $2"
}
refuses 's/days = 45/days = ""/' "a cooling-off of blank days"
refuses 's/days = 45/days = 0/' "a cooling-off of no days"
refuses 's/days = 45; //' "a cooling-off without days"
refuses 's/within_days = 7;//' "a promise without an end"
refuses 's/meaning = "not-before"/meaning = ""/' "days without a meaning"
refuses 's/anchor = "paid-until"/anchor = ""/' "days counted from nothing"
refuses 's/paid_until = "paid_until"/paid_until = ""/' "a subscription without a last paid day"
refuses 's/status = "status"/status = ""/' "a subscription without a status"
refuses 's/tenants_per_run = 10/tenants_per_run = ""/' "a blank cap"
refuses '/rows_per_run/d' "an absent cap"
refuses 's/^map = .*/map = "";/' "a blank map"
printf 'stores = ( { name = "tapes"; kind = "physical-backup"; retention_days = ""; } );\n' >"$T/stores"
refuses "/^closure : {/{
r $T/stores
N
}" "a store kept for blank days"
replace ''
blank() { # blank SETTING NAME: what the application says of a practice that is not closing
	sqlw "UPDATE app.subscription SET status = 'active', paid_until = current_date + 20, cancelled = NULL WHERE practice_id = 1" \
		"UPDATE app.subscription SET $1 WHERE practice_id = 1"
	run expunge_as night lifecycle
	is "$RC $(sql clinic "SELECT count(*) FROM expunge.closure WHERE tenant = '1' AND state <> 'reactivated'")" "3 0" "UniSuper: $2 closes nothing, and is told"
}
blank "status = 'cancelled', paid_until = NULL, cancelled = now()" "a cancellation without a last paid day"
blank "status = NULL" "no status"
blank "status = ''" "a blank status"
blank "status = ' cancelled'" "a status that nobody has declared"
blank "status = 'cancelled', paid_until = '-infinity', cancelled = now()" "a last paid day that never was"
blank "status = 'cancelled', paid_until = '0001-01-01', cancelled = now()" "a last paid day of the year 1"
blank "status = 'cancelled', paid_until = 'infinity', cancelled = now()" "a last paid day that never comes"
blank "practice_id = practice_id, status = 'lapsed', paid_until = NULL" "an end that nobody has a rule for"
sqlw "UPDATE app.subscription SET status = 'active', paid_until = current_date + 20, cancelled = NULL WHERE practice_id = 1"
for words in "cancel 1 --paid-until" "cancel --paid-until $today" "approve 2 --plan" "reactivate 2 --reason" "export 2 --to"; do
	# shellcheck disable=SC2086 # words
	run expunge_as ruth account $words ''
	ok "UniSuper: account $words '' is refused" test "$RC" != 0
done
for column in not_before purge_on complete_by anchor zone days; do
	nok "UniSuper: a closure without $column is none" sqlw "UPDATE expunge.closure SET $column = NULL WHERE tenant = '2'"
done
kept "UniSuper: blank words"

# ---------------------------------------------------------------- GitLab, 2017: the wrong host; backups and alerts that were dead for long
sql postgres "CREATE DATABASE staging TEMPLATE clinic STRATEGY wal_log"
replace 's/dbname=clinic/dbname=staging/'
for words in nightly lifecycle backup "account list" status; do
	# shellcheck disable=SC2086 # words
	run expunge_as night $words
	is "$RC" 5 "GitLab: $words on another database is refused"
done
err_like 'made in another cluster or database|is not the database that' "GitLab: ... and why"
for configuration in "" "host=$PGHOST port=$PGPORT"; do
	replace "s|conninfo = .*|conninfo = \"$configuration\";|"
	RC=0
	PGDATABASE=staging "$EXPUNGE" -c "$CONF" -U night nightly >"$T/out" 2>"$T/err" || RC=$?
	ok "GitLab: nor does a database that only the environment names" test "$RC" != 0
done
is "$(sql staging "SELECT count(*) FROM app.patient")" 600 "GitLab: the other database is whole"
drop_db staging
replace ''
kept "GitLab: the wrong host"

drilled() { sqlw "SET ROLE expunge_owner" "DELETE FROM expunge.event WHERE kind LIKE 'drill-%'" "$@"; }
drilled "SELECT 1" >"$T/log"
night
is "$RC $(grep -c 'no restore has been tried with success' "$T/err")" "5 2" "GitLab: backups that nobody has tried let nothing go"
drilled "INSERT INTO expunge.event (kind, at) VALUES ('drill-passed', now() - interval '169 hours')"
night
is "$(grep -c 'no restore has been tried with success' "$T/err")" 2 "GitLab: nor does one that was tried too long ago"
kept "GitLab: untried backups"
mv "$T/clinic/here/archives" "$T/lost-here"
mv "$T/clinic/there/archives" "$T/lost-there"
mkdir -m 0700 "$T/clinic/here/archives" "$T/clinic/there/archives"
run expunge_as night drill
out_like '^passed, for the keys; no archive to open' "GitLab: a drill that finds no archive says so"
night
err_like 'no restore has been tried with success' "GitLab: ... and lets nothing go"
kept "GitLab: lost backups"
rmdir "$T/clinic/here/archives" "$T/clinic/there/archives"
mv "$T/lost-here" "$T/clinic/here/archives"
mv "$T/lost-there" "$T/clinic/there/archives"
sqlw "SET ROLE expunge_owner" "UPDATE expunge.archive SET created_at = created_at - interval '30 hours'"
run expunge_as watch status
is "$RC $(grep -ci 'backup\|archive' "$T/out" | sed 's/[1-9].*/some/')" "3 some" "GitLab: backups that have stopped turn status red"
sqlw "SET ROLE expunge_owner" "UPDATE expunge.archive SET created_at = created_at + interval '30 hours'"

expunge_as oscar contact add --audience operator root@software.example >"$T/log"
cat >>"$CONF" <<-CONF
	mail : { server = "smtp://127.0.0.1:1"; tls = "off"; from = "privacy@software.example"; timeout_seconds = 2; };
	notices : { directory = "$ROOT/etc/notices"; };
CONF
touch "$T/clinic/state/freeze"
night
is "$RC $(sql clinic "SELECT count(*) > 0 FROM expunge.notice_list WHERE audience = 'operator' AND state = 'queued'")" "5 t" "GitLab: a night that failed has a letter for its operator"
rm "$T/clinic/state/freeze"
sqlw "SET ROLE expunge_owner" "UPDATE expunge.outbox SET next_at = now() - interval '1 minute', since = since - interval '25 hours'"
run expunge_as watch status
is "$RC $(grep -c '^[0-9]* notices have waited for more than a day' "$T/out")" "3 1" "GitLab: letters that go nowhere turn status red"
sqlw "SET ROLE expunge_owner" "UPDATE expunge.outbox SET state = 'bounced', settled_at = now(), last_code = '550'"
run expunge_as watch status
is "$RC $(grep -c '^[0-9]* notices have reached nobody' "$T/out")" "3 1" "GitLab: ... and so do letters that nobody takes"
sqlw "SET ROLE expunge_owner" "DELETE FROM expunge.outbox"
replace ''
kept "GitLab: dead alerts"

# ---------------------------------------------------------------- KPMG, 2020: a change for one account reached all
# those who may go stay for this
stays=$(expunge_as dora hold place --tenant 2 --kind regulator --reason "a letter" --review "$(day 30)" | head -n 1)
gone=$(expunge_as dora hold place --tenant 3 --kind regulator --reason "a letter" --review "$(day 30)" | head -n 1)
for name in % '*' _ all 1,2 '1 OR 1=1' "2' OR '1'='1" '{1,2}' 02 ' 2' '2 '; do
	if expunge_as oscar account cancel "$name" --paid-until "$today" >"$T/log" 2>&1; then
		sqlw "UPDATE expunge.closure SET told_at = now(), told_by = 'oscar', export_needed = false WHERE state = 'cancelled'"
		sqlw "UPDATE expunge.closure SET anchor = anchor - 46, filed_at = filed_at - interval '46 days', purge_on = purge_on - 46, not_before = not_before - interval '46 days',
			complete_on = complete_on - 46, complete_by = complete_by - interval '46 days' WHERE state = 'cancelled'"
	fi
done
night
is "$(sql clinic "SELECT count(*) FROM expunge.closure_plan p JOIN expunge.closure c ON c.id = p.closure_id
	WHERE c.tenant NOT IN ('2', '3') AND (p.blockers IS NULL OR p.n_rows > 0)")" 0 "KPMG: a name that is a pattern is nobody's, and its plan takes no row"
ok "KPMG: ... and there were such plans" test "$(sql clinic "SELECT count(*) FROM expunge.closure_plan")" -gt 5
kept "KPMG: patterns"
sql clinic "SELECT tenant FROM expunge.closure WHERE state NOT IN ('reactivated', 'certified') AND tenant NOT IN ('2', '3')" | while IFS= read -r name; do
	expunge_as oscar account reactivate "$name" --reason "nobody" >"$T/log"
done
is "$(state 2) $(state 3)" "due due" "KPMG: ... and whoever comes back brings nobody else back"
sql clinic "SELECT c.tenant, c.anchor, c.not_before, c.complete_by FROM expunge.closure c WHERE state = 'due' ORDER BY 1" >"$T/promises"
sed -i 's/days = 45/days = 1/' "$CONF"
expunge_as postgres init 2>"$T/log"
night
sql clinic "SELECT c.tenant, c.anchor, c.not_before, c.complete_by FROM expunge.closure c WHERE state = 'due' ORDER BY 1" >"$T/promises.now"
ok "KPMG: another rule is none of those who were promised otherwise" cmp "$T/promises" "$T/promises.now"
replace ''
expunge_as postgres init 2>"$T/log"
sqlw "UPDATE app.subscription SET status = 'cancelled', paid_until = current_date - 300, cancelled = now()"
night
is "$(state 1 | tr ' ' '\n' | tail -n 1) $(sql clinic "SELECT min(purge_on) >= current_date + 45 FROM expunge.closure WHERE tenant = '1' AND state = 'cancelled'")" "cancelled t" \
	"KPMG: an application that suddenly says that everybody has left: each has its days"
sqlw "UPDATE app.subscription SET status = 'active', paid_until = current_date + 20, cancelled = NULL WHERE practice_id = 1"
sqlw "UPDATE app.subscription SET paid_until = current_date - 60 WHERE practice_id > 1"
night
is "$(state 1 | tr ' ' '\n' | tail -n 1)" "reactivated" "KPMG: ... and what it takes back is taken back"
kept "KPMG: all of them"
expunge_as dora hold release "$gone" >"$T/log"
expunge_as night drill >"$T/log" 2>&1
others 3 >"$T/others.before"
sql clinic "SELECT c::text, (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM expunge.closure_approval a WHERE a.closure_id = c.id) FROM expunge.closure c WHERE tenant = '2'" >"$T/two"
night
is "$(state 3) $(patients_of_each)" "certified 200 200 0" "KPMG: a hold that is released is that one's, and one practice goes"
others 3 >"$T/others.after"
ok "KPMG: ... of the others every row is what it was" cmp "$T/others.before" "$T/others.after"
sql clinic "SELECT c::text, (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM expunge.closure_approval a WHERE a.closure_id = c.id) FROM expunge.closure c WHERE tenant = '2'" >"$T/two.now"
ok "KPMG: ... and so is the other one's closing, with its approvals" cmp "$T/two" "$T/two.now"
is "$(sql clinic "SELECT count(*) FROM expunge.hold WHERE tenant = '2' AND released_at IS NULL") $(sql clinic "SELECT count(*) FROM expunge.key_leaf WHERE tenant <> '3' AND shredded_epoch IS NOT NULL")" "1 0" \
	"KPMG: ... its hold, and every key but those of the practice that went"
run expunge_as night drill
rc_is 0 "KPMG: ... which open"

# ---------------------------------------------------------------- Birthlink, 2021: destroyed, and nobody had decided it
expunge_as dora hold release "$stays" >"$T/log"
sqlw "DELETE FROM expunge.closure_approval"
rows >"$T/rows"
night
is "$RC $(sql clinic "SELECT what FROM expunge.closure_obstacles((SELECT id FROM expunge.closure WHERE tenant = '2'))")" "0 0 of 2 people have approved the plan that there is" "Birthlink: nothing goes because its day has come"
for _ in 1 2; do expunge_as ruth account approve 2 --plan "$(plan_of 2)" >"$T/log"; done
night
kept "Birthlink: one person, twice"
for person in postgres night oscar clinic_app dora; do
	nok "Birthlink: $person does not set it going past those who decide" sql -U "$person" clinic "SET default_transaction_read_only = off" "UPDATE expunge.closure SET state = 'claimed', claimed_at = now(),
		claimed_run = gen_random_uuid(), claimed_plan = 'sha256:$(printf '%064d' 0)' WHERE tenant = '2'"
done
is "$(state 2)" due "Birthlink: ... it waits"
run expunge_as dora account show 3
out_like 'account-claimed' "Birthlink: what went is in the register"

# ---------------------------------------------------------------- Taxa, 2019: a telephone number kept as a key. Deutsche Wohnen, 2019: an archive that could not delete
sample_markers clinic 245 >"$T/markers.of.one"
mapfile -t markers <"$T/markers.of.one"
has_trace clinic "Taxa: before, a patient of the practice is everywhere" "${markers[@]}"
run expunge_as night backup
cp -a "$T/clinic/here" "$T/kept-here"
cp -a "$T/clinic/there" "$T/kept-there"
expunge_as rob account approve 2 --plan "$(plan_of 2)" >"$T/log"
others 2 >"$T/others.before"
# Police National Computer, 2021: a rule for weeding that took what was to stay, and left what was to go
sql clinic "CREATE TABLE app.custody (practice_id bigint REFERENCES app.practice, what text)" "ALTER TABLE app.custody OWNER TO app_owner" "INSERT INTO app.custody VALUES (2, 'a record')"
night
is "$RC $(state 2)" "5 due" "Police National Computer: a table that nobody has classified is not left behind: nothing goes before somebody has"
err_like 'app\.custody' "Police National Computer: ... and it is named"
sql clinic "DROP TABLE app.custody"
allow 2 2>"$T/log"
night
is "$(state 2) $(patients_of_each)" "certified 200 0 0" "Police National Computer: then all of it goes"
others 2 >"$T/others.after"
ok "Police National Computer: ... and nothing of anybody else" cmp "$T/others.before" "$T/others.after"
note=$(find "$T/clinic/certificates" -name '*.note' | LC_ALL=C sort | tail -n 1)
is "$(grep -c '^live: .* after 0' "$note") $(grep -c '^live: .* after [1-9]' "$note")" "$(grep -c '^live: ' "$note") 0" "Police National Computer: ... counted again table by table"
is "$(grep -c '^approver: ' "$note")" 2 "Birthlink: its certificate says who decided"
no_trace clinic "Taxa: no number, name or address of the patient is left in the database, as a key or otherwise" "${markers[@]}"
is "$(grep -rlaiF -f "$T/markers.of.one" "$T/clinic" | wc -l)" 0 "Taxa: ... nor in what the program keeps beside it"
rm -rf "$T/clinic/here" "$T/clinic/there"
mv "$T/kept-here" "$T/clinic/here"
mv "$T/kept-there" "$T/clinic/there"
sql postgres "CREATE DATABASE back TEMPLATE template0"
psql -XAtq -v ON_ERROR_STOP=1 -d back -f "$ROOT/tests/sample/schema.sql" >"$T/log"
sqlw "SET ROLE expunge_owner" "SET session_replication_role = origin" "UPDATE expunge.archive SET state = 'complete' WHERE tenant = '2'" >"$T/log" 2>&1 || true
run expunge_as night restore --tenant 2 --into "host=$PGHOST port=$PGPORT dbname=back user=postgres" --disable-triggers
is "$([ "$RC" != 0 ] && echo refused) $(sql back "SELECT count(*) FROM app.patient")" "refused 0" "Deutsche Wohnen: an archive that somebody has kept is put back, and does not open"

# ---------------------------------------------------------------- Kyoto University and HPE, 2021: replaced while it ran, and a variable unset
clinic kyoto
sql kyoto "DELETE FROM app.message WHERE ref_type = 'patient' AND ref_id::bigint IN (SELECT id FROM app.patient WHERE practice_id = 3)" # the smaller
ready 2 3
rows >"$T/rows"
map=$T/kyoto.map/map.conf
cp -p "$map" "$T/map.kept"
sed -i 's/{ table = "app.letter"; /&identifying = false; /; $a # another' "$map"
sed '$a # another' "$T/map.kept" >"$map"
night
is "$(plan_of 2 | cut -c1-7) $(state 2) $(state 3) $(sql kyoto "SELECT sum(expunge.closure_approvers(id)) FROM expunge.closure")" "sha256: due due 0" \
	"Kyoto: a data map that was changed after the approval is another plan, which nobody has approved"
kept "Kyoto: another map"
cp -p "$T/map.kept" "$map"
sqlw "ALTER TABLE app.staff ADD COLUMN shoe_size integer"
night
is "$(state 2) $(state 3) $(sql kyoto "SELECT sum(expunge.closure_approvers(id)) FROM expunge.closure")" "due due 0" "Kyoto: a schema that was changed after it, too"
sqlw "ALTER TABLE app.staff DROP COLUMN shoe_size"
kept "Kyoto: another schema" # with what was approved back in its place, it would go: so the next night is the one that is tried

mkdir "$T/bin"
cp "$EXPUNGE" "$T/bin/expunge"
replace 's/pause_seconds = 0/pause_seconds = 8/'
start night "$T/bin/expunge" -c "$CONF" -U night nightly
await "the first is purged" grep -q 'a pause of 8 seconds after the first account' "$T/night.err"
is "$(sql kyoto "SELECT string_agg(state, ' ' ORDER BY tenant) FROM expunge.closure")" "due removed" "Atlassian: of two the smallest goes first, and then the run waits for a person to look"
printf '#!/bin/sh\nrm -rf "$T"/*\n' >"$T/bin/new"
chmod 0755 "$T/bin/new"
mv "$T/bin/new" "$T/bin/expunge"
printf 'database : { conninfo = ""; };\nmap = "/nowhere";\ncaps : { };\n' >"$CONF.new"
mv "$CONF.new" "$CONF"
printf 'tables = (' >"$map"
sqlw "INSERT INTO expunge.freeze (reason, frozen_by) VALUES ('what is this?', 'oscar')"
finish night
rc_is 5 "Atlassian: somebody freezes in that pause"
err_unlike 'nowhere|parse|syntax' "Kyoto: program, configuration and map replaced under a run: it goes on as what it was"
is "$(state 2) $(patients_of_each)" "due 200 200 0" "Atlassian: ... and has kept the rest"
ok "Kyoto: what it was replaced by was not run" test -s "$T/rows"
cp -p "$T/map.kept" "$map"
night
is "$RC $(patients_of_each)" "2 200 200 0" "Kyoto: the next run reads what stands there now, and refuses it"
replace ''
sqlw "DELETE FROM expunge.freeze"
sqlw "ALTER TABLE app.staff ADD COLUMN shoe_size integer"
night
is "$(state 2) $(patients_of_each)" "due 200 200 0" "Kyoto: a schema changed in the pause keeps the rest"
sqlw "ALTER TABLE app.staff DROP COLUMN shoe_size"

rows >"$T/rows"
for setting in 'state_directory = ".*"' 'ledger_directory = ".*"' 'certificate_directory = ".*"' 'anchor = "/.*"' 'directory = "[^"]*"' 'key = "[^"]*"'; do
	replace "s|${setting}|${setting%% *} = \"\"|"
	night
	is "$RC" 2 "Kyoto: ${setting%% *} left empty is refused"
done
replace 's|state_directory = ".*"|state_directory = "/"|'
night
ok "Kyoto: a directory that is the root of all is refused" test "$RC" != 0
replace ''
run expunge_as night account export 2 --to ''
ok "Kyoto: an empty destination is refused" test "$RC" != 0
run "$EXPUNGE" -c '' -U night nightly
ok "Kyoto: an empty configuration's name is refused" test "$RC" != 0
run "$EXPUNGE" -c "$CONF" -U '' nightly
ok "Kyoto: an empty login is refused" test "$RC" != 0
kept "Kyoto: what is unset"
run env -i PGPASSFILE="$PGPASSFILE" "$EXPUNGE" -c "$CONF" -U night nightly
is "$RC $(state 2) $(state 3) $(patients_of_each)" "0 certified certified 200 0 0" "Kyoto: without any environment a night does what it does with one"
done_testing

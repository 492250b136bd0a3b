#!/usr/bin/env bash
# An account from its cancellation to its certificate: nothing before its time, nothing without two people, nobody else's rows;
# and then neither the database nor any archive of it has it.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/purge.bash"
DB=clinic
fresh_db clinic
install clinic
with_keys 2>"$T/keys.log"
mkrole rob expunge_approver
cat >>"$CONF" <<'CONF'
closure : {
  rules = ( { trigger = "cancellation"; anchor = "paid-until"; days = 45; meaning = "not-before"; within_days = 7; } );
  pause_seconds = 0;
};
CONF
expunge_as postgres init 2>"$T/init.log"
sql clinic "ALTER DATABASE clinic OWNER TO app_owner" # who may vacuum the table of large objects then
at_any_hour
state() { sql clinic "SELECT state FROM expunge.closure WHERE tenant = '$1' ORDER BY filed_at DESC LIMIT 1"; }

run expunge_as night backup
rc_is 0 "there are backups"
others 2 >"$T/others.before"
expunge_as oscar contact add --tenant 2 --audience controller manager@practice.example >/dev/null 2>&1 ||
	sql clinic "SET default_transaction_read_only = off" "INSERT INTO expunge.contact (tenant, audience, address) VALUES ('2', 'controller', 'manager@practice.example')"
cancel 2

# ---- days pass
age 2 40
run expunge_as night nightly
rc_is 0 "a night in the last week"
is "$(state 2) $(plan_of 2 | cut -c1-7)" "cooling-off sha256:" "... plans the purge"
plan=$(plan_of 2)
run expunge_as night account plan 2
is "$(plan_of 2)" "$plan" "the same rows are the same plan"
approve_account 2 ruth rob
age 2 5
run expunge_as night nightly
is "$(state 2) $(patients 2)" "cooling-off 200" "on day 45 nothing goes, whoever has approved"
age 2 1
sql clinic "SET default_transaction_read_only = off" "INSERT INTO app.patient (practice_id, given_name, family_name, born) VALUES (2, 'Late', 'Comer', '1990-01-01')"
expunge_as night drill >/dev/null 2>&1
run expunge_as night freeze on --reason "a drill"
run expunge_as night nightly
rc_is 5 "a freeze keeps everything"
is "$(state 2) $(patients 2)" "cooling-off 201" "... the account, too"
expunge_as oscar freeze off >/dev/null
hold=$(expunge_as dora hold place --tenant 2 --subject 333 --kind complaint --reason "a letter" --review "$(date -d '+30 days' +%F)" | head -n 1)
run expunge_as night nightly
rc_is 0 "a hold is no failure"
is "$(state 2) $(patients 2)" "due 201" "a hold for one patient keeps the account"
run expunge_as oscar account list
out_like 'a hold keeps one of its patients' "... and the list says so"
expunge_as dora hold release "$hold" >/dev/null

# ---- what has come since the plan, and what was meant for somebody, is found before the point of no return
stray=$(expunge_as dora hold place --tenant 22 --kind complaint --reason "a letter" --review "$(date -d '+30 days' +%F)" | head -n 1)
run expunge_as night nightly
rc_is 5 "a hold in nobody's name"
err_like 'a hold names no known tenant' "... was meant for somebody"
is "$(state 2) $(patients 2)" "due 201" "... and the account is not claimed"
expunge_as dora hold release "$stray" >/dev/null

# ---- no restore was tried of late
sql clinic "SET default_transaction_read_only = off" "SET session_replication_role = replica" "UPDATE expunge.event SET at = at - interval '30 days' WHERE kind = 'drill-passed'"
run expunge_as night nightly
rc_is 5 "nothing is purged while nobody knows that archives open"
err_like 'account 2: no restore has been tried with success within 168 hours; expunge drill' "... which says what to do"
is "$(state 2) $(patients 2)" "due 201" "... and the account stays"
run expunge_as night drill
rc_is 0 "a drill"

# ---- the night of the purge
cp -a "$T/clinic/here" "$T/kept-archives"
archive=$(sql clinic "SELECT id FROM expunge.archive WHERE tenant = '2'")
run expunge_as night nightly
rc_is 0 "the night of the purge"
note "$ERR"
is "$(state 2) $(patients 2)" "certified 0" "... takes the account, and what came after the plan, and certifies it"
others 2 >"$T/others.after"
ok "... and every row of the others is what it was, byte for byte" diff "$T/others.before" "$T/others.after"
is "$(sql clinic "SELECT count(*) FROM app.practice WHERE id = 2")" 0 "the practice's own row went, too"
is "$(sql clinic "SELECT count(*) FROM expunge.key_leaf WHERE tenant = '2' AND shredded_epoch IS NULL")" 0 "no key of it is left"
note=$(find "$T/clinic/certificates" -name '*.note' | LC_ALL=C sort | tail -n 1)
run expunge_as night certificate verify "$note"
rc_is 0 "its certificate is signed"
for line in 'kind: account-closure' 'stage: final' 'outcome: completed' 'ground: UK-GDPR-28\(3\)\(g\)' 'live: app.patient before 201 removed 201 .* after 0' \
	'approver: .*' 'keys: destroyed [1-9].*' "plan: $plan" 'archives: generations unreadable 1.*' 'level: keys-destroyed' 'out-of-scope: rows that no owner path'; do
	ok "... and says $line" grep -Eq "^$line" "$note"
done
is "$(grep -c '^approver: ' "$note")" 2 "... who approved it"
is "$(sql clinic "SELECT count(*) FROM expunge.notice_list WHERE template = 'done' AND tenant = '2'")" 1 "the practice is told that it is done"
sql postgres "CREATE DATABASE back TEMPLATE template0"
psql -XAtq -v ON_ERROR_STOP=1 -d back -f "$ROOT/tests/sample/schema.sql" >/dev/null
pg_dump -d clinic --data-only -t app.code | psql -XAtq -v ON_ERROR_STOP=1 -d back >/dev/null
restore() { expunge_as night restore --tenant "$1" --into "host=$PGHOST port=$PGPORT dbname=back user=postgres" --disable-triggers "${@:2}"; }
run restore 2
rc_is 1 "no archive of it comes back"
err_like 'no archive' "... for the catalogue has none that opens"
nok "... and its files are gone" test -e "$T/clinic/here/archives/$(cd "$T/kept-archives/archives" && find . -name "$archive.archive")"
run "$EXPUNGE" -c "$CONF" -U night drill
rc_is 0 "those of the others open"
run restore 1
rc_is 0 "... and come back"
run expunge_as night backup
rc_is 0 "the next backup is of those that are left"
run expunge_as night nightly
rc_is 0 "the next night has nothing to do"
is "$(sql clinic "SELECT count(*) FROM expunge.certificate")" 1 "... and signs nothing"
run expunge_as oscar account reactivate 2 --reason "they called"
rc_is 1 "nobody comes back from there"
err_like 'closed for good' "... and is told"
run expunge_as oscar account list --all --json
is "$(python3 -c 'import json,sys; print([(a["tenant"], a["state"]) for a in json.load(open(sys.argv[1]))])' "$T/out")" "[('2', 'certified')]" "the list keeps it"

# ---- two at once: the smallest first, and a cap
sql clinic "SET default_transaction_read_only = off" "DELETE FROM app.message WHERE ref_type = 'patient' AND ref_id::bigint IN (SELECT id FROM app.patient WHERE practice_id = 3)" >/dev/null
for practice in 1 3; do cancel "$practice"; age "$practice" 46; done
expunge_as night nightly 2>"$T/log" || cat "$T/log"
for practice in 1 3; do approve_account "$practice" ruth rob; done
sed -i 's/tenants_per_run = 10/tenants_per_run = 1/' "$CONF"
run expunge_as night nightly
rc_is 5 "two accounts are above the cap"
err_like 'no account is purged' "... which is told"
is "$(state 1) $(state 3) $(patients 1)" "due due 200" "... and takes neither"
expunge_as ruth cap raise --reason "two at once" >/dev/null
run expunge_as oscar account reactivate 1 --reason "they called"
rc_is 0 "one comes back, approved as it is"
run expunge_as night nightly
rc_is 0 "the other goes"
is "$(state 1) $(state 3) $(patients 1) $(patients 3)" "reactivated certified 200 0" "... alone"
run expunge_as night certificate verify "$(find "$T/clinic/certificates" -name '*.note' | LC_ALL=C sort | tail -n 1)"
rc_is 0 "and has its certificate"
run expunge_as watch status
out_unlike 'uncertified|NOT WELL' "all is well"
done_testing

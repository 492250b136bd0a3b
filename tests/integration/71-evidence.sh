#!/usr/bin/env bash
# certificate list, show, verify and export; status; check: over one erasure from request to certificate.
. "$(dirname "$0")/../lib.sh"

fresh_db clinic
configure "$T/etc" clinic

as() { # as ROLE WORD...: the program under a role
	run "$EXPUNGE" -U "$1" -c "$CONF" "${@:2}"
}
json() { # json FILTER: of what the last run printed, as python's text of it
	python3 -c 'import json, sys; d = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$T/out" "$1"
}
has_python() { command -v python3 >/dev/null; }

# ---------------------------------------------------------------- check, before init
as postgres check
rc_is 1 "check before init: could not run"
for what in state_directory ledger_directory certificate_directory 'issuer key' 'ledger key' roles binding; do
	out_like "^error +$what: .*;.*" "it names $what, with a remedy"
done
out_like '^ok +configuration: ' "and what is well"
out_like '^[0-9]+ errors, [0-9]+ warnings$' "and counts"

as postgres init
rc_is 0 "init"
mkrole night expunge_job
mkrole app expunge_intake
mkrole ann expunge_approver
mkrole ops expunge_operator
mkrole dpo expunge_dpo
mkrole mon expunge_monitor
sql clinic "INSERT INTO expunge.tenant_login VALUES ('app', '*')"

as night check
rc_is 0 "check after init"
out_unlike '^error' "has no error"
out_like '^ok +roles: app_owner works as expunge_job' "it looked at the removing login, too"
as mon check
rc_is 1 "a login that does not work as expunge_job"
out_like '^error +roles: mon .*GRANT expunge_job' "is named, with a remedy"

# ---------------------------------------------------------------- status of a fresh installation
as mon status
rc_is 0 "status of a fresh installation"
is "$(head -n 1 "$T/out")" "attention: the nightly run has never run" "says that nothing runs yet"
as mon status --json --prometheus
rc_is 2 "one form at a time"
as nobody status
rc_is 1 "a login that does not exist"
mkrole nothing
as nothing status
rc_is 1 "a login without a role"
err_like 'hint: ' "is told what it needs"

# ---------------------------------------------------------------- one erasure
ID=$(PGOPTIONS='-c expunge.tenant=1' sql -U app clinic "SELECT expunge_api.request_erasure('1', '7', '17-1-b', 'portal')")
as ops request identify "$ID"
as night request plan "$ID"
plan=$(sed -n 's/^plan: //p' "$T/out")
as ann request decide "$ID" --accept --plan "$plan"
rc_is 0 "approved"
as night check
out_like '^ok +caps: 1 subjects are due' "check sees what is due"
as night nightly
rc_is 0 "the night"
as mon status
rc_is 0 "status"
is "$(head -n 1 "$T/out")" "all well: nothing is overdue, failed, blocked or frozen" "all is well"
out_like '^nightly +last success [0-9T:-]+Z; .*exit code 0' "the job's last success"

# ---------------------------------------------------------------- certificates
as ops certificate list
rc_is 0 "certificate list"
out_like " $ID " "names the request"
as ops certificate list --tenant 2
out_is "no certificates" "of another practice"
as ops certificate list --to 2020-01-01
out_is "no certificates" "of another time"
as dpo certificate list --from "$(date -u +%F)" --to "$(date -u -d tomorrow +%F)"
out_like " $ID " "days at both ends belong to it"
as dpo certificate list --from 2026-02-30
rc_is 2 "a day that there is not"
as dpo certificate list --from 2026-03-01 --to 2026-02-01
rc_is 2 "an end before its beginning"
as mon certificate list
rc_is 1 "monitoring reads no certificate"
err_like 'hint: .*expunge_dpo' "and is told who does"

note=$(ls "$T"/etc/certificates/*.note)
as dpo certificate show 1
rc_is 0 "certificate show SERIAL"
ok "prints the note, byte for byte" cmp "$T/out" "$note"
as dpo certificate show "$(sed -n 's/^id: //p' "$note")"
ok "by its id, too" cmp "$T/out" "$note"
run env -u PGHOST "$EXPUNGE" -c /nonexistent certificate show "$note"
ok "from a file, without configuration or database" cmp "$T/out" "$note"
as dpo certificate show 2
rc_is 1 "a serial that there is not"
err_like 'hint: ' "with a hint"
printf 'hello\n\033[2J' >"$T/hostile"
run "$EXPUNGE" certificate show "$T/hostile"
rc_is 1 "what is no note"
out_is "" "is not shown"

for format in notes json csv; do
	as dpo certificate export --from 2020-01-01 --to 2099-12-31 --format "$format" -o "$T/$format"
	rc_is 0 "certificate export --format $format"
	out_is "1 certificates exported to $T/$format" "says how many"
	as dpo certificate export --format "$format" --output "$T/$format"
	rc_is 0 "a second time, the same"
done
name=${note##*/}
is "$(cd "$T/notes" && echo ./*)" "./$name ./$name.sig ./allowed_signers ./issuer.pem" "notes come with all that verifies them"
ok "the exported note is the note" cmp "$T/notes/$name" "$note"
is "$(wc -l <"$T/csv/certificates.csv")" 2 "csv has a row"
if has_python; then
	is "$(python3 -c "import json; d = json.load(open('$T/json/certificates.json')); print(len(d), d[0]['note'] == open('$note').read())")" \
		"1 True" "json has the note itself"
else
	skip "json has the note itself" "no python3"
fi
as dpo certificate export --tenant 2 -o "$T/none"
out_is "0 certificates exported to $T/none" "none of another practice"
as dpo certificate export
rc_is 2 "export to nowhere"

# ---------------------------------------------------------------- verify: files alone
verify() { run env -i "$EXPUNGE" certificate verify "$@"; }
verify --key "$T/notes/issuer.pem" "$T/notes/$name"
rc_is 0 "certificate verify"
out_is "$T/notes/$name: good (serial 1, final, completed-with-exclusions)" "says what it is"
err_is "" "and no more"
verify "$T/notes/$name"
rc_is 0 "by the key beside it"
err_like 'no --key' "which is said to prove little"
verify --key "$T/notes/issuer.pem" --name expunge.example.org "$T/notes/$name"
rc_is 0 "by name"
verify --key "$T/notes/issuer.pem" --name other.example.org "$T/notes/$name"
rc_is 1 "another name"
out_like ': BAD: ' "is bad"
verify --key "$ROOT/doc/certificate-example.pem" "$T/notes/$name"
rc_is 1 "another key"
out_like ': BAD: no signature is by the key' "is bad"
sed 's/^controller: 1/controller: 2/' "$note" >"$T/altered.note"
verify --key "$T/notes/issuer.pem" "$T/notes/$name" "$T/altered.note" "$T/missing.note"
rc_is 1 "a good one, an altered one and one that is missing"
is "$(sed -E 's/^[^:]*: (good|BAD).*/\1/' "$T/out" | tr '\n' ' ')" "good BAD BAD " "each has its verdict"
verify --key "$ROOT/doc/certificate-example.pem" "$ROOT/doc/certificate-example.note"
rc_is 0 "the example of the manual"
verify --key "$ROOT/doc/certificate-example.pem" "$ROOT/tests/vectors/bad-live-does-not-add-up.note"
rc_is 1 "a good signature under a text that is no certificate"
out_like 'the signature is good, but the signed text is not a well-formed certificate' "is told apart"
verify
rc_is 2 "nothing to verify"
verify --key "$T/no.pem" "$T/notes/$name"
rc_is 2 "a key file that is not there"
is "$OUT" "" "is no verdict on the certificate"
err_like 'nothing is verified: the key.*no.pem' "but an error of its own"
err_like 'hint: .*--key' "with a remedy"
echo 'no key' >"$T/odd.pem"
verify --key "$T/odd.pem" "$T/notes/$name"
rc_is 2 "nor is one that is none"
mkdir "$T/alone"
cp "$T/notes/$name" "$T/alone/"
verify "$T/alone/$name" "$T/notes/$name"
rc_is 2 "a certificate without a key beside it"
out_is "$T/notes/$name: good (serial 1, final, completed-with-exclusions)" "costs the others nothing"
err_like "$T/alone/$name is not verified: its key" "and is told"
verify --name x "$T/alone/$name" "$T/altered.note"
rc_is 2 "no key for either"
cp "$T/notes/issuer.pem" "$T/issuer.pem"
verify "$T/alone/$name" "$T/altered.note"
rc_is 1 "a bad one weighs more"

# a note that was altered in the database is left out of an export, and the rest goes on
sql clinic "UPDATE expunge.certificate SET note = replace(note, 'controller: 1', 'controller: 2')"
as dpo certificate export -o "$T/altered"
rc_is 3 "an altered note"
err_like 'certificate 1 is left out' "is left out"
nok "of the directory" test -e "$T/altered/$name"

# ---------------------------------------------------------------- status when things go wrong
overdue=$(PGOPTIONS='-c expunge.tenant=1' sql -U app clinic "SELECT expunge_api.request_erasure('1', '8', '17-1-b', 'portal',
	received_at => now() - interval '60 days')")
as mon status
rc_is 3 "an overdue request turns the status red"
out_like '^NOT WELL: 1 overdue' "and the first line says so"
as mon status --json
rc_is 3 "as JSON, too"
if has_python; then
	is "$(json "d['verdict'], d['overdue'], d['open'], d['frozen'], d['jobs'][0]['job']")" "('NOT WELL', 1, 1, False, 'nightly')" "with the counts"
else
	skip "with the counts" "no python3"
fi
as ops hold place --tenant 1 --subject 8 --kind litigation --reason 'a claim' --review "$(date -u -d '+30 days' +%F)"
sql -U ops clinic "SELECT expunge.identify_request('$overdue', now() - interval '59 days')" >"$T/due"
as night freeze on --reason 'a test'
as night nightly
rc_is 5 "a frozen night"
as mon status
out_like '^NOT WELL: 1 overdue, everything is frozen' "frozen"
out_like '^frozen +YES' "in its line"
as night check
rc_is 5 "check: a safeguard stops the run"
out_like '^error +freeze: frozen' "the freeze"
as ops freeze off
as night nightly
rc_is 3 "the night with an overdue request"
as night nightly
is "$(sql clinic "SELECT count(*) || ' ' || min(detail) FROM expunge.event WHERE kind = 'request-overdue' AND request_id = '$overdue'")" \
	"1 due on $(sql clinic "SELECT due_on FROM expunge.request WHERE id = '$overdue'"): blocked: hold" "it is in the register, once a day"
sql clinic "SET ROLE expunge_owner" "UPDATE expunge.event SET at = at - interval '1 day' WHERE kind = 'request-overdue'"
as night nightly
is "$(sql clinic "SELECT count(*) FROM expunge.event WHERE kind = 'request-overdue'")" 2 "and on the next day again"
as mon status
out_like '^blocked +hold: 1' "a hold is named as what is in the way"
as mon status --prometheus
rc_is 3 "Prometheus"
out_like '^expunge_well 0$' "not well"
out_like '^expunge_requests_overdue 1$' "one overdue"
out_like '^expunge_requests_blocked\{reason="hold"\} 1$' "blocked by a hold"
out_like '^expunge_job_last_exit_code\{job="nightly"\} 3$' "the job's exit code"
# every sample has HELP and TYPE before it, every line is of the format
is "$(awk '/^# HELP expunge_[a-z_]+ ./{ help[$3]; next }
	/^# TYPE expunge_[a-z_]+ (gauge|counter)$/ { if ($3 in help) type[$3]; else print; next }
	{ name = $1; sub(/[{].*/, "", name) }
	!(name in type) || !/^[a-z_]+([{][a-z]+="[^"]*"[}])? [0-9]+$/ { print }' "$T/out")" "" "every line is in the exposition format"

# ---------------------------------------------------------------- check when things go wrong
sabotage() { # sabotage NAME CODE REGEX BREAK MEND: check must see what was broken
	bash -c "$4"
	as night check
	rc_is "$2" "check: $1"
	out_like "$3" "check names it: $1"
	bash -c "$5"
}
export CONF
sabotage "an issuer key that others can read" 1 '^error +issuer key: .*0600' "chmod 644 $T/etc/issuer.pem" "chmod 600 $T/etc/issuer.pem"
sabotage "a missing issuer key" 1 '^error +issuer key: .*no such file' "mv $T/etc/issuer.pem $T/etc/gone" "mv $T/etc/gone $T/etc/issuer.pem"
sabotage "another public key" 1 '^error +issuer key: .*not the public half' \
	"cp $T/etc/certificates/issuer.pem $T/pem; cp $ROOT/doc/certificate-example.pem $T/etc/certificates/issuer.pem" \
	"cp $T/pem $T/etc/certificates/issuer.pem"
sabotage "a directory that others can write" 1 '^error +ledger_directory: others may write' "chmod 777 $T/etc/ledger" "chmod 700 $T/etc/ledger"
sabotage "an altered ledger" 1 '^error +ledger: .*changed at line 1' "cp $T/etc/ledger/erasures $T/ledger; sed -i '1s/intent/Intent/' $T/etc/ledger/erasures" \
	"cp $T/ledger $T/etc/ledger/erasures"
sabotage "another binding" 5 '^error +binding: ' "mv $T/etc/state/instance $T/instance; echo other > $T/etc/state/instance" \
	"mv $T/instance $T/etc/state/instance"
sabotage "a table that the map does not know" 5 '^error +data map: .*app.surprise' \
	"psql -qX -U postgres -d clinic -c 'CREATE TABLE app.surprise (patient_id int)'" "psql -qX -U postgres -d clinic -c 'DROP TABLE app.surprise'"
sabotage "row-level security that is off" 1 '^error +row-level security: .*expunge.hold' \
	"psql -qX -U postgres -d clinic -c 'ALTER TABLE expunge.hold NO FORCE ROW LEVEL SECURITY'" \
	"psql -qX -U postgres -d clinic -c 'ALTER TABLE expunge.hold FORCE ROW LEVEL SECURITY'"
sabotage "a policy that is not in force" 0 '^warning +policy: ' "sed -i 's/undo_days = 0/undo_days = 3/' $CONF" "sed -i 's/undo_days = 3/undo_days = 0/' $CONF"
sabotage "a server that counts nothing" 1 '^error +server: track_counts is off' \
	"psql -qX -U postgres -d clinic -c 'ALTER ROLE night SET track_counts = off'" "psql -qX -U postgres -d clinic -c 'ALTER ROLE night RESET track_counts'"
sabotage "statements in the log and no store declared" 0 '^warning +stores: log_statement = all' \
	"psql -qX -U postgres -d clinic -c \"ALTER ROLE night SET log_statement = 'all'\"" "psql -qX -U postgres -d clinic -c 'ALTER ROLE night RESET log_statement'"
sabotage "a store without a retention" 1 '^error +configuration: .*:[0-9]+: a store is' \
	"cp $CONF $T/conf; echo 'stores = ( { name = \"backups\"; } );' >> $CONF" "cp $T/conf $CONF; chmod 600 $CONF"
printf 'frobnicate = 1;\nbatch : { rows = 0; };\n' >>"$CONF"
as night check
rc_is 1 "check: a malformed configuration"
is "$(grep -c '^error *configuration: ' "$T/out")" 2 "each problem is a row"

done_testing

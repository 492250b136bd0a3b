#!/usr/bin/env bash
# Stores outside the database and a closed account: those with an account command are told once, before the certificate; the others a
# person tells; and what ages out by itself keeps the certificate interim until it has.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/purge.bash"
DB=clinic
fresh_db clinic
outside_store documents mailing
{
	cat "$ROOT/etc/maps/sample.conf"
	cat <<-CONF
		external = (
		  { name = "documents"; owner = "the practice's IT"; command = [ "$T/stores/documents", "--patient={subject}" ];
		    account = [ "$T/stores/documents", "--practice={tenant}", "{request}", "a b; \$(c)" ]; },
		  { name = "mailing"; owner = "Post & Co"; command = [ "$T/stores/mailing", "{subject}" ];
		    account = [ "$T/stores/mailing", "all of {tenant}" ]; },
		  { name = "ledger"; owner = "the accountant"; command = [ "$T/stores/mailing", "{subject}" ]; } );
	CONF
} >"$T/map.conf"
install clinic "$T/map.conf"
cat >>"$CONF" <<'CONF'
closure : {
  rules = ( { trigger = "cancellation"; anchor = "paid-until"; days = 45; meaning = "not-before"; within_days = 7; } );
  pause_seconds = 0;
};
stores = ( { name = "base backups"; kind = "physical-backup"; retention_days = 3; } );
CONF
expunge_as postgres init 2>"$T/init.log"
calls() { cat "$T/stores/$1.calls" 2>/dev/null || true; }
state() { sql clinic "SELECT state FROM expunge.closure WHERE id = '$ID'"; }
note_of() { sql clinic "SELECT note FROM expunge.certificate WHERE request_id = '$ID' AND stage = '$1'"; }
build_probe purge_probe
sql clinic "INSERT INTO expunge.contact (tenant, audience, address) VALUES ('1', 'controller', 'one@practice.example'), ('2', 'controller', 'two@practice.example')"

run expunge_as night map show
out_like '^external documents of the practice.s IT: .*/stores/documents --patient=\{subject\}$' "map show lists the stores"
run expunge_as night map show --json
is "$(python3 -c 'import json,sys; print([len(e.get("account", [])) for e in json.load(open(sys.argv[1]))["external"]])' "$T/out")" "[4, 2, 0]" "... and which are told of accounts"
run expunge_as night check
out_like 'external stores: 3, their programs can be run' "check looks at their programs"

# ---- the plan that two people approve says who will hear of it
claimed 2
is "$(grep -E '^(tells|to-tell): ' "$T/plan")" "tells: documents: the practice's IT
tells: mailing: Post & Co
to-tell: ledger: the accountant" "the plan says whom a program tells, and whom a person"
sql clinic "INSERT INTO expunge.closure_approval (closure_id, approved_by, plan_hash) SELECT id, g, claimed_plan FROM expunge.closure, unnest('{ruth,rob}'::name[]) g"

# ---- one fails: no certificate; the other is told once
echo 1 >"$T/stores/mailing.exit"
run expunge_as night nightly
rc_is 3 "a store that fails is a failed item"
err_like 'account 2: external store mailing was not told: exit code 1' "... and is named"
is "$(state) $(note_of interim)" "shredded " "no certificate before it was told"
is "$(calls documents)" "--practice=2 $ID a b; \$(c)" "the other was told of the account, once, arguments as they are"
is "$(calls mailing)" "all of 2" "nobody was told of patients"
run expunge_as watch status
rc_is 3 "status is red"
run expunge_as oscar account show 2
out_like 'external store mailing was not told' "the account's page says why not yet"

# ---- a store that was approved does not drop out of the map
cp "$T/map.conf" "$T/map.whole"
python3 - "$T/map.conf" <<'PY'
import re, sys
path = sys.argv[1]
text = open(path).read()
open(path, "w").write(re.sub(r'\{ name = "mailing";.*?\},\n', "", text, flags=re.S))
PY
run expunge_as night nightly
rc_is 3 "a store that the map has lost"
err_like 'external store mailing was not told: the map has no account command of it any more' "... is not forgotten"
is "$(state)" shredded "... no certificate"
cp "$T/map.whole" "$T/map.conf"

# ---- a hold and a freeze stop the calls
hold=$(expunge_as dora hold place --tenant 2 --kind complaint --reason "a letter" --review "$(date -d '+30 days' +%F)" | head -n 1)
run expunge_as night nightly
is "$(state) $(calls mailing | wc -l)" "shredded 1" "under a hold nobody is told"
expunge_as dora hold release "$hold" >/dev/null
expunge_as oscar freeze on --reason "a drill" >/dev/null
run expunge_as night nightly
is "$(state) $(calls mailing | wc -l)" "shredded 1" "nor under a freeze"
expunge_as oscar freeze off >/dev/null

# ---- told, its answer comes later
echo 75 >"$T/stores/mailing.exit"
run expunge_as night nightly
rc_is 0 "the night that tells it"
is "$(state)" certified "... certifies"
is "$(note_of interim | grep ^recipients:)" "recipients: told 2 acknowledged 1 pending 1" "the certificate counts them"
is "$(note_of interim | grep -c -e mailing -e ledger -e Post)" 0 "... without names"
is "$(note_of interim | grep ^stage:)" "stage: interim" "it is interim while base backups are kept"
is "$(calls documents | wc -l) $(calls mailing | wc -l)" "1 2" "nobody was told twice"
run expunge_as dora request recipients --open
out_like "$ID +2 +mailing +20" "what has not answered is listed"
out_like "$ID +2 +ledger " "... and whom a person is to tell"
run expunge_as watch status
out_like '^recipients +2 told, but without an acknowledgement' "status counts both"
run expunge_as night nightly
is "$(calls documents | wc -l) $(calls mailing | wc -l)" "1 2" "the next night tells nobody"

# ---- a person notes the answers, and the final certificate has them
run expunge_as oscar request acknowledge "$ID" mailing
rc_is 0 "a person notes the answer"
run expunge_as dora request acknowledge "$ID" ledger
rc_is 0 "... and whom they have told"
run expunge_as dora request acknowledge "$ID" ledgers
rc_is 1 "a store that there is not"
err_like 'no store of this name was told' "... is refused"
run expunge_as dora request recipients --open
out_is "no external store that was told has an acknowledgement outstanding" "nothing is outstanding"
run expunge_as dora store end "base backups" --reason "the disks are shredded"
rc_is 0 "a person states that the copies have ended"
run expunge_as night nightly
rc_is 0 "the night after"
is "$(note_of final | grep ^recipients:)" "recipients: told 3 acknowledged 3 pending 0" "the final certificate has the answers"
is "$(note_of final | grep -E '^(kind|archives: aged-out|archives):' )" "kind: account-closure
archives: aged-out base%20backups until $(TZ=Europe/London date +%F) stated" "... and how the copies ended"
is "$(sql clinic "SELECT final_at IS NOT NULL FROM expunge.closure WHERE id = '$ID'")" t "the closing knows that it is final"
run expunge_as oscar account list --all
out_like '^2 ' "the list keeps it"
is "$(sql clinic "SELECT count(*) FILTER (WHERE tenant = '2') || ' ' || count(*) FILTER (WHERE tenant = '1') FROM expunge.contact")" "1 1" "its contact is there until it was told"
sql clinic "UPDATE expunge.outbox SET state = 'sent', settled_at = now() WHERE tenant = '2'"
run expunge_as night nightly
is "$(sql clinic "SELECT count(*) FILTER (WHERE tenant = '2') || ' ' || count(*) FILTER (WHERE tenant = '1') FROM expunge.contact")" "0 1" "... and is forgotten then, nobody else's"
note=$(find "$T/clinic/certificates" -name '*.note' | LC_ALL=C sort | tail -n 1)
run expunge_as night certificate verify "$note"
rc_is 0 "its final certificate is signed"
done_testing

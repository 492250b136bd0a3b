#!/usr/bin/env bash
# What a restored database has forgotten must not make an adoption erase somebody, nor leave somebody who was erased: approvals
# that were taken back since, numbers that two people had, duplicates that were told apart, a copy that is restored twice.
. "$(dirname "$0")/../lib.sh"

fresh_db clinic
install clinic
cat >>"$CONF" <<'CONF'
stores = ( { name = "base backups"; kind = "physical-backup"; retention_days = 35; } );
CONF
ok "a key tree" with_keys
mkrole ada expunge_operator expunge_job
patients() { sql clinic "SELECT count(*) FROM app.patient WHERE id IN ($1)"; }
swap() { sql postgres "ALTER DATABASE clinic RENAME TO \"$2\"" "ALTER DATABASE \"$1\" RENAME TO clinic"; }
copy() { sql postgres "CREATE DATABASE \"$1\" TEMPLATE ${2:-clinic} STRATEGY wal_log"; }
erase_all() { # erase_all ID...: in one night
	local id
	for id in "$@"; do
		approve clinic "$(file_request clinic 1 "$id")"
	done
	expunge_as night nightly
}
copy_of_own() { # of this host's ledger: it is named by the first mac
	local first
	first=$(head -n 1 "$T/clinic/ledger/erasures" | awk '{ print substr($NF, 1, 16) }')
	echo "$T/clinic/here/keys/"*/"ledger.$first"
}
certificates() { sql clinic "SELECT count(*), max(serial) FROM expunge.certificate"; }

# ---------------------------------------------------------------------------- what the copy has, and what happens later
ok "a backup" expunge_as night backup
withdrawn=$(file_request clinic 1 11)
approve clinic "$withdrawn"
held=$(file_request clinic 1 12)
approve clinic "$held"
sql clinic "UPDATE app.patient SET merged_into = 31 WHERE id = 32" "UPDATE app.patient SET merged_into = 32 WHERE id = 34"
intake() { sql -U clinic_app clinic "SET default_transaction_read_only = off" "$@"; }
intake "SELECT expunge_api.place_hold('1', '33', 'complaint', 'a letter came', current_date + 30)" >"$T/out"
first=$(file_request clinic 1 24)
copy before
ok "a hold is released later" expunge_as dora hold release "$(sql clinic "SELECT id FROM expunge.hold")"
intake "SELECT expunge_api.withdraw_request('$first')" >"$T/out"
intake "SELECT expunge_api.withdraw_request('$withdrawn')" >"$T/out"
intake "SELECT expunge_api.place_hold('1', '12', 'litigation', 'a letter came', current_date + 30)" >"$T/out"
sql clinic "UPDATE app.patient SET merged_into = NULL WHERE id = 32"
ok "a night: six are erased" erase_all 21 22 23 24 31 33
sql clinic "INSERT INTO app.patient (id, practice_id, given_name, family_name, born, created_at)
	SELECT n, 1, 'Second', 'Person', '2001-02-03', now() FROM generate_series(21, 24) n"
ok "another: so are those who got the numbers of four of them" erase_all 21 22 23 24
is "$(patients '11,12,21,22,23,24,31,33')/$(patients 32,34)" 2/2 "ten are gone; who was held, took it back, or was never a duplicate is there"

before=$(certificates)

# ---------------------------------------------------------------------------- restored
copy again before
swap before present
lsn=$(sql clinic "SELECT pg_current_wal_lsn()")
nok "an operator alone asks for nobody's erasure again" sql -U oscar clinic "SET default_transaction_read_only = off" "SELECT expunge.adoption_begin()" \
	"SELECT expunge.replay_file(ARRAY[gen_random_uuid()], ARRAY['1'], ARRAY['41'], ARRAY[now()])"
run expunge_as ada restore --adopt
rc_is 5 "what the copy has been asked for anew is in the way of what was done"
err_like "request $first" "and is named"
ok "it can be withdrawn again" intake "SELECT expunge_api.withdraw_request('$first')"
run expunge_as ada restore --adopt
rc_is 3 "the adoption does not end while somebody erased is merged with somebody who was not"
err_like 'merged' "and says so"
is "$(patients 32,34)" 2 "they are there, who are no duplicates by now"
is "$(patients 11,12)" 2 "so are the patients whose approval the copy has: a withdrawal, and a hold, are lost"
is "$(patients 21,22,23,24)" 0 "those who were erased are gone again, whoever else has had their number"
replay=$(sql clinic "SELECT id FROM expunge.request WHERE kind = 'replay' AND state = 'blocked'")
is "$(patients 33)" 1 "but for one under a hold, which the copy has still"
nok "a practice takes no erasure back that was certified" intake "SELECT expunge_api.withdraw_request('$replay')"
ok "a person releases the hold again" expunge_as dora hold release "$(sql clinic "SELECT id FROM expunge.hold WHERE subject = '33'")"
mv "$T/clinic/ledger/erasures" "$T/erasures"
for place in here there; do mkdir "$T/copies.$place" && mv "$T/clinic/$place/keys/"*/ledger.* "$T/copies.$place"; done
run expunge_as ada restore --adopt
rc_is 3 "without its ledger"
err_like 'not in the ledger' "it is not known who is back, and the adoption does not end"
for place in here there; do cp -p "$T/copies.$place"/* "$(echo "$T/clinic/$place/keys/"*)"; done
sql clinic "UPDATE app.patient SET merged_into = NULL WHERE id = 32"
run expunge_as ada restore --adopt
rc_is 0 "told apart, it ends"
is "$(patients 31,33)/$(patients 32,34)/$(patients 11,12)" 0/2/2 "with the one gone, and the others there"
is "$(find "$T/clinic/here/keys" -name 'ledger.*' | wc -l)" 2 "and this host, which has lost its ledger, begins another"
is "$(certificates)" "$before" "without another certificate"
is "$(sql clinic "SELECT count(*) FROM expunge.request r JOIN expunge.replay_request q ON q.original = r.id WHERE r.recounted_lsn < '$lsn'")" 0 "and standbys for this removal, not for the one of the other history"
ok "the next night" expunge_as night nightly
is "$(patients 11,12)" 2 "they are still there"
is "$(request_state clinic "$withdrawn")/$(request_state clinic "$held")" blocked/blocked "their approvals count no more"
run expunge_as ruth request decide "$withdrawn" --accept --plan "$(sql clinic "SELECT hash FROM expunge.plan WHERE request_id = '$withdrawn'")"
rc_is 0 "approved again"
ok "and another night" expunge_as night nightly
is "$(patients 11)/$(patients 12)" 0/1 "the patient is gone, and nobody else"

# ---------------------------------------------------------------------------- restored once more, from the same copy
before=$(certificates)
swap again second
sql clinic "UPDATE app.patient SET merged_into = NULL WHERE id = 32"
ok "its hold is released" expunge_as dora hold release "$(sql clinic "SELECT id FROM expunge.hold")"
intake "SELECT expunge_api.withdraw_request('$first')" >"$T/out"
mv "$T/clinic/state/anchor" "$T/anchor"
mv "$T/clinic/there/keys" "$T/keys"
run expunge_as ada restore --adopt
rc_is 1 "an empty mount point is not taken for a place that never had a journal"
err_like 'is its disk mounted' "and is told"
mv "$T/keys" "$T/clinic/there/keys"
mv "$T/anchor" "$T/clinic/state/anchor"
run expunge_as ada restore --adopt
rc_is 0 "the same copy is restored and adopted once more"
is "$(patients 11,21,22,23,24,31,33)/$(patients 12,32,34)" 0/3 "everybody is gone again, and nobody else"
is "$(certificates)" "$before" "still without another certificate"
ok "nor does the next night make one" expunge_as night nightly
is "$(certificates)" "$before" "it does not"

# ---------------------------------------------------------------------------- a ledger that was put back
cp -p "$T/clinic/ledger/erasures" "$T/erasures"
ok "one more erasure" erase_all 41
cp -p "$T/erasures" "$T/clinic/ledger/erasures"
approve clinic "$(file_request clinic 1 44)"
run expunge_as night nightly
rc_is 3 "of a ledger that is an older copy a night says so"
err_like 'entries that the erasure ledger has not|not of one history' "and certifies nothing"
cp -p "$(copy_of_own)" "$T/clinic/ledger/erasures"
ok "with the longer one in its place it does" expunge_as night nightly

# ---------------------------------------------------------------------------- backups that were made of the restored database
copy young
ok "one more is erased" erase_all 42
# as if that had been twenty days ago, whatever the certificate's signature says
sql clinic "UPDATE expunge.certificate SET note = regexp_replace(regexp_replace(note, '(?n)^as-of: \d{4}-\d\d-\d\d', 'as-of: ' || current_date - 20),
	' until \d{4}-\d\d-\d\d ', format(' until %s ', current_date + 15)) WHERE serial = (SELECT max(serial) FROM expunge.certificate)"
rm "$T/clinic/here/keys/"*/*.journal "$T/clinic/there/keys/"*/*.journal
run expunge_as night nightly
swap young old
run expunge_as ada restore --adopt
is "$(patients 42)" 0 "restored and adopted once more, the patient is gone"
is "$(sql clinic "SELECT DISTINCT until - current_date FROM expunge.request_store")" 35 "and the final certificate waits for backups that were made after the restore"
done_testing

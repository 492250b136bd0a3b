#!/usr/bin/env bash
# A database that was restored from before an erasure, or is a copy: nothing runs in it; adopted, it has what the journals
# have, the erased are gone again, every living key opens, and no serial is given twice.
. "$(dirname "$0")/../lib.sh"

fresh_db clinic
install clinic
cat >>"$CONF" <<'CONF'
stores = ( { name = "nightly base backups"; kind = "physical-backup"; retention_days = 35; } );
CONF
ok "a key tree" with_keys
mkrole ada expunge_operator expunge_job
patients() { sql clinic "SELECT count(*) FROM app.patient WHERE id IN ($1)"; }
living() { sql clinic "SELECT count(*) FROM expunge.key_leaf WHERE shredded_epoch IS NULL"; }
swap() { # swap NAME: the database of this name is the clinic's now, as if it had been restored; the present one is kept as $2
	sql postgres "ALTER DATABASE clinic RENAME TO \"$2\"" "ALTER DATABASE \"$1\" RENAME TO clinic"
}
copy() { sql postgres "CREATE DATABASE \"$1\" TEMPLATE clinic STRATEGY wal_log"; }

# ---------------------------------------------------------------------------- what is lost
ok "a backup" expunge_as night backup
known=$(file_request clinic 1 1)
approve clinic "$known"
lost=$(file_request clinic 1 2)
copy before
ok "a night: one patient is erased" expunge_as night nightly
approve clinic "$lost"
ok "another night: a request that the copy has, but no approval of it" expunge_as night nightly
sql clinic "UPDATE app.patient SET merged_into = 204 WHERE id = 205"
unknown=$(file_request clinic 2 204)
approve clinic "$unknown"
late=$(sql clinic "INSERT INTO app.patient (practice_id, given_name, family_name, born) VALUES (1, 'Early', 'Leaver', '2001-02-03') RETURNING id")
approve clinic "$(file_request clinic 1 "$late")"
ok "and another: a request and a patient that the copy does not have" expunge_as night nightly
is "$(patients "1,2,204,205,$late")/$(sql clinic 'SELECT max(serial) FROM expunge.certificate')" 0/4 "five patients are gone, with four certificates"
lost_patient=$(sql clinic "INSERT INTO app.patient (practice_id, given_name, family_name, born) VALUES (1, 'Late', 'Arrival', '2001-02-03') RETURNING id")
ok "a backup with a patient who came later" expunge_as night backup
leaves=$(living)
bound() { sql clinic "SELECT count(*), min(until), max(until), string_agg(DISTINCT name, ', ') FROM expunge.request_store WHERE ended_at IS NULL"; }
stores=$(bound)
notes=$(sql clinic "SELECT string_agg(note, '' ORDER BY serial) FROM expunge.certificate" | sha256sum)

# ---------------------------------------------------------------------------- restored
copy present
swap before lost
is "$(patients 1,2,204,205)" 4 "the database is restored from before: four of them are back"
for job in nightly erase backup "keys rotate" "restore --tenant 1 --into dbname=postgres" "keys adopt --this-is-primary"; do
	# shellcheck disable=SC2086 # several words
	run expunge_as night $job
	rc_is 5 "$job refuses"
	err_like 'restore --adopt' "and says what to do"
done
is "$(patients 1,2,204,205)/$(sql clinic 'SELECT count(*) FROM expunge.certificate')" 4/0 "nothing was done"
run expunge_as night check
rc_is 5 "check refuses too"

run expunge_as ada restore --adopt --dry-run
rc_is 0 "a dry run"
out_like '5 in the ledger, 4 subjects are back' "says what would be erased again"
is "$(sql clinic 'SELECT count(*) FROM expunge.adoption')" 0 "and changes nothing"
run expunge_as night restore --adopt
rc_is 1 "the job alone may not say that it was restored"
run expunge_as ada restore --adopt
rc_is 0 "a person says so"
is "$(patients 1,2,204,205)" 0 "they are gone again, also who was a duplicate and is a person of their own in the copy"
is "$(living)" "$leaves" "every living key is there"
is "$(sql clinic "SELECT string_agg(note, '' ORDER BY serial) FROM expunge.certificate" | sha256sum)" "$notes" "so are the certificates, byte for byte, and no other"
is "$(sql clinic 'SELECT last FROM expunge.certificate_counter')" 4 "the counter is behind the last of them"
for request in "$known" "$lost" "$unknown"; do
	is "$(request_state clinic "$request")" certified "request ${request%%-*} is certified"
done
is "$(bound)" "$stores" "and waits for the same backups to age out as before"
is "$(sql clinic "SELECT count(*) FROM expunge.request WHERE kind = 'replay' AND subject IS NOT NULL")" 0 "nothing says whom they were about"
is "$(sql clinic 'SELECT count(*) FROM expunge.key_set')/$(sql clinic 'SELECT count(*) FROM expunge.plan')" 0/0 "nothing of them is kept"
is "$(sql clinic "SELECT nextval(pg_get_serial_sequence('app.patient', 'id')) > $late")" t "no number of an erased patient is given again"
run expunge_as night drill
rc_is 0 "what should open opens, and the past does not"
run expunge_as night backup --verify
rc_is 0 "every archive of the catalogue opens"
ok "the next night is an ordinary one" expunge_as night nightly
ok "and so is the next backup" expunge_as night backup
# who came after the copy is lost with the database, and lives in archives: under a key that nobody else gets
of_lost() { sql clinic "SELECT count(*), count(*) FILTER (WHERE retired), count(shredded_epoch) FROM expunge.key_leaf
	WHERE id IN ($(echo "$lost_leaves" | paste -sd ,))"; }
lost_leaves=$(sql clinic "SELECT id FROM expunge.key_leaf WHERE name = '$lost_patient' AND kind = 'subject'")
is "$(of_lost)" "1|1|0" "the key of a patient who is not there is retired"
sql clinic "INSERT INTO app.patient (id, practice_id, given_name, family_name, born) VALUES ($lost_patient, 1, 'Late', 'Arrival', '2001-02-03')"
ok "a person brings the patient back" expunge_as night backup
lost_leaves=$(sql clinic "SELECT id FROM expunge.key_leaf WHERE name = '$lost_patient' AND kind = 'subject'")
is "$(of_lost)" "2|1|0" "who gets a fresh key"
again=$(file_request clinic 1 "$lost_patient")
approve clinic "$again"
ok "and is erased" expunge_as night nightly
is "$(of_lost)/$(request_state clinic "$again")" "2|1|2/certified" "with both keys"
later=$(file_request clinic 1 3)
approve clinic "$later"
ok "and the next erasure" expunge_as night nightly
is "$(sql clinic 'SELECT max(serial) FROM expunge.certificate')" 6 "has the next serial"
run expunge_as ada restore --adopt
rc_is 0 "adopting once more"
is "$(sql clinic 'SELECT count(*) FROM expunge.certificate')/$(sql clinic "SELECT count(*) FROM expunge.request WHERE kind = 'replay'")" 6/4 "does nothing again"

# ---------------------------------------------------------------------------- a server that was promoted, and has lost nothing
sql clinic "UPDATE expunge.key_nonce SET timeline = timeline + 41 WHERE number = (SELECT max(number) FROM expunge.key_nonce)"
run expunge_as night nightly
rc_is 5 "on another timeline than at the last run nothing runs"
err_like 'timeline' "and it is said why"
run expunge_as ada restore --adopt
rc_is 0 "it can be adopted like one that was restored"
ok "and then runs" expunge_as night nightly

# ---------------------------------------------------------------------------- a copy
swap present adopted
run expunge_as night nightly
rc_is 5 "the database that was given up refuses now"
swap adopted present
copy twin
ok "the primary runs" expunge_as night nightly
swap twin primary
run expunge_as night nightly
rc_is 5 "a copy of it refuses"
err_like 'another copy' "and says why"
run expunge_as ada keys adopt
rc_is 2 "to say that it counts needs a word more"
run expunge_as ada keys adopt --this-is-primary
rc_is 0 "that it is the primary, a person can say"
ok "then it runs" expunge_as night nightly
swap primary twin
run expunge_as night keys rotate
rc_is 5 "and the other one refuses, and destroys no root"
is "$(find "$T/clinic/shares" -name 'root.*' | wc -l)" 4 "which is there"
done_testing

#!/usr/bin/env bash
# The whole path: request, identity, plan, approval, removal, recount, certificate.
. "$(dirname "$0")/../lib.sh"
fresh_db clinic
install clinic

mapfile -t markers < <(sample_markers clinic 42)
has_trace clinic "the dump holds the patient before" "${markers[@]}"

id=$(file_request clinic 1 42)
is "$(request_state clinic "$id")" received "a request is received"

run expunge_as oscar request identify "$id"
rc_is 0 "identity is established"
out_like '^due on 20' "and the due date is told"

run expunge_as night request plan "$id"
rc_is 0 "the request is planned"
out_like '^rows: app.note delete 7 arrived-later 0 sha256:' "the plan counts the notes"
out_like '^plan: sha256:' "and has a hash"
hash=$(sed -n 's/^plan: //p' <<<"$OUT")

run expunge_as night erase
is "$RC/$OUT" "0/" "nothing is due"
err_like 'info .*nothing is due: expunge request list' "which is said"
run expunge_as night erase --dry-run --request "$id"
rc_is 0 "a dry run"
out_like "^plan: $hash" "prints the same plan"

run expunge_as night erase --rehearse --request "$id"
rc_is 0 "a rehearsal"
out_like 'everything would go through' "goes through"
is "$(sql clinic 'SELECT count(*) FROM app.note n JOIN app.appointment a ON a.id = n.appointment_id WHERE a.patient_id = 42')" 7 "and changes nothing"

nobody=$(file_request clinic 1 99999)
run expunge_as night erase --rehearse --request "$nobody"
rc_is 3 "a rehearsal for nobody"
out_like 'no such subject' "says so"
sql -U clinic_app clinic "SET default_transaction_read_only = off" "SELECT expunge_api.withdraw_request('$nobody')" >/dev/null
run expunge_as ruth request decide "$id" --accept --plan "sha256:$(printf '0%.0s' {1..64})"
rc_is 5 "another hash is refused"
run expunge_as ruth request decide "$id" --accept --plan "$hash"
rc_is 0 "the approval names the hash"

"$ROOT/tests/sample/rows.sh" clinic >"$T/before"
run expunge_as night nightly
rc_is 0 "the night carries it out"
is "$(request_state clinic "$id")" certified "the request is certified"
no_trace clinic "the dump holds no trace of the patient" "${markers[@]}"

"$ROOT/tests/sample/rows.sh" clinic >"$T/after"
diff "$T/before" "$T/after" >"$T/diff" || true
is "$(grep -c '^>' "$T/diff")" 1 "one row was changed"
is "$(grep '^>' "$T/diff" | cut -d: -f1)" "> app.invoice" "it is the retained invoice"

note=$(echo "$T"/clinic/certificates/*.note)
run grep -c . "$note"
run cat "$note"
out_like '^outcome: completed-with-exclusions$' "the certificate tells of the retained invoice"
out_like '^level: vacuumed$' "the tables were vacuumed"
out_like '^live: app.patient before 1 removed 1 masked 0 retained 0 arrived-later 0 after 0$' "the patient's row is counted"
out_unlike 'Farrowby' "no name"
is "$(sql clinic 'SELECT count(*) FROM expunge.key_set')" 0 "the key sets are gone"
is "$(sql clinic 'SELECT count(*) FROM expunge.control_set')" 0 "the control sample is gone"
is "$(sql clinic "SELECT count(*) FROM expunge.request WHERE subject IS NOT NULL AND state <> 'withdrawn'")" 0 "the request no longer says whom"

run expunge_as oscar request show "$id" --json
out_like '"kind": "request-certified"' "the history as JSON"
run expunge_as night nightly
rc_is 0 "a second night finds nothing to do"
is "$(sql clinic 'SELECT count(*) FROM expunge.certificate')" 1 "and signs no second certificate"
done_testing

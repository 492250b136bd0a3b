#!/usr/bin/env bash
# The engine that takes a whole account out of the live database, and nothing of another one's.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/purge.bash"

build_probe purge_probe

# smaller NAME: a copy of the sample application, with batches of 30 patients
smaller() {
	DB=$1
	fresh_db "$DB"
	if [ -z "$(sql postgres "SELECT 1 FROM pg_roles WHERE rolname = 'night'")" ]; then
		install "$DB"
	else
		configure "$T/$DB" "$DB"
		expunge_as postgres init 2>"$T/init.log"
	fi
	printf 'batch : { subjects = 30; rows = 1000; };\n' >>"$CONF"
}

# same NAME: every row of other tenants is what it was
same() {
	others "$TENANT" >"$T/others.after"
	ok "$1" diff "$T/others.before" "$T/others.after"
}

# ---------------------------------------------------------------- all of it

TENANT=2
smaller clinic
others 2 >"$T/others.before"
mine=$(sql clinic 'SELECT count(*) FROM app.patient WHERE practice_id = 2')
nothing=$(all_rows | wc -l)
run probe plan 2
rc_is 0 "an account is planned"
sed '$d' "$T/out" >"$T/document"
is "$(tail -n 1 "$T/out")" "sha256:$(sha256sum <"$T/document" | cut -d ' ' -f 1)" "... its hash is that of the document"
is "$(sed -n 's/^rows: //p; s/^subjects/&/p' "$T/document")" "subjects: $mine
app.appointment delete 900
app.guarantor shared 50
app.invoice retain 399
app.invoice_line retain 798
app.letter delete 199
app.letter_file delete 40
app.message delete 400
app.note delete 1204
app.patient delete 200
app.patient_guarantor delete 75
app.practice tenant 1
app.reminder delete 599
app.staff tenant 5
audit.log_appointment delete 131
audit.log_note delete 241
audit.log_patient delete 54" "... what goes, with what would become of it in an erasure"
out_like '^retained-until-now: app.invoice financial 399$' "... and what an erasure would retain"
out_unlike '^(blocker|foreign)' "... nothing is in the way"
is "$(sql clinic 'SELECT count(*) FROM expunge.key_set')" 0 "... and nothing was kept"
hash=$(tail -n 1 "$T/out")
run probe plan 2
is "$(tail -n 1 "$T/out")" "$hash" "the same plan again"

id=$(file_request clinic 2 210)
approve clinic "$id"
sql clinic "UPDATE expunge.request SET not_before = now() + interval '7 days'"
withdrawn=$(file_request clinic 2 220)
sql -U clinic_app clinic "SELECT expunge_api.withdraw_request('$withdrawn')" >/dev/null
claimed 2
run probe remove "$ID"
rc_is 0 "a claimed account is removed"
out_is 'removed, 5296 rows' "... every row of the plan, and those that its removal made are not counted"
same "... and no row of another tenant was changed, byte for byte"
is "$((nothing - $(all_rows | wc -l)))" 5296 "... no other row went"
is "$(sql clinic "SELECT m.name, t.n_removed, t.n_created FROM expunge.closure_tally t JOIN expunge.mapped_table m ON m.id = t.table_id
	WHERE m.name IN ('app.patient', 'app.invoice', 'app.staff', 'app.practice', 'audit.log_patient') ORDER BY 1")" "app.invoice|399|0
app.patient|200|0
app.practice|1|0
app.staff|5|0
audit.log_patient|54|200" "... counted, and what triggers made apart"
is "$(sql clinic 'SELECT count(*) > 7, sum(n_subjects), sum(n_rows), bool_or(controlled), count(*) FILTER (WHERE is_last) FROM expunge.closure_chunk')" \
	't|200|5296|t|1' "... in chunks"
is "$(sql clinic 'SELECT count(*) FROM (SELECT 1 FROM expunge.key_set k WHERE k.via = 0 AND k.round = 0 GROUP BY k.request_id HAVING count(*) > 1000) x')" 0 \
	"... of no more rows than batch.rows"
is "$(grep -c ' intent ' "$T/clinic/ledger/erasures")" "$((mine + $(sql clinic 'SELECT count(*) FROM expunge.closure_chunk')))" \
	"the ledger has every patient, and in each chunk the account"
run probe remove "$ID"
out_is 'removed, 0 rows' "asked again, there is nothing to do"

run probe recount "$ID"
rc_is 0 "nothing is left"
is "$(sql clinic 'SELECT state, removed_at IS NOT NULL FROM expunge.closure')" 'removed|t' "... and the closure says so"
run probe remove "$ID"
rc_is 5 "a closure that is not claimed is refused"
err_like 'is removed, not claimed' "... and why"

# ---------------------------------------------------------------- its certificate

run probe attest "$ID"
is "$RC $(grep -c 'no certificate before its keys are shredded' "$T/err")" '5 1' "no certificate before the keys are gone"
sql clinic "UPDATE expunge.closure SET state = 'shredded'"
sql clinic "INSERT INTO expunge.closure_approval (closure_id, approved_by, plan_hash) SELECT id, 'ruth', claimed_plan FROM expunge.closure"
run probe attest "$ID"
rc_is 1 "nor without two who approved"
err_like 'approver must be there twice' "... and why"
sql clinic "INSERT INTO expunge.closure_approval (closure_id, approved_by, plan_hash) SELECT id, 'dora', claimed_plan FROM expunge.closure"
sql clinic "INSERT INTO app.message (id, thread, body, ref_type, ref_id) SELECT 99999, 't', 'late', 'patient', k.key[1] FROM expunge.key_set k
	JOIN expunge.mapped_table m ON m.id = k.table_id WHERE m.name = 'app.patient' LIMIT 1"
run probe attest "$ID"
is "$RC $(grep -c 'rows came back between recount and signing: app.message 1$' "$T/err") $(grep -c '^hint: find what writes for this tenant, stop it' "$T/err") $(sql clinic 'SELECT count(*) FROM expunge.certificate')" '1 1 1 0' "nor while a row is there again, and how that is mended"
sql clinic 'DELETE FROM app.message WHERE id = 99999'
run probe attest "$ID"
rc_is 0 "then it is certified"
sql clinic 'SELECT note FROM expunge.certificate' >"$T/note"
is "$(sed -n '/^kind\|^stage\|^outcome\|^controller\|^ground\|^subject-ref/p' "$T/note")" "kind: account-closure
stage: final
outcome: completed
controller: 2
ground: UK-GDPR-28(3)(g)" "... as a closure, of the practice, and of no subject"
is "$(grep -c '^approver: expunge_approver [0-9a-f]*$' "$T/note")" 2 "... with two approvers"
is "$(sed -n 's/^live: //p' "$T/note" | grep -c ' masked 0 retained 0 arrived-later 0 after 0')" 16 "... every table's rows gone"
is "$(sed -n 's/^live: \(app.invoice\|app.practice\) //p; s/^plan: //p' "$T/note")" "$(tail -n 1 "$T/plan")
before 399 removed 399 masked 0 retained 0 arrived-later 0 after 0
before 1 removed 1 masked 0 retained 0 arrived-later 0 after 0" "... also what an erasure retains, by the approved plan"
run expunge_as night certificate verify "$T"/clinic/certificates/*.note
rc_is 0 "... its file verifies"
is "$(sql clinic 'SELECT state, final_at IS NOT NULL FROM expunge.closure')" 'certified|t' "... and the closure says so"
is "$(sql clinic "SELECT id = '$withdrawn', state, subject IS NULL, starts_with(subject_hash, 'hmac:'), reason FROM expunge.request
	WHERE kind <> 'account-closure' ORDER BY 1")" "f|withdrawn|t|t|account closed: $ID
t|withdrawn|t|t|" "... requests of its patients are over, and do not say whose they were"
is "$(sql clinic 'SELECT (SELECT count(*) FROM expunge.key_set), (SELECT count(*) FROM expunge.plan)')" '0|0' "... nor is anything else saved of them"
run probe attest "$ID"
is "$RC $(sql clinic 'SELECT count(*) FROM expunge.certificate')" '5 1' "... and there is no second certificate"

# ---------------------------------------------------------------- whose it is

for tenant in '' '%' '1%' '0' '01' ' 1' "1' OR '1' = '1" '22'; do
	run probe plan "$tenant"
	is "$RC $(grep -c '^blocker: app.practice rows 0 are this tenant$' "$T/out") $(grep -c '^rows:' "$T/out")" '0 1 0' "nobody's name: >$tenant<"
done
claimed 22
all_rows >"$T/before"
run probe remove "$ID"
rc_is 5 "... and a claim in such a name is refused"
all_rows >"$T/after"
ok "... and takes nothing" cmp "$T/before" "$T/after"

# ---------------------------------------------------------------- what stops it, and goes on afterwards

smaller stops
others 2 >"$T/others.before"
claimed 2
sql stops "UPDATE expunge.closure_plan SET document = replace(document, 'subjects: 200', 'subjects: 100')"
run probe remove "$ID"
is "$RC $(grep -c 'its plan is not the one that was approved' "$T/err")" '5 1' "another plan than the approved one is refused"
sql stops "UPDATE expunge.closure_plan SET document = replace(document, 'subjects: 100', 'subjects: 200')"

run env STOP_AFTER=2 "$T/purge_probe" "$CONF" "host=$PGHOST port=$PGPORT dbname=$DB" remove "$ID"
is "$RC ${OUT%%,*}" '0 stopped' "asked to stop, it stops after a chunk"
left=$(sql stops 'SELECT count(*) FROM app.patient WHERE practice_id = 2')
ok "... with patients left" test "$left" -gt 0 -a "$left" -lt 200
same "... and others as they were"

subject=$(sql stops 'SELECT max(id) FROM app.patient WHERE practice_id = 2')
hold=$(sql -U dora stops "SELECT * FROM expunge.place_hold('2', '$subject', 'litigation', 'a claim', current_date + 30)" | cut -d "|" -f 1)
run probe remove "$ID"
is "$RC $(grep -c 'holds are on it' "$T/err") $(sql stops 'SELECT count(*) FROM app.patient WHERE practice_id = 2')" "5 1 $left" \
	"a hold on one of its patients stops the rest"
sql -U dora stops "SELECT expunge.release_hold('$hold')" >/dev/null
sql stops "INSERT INTO expunge.hold (tenant, kind, reason, review_on) VALUES ('1 ', 'complaint', 'misspelt', current_date + 30)"
run probe remove "$ID"
is "$RC $(grep -c 'names no known tenant' "$T/err")" '5 1' "... and so does one that names nobody"
sql stops "UPDATE expunge.hold SET released_at = now(), released_by = 'dora'"
expunge_as oscar freeze on --reason 'a look' >/dev/null
run probe remove "$ID"
is "$RC $(sql stops 'SELECT count(*) FROM app.patient WHERE practice_id = 2')" "5 $left" "... and a freeze"
expunge_as oscar freeze off >/dev/null

as_owner() { sql -U app_owner "$DB" "$1"; }
as_owner 'ALTER TABLE app.staff ADD COLUMN shoe_size integer'
run probe remove "$ID"
is "$RC $(grep -c 'map or schema changed' "$T/err")" '5 1' "... and another schema than the approved one"
as_owner 'ALTER TABLE app.staff DROP COLUMN shoe_size'

# the account's own rows of meanwhile go, too
as_owner "INSERT INTO app.patient (id, practice_id, given_name, family_name, born, created_at) VALUES (9001, 2, 'Late', 'Comer-09001', '1990-01-01', now());
	INSERT INTO app.letter (id, patient_id, scan) VALUES (90001, 9001, 'late')"
run probe remove "$ID"
is "$RC $OUT $(sql stops 'SELECT count(*) FROM app.patient WHERE practice_id = 2')" "0 removed, $(sql stops "SELECT 5298 - sum(n_rows) FROM expunge.closure_chunk
	WHERE removed_at < (SELECT min(placed_at) FROM expunge.hold)") rows 0" "it goes on with what is left, and with what came meanwhile"
same "... and others are as they were"

# somebody writes for a tenant that is gone, in a table without a foreign key
sql stops "INSERT INTO audit.log_note (action, id, appointment_id, body) SELECT 'UPDATE', k.key[1]::bigint, gen_random_uuid(), 'late' FROM expunge.key_set k
	JOIN expunge.mapped_table m ON m.id = k.table_id WHERE m.name = 'app.note' AND k.via = 0 LIMIT 1" \
	"INSERT INTO app.message (id, thread, body, ref_type, ref_id) VALUES (99999, 't', 'late', 'patient', '$subject')"
run probe recount "$ID"
is "$RC $(grep -c 'rows left: app.message 1, audit.log_note 1' "$T/err") $(sql stops 'SELECT state FROM expunge.closure')" '1 1 claimed' "rows that come afterwards are found by what was saved"
run probe remove "$ID"
rc_is 0 "... and taken by the next run"
run probe recount "$ID"
is "$RC $(sql stops "SELECT count(*) FROM app.message WHERE id = 99999") $(sql stops "SELECT count(*) FROM audit.log_note WHERE body = 'late'") $(sql stops 'SELECT state FROM expunge.closure')" \
	'0 0 0 removed' "... and then nothing is left"
is "$(sql stops "SELECT t.n_arrived, t.n_removed - t.n_before FROM expunge.closure_tally t JOIN expunge.mapped_table m ON m.id = t.table_id WHERE m.name = 'app.message'")" \
	'1|1' "... counted apart from what was there before"
same "... and others are as they were"

# ---------------------------------------------------------------- tied to another account

smaller tied
as_owner "UPDATE app.patient SET merged_into = 250 WHERE id = 17"
run probe plan 2
out_like '^foreign: app.patient rows 1 belong to another tenant$' "a patient of another practice who was merged into one of this: in the way"
claimed 2
run probe remove "$ID"
is "$RC $(grep -c 'belong to another tenant: nothing of this chunk was removed' "$T/err")" '5 1' "... and whoever claims all the same is refused"
is "$(sql tied 'SELECT count(*) FROM app.patient WHERE id IN (17, 250)')" 2 "... and both are there"
as_owner 'UPDATE app.patient SET merged_into = NULL WHERE id = 17'
others 2 >"$T/others.before"
run probe remove "$ID"
rc_is 0 "untied, it goes on"
same "... and others are as they were"

done_testing

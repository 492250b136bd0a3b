#!/usr/bin/env bash
# Several workers in one run: the same end as with one, each request once, one bad request alone.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/sessions.bash"
fresh_db clinic
install clinic
sql clinic "INSERT INTO expunge.tenant_login SELECT 'clinic_app', id::text FROM app.practice ON CONFLICT DO NOTHING"

# settings TEXT: those of the batch group
settings() {
	sed -i '/^batch : /d' "$CONF"
	printf 'batch : { %s };\n' "$1" >>"$CONF"
	sed -i 's/subjects_per_run = .*/subjects_per_run = 500;/; s/tenant_share_percent = .*/tenant_share_percent = 100;/' "$CONF"
}

# prepare FROM TO: requests for these patients, planned and approved
prepare() {
	sql -U clinic_app clinic "SELECT count(expunge_api.request_erasure(practice_id::text, id::text, '17-1-b', 'portal', NULL, now(), NULL))
		FROM (VALUES ($1, $2)) x(a, b), LATERAL expunge_test.patients(a, b)" >/dev/null
	sql -U oscar clinic "SELECT count(expunge.identify_request(id)) FROM expunge.request WHERE state = 'received'" >/dev/null
	expunge_as night nightly 2>/dev/null
	sql -U ruth clinic "SELECT count(expunge.decide_request(r.id, 'accept', NULL, p.hash))
		FROM expunge.request r JOIN expunge.plan p ON p.request_id = r.id WHERE r.state = 'identified'" >/dev/null
}
# the application may not read patients through SQL here: a function of the owner lists them
sql clinic 'CREATE SCHEMA expunge_test' "CREATE FUNCTION expunge_test.patients(a bigint, b bigint)
	RETURNS TABLE (id bigint, practice_id integer) LANGUAGE sql SECURITY DEFINER AS
	'SELECT p.id, p.practice_id::integer FROM app.patient p WHERE p.id BETWEEN a AND b AND p.merged_into IS NULL'" \
	'GRANT USAGE ON SCHEMA expunge_test TO PUBLIC'

# whole NAME: every request ended once, and what certificates say of serials holds
whole() {
	is "$(sql clinic "SELECT count(*) FILTER (WHERE state <> 'certified') FROM expunge.request")" "${2:-0}" "$1: every request is certified"
	is "$(sql clinic "SELECT count(*) = count(DISTINCT request_id) AND max(serial) = count(*) AND min(serial) = 1
		AND count(*) = (SELECT last FROM expunge.certificate_counter) FROM expunge.certificate")" t "$1: serials have no gap, no request two"
	is "$(sql clinic 'SELECT count(*) FROM expunge.certificate WHERE published_at IS NULL')" 0 "$1: all are written to files"
	is "$(find "$T/clinic/certificates" -name '*.note' | wc -l)" "$(sql clinic 'SELECT count(*) FROM expunge.certificate')" "$1: a file each"
	is "$(sql clinic 'SELECT (SELECT count(*) FROM expunge.control_set)')" 0 "$1: no control sample is left"
	run expunge_as night check
	out_like '^ok  *ledger: .* an unbroken chain' "$1: the ledger's chain holds"
}

settings 'subjects = 2; workers = 4;'
prepare 100 139
before=$(sql clinic 'SELECT count(*) FROM app.patient')
n=$(sql clinic 'SELECT count(*) FROM expunge.request')
ok "there is work for four" [ "$n" -ge 30 ]
run expunge_as night erase
rc_is 0 "four workers erase"
err_like "requests certified: $n," "and count together"
is "$(sql clinic 'SELECT count(*) FROM app.patient')" "$((before - n))" "as many patients went"
whole "four workers"

# one patient's row is held by the application: that request alone waits for another night
prepare 200 229
sed -i 's/conninfo = .*/&\n  lock_timeout_ms = 200;/' "$CONF"
session app clinic
say app 'BEGIN; SELECT 1 FROM app.patient WHERE id = 215 FOR UPDATE'
run expunge_as night erase
rc_is 3 "a locked row is told"
is "$(sql clinic "SELECT string_agg(subject, ',') FROM expunge.request WHERE state = 'failed'")" 215 "and keeps one request only"
say app 'ROLLBACK'
session_end app
run expunge_as night erase
rc_is 0 "the next run takes it, and certifies those that waited for that session"
whole "after a failure"

# slowly: one worker, small steps, the same end
prepare 300 309
settings 'subjects = 100; workers = 4; rows_per_second = 400;'
from=$(sql clinic 'SELECT max(number) FROM expunge.run')
run expunge_as night erase
rc_is 0 "a throttled run"
whole "throttled"
ok "was made of several transactions" holds clinic "count(DISTINCT removed_xid) > 2 FROM expunge.request WHERE subject_hash IS NOT NULL
	AND certified_at >= (SELECT min(started_at) FROM expunge.run WHERE number > $from)"

done_testing

#!/usr/bin/env bash
# An account whose rows leave the live database before its purge: sealed, compared, taken out; back byte for byte when the practice
# comes back; and purged from its archive when it does not.
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
stores = ( { name = "physical backups"; kind = "physical-backup"; retention_days = 35; } );
batch : { subjects = 30; rows = 1000; };
CONF
expunge_as postgres init 2>"$T/init.log"
sql clinic "ALTER DATABASE clinic OWNER TO app_owner" # who may vacuum the table of large objects then
rw="SET default_transaction_read_only = off"
at_any_hour
state() { sql clinic "SELECT state FROM expunge.closure WHERE tenant = '$1' ORDER BY filed_at DESC, not_before DESC LIMIT 1"; }
phase() { sql clinic "SELECT d.phase FROM expunge.dormancy d WHERE d.tenant = '$1' ORDER BY d.begun_at DESC LIMIT 1"; }
# everything NAME: every row of the application and every large object, sorted
everything() {
	all_rows >"$1"
	sql clinic "SELECT 'object ' || m.oid || ' ' || pg_get_userbyid(m.lomowner) || ' ' || md5(lo_get(m.oid)) FROM pg_largeobject_metadata m ORDER BY m.oid" >>"$1"
}
same() { # same NAME: as before
	everything "$T/now"
	ok "$1" cmp "$T/before" "$T/now"
}
night() { run expunge_as night nightly; }
n_rows() { all_rows | wc -l; }

run expunge_as night backup
rc_is 0 "there are backups"
everything "$T/before"
others 2 >"$T/others.before"
total=$(n_rows)

# ---------------------------------------------------------------- out, and back
cancel 2
is "$(sql clinic "SELECT complete_on - seal_on FROM expunge.closure WHERE tenant = '2'")" 35 "the day by which it leaves is reckoned"
run expunge_as oscar account list
out_like "$(sql clinic "SELECT seal_on FROM expunge.closure WHERE tenant = '2'")" "... and shown"
age 2 16
night
is "$(phase 2)|$(patients 2)" "|200" "before that day nothing leaves"
age 2 1
night
rc_is 0 "on that day a night"
is "$(phase 2)|$(state 2)" "dormant|cooling-off" "... makes it dormant"
is "$(n_rows)" "$((total - 5296))" "... all of its rows have left the live database"
is "$(patients 2)|$(sql clinic "SELECT count(*) FROM app.practice WHERE id = 2")" "0|0" "... the practice itself, too"
others 2 >"$T/others.now"
ok "... and none of another tenant's is otherwise than it was" cmp "$T/others.before" "$T/others.now"
is "$(sql clinic 'SELECT count(*) FROM expunge.key_set')" 0 "... nor is a key of its rows kept"
is "$(sql clinic "SELECT kind, state, cardinality(destinations), needs, a.n_rows >= d.n_rows FROM expunge.archive a JOIN expunge.dormancy_archive y ON y.archive_id = a.id JOIN expunge.dormancy d USING (closure_id)")" \
	"dormant|complete|2|{}|t" "its rows are in one whole archive, in both places"
run expunge_as oscar account list
out_like 'dormant' "account list says so"
night
rc_is 0 "nights after that"
is "$(phase 2)" dormant "... leave it alone"
run expunge_as night backup
rc_is 0 "backups go on without it"
run expunge_as night backup --verify
rc_is 0 "its archive is verified"
err_like "tenant 2: archive $(sql clinic 'SELECT substr(archive_id, 1, 16) FROM expunge.dormancy_archive')" "... in each place"
run expunge_as night drill
rc_is 0 "drills go on"
sql clinic "$rw" "ALTER TABLE app.patient ALTER COLUMN phone TYPE character(80)"
run expunge_as oscar account reactivate 2 --reason "they are back"
rc_is 3 "a column that writes rows otherwise than they were"
err_like 'app.patient: 200 rows were loaded, and 200 are there that are not all the same: nothing was loaded' "... is found before the COMMIT"
is "$(phase 2)|$(patients 2)" "waking|0" "... and nothing is loaded"
sql clinic "$rw" "ALTER TABLE app.patient ALTER COLUMN phone TYPE text USING rtrim(phone)"
run expunge_as oscar account reactivate 2 --reason "they are back"
rc_is 0 "the practice comes back"
out_like '^5296 rows are loaded' "... and so do its rows, at once"
is "$(phase 2)|$(state 2)" "awake|reactivated" "... it is active"
same "every row and every large object is byte for byte what it was"
is "$(sql clinic "$rw" "SET ROLE app_owner" "INSERT INTO app.patient (practice_id, given_name, family_name, born) VALUES (2, 'N', 'N', '2000-01-01') RETURNING id > (SELECT max(id) FROM app.patient)")" t \
	"what comes after it gets numbers of its own"
sql clinic "$rw" "DELETE FROM app.patient WHERE given_name = 'N' AND family_name = 'N'" "DELETE FROM audit.log_patient WHERE family_name = 'N'" >/dev/null
everything "$T/before"
run expunge_as night backup
rc_is 0 "... and is backed up again"
night
rc_is 0 "... and the night after is quiet"


# ---------------------------------------------------------------- written to between seal and removal
sql clinic "$rw" "CREATE FUNCTION public.meddle() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS \$\$ BEGIN
	IF (SELECT count(*) FROM expunge.dormancy_archive y WHERE y.closure_id = NEW.closure_id) <= 1 THEN
		UPDATE app.patient SET given_name = 'Meanwhile' WHERE id = (SELECT max(id) FROM app.patient WHERE practice_id = 2);
	END IF; RETURN NEW; END \$\$" \
	"CREATE TRIGGER meddle AFTER INSERT ON expunge.dormancy_archive FOR EACH ROW EXECUTE FUNCTION public.meddle()"
cancel 2
age 2 17
night
rc_is 0 "a patient that is written to while its account is sealed"
is "$(phase 2)|$(patients 2)" "dormant|0" "... does not keep it from being dormant"
is "$(sql clinic "SELECT count(*), count(*) FILTER (WHERE given_up), (SELECT count(DISTINCT archive_id) FROM expunge.dormancy_chunk k WHERE k.closure_id = y.closure_id)
	FROM expunge.dormancy_archive y WHERE closure_id = (SELECT closure_id FROM expunge.dormancy WHERE phase = 'dormant') GROUP BY y.closure_id")" "2|0|2" "... it is in two archives"
sql clinic "$rw" "DROP TRIGGER meddle ON expunge.dormancy_archive"
run expunge_as oscar account reactivate 2 --reason "they are back"
rc_is 0 "... and comes back from both"
is "$(sql clinic "SELECT count(*) FROM app.patient WHERE given_name = 'Meanwhile'")" 1 "... as it was written last"
is "$(n_rows)" "$((total + 1))" "... with every row once, and the one that its writing logged"
everything "$T/before"

# ---------------------------------------------------------------- half out
sql clinic "$rw" "CREATE FUNCTION public.stumble() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN
	IF (SELECT count(*) FROM expunge.dormancy_chunk k WHERE k.closure_id = NEW.closure_id) > 3 THEN RAISE 'no more today'; END IF; RETURN NEW; END \$\$" \
	"CREATE TRIGGER stumble AFTER INSERT ON expunge.dormancy_chunk FOR EACH ROW EXECUTE FUNCTION public.stumble()"
cancel 2
age 2 17
night
rc_is 3 "a removal that breaks off"
is "$(phase 2)|$(state 2)|$(($(patients 2) > 0 && $(patients 2) < 200))" "sealed|cooling-off|1" "... leaves the account half out"
run expunge_as oscar account show 2
out_like 'an exception was raised' "... and says why"
is "$(sql clinic "SELECT o.code FROM expunge.closure c, expunge.closure_obstacles(c.id) o WHERE c.tenant = '2' AND c.state = 'cooling-off' AND o.code = 'EX530'")" EX530 "... as it is, it is not purged"
run expunge_as oscar account reactivate 2 --reason "they are back"
rc_is 0 "... it can come back"
is "$(phase 2)" awake "... and does"
same "... byte for byte"
cancel 2
age 2 17
night
sql clinic "$rw" "DROP TRIGGER stumble ON expunge.dormancy_chunk"
night
rc_is 0 "the next night goes on where one broke off"
is "$(phase 2)|$(patients 2)" "dormant|0" "... to the end"
is "$(sql clinic "SELECT count(DISTINCT k.archive_id) FROM expunge.dormancy_chunk k JOIN expunge.dormancy d USING (closure_id) WHERE d.phase = 'dormant'")" 2 "... with what was left in an archive of its own"

# ---------------------------------------------------------------- archives that are not whole
path() { printf '%s/clinic/%s/archives/%s/%s.archive' "$T" "$1" "$(sql clinic 'SELECT id FROM expunge.instance')" "$2"; }
readarray -t archives < <(sql clinic "SELECT y.archive_id FROM expunge.dormancy_archive y JOIN expunge.dormancy d USING (closure_id) WHERE d.phase = 'dormant' ORDER BY y.sealed_at")
damage() { printf 'x' | dd of="$1" bs=1 seek=5000 conv=notrunc status=none; }
for place in here there; do cp "$(path $place "${archives[0]}")" "$T/$place.good"; done
chmod u+w "$(path here "${archives[0]}")" "$(path there "${archives[0]}")"
damage "$(path here "${archives[0]}")"
damage "$(path there "${archives[0]}")"
sql -U clinic_app clinic "$rw" "SELECT expunge_api.reactivate_subscription('2')" >/dev/null
is "$(phase 2)|$(state 2)" "waking|reactivated" "the application takes it back: its rows are to be loaded"
run expunge_as watch status
rc_is 3 "... status is red"
out_like '1 accounts that came back and whose rows are not loaded yet' "... and says so"
run expunge_as night lifecycle
rc_is 3 "no whole copy of one of its archives"
err_like 'no destination has a whole copy' "... is told"
is "$(phase 2)|$(n_rows)" "waking|$((total + 1 - 5297))" "... and nothing is loaded"
run expunge_as oscar account show 2
out_like 'no destination has a whole copy' "... account show says so, too"
cp "$T/there.good" "$(path there "${archives[0]}")"
cancel 2
run expunge_as night lifecycle
rc_is 0 "with one whole copy"
is "$(phase 2)" awake "... it is loaded"
same "... byte for byte"
cp "$T/here.good" "$(path here "${archives[0]}")"

# ---------------------------------------------------------------- what keeps it as it is
age 2 17
hold=$(expunge_as dora hold place --tenant 2 --kind complaint --reason "a letter" --review "$(date -d '+30 days' +%F)" | head -n 1)
night
rc_is 0 "a hold is no failure"
is "$(sql clinic "SELECT count(*) FROM expunge.dormancy WHERE phase <> 'awake'")|$(patients 2)" "0|200" "... and nothing leaves"
expunge_as dora hold release "$hold" >/dev/null
expunge_as oscar freeze on --reason "a drill" >/dev/null
night
rc_is 5 "a freeze"
is "$(patients 2)" 200 "... keeps it, too"
expunge_as oscar freeze off >/dev/null
sed -i 's/rows_per_run = 500000/rows_per_run = 5000/' "$CONF"
night
is "$(patients 2)" 200 "a cap keeps it"
rc_is 5 "... and is told"
sed -i 's/rows_per_run = 5000/rows_per_run = 500000/' "$CONF"
mv "$T/clinic/there" "$T/clinic/away"
night
rc_is 3 "a destination that is away"
is "$(patients 2)" 200 "... keeps it"
err_like 'its archive is not in every destination' "... with the reason"
mv "$T/clinic/away" "$T/clinic/there"
id=$(file_request clinic 2 210)
approve clinic "$id"
expunge_as night nightly 2>/dev/null
is "$(phase 2)|$(request_state clinic "$id")" "dormant|blocked" "an approved erasure of one of its patients waits while it is dormant"
run expunge_as oscar request show "$id"
out_like 'account is dormant: its rows are sealed, and go with its purge' "... and says what to do"
readarray -t archives < <(sql clinic "SELECT y.archive_id FROM expunge.dormancy_archive y JOIN expunge.dormancy d USING (closure_id) WHERE d.phase = 'dormant' AND NOT y.given_up")

# ---------------------------------------------------------------- nothing expires it
sed -i 's/^\(  key = ".*archives.pem";\)$/\1\n  keep_hourly = 1;/' "$CONF"
for _ in 1 2; do expunge_as night backup 2>/dev/null; done
sql clinic "$rw" "UPDATE expunge.archive SET created_at = created_at - interval '400 days' WHERE id = '${archives[0]}'"
run expunge_as night backup --expire
rc_is 0 "old archives expire"
is "$(sql clinic "SELECT count(*) FROM expunge.archive a JOIN expunge.key_leaf l ON l.id = a.generation AND l.shredded_epoch IS NULL WHERE a.state = 'complete' AND a.id = '${archives[0]}'")" 1 \
	"no schedule expires the archive of a dormant account"
is "$(sql clinic "SELECT count(*) FROM expunge.archive a JOIN (SELECT archive_id FROM expunge.dormancy_archive ORDER BY sealed_at LIMIT 1) y ON y.archive_id = a.id WHERE a.state = 'complete'")" 0 \
	"... one whose rows are live again, and in a later backup, goes"
is "$(sql clinic "SELECT count(*) FROM expunge.archive a JOIN expunge.dormancy_archive y ON y.archive_id = a.id WHERE a.state = 'complete' AND y.given_up
	AND NOT EXISTS (SELECT FROM expunge.dormancy_chunk k WHERE k.archive_id = a.id)")" 0 "... and one that nothing left into"

# ---------------------------------------------------------------- the purge of what is sealed
age 2 29
sql clinic "$rw" "UPDATE expunge.closure SET filed_at = filed_at - interval '1 year' WHERE state = 'reactivated'" # they were before this one
night
run expunge_as ruth account show 2
out_like "^sealed: ${archives[0]} " "its plan names the archives"
out_like '^rows: app.patient delete 200$' "... and what is in them"
plan=$(sql clinic "SELECT hash FROM expunge.closure_plan p JOIN expunge.closure c ON c.id = p.closure_id WHERE c.tenant = '2' AND c.state IN ('cooling-off', 'due')")
for person in ruth rob; do expunge_as $person account approve 2 --plan "$plan" >/dev/null; done
cp "$(path here "${archives[0]}")" "$T/kept.archive"
expunge_as night drill >/dev/null 2>&1
night
rc_is 0 "the purge of a dormant account"
is "$(state 2)" certified "... is certified"
is "$(sql clinic "SELECT t.n_removed FROM expunge.closure_tally t JOIN expunge.mapped_table m ON m.id = t.table_id JOIN expunge.closure c ON c.id = t.closure_id WHERE c.state = 'certified' AND m.name = 'app.patient'")" 200 \
	"... and counts what was in its archive"
is "$(sql clinic "SELECT count(*) FROM expunge.key_leaf WHERE tenant = '2' AND shredded_epoch IS NULL")" 0 "no key of it is left"
sql postgres "CREATE DATABASE target TEMPLATE sample_template"
run expunge_as night restore --tenant 2 --generation "${archives[0]}" --into "host=$PGHOST port=$PGPORT dbname=target user=postgres"
rc_is 1 "its archive does not open any more"
run expunge_as oscar account reactivate 2 --reason "too late"
rc_is 1 "nothing brings it back"
others 2 >"$T/others.now"
ok "nobody else's rows are otherwise than they were" cmp "$T/others.before" "$T/others.now"

done_testing

#!/usr/bin/env bash
# Backups: every row of a tenant is in its archive, once for each patient who owns it, and opens for nobody else; a shredded
# patient is in none, old or new; places that are full, missing or come back; runs that are killed, or meet each other.
. "$(dirname "$0")/../lib.sh"
. "$ROOT/tests/integration/sessions.bash"
build_probe archive_probe

fresh_db clinic
install clinic
with_keys 2>/dev/null
sed -i 's/^archives : {/&\n  reuse_days = 0;/' "$CONF" # each archive by itself; 63-incremental.sh has the others
MARKER=Quillfeather-Backup
sql clinic "UPDATE app.appointment SET reason = '$MARKER' WHERE patient_id IN (42, 43, 251)" \
	"UPDATE app.note SET body = E'a tab\t, a line\nend and a \\\\ \\\\N, $MARKER' WHERE id % 7 = 0" \
	"INSERT INTO app.patient_guarantor SELECT 44, guarantor_id FROM app.patient_guarantor WHERE patient_id = 42" \
	"SELECT lo_put(scan, 0, convert_to(repeat('$MARKER', 40000), 'UTF8')) FROM app.invoice WHERE patient_id = 42 AND scan IS NOT NULL" \
	"SELECT lo_from_bytea(66666, convert_to(repeat('kept', 90000), 'UTF8'))" "ALTER LARGE OBJECT 66666 OWNER TO app_owner" \
	"INSERT INTO app.invoice (id, total, scan) VALUES ('kept-1', 10, 66666)" \
	"INSERT INTO app.invoice_line SELECT 'kept-1', 1, code, 10 FROM app.code LIMIT 1" \
	"INSERT INTO app.guarantor (practice_id, name) VALUES (2, 'of nobody yet')" \
	"INSERT INTO audit.log_patient (action, id, practice_id, given_name) VALUES ('DELETE', 4711, 1, 'long gone')" >/dev/null

backup() { run expunge_as night backup "$@"; }
archives() { (cd "$T/clinic/$1/archives" 2>/dev/null && find . -name '*.archive' | sed 's|.*/||' | sort); }
hidden() { find "$T/clinic/here" "$T/clinic/there" -name '.*' -type f; }
# latest TENANT: the file of its newest archive
latest() { printf '%s/%s.archive' "$(dirname "$(find "$T/clinic/here/archives" -name '*.archive' | head -n 1)")" \
	"$(sql clinic "SELECT id FROM expunge.archive WHERE tenant = '$1' ORDER BY created_at DESC, finished_at DESC LIMIT 1")"; }
# opened TENANT FILE: "table leaf row" a line
opened() { "$T/archive_probe" "$CONF" "host=$PGHOST port=$PGPORT dbname=clinic" "$1" "$2" 2>"$T/withheld" | LC_ALL=C sort; }

# owned TENANT TABLE OWNER [JOIN [KIND]]: the same from the database, by what schema.sql says and without the data map
owned() {
	local columns
	columns=$(sql clinic "SELECT string_agg('t.' || quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
		WHERE attrelid = '$2'::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''")
	printf "COPY (SELECT '%s', l.id, %s FROM %s t %s JOIN expunge.key_leaf l ON l.tenant = '%s' AND l.kind = '%s' AND l.name = (%s)::text) TO STDOUT;\n" \
		"$2" "$columns" "$2" "${4:-}" "$1" "${5:-subject}" "$3"
}

expected() {
	{
		printf "SET timezone = 'UTC'; SET datestyle = 'ISO, YMD';\n"
		owned "$1" app.practice t.id '' tenant
		owned "$1" app.staff t.practice_id '' tenant
		owned "$1" app.patient t.id
		owned "$1" audit.log_patient t.id
		for table in app.appointment audit.log_appointment app.letter app.letter_file app.reminder app.invoice app.patient_guarantor; do
			owned "$1" "$table" t.patient_id
		done
		owned "$1" app.note a.patient_id 'JOIN app.appointment a ON a.id = t.appointment_id'
		owned "$1" audit.log_note a.patient_id 'JOIN app.appointment a ON a.id = t.appointment_id'
		owned "$1" app.invoice_line i.patient_id 'JOIN app.invoice i ON i.id = t.invoice_id'
		owned "$1" app.guarantor g.patient_id 'JOIN app.patient_guarantor g ON g.guarantor_id = t.id'
		owned "$1" app.message p.id "JOIN app.patient p ON t.ref_type = 'patient' AND t.ref_id = p.id::text"
		printf "COPY (SELECT 'pg_catalog.pg_largeobject', l.id, o.oid, n * 262144, lo_get(o.oid, n * 262144, 262144)
			FROM (SELECT patient_id, content FROM app.letter_file UNION SELECT patient_id, scan FROM app.invoice) o (patient, oid)
			JOIN expunge.key_leaf l ON l.tenant = '%s' AND l.kind = 'subject' AND l.name = o.patient::text
			CROSS JOIN generate_series(0, 9) n WHERE o.oid IS NOT NULL AND (n = 0 OR length(lo_get(o.oid, n * 262144, 1)) > 0)) TO STDOUT;\n" "$1"
	} >"$T/expected.sql"
	psql -XAtq -v ON_ERROR_STOP=1 -d clinic -f "$T/expected.sql" | LC_ALL=C sort
}

# of_nobody: what belongs to no patient, with large objects
of_nobody() {
	local nobody="'@nobody' END"
	{
		printf "SET timezone = 'UTC'; SET datestyle = 'ISO, YMD';\n"
		owned @nobody app.message "CASE WHEN t.ref_type <> 'patient' THEN $nobody" '' tenant
		owned @nobody app.invoice "CASE WHEN t.patient_id IS NULL THEN $nobody" '' tenant
		owned @nobody app.invoice_line "CASE WHEN i.patient_id IS NULL THEN $nobody" 'JOIN app.invoice i ON i.id = t.invoice_id' tenant
		owned @nobody app.guarantor "CASE WHEN g.patient_id IS NULL THEN $nobody" \
			'LEFT JOIN app.patient_guarantor g ON g.guarantor_id = t.id' tenant
		owned @nobody audit.log_patient "CASE WHEN p.id IS NULL THEN $nobody" 'LEFT JOIN app.patient p ON p.id = t.id' tenant
		printf "COPY (SELECT 'pg_catalog.pg_largeobject', l.id, t.scan, n * 262144, lo_get(t.scan, n * 262144, 262144) FROM app.invoice t
			JOIN expunge.key_leaf l ON l.tenant = '@nobody' AND l.kind = 'tenant' CROSS JOIN generate_series(0, 1) n
			WHERE t.id = 'kept-1') TO STDOUT;\n"
	} >"$T/expected.sql"
	psql -XAtq -v ON_ERROR_STOP=1 -d clinic -f "$T/expected.sql" | LC_ALL=C sort
}

# ---------------------------------------------------------------------------- what is in it
backup --dry-run
rc_is 0 "a dry run"
out_like 'would seal tenant 1, 200 subjects' "says what would be sealed"
is "$(archives here)$(sql clinic 'SELECT count(*) FROM expunge.archive')" 0 "and seals nothing"
backup
rc_is 0 "a backup of all tenants"
err_unlike warning "with nothing to warn of"
is "$(archives here | wc -l)" 4 "makes one archive a tenant, and one of what belongs to nobody"
is "$(archives here)" "$(archives there)" "in each place"
is "$(hidden)" "" "and nothing else"
for tenant in 1 2 3; do
	opened "$tenant" "$(latest "$tenant")" >"$T/archive"
	expected "$tenant" >"$T/database"
	is "$(diff "$T/database" "$T/archive" | head -n 5)" "" "tenant $tenant: every row, once for each of its owners, byte for byte"
	is "$(wc -l <"$T/archive")" "$(sql clinic "SELECT n_rows FROM expunge.archive WHERE tenant = '$tenant'")" "... as many as the catalogue says"
done
is "$(cut -f 1 "$T/archive" | sort -u | wc -l)" 17 "of every table but the reference list"
opened @nobody "$(latest @nobody)" >"$T/archive"
of_nobody >"$T/database"
is "$(diff "$T/database" "$T/archive" | cut -c 1-100 | head -n 5)" "" "and every row of nobody, in an archive of their own"
is "$(cut -f 1 "$T/archive" | uniq -c | awk '{ print $2, $1 }' | paste -sd ' ')" \
	"app.guarantor 1 app.invoice 1 app.invoice_line 1 app.message 72 audit.log_patient 1 pg_catalog.pg_largeobject 2" "messages of a desk, and what outlived its patient"
has_marker=$(opened 1 "$(latest 1)" | grep -c "$MARKER" || true)
nok "what was written into rows is in the archive" test "$has_marker" = 0
is "$(grep -rlaF -e "$MARKER" -e "$(printf %s "$MARKER" | od -An -v -tx1 | tr -d ' \n')" "$T/clinic" || true)" "" "and in no file as clear text"
is "$(grep -rlaF -e "Wychwood" "$T/clinic/here" || true)" "" "nor is the practice's name"
backup --verify
rc_is 0 "all of it is read again"
out_is "8 good, 0 bad" "from both places"
run expunge_as oscar backup list --tenant 1 --json
is "$(jq -r '.[] | .tenant, .state, .n_withheld, .destinations' <<<"$OUT" | paste -sd ' ')" "1 complete 0 here there" "an operator sees which there are"
nok "with merged duplicates each under its own leaf" test -z "$(sql clinic "SELECT 1 FROM expunge.key_leaf WHERE tenant = '1' AND name = '50'")"

# more rows than wait in memory, and a row that is larger than that
sql clinic "SELECT setseed(0.5)" "CREATE FUNCTION pg_temp.noise(n int) RETURNS bytea LANGUAGE sql AS
		'SELECT string_agg(sha512(random()::text::bytea), NULL) FROM generate_series(1, n / 64)'" \
	"UPDATE app.letter SET scan = pg_temp.noise(18000000) WHERE patient_id = 45" \
	"SELECT lo_from_bytea(77777, pg_temp.noise(41000000))" "ALTER LARGE OBJECT 77777 OWNER TO app_owner" \
	"INSERT INTO app.letter_file (patient_id, content) VALUES (46, 77777), (47, 77777)" >/dev/null
backup --tenant 1
rc_is 0 "large rows and large objects"
opened 1 "$(latest 1)" >"$T/archive"
is "$(expected 1 | grep -v '77777' | md5sum)" "$(grep -v '77777' "$T/archive" | md5sum)" "are there, too"
is "$(awk -F '\t' '$1 ~ /largeobject/ && $3 == 77777 { print $2 }' "$T/archive" | uniq -c | awk '{ print $1 }' | paste -sd ' ')" "157 157" "in all their pieces, for each who owns them"
is "$(awk -F '\t' '$1 ~ /largeobject/ && $3 == 77777' "$T/archive" | sort -t "$(printf '\t')" -k 2,2n -k 4,4n | cut -f 5 | sed 's/^.*x//' | tr -d '\n' | cut -c 1-82000000 | md5sum)" \
	"$(sql clinic "SELECT encode(lo_get(77777), 'hex')" | tr -d '\n' | cut -c 1-82000000 | md5sum)" "byte for byte"
sql clinic "DELETE FROM app.letter_file WHERE content = 77777" "SELECT lo_unlink(77777)" "UPDATE app.letter SET scan = 'x' WHERE patient_id = 45" >/dev/null

leaves=$(sql clinic "SELECT count(*) FROM expunge.key_leaf WHERE kind = 'subject'")
backup --tenant 1
rc_is 0 "another backup of one tenant"
is "$(archives here | wc -l)/$(sql clinic "SELECT count(*) FROM expunge.key_leaf WHERE kind = 'subject'")" "6/$leaves" "makes one archive, and no new leaf for anybody"
backup --tenant 9
rc_is 1 "of a tenant that there is not"
expunge_as oscar freeze on --reason 'a look' >/dev/null
backup --tenant 3
rc_is 0 "a freeze stops no backup"
expunge_as oscar freeze off >/dev/null

# ---------------------------------------------------------------------------- a patient who is shredded
old=$(latest 1)
sum=$(md5sum <"$old")
opened 1 "$old" >"$T/before"
leaf=$(sql clinic "SELECT id FROM expunge.key_leaf WHERE tenant = '1' AND kind = 'subject' AND name = '43'")
comes_back=$(sql clinic "SELECT format('INSERT INTO app.patient (id, practice_id, given_name, family_name, born) VALUES (%s, %s, %L, %L, %L)',
	id, practice_id, given_name, family_name, born) FROM app.patient WHERE id = 43")
scheduled clinic 1 43 >/dev/null
run expunge_as night nightly
rc_is 0 "a patient is erased"
opened 1 "$old" >"$T/after"
is "$(diff <(awk -v leaf="$leaf" -F '\t' '$2 != leaf' "$T/before") "$T/after")" "" "the archive made before gives all rows but his"
is "$(cat "$T/withheld")" "$(wc -l <"$T/after") rows, $(awk -v leaf="$leaf" -F '\t' '$2 == leaf' "$T/before" | wc -l) withheld" "and says how many it withholds"
is "$(md5sum <"$old")" "$sum" "although no byte of it has changed"
backup --verify
out_like '^[0-9]+ good, 0 bad$' "it is as good as it was"
# a restore of something older brings his row back
sql clinic "$comes_back"
backup --tenant 1
rc_is 0 "a patient who is back without a leaf"
err_like '1 withheld' "is withheld"
is "$(opened 1 "$(latest 1)" | grep -c '^app.patient	')" 199 "and is not in the archive, where all others are"
sql clinic "DELETE FROM app.patient WHERE id = 43" "TRUNCATE audit.log_patient"

# ---------------------------------------------------------------------------- places
count=$(archives here | wc -l)
mv "$T/clinic/there" "$T/away"
backup
rc_is 3 "a place that is not there"
err_like 'destination there: ' "is named"
is "$(archives here | wc -l)" $((count + 4)) "the other has its archives"
is "$(sql clinic "SELECT destinations FROM expunge.archive ORDER BY created_at DESC, finished_at DESC LIMIT 1")" "{here}" "and the catalogue says so"
mkdir "$T/clinic/there"
: >"$T/clinic/there/archives"
backup --tenant 2
rc_is 3 "a file where the directory should be"
mv "$T/clinic/here" "$T/away2"
backup --tenant 2
rc_is 3 "no place at all"
err_like 'none of 2 destinations is left' "is an error of that tenant"
is "$(sql clinic "SELECT count(*) FROM expunge.archive")/$(sql clinic "SELECT count(*) FROM expunge.archive WHERE state <> 'complete'")" "$((count + 5))/0" \
	"of which nothing stands in the catalogue"
rm -r "$T/clinic/there"
mv "$T/away" "$T/clinic/there"
mv "$T/away2" "$T/clinic/here"
instance=$(basename "$(dirname "$(latest 1)")")
mv "$T/clinic/there/archives/$instance" "$T/aside"
ln -s "$T/aside" "$T/clinic/there/archives/$instance"
backup --tenant 2
rc_is 3 "a symbolic link where the directory should be"
rm "$T/clinic/there/archives/$instance"
mv "$T/aside" "$T/clinic/there/archives/$instance"

# the write-ahead rule: without the journal of its keys beside it, an archive has no name in that place
names=$(archives there)
mv "$T/clinic/there/keys" "$T/aside"
: >"$T/clinic/there/keys"
backup --tenant 2
rc_is 3 "a place whose key journal cannot be written"
is "$(archives there)" "$names" "gets no archive"
is "$(archives here)" "$(sql clinic "SELECT id || '.archive' FROM expunge.archive WHERE 'here' = ANY (destinations)" | LC_ALL=C sort)" "the other does"
rm "$T/clinic/there/keys"
mv "$T/aside" "$T/clinic/there/keys"

# a small file system in its place, which nobody else sees
# shellcheck disable=SC2016 # the inner shell's
small() { # small DIRECTORY COMMAND...: prints what is left in it
	unshare --mount bash -c 'mount -t tmpfs -o size=128k,mode=0700 tmpfs "$1" || exit 99
		rc=0; "${@:2}" || rc=$?; find "$1" -type f; exit "$rc"' small "$@"
}
if small "$T/clinic/there/archives/$instance" true 2>/dev/null; then
	run small "$T/clinic/there/archives/$instance" "$EXPUNGE" -c "$CONF" -U night backup --tenant 2
	rc_is 3 "a disk that is full"
	err_like 'destination there: .*No space left' "is named"
	out_is "" "and nothing is left on it"
	is "$(sql clinic "SELECT destinations FROM expunge.archive ORDER BY finished_at DESC LIMIT 1")" "{here}" "nor in the catalogue"
else
	skip "a disk that is full" "no file system can be mounted here"
fi
backup --verify
rc_is 0 "all that the catalogue names is whole"

# a damaged copy
file=$T/clinic/there/archives/$instance/$(basename "$old")
"$ROOT/tests/alter.sh" "$file" 5000
backup --verify
rc_is 3 "a copy that was altered"
err_like "archive $(basename "$old" | cut -c1-16) in there: .*altered" "is named"
out_like ' 1 bad(,|$)' "and is the only one"
cp "$old" "$file"

# ---------------------------------------------------------------------------- killed while it gave names
id=$(basename "$(latest 2)" .archive)
naming() { sql clinic "UPDATE expunge.archive SET state = 'naming', finished_at = NULL, destinations = '{here,there}' WHERE id = '$id'"; }
settled() { sql clinic "SELECT state || ' ' || array_to_string(destinations, ' ') FROM expunge.archive WHERE id = '$id'"; }
cp "$T/clinic/here/archives/$instance/$id.archive" "$T/clinic/there/archives/$instance/"
naming
mv "$T/clinic/there" "$T/away"
backup --tenant 2
is "$(settled)" "naming here there" "while a place cannot be looked at, nothing is settled"
mv "$T/away" "$T/clinic/there"
backup --tenant 2
is "$(settled)" "complete here there" "named everywhere: it is complete"
naming
rm "$T/clinic/there/archives/$instance/$id.archive"
backup --tenant 2
is "$(settled)" "complete here" "named in one place only: it is complete there"
naming
rm "$T/clinic/here/archives/$instance/$id.archive"
backup --tenant 2
is "$(settled)" "" "named nowhere: there is none"

RANDOM=${KILL_SEED:=$$}
note "KILL_SEED=$KILL_SEED"
for _ in {1..12}; do
	timeout -s KILL "0.$(printf '%03d' $((RANDOM % 400 + 20)))" "$EXPUNGE" -c "$CONF" -U night backup --tenant 1 >/dev/null || true
done 2>/dev/null # bash says "Killed"
backup --tenant 1
rc_is 0 "after a dozen kills"
is "$(hidden)" "" "nothing lies about"
is "$(sql clinic "SELECT count(*) FROM expunge.archive WHERE state <> 'complete'")" 0 "no archive is between"
is "$(sql clinic "SELECT id || '.archive' FROM expunge.archive WHERE 'here' = ANY (destinations)" | LC_ALL=C sort)" "$(archives here)" "what is named is in the catalogue"
backup --verify
rc_is 0 "and whole"

# ---------------------------------------------------------------------------- at the same time
expunge_as night backup --tenant 3 2>/dev/null
sql clinic "SELECT pg_advisory_lock(hashtextextended('expunge/backup/2', 0)), pg_sleep(20)" >/dev/null &
holder=$!
for _ in {1..100}; do
	[ -z "$(sql clinic "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted")" ] || break
	sleep 0.1
done
backup
rc_is 4 "a tenant that another run backs up is left to it"
err_like 'another run backs tenant 2 up' "and named"
err_like 'tenant 3: archive' "the others are not held up"
sql clinic "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted" >/dev/null
wait "$holder" 2>/dev/null || true

# one snapshot: what one transaction writes into two tables is in an archive altogether or not at all
for ((n = 0; n < 100000; n++)); do
	printf "BEGIN; UPDATE app.patient SET phone = '%d' WHERE id = 242; UPDATE app.invoice SET payer_name = '%d' WHERE patient_id = 242; COMMIT;\n" "$n" "$n"
done | psql -XAtq -d clinic >/dev/null 2>&1 &
writer=$!
for _ in {1..100}; do
	[ "$(sql clinic "SELECT length(phone) < 7 FROM app.patient WHERE id = 242")" != t ] || break
	sleep 0.1
done
odd=''
for _ in {1..5}; do
	expunge_as night backup --tenant 2 2>/dev/null || odd+='failed '
	opened 2 "$(latest 2)" | awk -F '\t' '$1 == "app.patient" && $3 == 242 { print $10 } $1 == "app.invoice" && $4 == 242 { print $5 }' |
		sort -u >"$T/seen"
	[ "$(wc -l <"$T/seen")" -eq 1 ] || odd+="$(tr '\n' ' ' <"$T/seen")"
	cat "$T/seen" >>"$T/seen.all"
done
kill "$writer" 2>/dev/null || true
wait "$writer" 2>/dev/null || true
is "$odd" "" "each archive is one snapshot"
nok "of rows that changed meanwhile" test "$(sort -u "$T/seen.all" | wc -l)" = 1

# ---------------------------------------------------------------------------- what must not be missed without a word
sql clinic "CREATE TABLE app.fresh (id int PRIMARY KEY)" "ALTER TABLE app.fresh OWNER TO app_owner"
backup --tenant 1
rc_is 3 "a table that the map does not know"
err_like 'a table without a line is in no archive' "is told"
err_like 'tenant 1: archive' "and costs nobody his archive"
sql clinic "DROP TABLE app.fresh" "ALTER TABLE app.letter ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY" \
	"CREATE POLICY half ON app.letter USING (patient_id % 2 = 0)"
backup --tenant 1
rc_is 3 "rows that a policy hides"
err_like 'row-level security policy for table' "are an error"
sql clinic "ALTER TABLE app.letter DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY"
sql clinic 'UPDATE expunge.key_tree SET key_seq = 1'
count=$(archives here | wc -l)
backup
rc_is 5 "a database that is behind its key journal is not backed up"
is "$(archives here | wc -l)" "$count" "and leaves no archive"

done_testing

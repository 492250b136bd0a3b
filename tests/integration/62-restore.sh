#!/usr/bin/env bash
# A backup comes back: every row of a practice, byte for byte, and after an erasure all but the erased patient's, although
# the archive never changed; and what does not fit is named before anything is loaded.
. "$(dirname "$0")/../lib.sh"
. "$ROOT/tests/integration/sessions.bash"

fresh_db clinic
install clinic
with_keys 2>/dev/null
set_option wait_seconds 30
# rows larger than any buffer, of a table that refers to another, and of one that comes late
sql clinic "SET session_replication_role = replica" "UPDATE app.note SET body = repeat(md5(body), 150000) WHERE id = (SELECT min(id) FROM app.note)" \
	"UPDATE app.practice SET country = repeat(md5(name), 100000) WHERE id = 1"
run expunge_as night backup
rc_is 0 "all practices are backed up"
mapfile -t tenants < <(sql clinic 'SELECT id FROM app.practice ORDER BY id' && echo @nobody)
sha256sum "$T"/clinic/here/archives/*/*.archive >"$T/sums"

# empty NAME: a database with the application's tables, and what practices share
empty() {
	sql postgres "CREATE DATABASE $1 TEMPLATE template0"
	psql -XAtq -v ON_ERROR_STOP=1 -d "$1" -f "$ROOT/tests/sample/schema.sql" >/dev/null
	shared | psql -XAtq -v ON_ERROR_STOP=1 -d "$1" >/dev/null
}
# rows of reference tables are nobody's, and in no archive
shared() {
	local table
	sed -n 's/.*table = "\([a-z_.]*\)".*action = "reference".*/\1/p' "$ROOT/etc/maps/sample.conf" | while read -r table; do
		pg_dump -d clinic --data-only -t "$table"
	done
}
restore() { expunge_as night restore --into "host=$PGHOST port=$PGPORT dbname=$1 user=postgres" --disable-triggers "${@:2}"; }
rows() { "$ROOT/tests/sample/rows.sh" "$1"; }

# ---------------------------------------------------------------------------- all of it
rows clinic >"$T/before"
empty copy
run restore copy --tenant 1
rc_is 0 "practice 1 is restored"
out_like '0 rows withheld' "with nobody withheld"
for tenant in "${tenants[@]:1}"; do
	run restore copy --tenant "$tenant"
	rc_is 0 "and practice $tenant beside it"
done
rows copy >"$T/copy"
is "$(diff "$T/before" "$T/copy" | grep '^[<>]' | cut -c1-60 | head -n 5)" "" "every row is what it was, byte for byte"
next=$(sql copy "SELECT nextval(pg_get_serial_sequence('app.practice', 'id'))")
is "$next" "$(sql clinic 'SELECT max(id) + 1 FROM app.practice')" "the next row gets the next number"

# rows go straight into tables on which nothing hangs yet
empty plain
sql plain "SELECT format('ALTER TABLE %s DROP CONSTRAINT %I CASCADE', conrelid::regclass, conname) FROM pg_constraint
	WHERE contype IN ('f', 'p', 'u') AND conparentid = 0 AND connamespace::regnamespace::text IN ('app', 'audit')
	ORDER BY contype <> 'f'" >"$T/drop"
psql -XAtq -v ON_ERROR_STOP=1 -d plain -f <(sed 's/$/;/' "$T/drop")
printf '%s\n' "${tenants[@]}" | xargs -P 2 -I{} "$EXPUNGE" -c "$CONF" -U night restore --into "host=$PGHOST port=$PGPORT dbname=plain user=postgres" --tenant {} >"$T/out"
rows plain >"$T/plain"
is "$(diff "$T/before" "$T/plain" | grep '^[<>]' | cut -c1-60 | head -n 5)" "" "without keys and references every row is there, too, once"
next=$(sql plain "SELECT nextval(pg_get_serial_sequence('app.note', 'id')) - max(id) FROM app.note")
is "$next" 1 "and of two restores at a time neither sets a sequence back"

# ---------------------------------------------------------------------------- all but the erased
a=$(scheduled clinic 1 43)
planned=$(sql clinic "SELECT n_rows FROM expunge.plan WHERE request_id = '$a'")
expunge_as night nightly 2>/dev/null
is "$(request_state clinic "$a")" certified "a patient is erased"
archives() { sql clinic "SELECT note FROM expunge.certificate WHERE request_id = '$1'" | sed -n 's/^archives: //p'; }
is "$(archives "$a")" "generations unreadable 1" "and the certificate says of how many archives"
ok "the archives are what they were" sha256sum --quiet -c "$T/sums"
empty later
run restore later --tenant 1
rc_is 0 "the same archive is restored again"
ok "with at least as many rows withheld as the plan had" \
	test "$(sed -n 's/.* \([0-9]*\) rows withheld.*/\1/p' <<<"$OUT")" -ge "$planned"
is "$(sql later 'SELECT count(*) FROM app.patient WHERE id = 43')" 0 "without the patient"
# what the law keeps of his is in no archive made before, but under his key; in the next it is nobody's
run expunge_as night backup --tenant @nobody
rc_is 0 "what belongs to nobody is backed up alone"
for tenant in "${tenants[@]:1}"; do restore later --tenant "$tenant" >/dev/null; done
rows clinic | grep -v '^audit\.' >"$T/now"
rows later | grep -v '^audit\.' >"$T/later"
is "$(diff "$T/now" "$T/later" | grep '^[<>]' | cut -c1-60 | head -n 5)" "" "and with everybody else, and the invoices that outlive him, as the live database has them"
is "$(sql later "SELECT count(*) FROM app.invoice WHERE patient_id IS NULL AND payer_name IS NULL")" \
	"$(sql clinic 'SELECT count(*) FROM app.invoice WHERE patient_id IS NULL')" "masked as they are there"

# ---------------------------------------------------------------------------- another generation
expunge_as night backup --tenant 1 2>/dev/null
b=$(scheduled clinic 1 47)
expunge_as night nightly 2>/dev/null
is "$(archives "$b")" "generations unreadable 2" "who is in two archives is unreadable in two"
run restore later --tenant 1
rc_is 1 "the new archive does not go where the old one is"
empty latest
run restore latest --tenant 1
rc_is 0 "it goes elsewhere"
id=$(sql clinic "SELECT id FROM expunge.archive WHERE tenant = '1' ORDER BY created_at, finished_at LIMIT 1")
run restore latest --tenant 1 --generation "${id:0:16}"
rc_is 1 "the beginning of an id, as messages show it, is enough"
err_like "archive ${id:0:16}: " "to find the archive"
run restore latest --tenant 1 --generation "${id:0:15}"
rc_is 2 "less is refused"
err_like 'hint: give the 16 characters' "with what is wanted"
run restore latest --tenant 2 --generation "${id:0:16}"
rc_is 1 "another tenant has no such archive"
err_like 'tenant 2 has no such archive' "and is told so"
sql clinic "SET session_replication_role = replica" "INSERT INTO expunge.archive SELECT (json_populate_record(a, json_build_object('id', left(a.id, 20) || repeat('0', 44), 'generation', 999999))).* FROM expunge.archive a WHERE id = '$id'" >/dev/null
run restore latest --tenant 1 --generation "${id:0:16}"
rc_is 2 "two that begin alike"
err_like 'several archives have ids that begin with' "are told apart by nobody but who asks"
sql clinic "DELETE FROM expunge.archive WHERE generation = 999999" >/dev/null
run expunge_as night restore --into 'dbname=x secret' --tenant 1
rc_is 2 "a malformed --into"
err_like 'connection string in --into is malformed' "is named as that"
err_unlike 'secret|database.conninfo' "and not shown"
is "$(sql latest 'SELECT count(*) FROM app.patient WHERE id IN (43, 47)')" 0 "without either"

# ---------------------------------------------------------------------------- what stands in the way, and stays as it was
empty odd
sql odd "ALTER TABLE app.practice ADD CONSTRAINT circle FOREIGN KEY (id) REFERENCES app.staff (id)" \
	"CREATE SEQUENCE app.shared" "ALTER TABLE app.guarantor ALTER id DROP IDENTITY, ALTER id SET DEFAULT nextval('app.shared')" \
	"CREATE FUNCTION app.meddle() RETURNS trigger LANGUAGE plpgsql AS \$\$BEGIN RETURN NULL; END\$\$" \
	"CREATE TRIGGER meddle BEFORE INSERT ON app.patient FOR EACH ROW EXECUTE FUNCTION app.meddle()" \
	"CREATE TRIGGER always BEFORE INSERT ON app.patient FOR EACH ROW EXECUTE FUNCTION app.meddle()" \
	"CREATE TRIGGER off BEFORE INSERT ON app.staff FOR EACH ROW EXECUTE FUNCTION app.meddle()" \
	"CREATE TRIGGER in_part BEFORE INSERT ON app.reminder_2022 FOR EACH ROW EXECUTE FUNCTION app.meddle()" \
	"ALTER TABLE app.patient ENABLE ALWAYS TRIGGER always" "ALTER TABLE app.staff DISABLE TRIGGER off"
schema() { pg_dump --schema-only -d odd | grep -vE '^\\(un)?restrict '; }
schema >"$T/schema"
run restore odd --tenant 1
rc_is 0 "two tables that refer to each other, and triggers on a table and on a partition, hold nothing up"
is "$(sql odd 'SELECT count(*) FROM app.reminder')" "$(sql latest 'SELECT count(*) FROM app.reminder')" "no trigger took a row"
is "$(schema | diff "$T/schema" -)" "" "triggers and constraints are what they were, also those that were off"
ok "a sequence that the column does not own goes on, too" \
	test "$(sql odd "SELECT nextval('app.shared')")" -gt "$(sql odd 'SELECT max(id) FROM app.guarantor')"
empty broken
sql broken "ALTER TABLE app.practice ADD CONSTRAINT circle FOREIGN KEY (id) REFERENCES app.staff (id)" \
	"ALTER TABLE app.practice ALTER CONSTRAINT circle NOT DEFERRABLE"
run restore broken --tenant 2
rc_is 1 "a circle that the restored rows do not close"
err_like 'circle' "is named"
is "$(sql broken 'SELECT count(*) FROM app.staff')" 0 "and nothing was loaded"

# ---------------------------------------------------------------------------- what does not fit
run expunge_as night restore --tenant 1 --into "host=$PGHOST port=$PGPORT dbname=clinic user=postgres"
rc_is 5 "nothing is loaded into the database that it came from"
run restore later --tenant 1
rc_is 1 "a second time its rows are there already"
err_like 'loading app.practice: .* constraint practice_pkey' "and what is there twice is named"
run restore later --tenant 7
rc_is 1 "a tenant without an archive"
err_like 'has no archive' "is told"
sql postgres 'CREATE DATABASE bare TEMPLATE template0'
run restore bare --tenant 1
rc_is 1 "a database without the tables"
err_like 'the archive has table app\.' "which are named"
empty narrow
sql narrow 'ALTER TABLE app.appointment RENAME COLUMN starts_at TO at'
run restore narrow --tenant 1
rc_is 1 "a column that was renamed"
err_like 'the archive has column starts_at of app.appointment' "is named"
is "$(sql narrow 'SELECT count(*) FROM app.practice')" 0 "and nothing was loaded"
sql narrow 'ALTER TABLE app.appointment RENAME COLUMN at TO starts_at' \
	"CREATE FUNCTION app.meddle() RETURNS trigger LANGUAGE plpgsql AS \$\$BEGIN RETURN NULL; END\$\$" \
	"CREATE TRIGGER meddle BEFORE INSERT ON app.patient FOR EACH ROW EXECUTE FUNCTION app.meddle()"
run expunge_as night restore --tenant 1 --into "host=$PGHOST port=$PGPORT dbname=narrow user=postgres"
rc_is 5 "a trigger that would fire refuses it"
err_like 'trigger meddle of app.patient' "by name"
sql postgres 'DROP DATABASE copy' 'DROP DATABASE plain' 'DROP DATABASE later' 'DROP DATABASE latest' 'DROP DATABASE bare' 'DROP DATABASE narrow' 'DROP DATABASE odd' 'DROP DATABASE broken'

done_testing

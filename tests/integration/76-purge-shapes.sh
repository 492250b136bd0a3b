#!/usr/bin/env bash
# Accounts of odd shapes: what of another account is tied to them, and what is not.
# What belongs to account "a" carries $MARK, and nothing else does; "ab" and "A" are others.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/shapes.bash"
. "$(dirname "$0")/purge.bash"

build_probe purge_probe
TENANTS='tenant : { table = "app.practice"; key = "id"; }; subject : { table = "app.patient"; key = "id"; tenant = "practice"; };
	session : { login = "app_owner"; constraints = "immediate"; };'
people="CREATE TABLE app.practice (id text PRIMARY KEY, said text);
	INSERT INTO app.practice SELECT t, CASE t WHEN 'a' THEN '$MARK' ELSE 'o' END FROM unnest(ARRAY['A', 'a', 'ab']) t;
	CREATE TABLE app.patient (id int PRIMARY KEY, practice text NOT NULL REFERENCES app.practice, said text);
	INSERT INTO app.patient SELECT i, (ARRAY['A', 'a', 'ab'])[i % 3 + 1], CASE i % 3 WHEN 1 THEN '$MARK' ELSE 'o' END FROM generate_series(1, 30) i;"
patient='{ table = "app.practice"; action = "tenant"; }, { table = "app.patient"; action = "delete"; },'

# account NAME TABLES MAP: a shape of three accounts, taken one patient at a time
account() {
	shape "$1" "$people $2" "$patient $3" "$TENANTS"
	printf 'batch : { subjects = 1; };\n' >>"$CONF"
}

# purged NAME: all that is marked goes, and nothing else
purged() {
	rows | grep -v "$MARK" >"$T/rows.wanted" || true
	claimed a
	run probe remove "$ID"
	rc_is 0 "$1"
	rows >"$T/rows.after"
	ok "... what is marked, and nothing else" diff "$T/rows.wanted" "$T/rows.after"
	run probe recount "$ID"
	is "$RC $OUT" '0 nothing left' "... and nothing is left"
}

# in_the_way REGEX NAME: the plan says what, and whoever claims all the same takes nothing of it
in_the_way() {
	rows >"$T/rows.before"
	run probe plan a
	out_like "^$1\$" "$2"
	claimed a
	run probe remove "$ID"
	is "$RC" 5 "... and is refused if it is claimed all the same"
}

# --- staff are patients, and patients have staff: a circle of the account's own rows and its patients'
account circle "CREATE TABLE app.staff (id int PRIMARY KEY, practice text REFERENCES app.practice, patient int REFERENCES app.patient, said text);
	INSERT INTO app.staff SELECT i, (ARRAY['A', 'a', 'ab'])[i % 3 + 1], CASE WHEN i < 7 THEN i END, CASE i % 3 WHEN 1 THEN '$MARK' END FROM generate_series(1, 9) i;
	ALTER TABLE app.patient ADD COLUMN doctor int REFERENCES app.staff;
	UPDATE app.patient p SET doctor = (SELECT min(s.id) FROM app.staff s WHERE s.practice = p.practice AND s.id > 3);
	CREATE TABLE app.shift (staff int REFERENCES app.staff, said text);
	INSERT INTO app.shift SELECT id, said FROM app.staff, generate_series(1, 3);" '
	{ table = "app.staff"; owner = "practice -> app.practice"; action = "tenant"; },
	{ table = "app.shift"; owner = "staff -> app.staff"; action = "tenant"; }'
purged "staff who are patients of their own practice, and rows without a key"

# --- rows that refer to another patient's, across chunks
account across "CREATE TABLE app.visit (id int PRIMARY KEY, patient int NOT NULL REFERENCES app.patient, after int REFERENCES app.visit, said text);
	INSERT INTO app.visit SELECT i, i, CASE WHEN i > 27 THEN i - 27 WHEN i > 3 THEN i - 3 END, said FROM app.patient, LATERAL (SELECT id) x(i);
	UPDATE app.visit SET after = id + 3 WHERE id < 4;
	CREATE TABLE app.kept (id int PRIMARY KEY, patient int REFERENCES app.patient, payer text);
	INSERT INTO app.kept SELECT id, id, said FROM app.patient;" '
	{ table = "app.visit"; owner = "patient -> app.patient"; action = "delete"; },
	{ table = "app.kept"; owner = "patient -> app.patient"; action = "retain"; columns = ( { column = "payer"; mask = "null"; } ); }'
purged "visits that refer in a circle to those of other patients, and what an erasure retains"

# --- shared rows: of two patients of one account, of two accounts; with a home of their own
account sharing "CREATE TABLE app.address (id int PRIMARY KEY, said text);
	INSERT INTO app.address VALUES (1, '$MARK'), (2, 'of two accounts'), (3, 'o'), (4, 'nobody''s');
	CREATE TABLE app.lives (patient int REFERENCES app.patient, address int REFERENCES app.address, said text, PRIMARY KEY (patient, address));
	INSERT INTO app.lives VALUES (1, 1, '$MARK'), (4, 1, '$MARK'), (7, 2, '$MARK'), (2, 2, ''), (3, 3, '');" '
	{ table = "app.address"; owner = "id <- app.lives(address)"; action = "shared"; },
	{ table = "app.lives"; owner = "patient -> app.patient"; action = "delete"; }'
purged "an address of two of its patients goes, and one that another account has, too, stays"

# --- a trigger that writes
account writes "CREATE TABLE app.staff (id int PRIMARY KEY, practice text REFERENCES app.practice, said text);
	INSERT INTO app.staff VALUES (1, 'a', '$MARK'), (2, 'ab', 'o');
	CREATE TABLE app.leaver (staff int, practice text, said text);
	CREATE FUNCTION app.leave() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO app.leaver VALUES (OLD.id, OLD.practice, OLD.said); RETURN NULL; END';
	CREATE TRIGGER leaves AFTER DELETE ON app.staff FOR EACH ROW EXECUTE FUNCTION app.leave();" '
	{ table = "app.staff"; owner = "practice -> app.practice"; action = "tenant"; },
	{ table = "app.leaver"; owner = "practice -> app.practice"; action = "tenant"; }'
run probe plan a
out_like '^blocker: app.staff: trigger leaves of app.staff runs when a row is deleted, and the map does not acknowledge it$' \
	"a trigger on the account's own rows that nobody acknowledged is in the way"
rows >"$T/rows.before"
claimed a
run probe remove "$ID"
is "$RC $(sql "$DB" 'SELECT count(*) FROM app.staff WHERE id = 1') $(sql "$DB" 'SELECT count(*) FROM app.leaver')" '1 1 0' \
	"... and what it writes all the same rolls the chunk back"
use_map "$patient"'
	{ table = "app.staff"; owner = "practice -> app.practice"; action = "tenant"; acknowledge = [ "leaves" ]; creates = [ "app.leaver" ]; },
	{ table = "app.leaver"; owner = "practice -> app.practice"; action = "tenant"; }' "$TENANTS"
run probe remove "$ID"
is "$RC $(grep -c 'map or schema changed' "$T/err")" '5 1' "another map is another plan"
sql "$DB" "DELETE FROM expunge.closure_plan" "DELETE FROM expunge.closure"
purged "acknowledged, what it creates goes, too"

# --- ties to what stays
account ties "CREATE TABLE app.staff (id int PRIMARY KEY, practice text REFERENCES app.practice, said text);
	INSERT INTO app.staff VALUES (1, 'a', '$MARK'), (2, 'ab', 'o');
	CREATE TABLE app.visit (id int PRIMARY KEY, patient int REFERENCES app.patient, staff int REFERENCES app.staff, said text);
	INSERT INTO app.visit VALUES (1, 1, 1, '$MARK'), (2, 2, 2, 'o'), (3, 5, 1, 'o');
	CREATE TABLE app.codes (code text PRIMARY KEY, edited_by int REFERENCES app.staff ON DELETE SET NULL);
	INSERT INTO app.codes VALUES ('x', 1), ('y', NULL);
	CREATE TABLE app.setting (name text PRIMARY KEY, value text);
	INSERT INTO app.setting VALUES ('colour', 'red');" '
	{ table = "app.staff"; owner = "practice -> app.practice"; action = "tenant"; },
	{ table = "app.visit"; owner = "patient -> app.patient"; action = "delete"; },
	{ table = "app.codes"; action = "reference"; reason = "codes"; },
	{ table = "app.setting"; action = "tenant"; }'
in_the_way 'foreign: app.visit rows 1 belong to another tenant' "a patient of another account who was seen by its staff"
run probe plan a
out_like '^blocker: app.codes rows 1 refer to app.staff$' "a code that its staff edited is in the way, too"
out_like '^stays: app.setting: the data map does not say whose its rows are$' "a table that is nobody's stays, and the plan says so"
is "$(sql "$DB" "SELECT count(*) FROM app.visit WHERE id = 3") $(sql "$DB" "SELECT edited_by FROM app.codes WHERE code = 'x'")" '1 1' "... and all of that is as it was"
as_owner "UPDATE app.visit SET staff = 2 WHERE id = 3; UPDATE app.codes SET edited_by = NULL"
rows | grep -v "$MARK" >"$T/rows.wanted"
run probe remove "$ID"
rc_is 0 "untied, it goes on"
rows >"$T/rows.after"
ok "... to its end" diff "$T/rows.wanted" "$T/rows.after"

# --- files
mkdir -m 700 "$T/letters"
for n in 1 2 4 5; do printf '%s' "$n" >"$T/letters/$n"; done
account files "CREATE TABLE app.letter (id int PRIMARY KEY, patient int REFERENCES app.patient, path text, said text);
	INSERT INTO app.letter VALUES (1, 1, '1', '$MARK'), (2, 2, '2', 'o'), (3, 4, '4', '$MARK'), (4, 7, 'away', '$MARK'), (5, 5, '5', 'o');" '
	{ table = "app.letter"; owner = "patient -> app.patient"; action = "delete"; columns = ( { column = "path"; documents = "letters"; } ); }'
printf 'documents = ( { name = "letters"; directory = "%s"; } );\n' "$T/letters" >>"$CONF"
expunge_as postgres init 2>/dev/null
run probe plan a
out_like '^files: letters 3$' "files are planned"
purged "an account with files"
is "$(cd "$T/letters" && find . -mindepth 1 ! -name '.*' -printf '%f\n' | sort | tr '\n' ' ')" '2 5 ' "... whose files are gone, and no others"
is "$(sql "$DB" "SELECT t.n_removed FROM expunge.closure_tally t JOIN expunge.mapped_table m ON m.id = t.table_id WHERE m.name = 'documents:letters'")" 2 \
	"... and counted"
as_owner "INSERT INTO app.letter VALUES (9, 8, '5', 'o')"
DB=files
sql files "DELETE FROM expunge.closure" && as_owner "UPDATE app.letter SET patient = 3 WHERE id = 9"
run probe plan ab
out_like '^blocker: app.letter files 1 are named by rows that stay$' "a file that another account's row names, too, is in the way"

# --- a database of one practice
shape single "CREATE TABLE app.patient (id int PRIMARY KEY); INSERT INTO app.patient VALUES (1)" '{ table = "app.patient"; action = "delete"; }'
run probe plan the-practice
is "$RC $(grep -c 'one tenant only: this database is that practice' "$T/err")" '5 1' "a database of one practice is closed otherwise"

# --- rows that are known by their owner's, with and without foreign keys that delete them
follow() {
	account "$1" "CREATE TABLE app.visit (id int PRIMARY KEY, patient int NOT NULL REFERENCES app.patient ON DELETE CASCADE, said text);
		INSERT INTO app.visit SELECT i, i, said FROM app.patient, LATERAL (SELECT id) x(i);
		CREATE TABLE app.line (visit int REFERENCES app.visit ON DELETE CASCADE, said text);
		INSERT INTO app.line SELECT id, said FROM app.visit, generate_series(1, 3);
		CREATE TABLE app.bill (id int PRIMARY KEY, patient int REFERENCES app.patient, said text);
		INSERT INTO app.bill SELECT i, i, said FROM app.patient, LATERAL (SELECT id) x(i) WHERE i < 20;
		CREATE TABLE app.item (bill int REFERENCES app.bill ON DELETE CASCADE, said text);
		INSERT INTO app.item SELECT id, said FROM app.bill, generate_series(1, 2);
		CREATE TABLE app.memo (patient bigint, said text);
		INSERT INTO app.memo SELECT id, said FROM app.patient;" '
		{ table = "app.visit"; owner = "patient -> app.patient"; action = "delete"; },
		{ table = "app.line"; owner = "visit -> app.visit"; action = "delete"; },
		{ table = "app.bill"; owner = "patient -> app.patient"; action = "retain"; columns = ( { column = "said"; mask = "keep"; } ); },
		{ table = "app.item"; owner = "bill -> app.bill"; action = "retain"; columns = ( { column = "said"; mask = "keep"; } ); },
		{ table = "app.memo"; owner = "patient -> app.patient"; action = "delete"; }'
	sed -i 's/subjects = 1/subjects = 3/' "$CONF"
}
removed() {
	sql "$DB" "SELECT string_agg(m.name || ' ' || t.n_removed, ', ' ORDER BY m.name) FROM expunge.closure_tally t JOIN expunge.mapped_table m ON m.id = t.table_id"
}
counts='app.bill 7, app.item 14, app.line 30, app.memo 10, app.patient 10, app.practice 1, app.visit 10'
follow follow
run probe plan a
is "$(sed -n 's/^rows: \([^ ]*\) [a-z]* /\1 /p' "$T/out" | paste -sd , | sed 's/,/, /g')" "$counts" "rows that follow their owner are planned"
purged "... and go with it"
is "$(removed)" "$counts" "... counted"
is "$(sql "$DB" 'SELECT string_agg(DISTINCT m.name, chr(32)) FROM expunge.key_set k JOIN expunge.mapped_table m ON m.id = k.table_id')" \
	'app.patient app.practice' "... and no key of theirs was saved"
follow disabled
sql "$DB" 'ALTER TABLE app.patient DISABLE TRIGGER ALL' 'ALTER TABLE app.visit DISABLE TRIGGER ALL'
purged "so they do where the foreign keys do not work"
is "$(removed)" "$counts" "... counted"
follow late
claimed a
run probe remove "$ID"
as_owner "INSERT INTO app.memo SELECT k.key[1]::int, 'late' FROM expunge.key_set k JOIN expunge.mapped_table m ON m.id = k.table_id WHERE m.name = 'app.patient' LIMIT 1"
run probe recount "$ID"
is "$RC $(grep -c 'rows left: app.memo 1' "$T/err")" '1 1' "one that comes after its owner is found"
run probe remove "$ID"
run probe recount "$ID"
is "$RC $OUT $(sql "$DB" "SELECT count(*) FROM app.memo WHERE said = 'late'")" '0 nothing left 0' "... and taken"
follow meanwhile
claimed a
psql -XAtq -U app_owner -d "$DB" -c BEGIN -c 'DELETE FROM app.visit WHERE patient = 4' -c 'SELECT pg_sleep(0.7)' -c COMMIT >/dev/null &
until [ "$(sql "$DB" "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(0.7)' AND datname = '$DB'")" -gt 0 ]; do sleep 0.05; done
run probe remove "$ID"
wait
rc_is 0 "rows that another hand deletes after they were counted"
is "$(removed)" 'app.bill 7, app.item 14, app.line 27, app.memo 10, app.patient 10, app.practice 1, app.visit 9' "... are counted again, and not as removed by the purge"

account cited "CREATE TABLE app.visit (id int PRIMARY KEY, patient int NOT NULL REFERENCES app.patient ON DELETE CASCADE, said text);
	INSERT INTO app.visit SELECT i, i, said FROM app.patient, LATERAL (SELECT id) x(i);
	CREATE TABLE app.example (visit int REFERENCES app.visit);
	INSERT INTO app.example VALUES (4);" '
	{ table = "app.visit"; owner = "patient -> app.patient"; action = "delete"; },
	{ table = "app.example"; action = "reference"; reason = "textbook cases"; }'
in_the_way 'blocker: app.example rows 1 refer to app.visit' "a row that refers to one which is known by its owner"
is "$(sql "$DB" 'SELECT count(*) FROM app.example')" 1 "... stays"

done_testing

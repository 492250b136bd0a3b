#!/usr/bin/env bash
# Owner paths of every kind: trees, circles, bills, links, arrays, shared rows, merged patients.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/shapes.bash"

people="CREATE TABLE app.patient (id int PRIMARY KEY, name text);
	INSERT INTO app.patient SELECT i, CASE i WHEN 2 THEN '$MARK' ELSE 'p' || i END FROM generate_series(1, 6) i;"
patient='{ table = "app.patient"; action = "delete"; },'

# --- a tree of notes, and tables without a key, with rows twice
shape tree "$people
	CREATE TABLE app.note (id int PRIMARY KEY, patient_id int REFERENCES app.patient,
		parent_id int REFERENCES app.note, said text);
	INSERT INTO app.note VALUES (1, 2, NULL, '$MARK'), (2, NULL, 1, '$MARK'), (3, NULL, 2, '$MARK'), (4, 2, 3, '$MARK'),
		(5, 3, NULL, 'o'), (6, NULL, 5, 'o'), (7, NULL, NULL, 'nobody'), (8, 1, NULL, 'o');
	CREATE TABLE app.tap (patient_id int, said text);
	INSERT INTO app.tap SELECT p, CASE p WHEN 2 THEN '$MARK' ELSE 'same' END FROM generate_series(1, 3) p, generate_series(1, 3);
	INSERT INTO app.tap VALUES (NULL, 'nobody');
	CREATE TABLE app.tap_detail (patient_id int REFERENCES app.patient ON DELETE CASCADE, said text) PARTITION BY LIST (patient_id);
	CREATE TABLE app.tap_a PARTITION OF app.tap_detail FOR VALUES IN (1, 2);
	CREATE TABLE app.tap_b PARTITION OF app.tap_detail DEFAULT;
	INSERT INTO app.tap_detail SELECT patient_id, said FROM app.tap WHERE patient_id IS NOT NULL;" "$patient"'
	{ table = "app.note"; owner = [ "patient_id -> app.patient", "parent_id -> app.note" ]; action = "delete"; },
	{ table = "app.tap"; owner = "patient_id -> app.patient"; action = "delete"; },
	{ table = "app.tap_detail"; owner = "patient_id -> app.patient"; action = "delete"; }'
erased 2 "-app.note: (1,2,,$MARK)
-app.note: (2,,1,$MARK)
-app.note: (3,,2,$MARK)
-app.note: (4,2,3,$MARK)
-app.patient: (2,$MARK)
-app.tap: (2,$MARK)
-app.tap: (2,$MARK)
-app.tap: (2,$MARK)
-app.tap_a: (2,$MARK)
-app.tap_a: (2,$MARK)
-app.tap_a: (2,$MARK)" "a tree of notes; rows without a key, three times the same"
certificate 'app.note 4 4 0 0 0 0
app.patient 1 1 0 0 0 0
app.tap 3 3 0 0 0 0
app.tap_detail 3 3 0 0 0 0' "... counted"
as_owner "INSERT INTO app.note VALUES (9, 3, 8, 'o')"
refused 3 "^contested: app.note rows 1 " "a note under another patient's note"

# --- two tables that refer to each other, at once and later, and one that cascades
for kind in '' 'DEFERRABLE INITIALLY DEFERRED' 'ON DELETE CASCADE' 'ON DELETE RESTRICT'; do
	shape "cycle_${#kind}" "$people
		CREATE TABLE app.episode (id int PRIMARY KEY, patient_id int NOT NULL REFERENCES app.patient, main_visit int NOT NULL, said text);
		CREATE TABLE app.visit (id int PRIMARY KEY, episode_id int NOT NULL REFERENCES app.episode $kind, said text);
		INSERT INTO app.episode SELECT i, i, i * 10, name FROM app.patient, LATERAL (SELECT id) x(i);
		INSERT INTO app.visit SELECT i * 10 + n, i, name FROM app.patient, LATERAL (SELECT id) x(i), generate_series(0, 1) n;
		ALTER TABLE app.episode ADD FOREIGN KEY (main_visit) REFERENCES app.visit $kind;" "$patient"'
		{ table = "app.episode"; owner = "patient_id -> app.patient"; action = "delete"; },
		{ table = "app.visit"; owner = "episode_id -> app.episode"; action = "delete"; }'
	erased 2 "-app.episode: (2,2,20,$MARK)
-app.patient: (2,$MARK)
-app.visit: (20,2,$MARK)
-app.visit: (21,2,$MARK)" "two tables in a circle ${kind,,}"
done

# --- a bill is known by its items
shape bill "$people
	CREATE SCHEMA bill;
	CREATE TABLE bill.bill (pk int PRIMARY KEY, no text);
	CREATE TABLE bill.bill_item (pk int PRIMARY KEY, fk_patient int REFERENCES app.patient, fk_bill int REFERENCES bill.bill);
	INSERT INTO bill.bill VALUES (1, '$MARK'), (2, 'o'), (3, 'empty'), (4, 'both');
	INSERT INTO bill.bill_item VALUES (1, 2, 1), (2, 2, 1), (3, 2, NULL), (4, 3, 2), (5, 5, 4), (6, 6, 4);" "$patient"'
	{ table = "bill.bill"; owner = "pk <- bill.bill_item(fk_bill)"; action = "delete"; },
	{ table = "bill.bill_item"; owner = "fk_patient -> app.patient"; action = "delete"; }'
erased 2 "-app.patient: (2,$MARK)
-bill.bill: (1,$MARK)
-bill.bill_item: (1,2,1)
-bill.bill_item: (2,2,1)
-bill.bill_item: (3,2,)" "a bill through its items"
refused 5 "^contested: bill.bill rows 1 " "an item of another patient on the bill"
rows >"$T/rows.before"
plan 3
decide
as_owner "INSERT INTO bill.bill_item VALUES (7, 1, 2)"
rows >"$T/rows.before"
run expunge_as night nightly
is "$RC $(request_state "$DB" "$ID")" "0 blocked" "... the same, after the approval"
unchanged

# --- shared rows: many to many by a link, and by the owners' own column
shape shared "CREATE TABLE app.household (id int PRIMARY KEY, said text);
	CREATE TABLE app.patient (id int PRIMARY KEY, name text, house int REFERENCES app.household);
	CREATE TABLE app.guarantor (id int PRIMARY KEY, said text);
	CREATE TABLE app.link (patient_id int REFERENCES app.patient, guarantor_id int REFERENCES app.guarantor, PRIMARY KEY (patient_id, guarantor_id));
	INSERT INTO app.household VALUES (1, 'h'), (2, 'with staff');
	INSERT INTO app.patient VALUES (1, 'Quillone', 1), (2, 'Quilltwo', 1), (3, 'Quillthree', 2), (4, 'p4', NULL), (5, 'p5', NULL), (6, 'p6', NULL);
	INSERT INTO app.guarantor VALUES (1, 'one and two'), (2, 'one'), (3, 'two and three');
	INSERT INTO app.link VALUES (1, 1), (2, 1), (1, 2), (2, 3), (3, 3);
	CREATE TABLE app.staff (id int PRIMARY KEY, house int REFERENCES app.household);
	INSERT INTO app.staff VALUES (1, 2);" "$patient"'
	{ table = "app.household"; owner = "id <- app.patient(house)"; action = "shared"; },
	{ table = "app.guarantor"; owner = "id <- app.link(guarantor_id)"; action = "shared"; },
	{ table = "app.link"; owner = "patient_id -> app.patient"; action = "delete"; },
	{ table = "app.staff"; action = "tenant"; }'
MARK=Quillone
erased 1 "-app.guarantor: (2,one)
-app.link: (1,1)
-app.link: (1,2)
-app.patient: (1,Quillone,1)" "shared rows stay for the other"
certificate 'app.guarantor 2 1 0 1 0 0
app.household 1 0 0 1 0 0
app.link 2 2 0 0 0 0
app.patient 1 1 0 0 0 0' "... and are counted as kept"
MARK=Quilltwo
erased 2 "-app.guarantor: (1,\"one and two\")
-app.household: (1,h)
-app.link: (2,1)
-app.link: (2,3)
-app.patient: (2,Quilltwo,1)" "the last owner takes them along"
certificate 'app.guarantor 2 1 0 1 0 0
app.household 1 1 0 0 0 0
app.link 2 2 0 0 0 0
app.patient 1 1 0 0 0 0' "... counted"
MARK=Quillthree
erased 3 "-app.guarantor: (3,\"two and three\")
-app.link: (3,3)
-app.patient: (3,Quillthree,2)" "what the practice's own rows need stays"
as_owner "INSERT INTO app.guarantor VALUES (4, 'four to six'); INSERT INTO app.link VALUES (4, 4), (5, 4), (6, 4);
	INSERT INTO app.patient SELECT i, 'o' FROM generate_series(7, 12) i"
MARK='four to six'
erased 4 5 6 "-app.guarantor: (4,\"four to six\")
-app.link: (4,4)
-app.link: (5,4)
-app.link: (6,4)
-app.patient: (4,p4,)
-app.patient: (5,p5,)
-app.patient: (6,p6,)" "all owners in one night"
is "$(sql "$DB" "SELECT note FROM expunge.certificate ORDER BY serial DESC LIMIT 3" | grep '^live: app.guarantor' | LC_ALL=C sort)" \
	'live: app.guarantor before 1 removed 0 masked 0 retained 1 arrived-later 0 after 0
live: app.guarantor before 1 removed 1 masked 0 retained 0 arrived-later 0 after 0
live: app.guarantor before 1 removed 1 masked 0 retained 0 arrived-later 0 after 0' "... the canary kept it for the others, who took it"
MARK=Quillfeather
as_owner "CREATE FUNCTION app.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
	CREATE TRIGGER t BEFORE DELETE ON app.guarantor FOR EACH ROW EXECUTE FUNCTION app.f();
	INSERT INTO app.guarantor VALUES (5, 'seven'); INSERT INTO app.link VALUES (7, 5)"
use_map "$patient"'
	{ table = "app.household"; owner = "id <- app.patient(house)"; action = "shared"; },
	{ table = "app.guarantor"; owner = "id <- app.link(guarantor_id)"; action = "shared"; acknowledge = [ "t" ]; },
	{ table = "app.link"; owner = "patient_id -> app.patient"; action = "delete"; },
	{ table = "app.staff"; action = "tenant"; }'
plan 7
run expunge_as night erase --rehearse --request "$ID"
rc_is 3 "a trigger that keeps a row whose last owner goes"
out_like 'the recount finds 1 rows left in app.guarantor' "... is found by the rehearsal"

# --- a shared row that refers to its owners, instead of the other way round
shape shared_array "$people
	CREATE TABLE app.payer (id int PRIMARY KEY, who int[], said text);
	INSERT INTO app.payer VALUES (1, '{2}', '$MARK'), (2, '{3,4}', 'o');" "$patient"'
	{ table = "app.payer"; owner = "any(who) -> app.patient"; action = "shared"; }'
erased 2 "-app.patient: (2,$MARK)
-app.payer: (1,{2},$MARK)" "a shared row that names its last owner"
refused 3 "^contested: app.payer rows 1 " "... and one that names two"

# --- arrays, and references that name the table in a column
shape array "$people
	CREATE DOMAIN app.kind AS text CHECK (VALUE IN ('patient', 'staff'));
	CREATE TYPE app.about AS ENUM ('patient', 'it''s else');
	CREATE TABLE app.session (id int PRIMARY KEY, who int[], said text);
	INSERT INTO app.session VALUES (1, '{2}', '$MARK'), (2, '{2,2}', '$MARK'), (3, '{3,4}', 'o'), (4, '{}', 'o'), (5, NULL, 'o'), (6, '{99}', 'o');
	CREATE TABLE app.poly (id int PRIMARY KEY, kind app.kind, ref text, said text);
	INSERT INTO app.poly VALUES (1, 'patient', '2', '$MARK'), (2, 'staff', '2', 'o'), (3, 'patient', '22', 'o'), (4, NULL, '2', 'o'), (5, 'staff', 'x', 'o');
	CREATE TABLE app.poly2 (id int PRIMARY KEY, about app.about, ref bigint, said text);
	INSERT INTO app.poly2 VALUES (1, 'patient', 2, '$MARK'), (2, 'it''s else', 2, 'o'), (3, 'it''s else', 9007199254740993, 'o'), (4, 'patient', 9007199254740993, 'o');
	CREATE TABLE app.kept (id int PRIMARY KEY, owner_id int REFERENCES app.patient, kind app.kind, ref text, who int[], total int);
	INSERT INTO app.kept VALUES (1, 2, 'staff', '2', '{1,2,3,2}', 10), (2, 2, 'patient', '2', NULL, 20), (3, 3, 'patient', '3', '{3}', 30);" "$patient"'
	{ table = "app.session"; owner = "any(who) -> app.patient"; action = "delete"; },
	{ table = "app.poly"; owner = "ref -> app.patient when kind = '"'patient'"'"; action = "delete"; },
	{ table = "app.poly2"; owner = "ref -> app.patient when about = '"'patient'"'"; action = "delete"; },
	{ table = "app.kept"; owner = [ "owner_id -> app.patient", "ref -> app.patient when kind = '"'patient'"'" ]; action = "retain";
		columns = ( { column = "total"; mask = "keep"; }, { column = "who"; mask = "null"; } ); }'
erased 2 "-app.kept: (1,2,staff,2,\"{1,2,3,2}\",10)
-app.kept: (2,2,patient,2,,20)
+app.kept: (1,,staff,2,,10)
+app.kept: (2,,patient,,,20)
-app.patient: (2,$MARK)
-app.poly2: (1,patient,2,$MARK)
-app.poly: (1,patient,2,$MARK)
-app.session: (1,{2},$MARK)
-app.session: (2,\"{2,2}\",$MARK)" "arrays and polymorphic references"
certificate 'app.kept 2 0 0 2 0 0
app.patient 1 1 0 0 0 0
app.poly 1 1 0 0 0 0
app.poly2 1 1 0 0 0 0
app.session 2 2 0 0 0 0' "... counted"
refused 3 "^contested: app.session rows 1 " "an array that names another patient"

# --- an array in rows that stay: the patient's element goes
shape array_kept "$people
	CREATE TABLE app.course (id int PRIMARY KEY, leader int REFERENCES app.patient, who int[]);
	INSERT INTO app.course VALUES (1, 2, '{2,2}'), (2, NULL, '{2}'), (3, 3, '{3,4}'), (4, 2, NULL);" "$patient"'
	{ table = "app.course"; owner = [ "any(who) -> app.patient", "leader -> app.patient" ]; action = "retain"; }'
erased 2 "-app.course: (1,2,\"{2,2}\")
-app.course: (2,,{2})
+app.course: (1,,{})
+app.course: (2,,{})
-app.course: (4,2,)
+app.course: (4,,)
-app.patient: (2,$MARK)" "an array of rows that stay loses the element"

# --- several owner paths
shape many "$people
	CREATE TABLE app.letter (id int PRIMARY KEY, patient_id int REFERENCES app.patient, payer_id int REFERENCES app.patient, said text);
	INSERT INTO app.letter VALUES (1, 2, 2, '$MARK'), (2, 2, NULL, '$MARK'), (3, NULL, 2, '$MARK'), (4, 3, 4, 'o'), (5, NULL, NULL, 'nobody');" "$patient"'
	{ table = "app.letter"; owner = [ "patient_id -> app.patient", "payer_id -> app.patient" ]; action = "delete"; }'
erased 2 "-app.letter: (1,2,2,$MARK)
-app.letter: (2,2,,$MARK)
-app.letter: (3,,2,$MARK)
-app.patient: (2,$MARK)" "owner paths that agree, or are null"
refused 4 "^contested: app.letter rows 1 " "owner paths that disagree"

# --- merged patients
# shellcheck disable=SC2034 # shapes.bash reads it
TENANT=1
shape merged "CREATE TABLE app.practice (id int PRIMARY KEY);
	INSERT INTO app.practice VALUES (1), (2);
	CREATE TABLE app.patient (id int PRIMARY KEY, practice int NOT NULL REFERENCES app.practice, merged_into int REFERENCES app.patient, name text);
	CREATE TABLE app.note (id int PRIMARY KEY, patient_id int REFERENCES app.patient, said text);
	INSERT INTO app.patient VALUES (1, 1, NULL, '$MARK'), (2, 1, 1, '$MARK'), (3, 1, 2, '$MARK'), (4, 1, 2, '$MARK'),
		(5, 1, NULL, 'o'), (6, 1, 5, 'o'), (7, 2, NULL, 'o'), (8, 1, 7, 'o'), (9, 1, 9, 'own'), (10, 1, NULL, 'o'), (11, 1, NULL, 'o'), (12, 1, NULL, 'o'), (13, 1, NULL, 'o');
	INSERT INTO app.note SELECT i, i, name FROM app.patient, LATERAL (SELECT id) x(i);" "$patient"'
	{ table = "app.note"; owner = "patient_id -> app.patient"; action = "delete"; },
	{ table = "app.practice"; action = "tenant"; }' 'tenant : { table = "app.practice"; key = "id"; };
	subject : { table = "app.patient"; key = "id"; tenant = "practice"; merged_into = "merged_into"; };
	session : { login = "app_owner"; };'
erased 3 "-app.note: (1,1,$MARK)
-app.note: (2,2,$MARK)
-app.note: (3,3,$MARK)
-app.note: (4,4,$MARK)
-app.patient: (1,1,,$MARK)
-app.patient: (2,1,1,$MARK)
-app.patient: (3,1,2,$MARK)
-app.patient: (4,1,2,$MARK)" "a chain of merged patients, asked for by its end"
certificate 'app.note 4 4 0 0 0 0
app.patient 4 4 0 0 0 0' "... counted"
refused 8 "^contested: app.patient rows 1 were merged across tenants" "merged across tenants"
rows >"$T/rows.before"
plan 6
decide
sql -U dora "$DB" "SELECT expunge.place_hold('1', '5', 'litigation', 'a claim', current_date + 30)" >/dev/null
run expunge_as night nightly
is "$RC $(request_state "$DB" "$ID")" "0 blocked" "a hold on the other alias blocks"
unchanged
as_owner "INSERT INTO app.patient VALUES (20, 1, NULL, '$MARK'), (21, 1, 20, '$MARK')"
plan 20
decide
first=$ID
plan 21
decide
run expunge_as night nightly
is "$RC $(for id in "$first" "$ID"; do request_state "$DB" "$id"; done | sort | paste -sd' ')" "0 blocked certified" \
	"of two requests for one person in one night one is carried out"
is "$(sql "$DB" 'SELECT count(*) FROM app.patient WHERE id >= 20')" 0 "... for both aliases"
done_testing

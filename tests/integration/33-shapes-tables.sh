#!/usr/bin/env bash
# Tables of every kind: inherited, partitioned, wide, long, with odd names, with large objects; rows that stay.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/shapes.bash"

people="CREATE TABLE app.patient (id int PRIMARY KEY, name text);
	INSERT INTO app.patient SELECT i, CASE i WHEN 2 THEN '$MARK' ELSE 'p' || i END FROM generate_series(1, 6) i;"
patient='{ table = "app.patient"; action = "delete"; },'

# --- inheritance: the parent has rows of its own, and so has each child
shape inherited "$people
	CREATE TABLE app.item (id int PRIMARY KEY, patient_id int NOT NULL REFERENCES app.patient, said text);
	CREATE TABLE app.exam (PRIMARY KEY (id), FOREIGN KEY (patient_id) REFERENCES app.patient, lab text) INHERITS (app.item);
	CREATE TABLE app.scan (PRIMARY KEY (id), image text) INHERITS (app.exam);
	INSERT INTO app.item SELECT i, i, name FROM app.patient, LATERAL (SELECT id) x(i);
	INSERT INTO app.exam SELECT i, i, name, name FROM app.patient, LATERAL (SELECT id) x(i);
	INSERT INTO app.scan SELECT i, 8 - i, CASE i WHEN 6 THEN '$MARK' END FROM generate_series(2, 6) i;" "$patient"'
	{ table = "app.item"; owner = "patient_id -> app.patient"; action = "delete"; },
	{ table = "app.exam"; owner = "patient_id -> app.patient"; action = "delete"; },
	{ table = "app.scan"; owner = "patient_id -> app.patient"; action = "delete"; }'
erased 2 "-app.exam: (2,2,$MARK,$MARK)
-app.item: (2,2,$MARK)
-app.patient: (2,$MARK)
-app.scan: (6,2,$MARK,,)" "a parent's own rows, a child's and a grandchild's with the same keys"
certificate 'app.exam 1 1 0 0 0 0
app.item 1 1 0 0 0 0
app.patient 1 1 0 0 0 0
app.scan 1 1 0 0 0 0' "... counted apart"

# --- partitions: two levels, other column orders, foreign keys to the root, from a partition and to one
shape partitioned "$people
	CREATE TABLE app.event (id int, at date, patient_id int REFERENCES app.patient, said text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
	CREATE TABLE app.event_25 PARTITION OF app.event FOR VALUES FROM ('2025-01-01') TO ('2026-01-01') PARTITION BY HASH (id);
	CREATE TABLE app.event_25a PARTITION OF app.event_25 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
	CREATE TABLE app.event_25b PARTITION OF app.event_25 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
	CREATE TABLE app.event_26 (said text, junk int, patient_id int REFERENCES app.patient, id int NOT NULL, at date NOT NULL);
	ALTER TABLE app.event_26 DROP COLUMN junk;
	ALTER TABLE app.event ATTACH PARTITION app.event_26 FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
	INSERT INTO app.event SELECT i * 10 + y, make_date(2025 + y % 2, 1, 1), i, name FROM app.patient, LATERAL (SELECT id) x(i), generate_series(1, 4) y WHERE i < 4;
	CREATE TABLE app.mark (id int PRIMARY KEY, event int, at date, said text, FOREIGN KEY (event, at) REFERENCES app.event);
	INSERT INTO app.mark SELECT id, id, at, said FROM app.event;
	CREATE TABLE app.tag (tag int, patient_id int, said text, PRIMARY KEY (tag, patient_id)) PARTITION BY LIST (tag);
	CREATE TABLE app.tag_1 (said text, patient_id int NOT NULL REFERENCES app.patient, tag int NOT NULL, UNIQUE (tag));
	ALTER TABLE app.tag ATTACH PARTITION app.tag_1 FOR VALUES IN (1);
	CREATE TABLE app.tag_2 PARTITION OF app.tag FOR VALUES IN (2);
	INSERT INTO app.tag VALUES (1, 2, '$MARK'), (2, 2, '$MARK'), (2, 3, 'o');
	CREATE TABLE app.tagged (id int PRIMARY KEY, tag int REFERENCES app.tag_1 (tag), said text);
	INSERT INTO app.tagged VALUES (1, 1, '$MARK'), (2, NULL, 'o');" "$patient"'
	{ table = "app.event"; owner = "patient_id -> app.patient"; action = "delete"; },
	{ table = "app.mark"; owner = "(event, at) -> app.event"; action = "delete"; },
	{ table = "app.tag"; owner = "patient_id -> app.patient"; action = "delete"; },
	{ table = "app.tagged"; owner = "tag -> app.tag(tag)"; action = "delete"; }'
erased 2 "$(rows | sed -n "/$MARK/s/^/-/p")" "rows in several partitions"
certificate 'app.event 4 4 0 0 0 0
app.mark 4 4 0 0 0 0
app.patient 1 1 0 0 0 0
app.tag 2 2 0 0 0 0
app.tagged 1 1 0 0 0 0' "... counted as those of their root"

# --- the subject's key is not its primary key
shape subject_key "CREATE TABLE app.patient (region int, id int, no text UNIQUE NOT NULL, merged text, name text, PRIMARY KEY (region, id));
	INSERT INTO app.patient SELECT i % 2, i, 'N-' || i, CASE i WHEN 4 THEN 'N-2' WHEN 6 THEN 'N-5' END, CASE WHEN i IN (2, 4) THEN '$MARK' ELSE 'o' END
		FROM generate_series(1, 8) i;
	CREATE TABLE app.note (region int, patient int, no text REFERENCES app.patient (no), said text);
	ALTER TABLE app.note ADD FOREIGN KEY (region, patient) REFERENCES app.patient (region, id);
	INSERT INTO app.note SELECT CASE n WHEN 1 THEN region END, CASE n WHEN 1 THEN id END, CASE n WHEN 2 THEN no END, name FROM app.patient, generate_series(1, 2) n;
	CREATE TABLE app.kept (id int PRIMARY KEY, region int NOT NULL, patient int, total int, FOREIGN KEY (region, patient) REFERENCES app.patient);
	INSERT INTO app.kept VALUES (1, 0, 2, 10), (2, 1, 1, 20);" '{ table = "app.patient"; action = "delete"; },
	{ table = "app.note"; owner = [ "(region, patient) -> app.patient", "no -> app.patient(no)" ]; action = "delete"; },
	{ table = "app.kept"; owner = "(region, patient) -> app.patient"; action = "retain"; columns = ( { column = "total"; mask = "keep"; }, { column = "region"; mask = "keep"; } ); }' \
	'tenant : { constant = "the-practice"; }; subject : { table = "app.patient"; key = "no"; merged_into = "merged"; };
	session : { login = "app_owner"; };'
erased N-2 "-app.kept: (1,0,2,10)
+app.kept: (1,0,,10)
$(rows | sed -n "/$MARK/s/^/-/p")" "a subject by another key than the primary one; one column of a reference is cut"
rows >"$T/rows.before"
plan N-5
decide
sql -U dora "$DB" "SELECT expunge.place_hold('the-practice', 'N-6', 'litigation', 'a claim', current_date + 30)" >/dev/null
run expunge_as night nightly
is "$RC $(request_state "$DB" "$ID")" "0 blocked" "... a hold on its alias blocks"
unchanged

# --- rows that stay: generated and identity columns, masks, tombstones, domains
shape staying "CREATE DOMAIN app.label AS varchar(40) CHECK (VALUE <> 'bad');
	CREATE TYPE app.mood AS ENUM ('sad', 'glad');
	CREATE TABLE app.patient (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, upper_name text GENERATED ALWAYS AS (upper(name)) STORED,
		label app.label UNIQUE, mood app.mood, born date, weight numeric(5,2), tags text[], extra jsonb, code char(3), raw bytea);
	INSERT INTO app.patient (name, label, mood, born, weight, tags, extra, code, raw) SELECT CASE i WHEN 2 THEN '$MARK' ELSE 'p' || i END, 'label ' || i,
		'sad', '1980-01-01', 70, '{$MARK}', '{\"n\": \"x\"}', 'abc', '\\x00' FROM generate_series(1, 6) i;
	UPDATE app.patient SET tags = '{}' WHERE id <> 2;
	CREATE TABLE app.invoice (id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, patient_id int REFERENCES app.patient, visit_id int, total int, payer text);
	CREATE TABLE app.visit (id int PRIMARY KEY, patient_id int NOT NULL REFERENCES app.patient, said text);
	ALTER TABLE app.invoice ADD FOREIGN KEY (visit_id) REFERENCES app.visit;
	CREATE TABLE app.line (no int, invoice_id int REFERENCES app.invoice, visit_id int REFERENCES app.visit, what text, PRIMARY KEY (invoice_id, no));
	INSERT INTO app.visit SELECT i, i, name FROM app.patient, LATERAL (SELECT id) x(i);
	INSERT INTO app.invoice (patient_id, visit_id, total, payer) SELECT i, i, 10, name FROM app.patient, LATERAL (SELECT id) x(i) ORDER BY i;
	INSERT INTO app.line SELECT n, i, i, 'code' FROM generate_series(1, 6) i, generate_series(1, 2) n;
	CREATE TABLE app.staff (id int PRIMARY KEY); " '
	{ table = "app.patient"; action = "tombstone"; columns = ( { column = "name"; mask = "erased-{key}"; identifying = true; },
		{ column = "label"; mask = "it'"'"'s \\ {key}"; }, { column = "mood"; mask = "glad"; }, { column = "born"; mask = "1900-01-01"; },
		{ column = "weight"; mask = "null"; }, { column = "tags"; mask = "{}"; }, { column = "extra"; mask = "{\"k\": \"{key}\"}"; },
		{ column = "code"; mask = "empty"; }, { column = "raw"; mask = "\\x"; } ); },
	{ table = "app.visit"; owner = "patient_id -> app.patient"; action = "delete"; },
	{ table = "app.invoice"; owner = "patient_id -> app.patient"; action = "retain"; class = "financial"; columns = ( { column = "visit_id"; mask = "null"; },
		{ column = "total"; mask = "keep"; }, { column = "payer"; mask = "empty"; } ); },
	{ table = "app.line"; owner = [ "invoice_id -> app.invoice", "visit_id -> app.visit" ]; action = "retain"; columns = ( { column = "what"; mask = "keep"; } ); },
	{ table = "app.staff"; action = "tenant"; }'
erased 2 "-app.invoice: (2,2,2,10,$MARK)
+app.invoice: (2,2,,10,\"\")
-app.line: (1,2,2,code)
+app.line: (1,2,,code)
-app.line: (2,2,2,code)
+app.line: (2,2,,code)
-app.patient: (2,$MARK,${MARK^^},\"label 2\",sad,1980-01-01,70.00,{$MARK},\"{\"\"n\"\": \"\"x\"\"}\",abc,\"\\\\x00\")
+app.patient: (2,erased-2,ERASED-2,\"it's \\\\ 2\",glad,1900-01-01,,{},\"{\"\"k\"\": \"\"2\"\"}\",\"   \",\"\\\\x\")
-app.visit: (2,2,$MARK)" "a tombstone, masks of every type, retained rows and theirs"
certificate 'app.invoice 1 0 0 1 0 0
app.line 2 0 0 2 0 0
app.patient 1 0 1 0 0 0
app.visit 1 1 0 0 0 0' "... counted"

# --- rows that stay, in a table without a key
shape keyless "$people
	CREATE TABLE app.till (patient_id int REFERENCES app.patient, payer text, total int);
	INSERT INTO app.till SELECT p, CASE p WHEN 2 THEN '$MARK' ELSE 'o' END, 5 FROM generate_series(1, 3) p, generate_series(1, 2);" "$patient"'
	{ table = "app.till"; owner = "patient_id -> app.patient"; action = "retain"; columns = ( { column = "payer"; mask = "gone"; }, { column = "total"; mask = "keep"; } ); }'
erased 2 "-app.patient: (2,$MARK)
+app.till: (,gone,5)
+app.till: (,gone,5)
-app.till: (2,$MARK,5)
-app.till: (2,$MARK,5)" "rows that stay, without a key"
certificate 'app.patient 1 1 0 0 0 0
app.till 2 0 0 2 0 0' "... counted"

# --- large objects
shape large "$people
	CREATE DOMAIN app.lo AS oid;
	CREATE TABLE app.file (id int PRIMARY KEY, patient_id int REFERENCES app.patient, content oid);
	CREATE TABLE app.scan (id int PRIMARY KEY, patient_id int REFERENCES app.patient, image app.lo, other text);
	SELECT lo_from_bytea(990000 + n, convert_to(t, 'UTF8')) FROM unnest(ARRAY['$MARK 1', '$MARK 2', 'of two patients', '$MARK 4', 'of three', '$MARK 6']) WITH ORDINALITY x(t, n);
	INSERT INTO app.file VALUES (1, 2, 990001), (2, 2, NULL), (3, 2, 990003), (4, 3, 990003), (5, 2, 999999), (6, 2, 990001);
	INSERT INTO app.scan VALUES (1, 2, 990002, '990004'), (2, 2, 990001, NULL), (3, 3, NULL, '990005'), (4, 2, 990005, '990006');" "$patient"'
	{ table = "app.file"; owner = "patient_id -> app.patient"; action = "delete"; columns = ( { column = "content"; lo = true; } ); },
	{ table = "app.scan"; owner = "patient_id -> app.patient"; action = "retain"; columns = ( { column = "image"; lo = true; mask = "null"; }, { column = "other"; lo = true; mask = "null"; } ); }'
erased 2 "-app.file: (1,2,990001)
-app.file: (2,2,)
-app.file: (3,2,990003)
-app.file: (5,2,999999)
-app.file: (6,2,990001)
-app.patient: (2,$MARK)
-app.scan: (1,2,990002,990004)
-app.scan: (2,2,990001,)
+app.scan: (1,,,)
+app.scan: (2,,,)
-app.scan: (4,2,990005,990006)
-large object: $MARK 1
-large object: $MARK 2
-large object: $MARK 4
-large object: $MARK 6
+app.scan: (4,,,)" "large objects go, but for those that other patients' rows hold"

# --- names that need quotes, as sparingly as the map allows
odd='"Sché.ma '"'"'x"' p='"We ird""Na\me"' c='"ta;ble--"'
shape odd "CREATE SCHEMA $odd; CREATE TABLE $odd.$p (\"select\" int PRIMARY KEY, \"Mixed Case\" text, \"from\" timestamptz DEFAULT '2020-01-01');
	CREATE TABLE $odd.$c (\"a.b\" int, \"%s\" int, \"it's\" text, \"\$1\" int REFERENCES $odd.$p, \"k\" text, \"Ö\"\"\" int[], PRIMARY KEY (\"%s\", \"a.b\"));
	CREATE TABLE $odd.\"Kept\" (\"t\" int PRIMARY KEY, \"x y\" int, \"o.id\" int, \"NULL\" text);
	ALTER TABLE $odd.\"Kept\" ADD CONSTRAINT \"f k.\" FOREIGN KEY (\"x y\", \"o.id\") REFERENCES $odd.$c DEFERRABLE INITIALLY DEFERRED;
	INSERT INTO $odd.$p SELECT i, CASE i WHEN 2 THEN '$MARK' ELSE 'p' || i END FROM generate_series(1, 6) i;
	INSERT INTO $odd.$c SELECT i, n, '$MARK', CASE n WHEN 1 THEN i END, CASE n WHEN 2 THEN 'q''' END, CASE n WHEN 2 THEN ARRAY[i] END FROM generate_series(1, 6) i, generate_series(1, 2) n;
	UPDATE $odd.$c SET \"it's\" = 'o' WHERE \"a.b\" <> 2;
	INSERT INTO $odd.\"Kept\" VALUES (1, 1, 2, '$MARK'), (2, 2, 3, 'o');
	CREATE FUNCTION $odd.\"f;\"() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
	CREATE TRIGGER \"No \"\"delete\" BEFORE DELETE ON $odd.$c FOR EACH ROW EXECUTE FUNCTION $odd.\"f;\"();" '
	{ table = "\"Sché.ma '"'"'x\".\"We ird\"\"Na\\me\""; action = "delete"; created = "from"; columns = ( { column = "Mixed Case"; identifying = true; } ); },
	{ table = "\"Sché.ma '"'"'x\".\"ta;ble--\""; owner = [ "\"$1\" -> \"Sché.ma '"'"'x\".\"We ird\"\"Na\\me\"",
		"any(\"Ö\"\"\") -> \"Sché.ma '"'"'x\".\"We ird\"\"Na\\me\" when k = '"'q'''"'" ]; action = "delete"; },
	{ table = "\"Sché.ma '"'"'x\".Kept"; owner = "(\"x y\", \"o.id\") -> \"Sché.ma '"'"'x\".\"ta;ble--\""; action = "retain";
		columns = ( { column = "NULL"; mask = "'"'"'); --{key}"; } ); }' \
	'tenant : { constant = "the-practice"; }; subject : { table = "\"Sché.ma '"'"'x\".\"We ird\"\"Na\\me\""; key = "select"; };
	session : { login = "app_owner"; constraints = [ "\"Sché.ma '"'"'x\".\"f k.\"" ];
		disable = ( { table = "\"Sché.ma '"'"'x\".\"ta;ble--\""; trigger = "No \"delete"; reason = "keeps all"; } ); };'
erased 2 "$(rows | sed -n "/$MARK/s/^/-/p" | sed "/Kept/a +Sché.ma 'x.Kept: (1,,,\"'); --1\")")" "hostile names"
certificate '"Sché.ma%20'"'x"'"."We%20ird""Na\me" 1 1 0 0 0 0
"Sché.ma%20'"'x"'"."ta;ble--" 2 2 0 0 0 0
"Sché.ma%20'"'x"'".Kept 1 0 0 1 0 0' "... counted"

# --- a table of 200 columns; a patient with 20,000 rows; a database that is read-only by default
shape wide "$people
	DO \$\$ BEGIN EXECUTE (SELECT 'CREATE TABLE app.wide (id int PRIMARY KEY, patient_id int REFERENCES app.patient, ' || string_agg('c' || i || ' text', ', ') || ')' FROM generate_series(1, 198) i); END \$\$;
	INSERT INTO app.wide (id, patient_id, c1, c198) SELECT i, i, name, name FROM app.patient, LATERAL (SELECT id) x(i);
	CREATE TABLE app.tall (id bigint PRIMARY KEY, patient_id int REFERENCES app.patient, said text);
	INSERT INTO app.tall SELECT i, 2, '$MARK' FROM generate_series(1, 20000) i;
	INSERT INTO app.tall SELECT i, 3, 'o' FROM generate_series(20001, 20010) i;
	CREATE INDEX ON app.tall (patient_id);" "$patient"'
	{ table = "app.wide"; owner = "patient_id -> app.patient"; action = "retain"; columns = ( '"$(for i in $(seq 197); do printf '{ column = "c%d"; mask = "null"; }, ' "$i"; done)"'
		{ column = "c198"; mask = "x{key}"; } ); },
	{ table = "app.tall"; owner = "patient_id -> app.patient"; action = "delete"; }' 'tenant : { constant = "the-practice"; }; subject : { table = "app.patient"; key = "id"; };
	session : { login = "app_owner"; read_write = true; };'
sql "$DB" "ALTER DATABASE $DB SET default_transaction_read_only = on"
commas=$(printf ',%.0s' {1..197})
erased 2 "-app.patient: (2,$MARK)
$(rows | sed -n "/^app.tall.*$MARK/s/^/-/p")
-app.wide: (2,2,$MARK$commas$MARK)
+app.wide: (2,,${commas}x2)" "200 columns, 20,000 rows, a database that is read-only by default"
done_testing

#!/usr/bin/env bash
# Triggers, rules, policies and other people's rows: what the removal sets off is taken along or refused.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/shapes.bash"

people="CREATE TABLE app.patient (id int PRIMARY KEY, name text);
	INSERT INTO app.patient SELECT i, CASE i WHEN 2 THEN '$MARK' ELSE 'p' || i END FROM generate_series(1, 30) i;
	CREATE TABLE app.note (id int PRIMARY KEY, patient_id int REFERENCES app.patient, said text);
	INSERT INTO app.note SELECT i, i, name FROM app.patient, LATERAL (SELECT id) x(i);"
patient='{ table = "app.patient"; action = "delete"; },'
note='{ table = "app.note"; owner = "patient_id -> app.patient"; action = "delete"; acknowledge = [ "t" ]; }'

# trigger WHEN BODY [TABLE]: SQL for a trigger t, by default on notes
trigger() {
	printf 'CREATE FUNCTION app.f() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN %s END $f$;
		CREATE TRIGGER t %s ON %s FOR EACH ROW EXECUTE FUNCTION app.f();' "$2" "$1" "${3:-app.note}"
}

# --- code that does more, or less, than the plan: one night each, nothing changed, no certificate
shape surprise "$people
	CREATE TABLE app.counter (one int PRIMARY KEY, n int); INSERT INTO app.counter VALUES (1, 30);
	ALTER TABLE app.note DROP CONSTRAINT note_patient_id_fkey;
	CREATE TABLE app.book (id int PRIMARY KEY, patient_id int, said text);
	INSERT INTO app.book VALUES (1, 2, '$MARK'), (2, 3, 'o');" "$patient $note"',
	{ table = "app.book"; owner = "patient_id -> app.patient"; action = "retain"; acknowledge = [ "t" ];
		columns = ( { column = "said"; mask = "null"; } ); },
	{ table = "app.counter"; action = "reference"; reason = "totals"; }'
surprise() { # surprise REGEX NAME SQL
	as_owner "$3"
	fails 2 "$1" "$2"
	sql "$DB" 'DROP TRIGGER IF EXISTS t ON app.note' 'DROP TRIGGER IF EXISTS t ON app.book' 'DROP FUNCTION IF EXISTS app.f' 'DROP RULE IF EXISTS t ON app.note' 2>/dev/null
	run expunge_as postgres request withdraw "$ID"
}
surprise 'app.counter: the server counts 0 inserted, 1 updated, 0 deleted' "a trigger that counts in a table of nobody" \
	"$(trigger 'AFTER DELETE' 'UPDATE app.counter SET n = n - 1; RETURN NULL;')"
surprise 'app.counter: the server counts 1 inserted' "a trigger that adds to a table of nobody" \
	"$(trigger 'BEFORE DELETE' 'INSERT INTO app.counter VALUES (OLD.id + 1, 0); RETURN OLD;')"
surprise 'app.note: the removal wrote 1 rows' "a trigger that changes a far patient's row" \
	"$(trigger 'AFTER DELETE' "UPDATE app.note SET said = 'x' WHERE id = 29; RETURN NULL;")"
surprise 'app.note: the removal wrote 1 rows' "... within a block of its own" \
	"$(trigger 'AFTER DELETE' "BEGIN UPDATE app.note SET said = 'x' WHERE id = 29; EXCEPTION WHEN division_by_zero THEN NULL; END; RETURN NULL;")"
surprise '(app.note: the server counts|control sample)' "a trigger that deletes a neighbour's row" \
	"$(trigger 'AFTER DELETE' 'IF OLD.id = 2 THEN DELETE FROM app.note WHERE id = 3; END IF; RETURN NULL;')"
surprise '(app.note: the server counts|control sample)' "a trigger that deletes a far patient's row" \
	"$(trigger 'AFTER DELETE' 'IF OLD.id = 2 THEN DELETE FROM app.note WHERE id = 29; END IF; RETURN NULL;')"
surprise 'app.note of request .*: 1 rows planned, 0 done' "a trigger that swallows the delete" \
	"$(trigger 'BEFORE DELETE' 'RETURN NULL;')"
surprise 'app.book of request .*: 1 rows planned, 0 done' "a trigger that swallows the mask" \
	"$(trigger 'BEFORE UPDATE' 'RETURN NULL;' app.book)"
surprise 'app.note' "a rule that does nothing instead" 'CREATE RULE t AS ON DELETE TO app.note DO INSTEAD NOTHING'
surprise 'app.note' "a rule that does something else instead" \
	"CREATE RULE t AS ON DELETE TO app.note DO INSTEAD UPDATE app.note SET said = '' WHERE id = OLD.id"
surprise '(app.counter|rules)' "a rule that does something besides" \
	'CREATE RULE t AS ON DELETE TO app.note DO ALSO UPDATE app.counter SET n = n - 1'
surprise 'app.note' "a trigger that puts the row back" \
	"$(trigger 'AFTER DELETE' 'INSERT INTO app.note VALUES (OLD.id + 1000, NULL, OLD.said); RETURN NULL;')"

# --- a policy that hides rows from the login
sql "$DB" 'ALTER TABLE app.note ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY' 'CREATE POLICY p ON app.note USING (id <> 2)'
run expunge_as night map check
rc_is 2 "a policy that hides rows is found by the check"
out_like 'error: .*app.note hides rows from app_owner.*\[row-security\]' "... and named"
request 2
expunge_as oscar request identify "$ID" >/dev/null 2>&1
run expunge_as night request plan "$ID"
nok "... and nothing is planned" test "$RC" = 0

# --- triggers that create rows, to a fixpoint
shape creates "$people
	CREATE TABLE app.trail (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, patient_id int, said text);
	CREATE TABLE app.trail_note (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, trail_id int REFERENCES app.trail, said text);
	INSERT INTO app.trail (patient_id, said) VALUES (2, '$MARK'), (3, 'o');
	INSERT INTO app.trail_note (trail_id, said) VALUES (1, '$MARK'), (2, 'o');
	$(trigger 'AFTER DELETE' "INSERT INTO app.trail (patient_id, said) VALUES (OLD.patient_id, OLD.said); RETURN NULL;")
	CREATE FUNCTION app.g() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN
		INSERT INTO app.trail_note (trail_id, said) VALUES (NEW.id, NEW.said); RETURN NULL; END \$\$;
	CREATE TRIGGER g AFTER INSERT ON app.trail FOR EACH ROW EXECUTE FUNCTION app.g();" "$patient"'
	{ table = "app.note"; owner = "patient_id -> app.patient"; action = "delete"; acknowledge = [ "t" ]; creates = [ "app.trail", "app.trail_note" ]; },
	{ table = "app.trail"; owner = "patient_id -> app.patient"; action = "delete"; },
	{ table = "app.trail_note"; owner = "trail_id -> app.trail"; action = "delete"; }'
erased 2 "-app.note: (2,2,$MARK)
-app.patient: (2,$MARK)
-app.trail: (1,2,$MARK)
-app.trail_note: (1,1,$MARK)" "rows that triggers create go as well"
certificate 'app.note 1 1 0 0 0 0
app.patient 1 1 0 0 0 0
app.trail 1 1 0 0 0 0 created 1
app.trail_note 1 1 0 0 0 0 created 1' "... and are counted apart"
as_owner "CREATE FUNCTION app.h() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN
		INSERT INTO app.trail (patient_id, said) VALUES (OLD.patient_id, OLD.said); RETURN NULL; END \$\$;
	CREATE TRIGGER h AFTER DELETE ON app.trail FOR EACH ROW EXECUTE FUNCTION app.h();"
use_map "$patient"'
	{ table = "app.note"; owner = "patient_id -> app.patient"; action = "delete"; acknowledge = [ "t" ]; creates = [ "app.trail", "app.trail_note" ]; },
	{ table = "app.trail"; owner = "patient_id -> app.patient"; action = "delete"; acknowledge = [ "h" ]; creates = [ "app.trail", "app.trail_note" ]; },
	{ table = "app.trail_note"; owner = "trail_id -> app.trail"; action = "delete"; }'
fails 3 'without end' "rows that are created again for ever"

# --- log tables: old values logged again by masking, originals long gone, an owner path of the log's own
shape logged "CREATE TABLE app.patient (id int PRIMARY KEY, name text, born text);
	INSERT INTO app.patient SELECT i, CASE i WHEN 2 THEN '$MARK' ELSE 'p' || i END, 'x' FROM generate_series(1, 6) i;
	CREATE TABLE app.visit (pk int PRIMARY KEY, patient_id int REFERENCES app.patient, said text);
	CREATE TABLE app.log_patient (n int GENERATED ALWAYS AS IDENTITY, id int, name text);
	CREATE TABLE app.log_visit (n int GENERATED ALWAYS AS IDENTITY, old_pk int, old_patient int, said text);
	CREATE FUNCTION app.lp() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN INSERT INTO app.log_patient (id, name) VALUES (OLD.id, OLD.name); RETURN NULL; END \$\$;
	CREATE TRIGGER lp AFTER UPDATE OR DELETE ON app.patient FOR EACH ROW EXECUTE FUNCTION app.lp();
	CREATE FUNCTION app.lv() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN
		INSERT INTO app.log_visit (old_pk, old_patient, said) VALUES (OLD.pk, OLD.patient_id, OLD.said); RETURN NULL; END \$\$;
	CREATE TRIGGER lv AFTER UPDATE OR DELETE ON app.visit FOR EACH ROW EXECUTE FUNCTION app.lv();
	INSERT INTO app.visit SELECT i, i, name FROM app.patient, LATERAL (SELECT id) x(i);
	INSERT INTO app.visit VALUES (72, 2, '$MARK'), (73, 3, 'o'), (80, 2, 'moved');
	UPDATE app.patient SET born = 'y';
	DELETE FROM app.visit WHERE pk IN (72, 73);
	UPDATE app.visit SET patient_id = 3 WHERE pk = 80;" '
	{ table = "app.patient"; action = "tombstone"; acknowledge = [ "lp" ]; creates = [ "app.log_patient" ];
		columns = ( { column = "name"; mask = "erased-{key}"; identifying = true; }, { column = "born"; mask = "null"; } ); },
	{ table = "app.visit"; owner = "patient_id -> app.patient"; action = "delete"; acknowledge = [ "lv" ]; creates = [ "app.log_visit" ]; },
	{ table = "app.log_patient"; log_of = "app.patient"; },
	{ table = "app.log_visit"; log_of = "app.visit"; log_key = [ "old_pk" ]; owner = "old_patient -> app.patient"; action = "delete"; }'
erased 2 "-app.log_patient: (2,2,$MARK)
-app.log_visit: (1,72,2,$MARK)
-app.patient: (2,$MARK,y)
+app.patient: (2,erased-2,)
-app.visit: (2,2,$MARK)" "log rows old and new, also of originals that have gone"
certificate 'app.log_patient 1 1 0 0 0 0 created 1
app.log_visit 1 1 0 0 0 0 created 1
app.patient 1 0 1 0 0 0
app.visit 1 1 0 0 0 0' "... counted"

# --- rows that came after the request
shape later "CREATE TABLE app.patient (id int PRIMARY KEY, name text);
	CREATE TABLE app.note (id int PRIMARY KEY, patient_id int REFERENCES app.patient, said text, at timestamptz);
	CREATE TABLE app.day (id int PRIMARY KEY, patient_id int REFERENCES app.patient, on_day date);
	INSERT INTO app.patient SELECT i, CASE i WHEN 2 THEN '$MARK' ELSE 'p' || i END FROM generate_series(1, 6) i;
	INSERT INTO app.note SELECT i, 2, '$MARK', CASE i WHEN 1 THEN now() - interval '1 day' WHEN 2 THEN now() + interval '1 hour' END FROM generate_series(1, 3) i;
	INSERT INTO app.day VALUES (1, 2, current_date - 1), (2, 2, current_date + 1), (3, 2, current_date + 2), (4, 3, current_date + 2);" "$patient"'
	{ table = "app.note"; owner = "patient_id -> app.patient"; action = "delete"; created = "at"; },
	{ table = "app.day"; owner = "patient_id -> app.patient"; action = "delete"; created = "on_day"; }'
erased 2 "$(rows | sed -n "/^app.day: ([123],/s/^/-/p; /$MARK/s/^/-/p")" "rows that came after the request are in its plan"
certificate 'app.day 1 3 0 0 2 0
app.note 2 3 0 0 1 0
app.patient 1 1 0 0 0 0' "... and counted apart"

# --- a patient who is staff as well
for kind in '' 'ON DELETE CASCADE' 'ON DELETE SET NULL'; do
	acknowledge='' shape="staff_${#kind}"
	[ -z "$kind" ] || acknowledge='acknowledge = [ "is_patient" ];'
	shape "$shape" "$people
		CREATE TABLE app.staff (id int PRIMARY KEY, patient_id int CONSTRAINT is_patient REFERENCES app.patient $kind);
		INSERT INTO app.staff VALUES (1, 2), (2, NULL);" "$patient"'
		{ table = "app.note"; owner = "patient_id -> app.patient"; action = "delete"; }, { table = "app.staff"; action = "tenant"; '"$acknowledge"' }'
	refused 2 '^blocker: app.staff rows 1 refer to app.patient' "a patient who is staff ${kind,,}"
	if [ -n "$kind" ]; then
		use_map "$patient"'{ table = "app.note"; owner = "patient_id -> app.patient"; action = "delete"; }, { table = "app.staff"; action = "tenant"; }'
		run expunge_as night map check
		out_like 'error: .*is_patient of app.staff is '"$kind"'.*\[cascade\]' "... and the map has to say so"
	fi
done
done_testing

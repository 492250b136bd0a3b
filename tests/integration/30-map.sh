#!/usr/bin/env bash
# The data map against a real server: the sample's map passes, each kind of drift is found, a draft
# of discover is a map, hostile names do no harm, a thousand tables take no time.
. "$(dirname "$0")/../lib.sh"

fresh_db clinic
configure "$T/etc" clinic

# check: what `map check` says now; the findings as "code table", sorted, in $FOUND
check() {
	run "$EXPUNGE" -c "$CONF" map check --json "$@"
	FOUND=$(printf '%s' "$OUT" | tr -d '\n' | grep -oE '"level": "error", *"code": "[^"]*", *"table": "([^"\\]|\\.)*"' |
		sed -E 's/^.*"code": "([^"]*)", *"table": "(.*)"$/\1 \2/' | sort | paste -sd, || true)
}
finds() { # finds WANTED NAME
	check
	is "$FOUND" "$1" "$2"
	if [ -n "$1" ]; then rc_is 2 "... exit code 2"; else rc_is 0 "... exit code 0"; fi
}

run "$EXPUNGE" -c "$CONF" map check
rc_is 0 "the sample's map passes"
out_like '^17 tables, 0 errors, ' "... and says how many tables it looked at"
out_like 'warning: .*audit.log_patient.*\[unindexed-path\]' "an unindexed owner path is a warning"
out_like '^ +CREATE INDEX CONCURRENTLY ON audit.log_patient \(id\);$' "... with the statement that cures it"

# --- drift
sql clinic "ALTER TABLE app.invoice ADD COLUMN iban text"
finds "unclassified-column app.invoice" "a new column of rows that stay"
sql clinic "ALTER TABLE app.invoice DROP COLUMN iban" "ALTER TABLE app.note ADD COLUMN mood text"
finds "" "a new column of rows that go needs no line"
sql clinic "ALTER TABLE app.note ADD COLUMN attachment oid"
finds "unclassified-column app.note" "... unless it may hold a large object"
sql clinic "ALTER TABLE app.note DROP COLUMN attachment" "CREATE TABLE app.extra (id int PRIMARY KEY)"
finds "unclassified-table app.extra" "a new table"
sql clinic "DROP TABLE app.extra" "CREATE TABLE app.child () INHERITS (app.letter)"
finds "inheritance-child app.child" "a child table is not covered by its parent"
sql clinic "DROP TABLE app.child" \
	"CREATE TABLE app.reminder_2030 PARTITION OF app.reminder FOR VALUES FROM ('2030-01-01') TO ('2031-01-01')"
finds "" "a new partition is covered by its root"
sql clinic "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;
	CREATE TABLE app.p (patient_id bigint NOT NULL) PARTITION BY RANGE (patient_id);
	CREATE FOREIGN TABLE app.far PARTITION OF app.p FOR VALUES FROM (1) TO (9) SERVER s;
	ALTER TABLE app.p OWNER TO app_owner"
sed 's/{ table = "app.code"/{ table = "app.p"; owner = "patient_id -> app.patient"; action = "delete"; }, &/; s/harmless = \[/& "app.p",/' \
	"$ROOT/etc/maps/sample.conf" >"$T/far.conf"
check --map "$T/far.conf"
is "$FOUND" "foreign-table app.p" "a partition in another database"
sql clinic "DROP TABLE app.p" \
	"CREATE RULE keep AS ON DELETE TO app.letter DO INSTEAD UPDATE app.letter SET scan = '' WHERE id = old.id"
finds "delete-rule app.letter" "a rule that turns DELETE into something else"
sql clinic "DROP RULE keep ON app.letter" \
	"CREATE TRIGGER t AFTER DELETE ON app.letter FOR EACH STATEMENT EXECUTE FUNCTION audit.log_note()" \
	"CREATE TRIGGER u AFTER UPDATE ON app.invoice FOR EACH ROW EXECUTE FUNCTION audit.log_note()" \
	"CREATE CONSTRAINT TRIGGER d AFTER INSERT ON app.reminder_rest DEFERRABLE FOR EACH ROW EXECUTE FUNCTION audit.log_note()"
finds "deferred-trigger app.reminder,delete-trigger app.invoice,delete-trigger app.letter" "triggers of every kind, one on a partition"
sql clinic "DROP TRIGGER t ON app.letter" "DROP TRIGGER u ON app.invoice" "DROP TRIGGER d ON app.reminder_rest" \
	"ALTER TABLE app.staff ADD COLUMN is_patient bigint REFERENCES app.patient ON DELETE SET NULL"
finds "cascade app.staff" "rows of a tenant that would change silently"
sql clinic "ALTER TABLE app.staff DROP COLUMN is_patient" "ALTER TABLE app.invoice ALTER COLUMN patient_id SET NOT NULL"
finds "retain-not-null app.invoice" "a reference that cannot be cut"
sql clinic "ALTER TABLE app.invoice ALTER COLUMN patient_id DROP NOT NULL" "ALTER TABLE app.letter ENABLE ROW LEVEL SECURITY" \
	"ALTER TABLE app.letter FORCE ROW LEVEL SECURITY"
finds "row-security app.letter" "rows that row-level security hides from the login"
sql clinic "ALTER TABLE app.letter DISABLE ROW LEVEL SECURITY" "ALTER TABLE app.letter OWNER TO postgres" \
	"GRANT SELECT ON app.letter TO app_owner"
finds "privilege app.letter" "a privilege that the login has not"
run "$EXPUNGE" -c "$CONF" map check
out_like '^ +GRANT DELETE ON app.letter TO app_owner;$' "... with the grant that is missing"
sql clinic "ALTER TABLE app.letter OWNER TO app_owner" \
	"INSERT INTO app.letter_file (patient_id, content) SELECT min(id), lo_create(0) FROM app.patient"
finds "lo-owner app.letter_file" "a large object that the login cannot unlink"
sql clinic "SET lo_compat_privileges = on" "ALTER DATABASE clinic SET lo_compat_privileges = on"
finds "" "... unless the server does not care"
sql clinic "ALTER DATABASE clinic RESET lo_compat_privileges" "DELETE FROM app.letter_file WHERE content IN
	(SELECT oid FROM pg_largeobject_metadata WHERE lomowner = 'postgres'::regrole)"

# --- maps that do not fit
sed 's/app\.letter_file/app.letters/' "$ROOT/etc/maps/sample.conf" >"$T/bad.conf"
run "$EXPUNGE" -c "$CONF" map check --map "$T/bad.conf"
rc_is 2 "a map that names a missing table"
err_like "bad.conf:[0-9]+: the database has no table app\.letters$" "... says which, and in which line"
out_is "" "... and nothing else is said"
sed 's/mask = "null"/masc = "null"/; s/action = "retain"/action = "keep"/' "$ROOT/etc/maps/sample.conf" >"$T/bad.conf"
run "$EXPUNGE" -c "$CONF" map show --map "$T/bad.conf"
rc_is 2 "a map with misspelt words"
err_like 'has no setting "masc"' "... names one"
err_like 'action must be delete' "... and the other"
printf 'tenant : {' >"$T/bad.conf"
run "$EXPUNGE" -c "$CONF" map show --map "$T/bad.conf"
rc_is 2 "half a map"
err_like 'bad.conf' "... is named"
sed 's/constraints = "immediate"/constraints = [ "app.nix" ]/; s/login = "app_owner"/login = "nobody_here"/' \
	"$ROOT/etc/maps/sample.conf" >"$T/bad.conf"
check --map "$T/bad.conf"
is "$FOUND" "constraint session,privilege session" "a login and a constraint that do not exist"

# --- show and explain
run "$EXPUNGE" -c "$CONF" map show
rc_is 0 "show"
out_like '^app\.invoice +retain +financial +patient_id -> app\.patient \[payer_name: null' "... a line a table"
run "$EXPUNGE" -c "$CONF" map explain audit.log_note
rc_is 0 "explain"
out_like 'because \(id\) -> app\.note, and there appointment_id -> app\.appointment, and there patient_id -> app\.patient$' "... the whole chain"
run "$EXPUNGE" -c "$CONF" map explain app.appointment
out_like '^waits for: app\.note$' "... and what is cleared before"
run "$EXPUNGE" -c "$CONF" map explain app.nix
rc_is 2 "a table that the map does not name"

# --- a draft is a map
run "$EXPUNGE" -c "$CONF" map discover
rc_is 0 "discover"
cp "$T/out" "$T/draft.conf"
check --map "$T/draft.conf"
is "$FOUND" "delete-trigger app.appointment,delete-trigger app.note,delete-trigger app.patient" \
	"its draft lacks nothing but a person's look at three triggers"
ok "... and marks what it is unsure of" grep -q '# unsure: no foreign key, owner by the column.s name' "$T/draft.conf"
sql clinic "ALTER TABLE app.letter ADD scan_path text, ADD profile text, ADD files int" >/dev/null
run "$EXPUNGE" -c "$CONF" map discover
is "$(grep -o 'unsure: by its name .* holds paths' "$T/out")" "unsure: by its name scan_path holds paths" "a column that looks like a path of files outside the database, too"
cp "$T/out" "$T/draft.conf"
check --map "$T/draft.conf"
is "$FOUND" "delete-trigger app.appointment,delete-trigger app.note,delete-trigger app.patient" "which leaves the draft a map"
sql clinic "ALTER TABLE app.letter DROP scan_path, DROP profile, DROP files" >/dev/null
run "$EXPUNGE" -c "$CONF" map discover --subject app.nix
rc_is 2 "a subject's table that does not exist"

# --- hostile names
fresh_db hostile template0
sql hostile "CREATE SCHEMA \"a.b\"" \
	"CREATE TABLE \"a.b\".patient (\"id\"\"; DROP TABLE x; --\" bigint PRIMARY KEY, \"na'me\" text)" \
	"CREATE TABLE \"a.b\".\"no\"\"te -> when\" (k bigint PRIMARY KEY, \"fk, (x)\" bigint NOT NULL REFERENCES \"a.b\".patient)" \
	"CREATE INDEX ON \"a.b\".\"no\"\"te -> when\" (\"fk, (x)\")" \
	"CREATE FUNCTION \"a.b\".f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'" \
	"CREATE TRIGGER \"t\"\"
}; evil = (\" AFTER DELETE ON \"a.b\".patient FOR EACH ROW EXECUTE FUNCTION \"a.b\".f()"
configure "$T/hostile" hostile
run "$EXPUNGE" -c "$CONF" map discover
rc_is 0 "discover with hostile names"
cp "$T/out" "$T/hostile.conf"
check --map "$T/hostile.conf"
is "$FOUND" 'delete-trigger \"a.b\".patient' "... whose draft is read back, names and all"

# --- a large schema
fresh_db large template0
sql large "CREATE SCHEMA app" "CREATE TABLE app.patient (id bigint PRIMARY KEY)" \
	"DO \$\$BEGIN FOR i IN 1..1000 LOOP EXECUTE format('CREATE TABLE app.t%s (id bigint PRIMARY KEY,
	patient_id bigint NOT NULL REFERENCES app.patient, a text, b text, c text, d text, e date)', i); END LOOP; END\$\$"
configure "$T/large" large
start=$(date +%s%N)
run "$EXPUNGE" -c "$CONF" map discover
elapsed=$((($(date +%s%N) - start) / 1000000))
rc_is 0 "discover of a thousand tables"
note "took $elapsed ms"
ok "... takes less than five seconds" test "$elapsed" -lt 5000
cp "$T/out" "$T/large.conf"
start=$(date +%s%N)
run "$EXPUNGE" -c "$CONF" map check --map "$T/large.conf"
elapsed=$((($(date +%s%N) - start) / 1000000))
rc_is 0 "check of a thousand tables"
note "took $elapsed ms"
ok "... takes less than five seconds" test "$elapsed" -lt 5000

done_testing

#!/usr/bin/env bash
# A data map or schema that changes between the removal and the recount: saved keys keep their meaning, and
# nothing is certified that the new map cannot recount.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/sessions.bash"
fresh_db clinic
cp "$ROOT/etc/maps/sample.conf" "$T/map.conf"
install clinic "$T/map.conf"
set_option wait_seconds 0

removed_only() { # removed_only PATIENT: removed, and waiting for an older transaction, which ends then; sets $id
	id=$(scheduled clinic 1 "$1")
	session app clinic
	say app 'BEGIN; SELECT 1'
	run expunge_as night nightly
	is "$(request_state clinic "$id")" removed "patient $1 is removed and not yet recounted"
	say app COMMIT
	session_end app
}

# ---- a table leaves the map
removed_only 42
# the trail of appointments is one line of the map
sed -e 's|^  { table = "audit.log_appointment";.*},|  { table = "audit.log_appointment"; action = "none"; reason = "somebody thinks so"; },|' \
	-e 's| creates = \[ "audit.log_appointment" \];||' "$ROOT/etc/maps/sample.conf" >"$T/map.conf"
run expunge_as night nightly
rc_is 5 "a map that leaves out what the removal took"
err_like "request $id: audit.log_appointment is not in the data map as it was at the removal" "is told of"
is "$(request_state clinic "$id") $(sql clinic 'SELECT count(*) FROM expunge.certificate')" "removed 0" "nothing is certified"
run expunge_as oscar request show "$id"
out_like 'removed; map: audit.log_appointment is not in the data map' "request show says why"
run expunge_as watch status
rc_is 3 "status is red"
cp "$ROOT/etc/maps/sample.conf" "$T/map.conf"
run expunge_as night nightly
is "$RC $(request_state clinic "$id")" "0 certified" "with the line put back, it is recounted and certified"

# ---- columns get another order among the vias: numbers keep their meaning
sql clinic 'CREATE TABLE app.badge (id bigint PRIMARY KEY, nhs text)' 'ALTER TABLE app.badge OWNER TO app_owner' \
	'CREATE TABLE app.tag (id bigint PRIMARY KEY, email text)' 'ALTER TABLE app.tag OWNER TO app_owner'
badge='{ table = "app.badge"; owner = "nhs -> app.patient(nhs_number)"; action = "delete"; }'
sed "s|^tables = (|&\n  { table = \"app.tag\"; action = \"none\"; reason = \"not used yet\"; },\n  $badge,|; s|harmless = \[|& \"app.badge\",|" "$ROOT/etc/maps/sample.conf" >"$T/map.conf"
removed_only 44
sql clinic 'SELECT table_id, via, columns FROM expunge.mapped_via ORDER BY 1, 2' >"$T/vias.before"
ok "vias are numbered" test -s "$T/vias.before"
# a line in front, which refers to patients by a column that nothing referred to before
sed "s|^tables = (|&\n  { table = \"app.tag\"; owner = \"email -> app.patient(email)\"; action = \"delete\"; },\n  $badge,|; s|harmless = \[|& \"app.badge\", \"app.tag\",|" "$ROOT/etc/maps/sample.conf" >"$T/map.conf"
run expunge_as night nightly
is "$RC $(request_state clinic "$id")" "0 certified" "another line in front is no other meaning of saved keys"
sql clinic 'SELECT table_id, via, columns FROM expunge.mapped_via ORDER BY 1, 2' >"$T/vias.after"
is "$(diff "$T/vias.before" "$T/vias.after" | grep -c '^<' || true)" 0 "no number has changed"
is "$(diff "$T/vias.before" "$T/vias.after" | grep -c '^> .*email' || true)" 1 "the new column list has a new one"

sql clinic 'DROP TABLE app.badge, app.tag'

# ---- another key for a table whose rows are saved
sql clinic 'ALTER TABLE app.message ADD UNIQUE (id, ref_id)'
cp "$ROOT/etc/maps/sample.conf" "$T/map.conf"
removed_only 46
sed 's|{ table = "app.message"; owner|{ table = "app.message"; key = [ "id", "ref_id" ]; owner|' "$ROOT/etc/maps/sample.conf" >"$T/map.conf"
grep -q 'key = \[ "id", "ref_id" \]' "$T/map.conf"
run expunge_as night nightly
rc_is 5 "another key"
err_like 'rows of app.message that were removed are known by \(id\), and the map now says \(id, ref_id\)' "is refused"
cp "$ROOT/etc/maps/sample.conf" "$T/map.conf"
run expunge_as night nightly
is "$(request_state clinic "$id")" certified "with its former key, it goes on"
sed 's|{ table = "app.message"; owner|{ table = "app.message"; key = [ "id", "ref_id" ]; owner|' "$ROOT/etc/maps/sample.conf" >"$T/map.conf"
run expunge_as night nightly
rc_is 0 "when nothing of it is saved, the key may change"

# ---- what a run looks at before it reads the whole schema again
version() { sql clinic "$(cat "$ROOT/sql/query/catalog_version.sql")"; }
before=$(version)
seen() { # seen WHAT STATEMENT...: it has another version afterwards
	local what=$1 now
	sql clinic "${@:2}" >"$T/out"
	now=$(version)
	verdict "$([ "$now" != "$before" ] && echo true || echo false)" "$what is seen"
	before=$now
}
seen "a schema" 'CREATE SCHEMA side'
seen "a table" 'CREATE TABLE side.a (id int PRIMARY KEY, n numeric(5,2))'
seen "a column" 'ALTER TABLE side.a ADD c varchar(10)'
seen "its type" 'ALTER TABLE side.a ALTER c TYPE varchar(20)'
seen "its default" "ALTER TABLE side.a ALTER c SET DEFAULT 'x'"
seen "its being wanted" 'ALTER TABLE side.a ALTER c SET NOT NULL'
seen "its name" 'ALTER TABLE side.a RENAME c TO d'
seen "its end" 'ALTER TABLE side.a DROP d'
seen "a type of one's own" 'CREATE DOMAIN side.word AS text'
seen "its constraint" 'ALTER DOMAIN side.word SET NOT NULL'
seen "its name" 'ALTER DOMAIN side.word RENAME TO term'
seen "a foreign key" 'CREATE TABLE side.b (id int PRIMARY KEY, a_id int)' 'ALTER TABLE side.b ADD CONSTRAINT b_a FOREIGN KEY (a_id) REFERENCES side.a'
seen "what it does" 'ALTER TABLE side.b ALTER CONSTRAINT b_a DEFERRABLE'
seen "its end" 'ALTER TABLE side.b DROP CONSTRAINT b_a'
seen "an index" 'CREATE UNIQUE INDEX b_id ON side.b (a_id)'
seen "a key" 'ALTER TABLE side.b DROP CONSTRAINT b_pkey'
seen "a parent" 'CREATE TABLE side.c () INHERITS (side.b)'
seen "none any more" 'ALTER TABLE side.c NO INHERIT side.b'
seen "a partition" 'CREATE TABLE side.p (id int) PARTITION BY LIST (id)' 'CREATE TABLE side.p1 (id int)' 'ALTER TABLE side.p ATTACH PARTITION side.p1 DEFAULT'
seen "a function" "CREATE FUNCTION side.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'"
seen "a trigger" 'CREATE TRIGGER t BEFORE DELETE ON side.a FOR EACH ROW EXECUTE FUNCTION side.f()'
seen "what it does" "CREATE OR REPLACE FUNCTION side.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
seen "that it is off" 'ALTER TABLE side.a DISABLE TRIGGER t'
seen "its end" 'DROP TRIGGER t ON side.a'
seen "a trigger of the server's own function" 'CREATE TRIGGER s BEFORE UPDATE ON side.a FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()'
seen "which says something else" "CREATE OR REPLACE FUNCTION pg_catalog.suppress_redundant_updates_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
seen "a rule" 'CREATE RULE r AS ON DELETE TO side.a DO INSTEAD NOTHING'
seen "that it is off" 'ALTER TABLE side.a DISABLE RULE r'
seen "a table's place" 'CREATE SCHEMA aside' 'ALTER TABLE side.a SET SCHEMA aside'
seen "its name" 'ALTER TABLE aside.a RENAME TO z'
seen "its end" 'DROP TABLE aside.z'
sql clinic 'ANALYZE' # notes that there is no heir any more
before=$(version)
sql clinic 'CREATE TEMP TABLE mine (id int PRIMARY KEY)' 'INSERT INTO side.c (id) VALUES (1)' 'ANALYZE' 'VACUUM FREEZE side.c'
is "$(version)" "$before" "rows, statistics, frozen rows and temporary tables are no change"
done_testing

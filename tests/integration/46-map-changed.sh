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
done_testing

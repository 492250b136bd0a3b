#!/usr/bin/env bash
# What triggers do beside the plan is found, by a rehearsal and by the run: rows of other patients that they
# change, also where the change hides in a block with an exception handler or is deferred to the commit.
. "$(dirname "$0")/../lib.sh"
fresh_db clinic
install clinic
id=$(file_request clinic 1 42)
approve clinic "$id"
map=$T/map.conf
sed 's/^session : {/& acknowledge = [ "meddle" ];/' "$ROOT/etc/maps/sample.conf" >"$map"
sed -i "s|^map = .*|map = \"$map\";|" "$CONF"

# A patient far from 42, whom the control sample of neighbours does not look at.
victim='(SELECT min(n.id) FROM app.note n JOIN app.appointment a ON a.id = n.appointment_id WHERE a.patient_id = 150)'

# meddle TABLE CONSTRAINT? WHEN BODY: a trigger on TABLE, acknowledged by the map
meddle() {
	sql clinic 'DROP FUNCTION IF EXISTS app.meddle CASCADE' \
		"CREATE FUNCTION app.meddle() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
		AS \$\$ BEGIN $4 RETURN NULL; END \$\$" \
		"CREATE $2 TRIGGER meddle AFTER DELETE ON $1 $3 FOR EACH ROW EXECUTE FUNCTION app.meddle()" 2>/dev/null
}

# refused NAME PATTERN
refused() {
	run expunge_as night erase --rehearse --request "$id"
	rc_is 3 "$1: the rehearsal fails"
	out_like "$2" "$1: and says why"
}

"$ROOT/tests/sample/rows.sh" clinic >"$T/before"
harmless='PERFORM 1;'
meddle app.patient_guarantor '' '' "$harmless"
run expunge_as night erase --rehearse --request "$id"
rc_is 0 "a trigger that does nothing is no obstacle"
out_like 'everything would go through' "and the rehearsal goes through"

meddle app.patient_guarantor '' '' "UPDATE app.note SET body = 'x' WHERE id = $victim;"
refused update 'app.note: the removal wrote 1 rows|audit.log_note: the removal wrote'
meddle app.patient_guarantor '' '' "BEGIN UPDATE app.note SET body = 'x' WHERE id = $victim;
	EXCEPTION WHEN division_by_zero THEN NULL; END;"
refused "update in a block" 'app.note: the removal wrote 1 rows|audit.log_note: the removal wrote'
meddle app.patient_guarantor '' '' "DELETE FROM app.note WHERE id = $victim;"
refused delete 'app.note: the server counts'
meddle app.patient_guarantor '' '' "INSERT INTO app.code VALUES (gen_random_uuid()::text, 'x');"
refused insert 'app.code: the server counts'

deferred='DEFERRABLE INITIALLY DEFERRED'
sed -i 's/ constraints = "immediate";//' "$map"
meddle app.patient_guarantor CONSTRAINT "$deferred" "$harmless"
run expunge_as night erase --rehearse --request "$id"
rc_is 0 "a deferred trigger that does nothing is no obstacle"
meddle app.patient_guarantor CONSTRAINT "$deferred" "INSERT INTO app.code VALUES (gen_random_uuid()::text, 'x');"
refused "deferred insert" 'app.code: the server counts'
meddle app.patient_guarantor CONSTRAINT "$deferred" "RAISE 'not to be' USING ERRCODE = 'P0004';"
refused "deferred refusal" 'deferred to the commit'

# Nobody rehearses each night: the run itself finds it, too. Map and schema are approved as they are.
meddle app.patient_guarantor CONSTRAINT "$deferred" "UPDATE app.staff SET role = 'x' WHERE id = 1;"
expunge_as ruth request withdraw "$id" >/dev/null
id=$(file_request clinic 1 42)
approve clinic "$id"
run expunge_as night nightly
rc_is 3 "the night fails on it"
is "$(request_state clinic "$id")" failed "the request is failed"
"$ROOT/tests/sample/rows.sh" clinic >"$T/after"
is "$(diff "$T/before" "$T/after")" "" "and no row was changed"

# A change over another connection, as foreign tables and queues make it: no counter of our transaction sees it, only
# the neighbours' rows do.
sql clinic 'CREATE EXTENSION dblink'
phone=$(sql clinic 'SELECT phone FROM app.patient WHERE id = 43')
meddle app.patient_guarantor '' '' "PERFORM public.dblink_exec('host=$PGHOST port=$PGPORT dbname=clinic user=postgres password=$(password)',
	'UPDATE app.patient SET phone = phone || ''1'' WHERE id = 43');"
refused elsewhere 'app.patient: rows of other subjects in the control sample changed during the removal'
sql clinic "UPDATE app.patient SET phone = '$phone' WHERE id = 43" 'DROP EXTENSION dblink CASCADE'

sql clinic 'DROP FUNCTION app.meddle CASCADE' 2>/dev/null
expunge_as ruth request withdraw "$id" >/dev/null
id=$(file_request clinic 1 42)
approve clinic "$id"
run expunge_as night nightly
rc_is 0 "without the trigger it goes through"
is "$(request_state clinic "$id")" certified "and is certified"

# One of a batch cannot be removed: it is found, and the others go.
meddle app.appointment '' '' "IF OLD.patient_id = 46 THEN RAISE EXCEPTION 'not this one'; END IF;"
sed -i 's/tenant_share_percent = 50/tenant_share_percent = 100/' "$CONF"
ids=()
for patient in 60 44 46 48; do # 60 is the canary
	ids+=("$(file_request clinic 1 "$patient")")
	approve clinic "${ids[-1]}"
done
run expunge_as night nightly
rc_is 3 "one request of a batch fails"
is "$(for i in "${ids[@]}"; do request_state clinic "$i"; done | xargs)" "certified certified failed certified" "that one, and no other"

# The same keys, but another birth: somebody else by now.
sql clinic 'DROP FUNCTION app.meddle CASCADE' 2>/dev/null
id=$(file_request clinic 1 5)
approve clinic "$id"
sql clinic "UPDATE app.patient SET created_at = created_at - interval '1 day' WHERE id = 5"
run expunge_as night nightly
is "$(request_state clinic "$id")" blocked "who has the keys but not the birth of the approved is not erased"
done_testing

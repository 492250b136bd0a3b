#!/usr/bin/env bash
# Races about keys: patients who arrive, backups, erasures and fresh roots, on two hosts with the same places of the root and
# of archives, interleaved statement by statement (tests/race). In the end an attacker who has the places, the journals and
# the archives opens what lives, and of those who were erased nothing. Samples; RACE_ROUNDS=300 is the long version.
#
#   RACE_ONLY=keys-backup RACE_SEED=42 RACE_ROUNDS=1 tests/integration/66-key-races.sh      repeats one round
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/sessions.bash"
race=$(dirname "$EXPUNGE")/tests/race
[ -x "$race/race" ] || skip_all "no $race/race: make units builds it"
rounds=${RACE_ROUNDS:-3}
RACE_SEED=${RACE_SEED:-$((RANDOM * 32768 + RANDOM))}
scenarios=${RACE_ONLY-keys-arrival keys-backup keys-backups keys-hosts keys-mixed}
note "RACE_SEED=$RACE_SEED"
cd "$T" || exit
export PGDATABASE=clinic

# A clinic with a few patients, and a second host: directories of its own, but for the places of keys and archives.
begin() {
	sql postgres 'CREATE DATABASE clinic TEMPLATE template0'
	mkrole app_owner
	psql -XAtq -v ON_ERROR_STOP=1 -d clinic -f "$ROOT/tests/sample/schema.sql" >/dev/null
	sql clinic "INSERT INTO app.practice (id, name, country) VALUES (1, 'One', 'GB-ENG'), (2, 'Two', 'GB-SCT')" \
		"INSERT INTO app.code VALUES ('FUP', 'follow-up')" \
		"INSERT INTO app.staff (practice_id, name, role) SELECT (n - 1) / 5 + 1, 'Member ' || n, 'clinician' FROM generate_series(1, 10) n"
	install clinic 2>/dev/null
	sed -i 's/^caps : {/batch : { subjects = 2; workers = 1; };\n&/; s/tenant_share_percent = 50/tenant_share_percent = 100/; s/wait_seconds = 5/wait_seconds = 0/' "$CONF"
	sed 's|/clinic/|/host2/|' "$CONF" >"$T/host2.conf"
	with_keys 2>"$T/init.log"
	sed -i 's/^archives : {/&\n  workers = 1;/' "$CONF"
	sed -n '/^keys : {/,$p' "$CONF" >>"$T/host2.conf"
	cp -a "$T/clinic" "$T/host2"
	rm -rf "$T"/host2/{shares,here,there,archives.pem}
	mv "$T/host2.conf" "$T/host2/expunge.conf"
	chmod 0600 "$T/host2/expunge.conf"
	psql -XAtq -v ON_ERROR_STOP=1 -d clinic -f "$ROOT/tests/race/clinic.sql" -f "$ROOT/tests/race/keys.sql" >/dev/null
	sql clinic "SELECT race.make(id, 1 + id % 2, NULL) FROM generate_series(1, 12) id" \
		'ALTER DATABASE clinic SET deadlock_timeout = 50' >/dev/null
}

end() {
	sql postgres 'DROP DATABASE clinic WITH (FORCE)'
	rm -rf -- "$T/clinic" "$T/host2"
}

attacked() {
	sql clinic "SELECT CASE WHEN shredded_epoch IS NULL THEN 'live' ELSE 'dead' END, id, encode(kcv, 'hex') FROM expunge.key_leaf" | tr '|' ' ' >"$T/targets"
	run python3 "$ROOT/tests/closure/attacker.py" --instance "$(sql clinic 'SELECT id FROM expunge.instance')" --targets "$T/targets" \
		--roots "$T/clinic/shares" --journal "$T/clinic/here" --journal "$T/clinic/there" --archives "$T/clinic/here" --archives "$T/clinic/there"
	out_like '^recovered 0 of [1-9][0-9]* shredded, ([1-9][0-9]*) of \1 living$' "$1: every living leaf opens, and none that was shredded"
	out_like '^frames: opened 0 of [1-9][0-9]* shredded, ([1-9][0-9]*) of \1 living; unread archives: 0$' "$1: in archives, too"
}

for scenario in $scenarios; do
	begin
	run "$race/race" "$EXPUNGE" "$race/gate.so" "$CONF" "$T/host2/expunge.conf" "$scenario" "$rounds" "$RACE_SEED"
	[ -z "${RACE_VERBOSE:-}" ] || diag <"$T/out"
	rc_is 0 "$scenario: $(tail -n 1 "$T/out")"
	[ "$RC" = 0 ] || tail -n 8 race.log* | diag
	attacked "$scenario"
	end
done

# ---------------------------------------------------------------------------- one that chance hardly finds
# A patient who is in no archive yet is removed while a backup that still sees him is about to make his leaf key.
begin
set_option lock_timeout_ms 60000
sql clinic "SELECT race.make(500, 1, NULL)" "CREATE FUNCTION race.wait() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
		'BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NEW; END'" \
	"CREATE TRIGGER wait BEFORE INSERT ON expunge.key_leaf FOR EACH ROW WHEN (NEW.kind = 'subject' AND NEW.name = '500') EXECUTE FUNCTION race.wait()" >/dev/null
id=$(scheduled clinic 1 500)
session keeper clinic
say keeper "SELECT pg_advisory_lock(4711)"
start backup expunge_as night backup --tenant 1
await "the backup has its snapshot" holds clinic "EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted)"
run expunge_as night nightly
is "$(request_state clinic "$id")/$(sql clinic "SELECT count(*) FROM app.patient WHERE id = 500")" removed/0 "removed under a backup's eyes, a patient is not certified"
say keeper "SELECT pg_advisory_unlock(4711)"
session_end keeper
finish backup
rc_is 0 "the backup has him in its archive"
is "$(sql clinic "SELECT count(*) FROM expunge.key_leaf WHERE kind = 'subject' AND name = '500'")" 1 "under a leaf key"
run expunge_as night nightly
rc_is 0 "the next night"
is "$(request_state clinic "$id")" certified "certifies"
attacked "a backup in the midst"

# While the root is changed there are two of them, and the drill of another run would take one for a stranger.
session keeper clinic
say keeper "SELECT pg_advisory_lock(hashtextextended('expunge/keys', 0))"
start night expunge_as night nightly
waits_for_lock clinic
say keeper "SELECT pg_advisory_unlock_all()"
session_end keeper
finish night
rc_is 0 "the drill of a night waits for a change of the root"
end
done_testing

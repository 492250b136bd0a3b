#!/usr/bin/env bash
# Races: holds, withdrawals, new rows, merges, approvals, other hosts and other nights against a run, interleaved
# statement by statement (tests/race). Samples; RACE_ROUNDS=300 is the long version.
#
#   RACE_ONLY=hold RACE_SEED=42 RACE_ROUNDS=1 tests/integration/58-race.sh      repeats one round
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/sessions.bash"
race=$(dirname "$EXPUNGE")/tests/race
[ -x "$race/race" ] || skip_all "no $race/race: make units builds it"
rounds=${RACE_ROUNDS:-8}
RACE_SEED=${RACE_SEED:-$((RANDOM * 32768 + RANDOM))}
scenarios=${RACE_ONLY:-hold hold-practice withdrawal arrival move merge hosts failure nights approval mixed}
note "RACE_SEED=$RACE_SEED"

# ---- a small clinic, and a second host with directories of its own
sql postgres 'CREATE DATABASE clinic TEMPLATE template0'
mkrole app_owner
psql -XAtq -v ON_ERROR_STOP=1 -d clinic -f "$ROOT/tests/sample/schema.sql" >/dev/null
sql clinic "INSERT INTO app.practice (id, name, country) VALUES (1, 'One', 'GB-ENG'), (2, 'Two', 'GB-SCT'), (3, 'Three', 'GB-NIR')" \
	"INSERT INTO app.code VALUES ('FUP', 'follow-up')" \
	"INSERT INTO app.staff (practice_id, name, role) SELECT (n - 1) / 5 + 1, 'Member ' || n, 'clinician' FROM generate_series(1, 15) n"
install clinic
psql -XAtq -v ON_ERROR_STOP=1 -d clinic -f "$ROOT/tests/race/clinic.sql" >/dev/null
# patients who have nothing to do with it
sql clinic "SELECT race.make(id, 1 + id % 3, NULL) FROM generate_series(1, 12) id" \
	'ALTER DATABASE clinic SET deadlock_timeout = 50' >/dev/null
sed -i 's/^caps : {/batch : { subjects = 2; workers = 1; };\n&/; s/tenant_share_percent = 50/tenant_share_percent = 100/' "$CONF"
sed 's|/clinic/|/host2/|' "$CONF" >"$T/host2.conf"
cp -a "$T/clinic" "$T/host2"
mv "$T/host2.conf" "$T/host2/expunge.conf"
chmod 0600 "$T/host2/expunge.conf"

# ---- each scenario
cd "$T" || exit
export PGDATABASE=clinic
for scenario in $scenarios; do
	run "$race/race" "$EXPUNGE" "$race/gate.so" "$CONF" "$T/host2/expunge.conf" "$scenario" "$rounds" "$RACE_SEED"
	[ -z "${RACE_VERBOSE:-}" ] || diag <"$T/out"
	rc_is 0 "$scenario: $(tail -n 1 "$T/out")"
	[ "$RC" != 2 ] || tail -n 3 race.log* | diag
done

# ---- what the whole of it left
for host in clinic host2; do
	is "$(awk '$4 == "intent" { intents[$3] } $4 == "done" || $4 == "abandoned" { if ($3 in ended) print "twice " $3; ended[$3] }
		END { for (batch in intents) if (!(batch in ended)) print batch; for (batch in ended) if (!(batch in intents)) print batch }' \
		"$T/$host/ledger/erasures" 2>/dev/null)" "" "$host: each batch of the ledger has its intent and its end"
	CONF=$T/$host/expunge.conf
	run expunge_as night check
	out_like 'ledger.*unbroken chain' "$host: the ledger's chain is unbroken"
done
is "$(cat "$T"/*/certificates/*.note | grep -c '^serial: ')" "$(sql clinic 'SELECT count(*) FROM expunge.certificate')" \
	"each certificate is a file, on one host or the other"
is "$(sql clinic "SELECT count(*) FROM app.patient WHERE id <= 12")" 12 "those who have nothing to do with it are there"
done_testing

#!/usr/bin/env bash
# Races about single keys, thousands of them in minutes (tests/race/leaves.c): patients who arrive while others' keys are
# shredded, backups across a change of the root, two hosts that shred, leaves made and shredded on one page. LEAF_ROUNDS=10000 is
# the long version; LEAF_SEED repeats one, if the tree is as full as it was then.
. "$(dirname "$0")/../lib.sh"
race=$(dirname "$EXPUNGE")/tests/race
[ -x "$race/leaves" ] || skip_all "no $race/leaves: make units builds it"
rounds=${LEAF_ROUNDS:-60}
seed=${LEAF_SEED:-$((RANDOM * 32768 + RANDOM))}
note "LEAF_SEED=$seed"
cd "$T" || exit

fresh_db clinic
install clinic
export PGDATABASE=clinic
with_keys 2>/dev/null
psql -XAtq -v ON_ERROR_STOP=1 -d clinic -c 'CREATE SCHEMA race' -f "$ROOT/tests/race/keys.sql" >/dev/null
sql clinic 'ALTER DATABASE clinic SET deadlock_timeout = 50'

# In stretches, each with the names and journals of its own.
sql postgres 'CREATE DATABASE start TEMPLATE clinic STRATEGY wal_log'
cp -a "$T/clinic" "$T/start"
while [ "$rounds" -gt 0 ]; do
	n=$((rounds < 500 ? rounds : 500))
	run "$race/leaves" "$CONF" "host=$PGHOST port=$PGPORT dbname=clinic user=postgres" "$race/gate.so" "$n" "$seed"
	[ -z "${RACE_VERBOSE:-}" ] || diag <"$T/out"
	rc_is 0 "from seed $seed: $(tail -n 1 "$T/out")"
	[ "$RC" = 0 ] || tail -n 4 leaves.log* | diag
	is "$(find "$T/clinic/shares" -name 'root.*' | wc -l)" 4 "one root is left"
	sql clinic "SELECT CASE WHEN shredded_epoch IS NULL THEN 'live' ELSE 'dead' END, id, encode(kcv, 'hex') FROM expunge.key_leaf" | tr '|' ' ' >"$T/targets"
	run python3 "$ROOT/tests/closure/attacker.py" --instance "$(sql clinic 'SELECT id FROM expunge.instance')" --targets "$T/targets" \
		--roots "$T/clinic/shares" --journal "$T/clinic/here" --journal "$T/clinic/there"
	out_like '^recovered 0 of [1-9][0-9]* shredded, ([1-9][0-9]*) of \1 living$' "every living leaf opens, and none that was shredded"
	rounds=$((rounds - n)) seed=$((seed + n))
	sql postgres 'DROP DATABASE clinic WITH (FORCE)' 'CREATE DATABASE clinic TEMPLATE start STRATEGY wal_log'
	rm -rf -- "$T/clinic"
	cp -a "$T/start" "$T/clinic"
done
done_testing

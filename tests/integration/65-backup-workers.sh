#!/usr/bin/env bash
# Several practices are backed up at once: what is in the archives is the same, one that fails costs the others nothing, and
# a change of the root waits for them.
. "$(dirname "$0")/../lib.sh"
. "$ROOT/tests/integration/sessions.bash"
build_probe archive_probe

fresh_db clinic
install clinic
with_keys 2>/dev/null
sed -i 's/^archives : {/&\n  reuse_days = 0;/' "$CONF" # each archive by itself; 63-incremental.sh has the others
workers() { sed -i '/^workers = /d' "$CONF" && sed -i "s/^archives : {/&\nworkers = $1;/" "$CONF"; }
backup() { run expunge_as night backup; }
# opened TENANT: the rows of its newest archive, whoever's leaves they are under
opened() {
	"$T/archive_probe" "$CONF" "host=$PGHOST port=$PGPORT dbname=clinic" "$1" \
		"$(find "$T/clinic/here/archives" -name "$(sql clinic "SELECT id FROM expunge.archive WHERE tenant = '$1' ORDER BY generation DESC LIMIT 1").archive")" 2>/dev/null |
		LC_ALL=C sort
}

workers 1
backup
rc_is 0 "one worker"
for tenant in 1 2 3; do opened "$tenant" >"$T/one.$tenant"; done
workers 3
backup
rc_is 0 "three workers"
is "$(sql clinic "SELECT string_agg(tenant || ' ' || n, '/' ORDER BY tenant) FROM (SELECT tenant, count(*) AS n FROM expunge.archive WHERE destinations = '{here,there}' GROUP BY 1) t")" \
	"1 2/2 2/3 2/@nobody 2" "each practice has another archive, in both places"
for tenant in 1 2 3; do
	opened "$tenant" >"$T/three.$tenant"
	ok "of practice $tenant the same rows" cmp "$T/one.$tenant" "$T/three.$tenant"
done
ok "which are some" test -s "$T/three.2"
run expunge_as night backup --verify
is "$RC/$OUT" "0/16 good, 0 bad" "all are whole"
run expunge_as night drill
rc_is 0 "and the journals know their keys"
is "$(find "$T/clinic" -name '.*' -type f)" "" "nothing lies about"

# ---------------------------------------------------------------------------- at once
workers 2
set_option lock_timeout_ms 60000
sql clinic "BEGIN" "LOCK TABLE app.letter" "SELECT pg_sleep(120)" >/dev/null 2>&1 &
holder=$!
for _ in {1..200}; do
	[ -z "$(sql clinic "SELECT 1 FROM pg_locks WHERE relation = 'app.letter'::regclass AND granted")" ] || break
	sleep 0.05
done
expunge_as night backup >"$T/out.2" 2>&1 &
both=$!
waiting=0
for _ in {1..600}; do
	waiting=$(sql clinic "SELECT count(*) FROM pg_locks WHERE relation = 'app.letter'::regclass AND NOT granted")
	[ "$waiting" -lt 2 ] || break
	sleep 0.05
done
is "$waiting" 2 "two workers are at work at the same time, and no third"
expunge_as night keys rotate >"$T/rotated" 2>&1 &
rotating=$!
sql clinic "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE relation = 'app.letter'::regclass AND granted" >/dev/null
wait "$holder" 2>/dev/null || true
rc=0
wait "$both" || rc=$?
is "$rc" 0 "both go on"
rc=0
wait "$rotating" || rc=$?
is "$rc/$(cat "$T/rotated")" "0/epoch 2" "a change of the root waited for them, and they for it"
set_option lock_timeout_ms 5000
run expunge_as night backup --verify
out_is "24 good, 0 bad" "all archives are whole"

# ---------------------------------------------------------------------------- one fails
sql clinic "UPDATE expunge.key_leaf SET kcv = decode(repeat('00', 16), 'hex') WHERE tenant = '2' AND kind = 'tenant'"
backup
rc_is 3 "a practice whose key cannot be had"
err_like 'error backup: tenant 2: ' "is named"
is "$(sql clinic "SELECT string_agg(tenant || ' ' || n, '/' ORDER BY tenant) FROM (SELECT tenant, count(*) AS n FROM expunge.archive GROUP BY 1) t")" "1 4/2 3/3 4/@nobody 4" \
	"the others have their archives"
is "$(find "$T/clinic/here" -name '*.archive' | wc -l)" 15 "and no file is left of it"
is "$(sql clinic "SELECT exit_code, n_done, n_failed FROM expunge.run WHERE job = 'backup' ORDER BY number DESC LIMIT 1")" "3|3|1" "the run's row says so"

done_testing

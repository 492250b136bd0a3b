#!/usr/bin/env bash
# run.sh [NAME]: benchmarks on a private cluster with durable writes. Each figure is also given as a ratio
# against what a user would otherwise do, in the same run:
#   bench NAME VALUE UNIT
#   ratio NAME VALUE
# and all of it is left in build/bench.txt.
if [ -z "${BENCH_CLUSTER:-}" ]; then
	here=$(cd "$(dirname "$0")/.." && pwd)
	BENCH_CLUSTER=$(mktemp -d)/cluster
	export BENCH_CLUSTER
	trap '"$here/setup/cluster.sh" stop "$BENCH_CLUSTER"; rm -rf "${BENCH_CLUSTER%/*}"' EXIT
	"$here/setup/cluster.sh" start "$BENCH_CLUSTER"
	eval "$("$here/setup/cluster.sh" env "$BENCH_CLUSTER")"
	"$0" "$@"
	exit
fi
. "$(dirname "$0")/../lib.sh"
only=${1:-}
out=${BENCH_OUT:-$ROOT/build/bench.txt}
mkdir -p "$(dirname "$out")"
: >"$out"

say() { printf '%s\n' "$*" | tee -a "$out"; }
wanted() { [ -z "$only" ] || [ "$only" = "$1" ]; }
# seconds CMD...: wall time
seconds() {
	local from=$EPOCHREALTIME
	"$@" >"$T/out" 2>&1 || { cat "$T/out" >&2; exit 1; }
	awk -v a="$from" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.3f\n", b - a }'
}
ratio() { say "ratio $1 $(awk -v a="$2" -v b="$3" 'BEGIN { printf "%.2f\n", a / b }')"; }

# 2,000 approved patients, erased and certified, against one cascading DELETE of as many neighbours, and
# against a loop of one transaction a patient.
erase() {
	local cascade loop ours
	sql postgres 'CREATE DATABASE bench'
	mkrole app_owner
	psql -XAtq -v ON_ERROR_STOP=1 -d bench -f "$ROOT/tests/bench/erase-schema.sql" >/dev/null
	install bench "$ROOT/tests/bench/erase-map.conf"
	sed -i 's/subjects_per_run = .*/subjects_per_run = 5000;/; s/tenants_per_run = .*/tenants_per_run = 100;/' "$CONF"
	sql bench "INSERT INTO expunge.tenant_login SELECT 'clinic_app', g::text FROM generate_series(4, 100) g"
	sql -U clinic_app bench "SELECT count(expunge_api.request_erasure(((g - 1) / 500 + 1)::text, g::text, '17-1-b', 'bench', NULL, now(), NULL))
		FROM generate_series(3, 50000, 25) g" >/dev/null
	sql -U oscar bench 'SELECT count(expunge.identify_request(id)) FROM expunge.request' >/dev/null
	say "bench plan_2000 $(seconds expunge_as night nightly) s"
	sql -U ruth bench "SELECT count(expunge.decide_request(r.id, 'accept', NULL, p.hash))
		FROM expunge.request r JOIN expunge.plan p ON p.request_id = r.id" >/dev/null
	sql bench 'VACUUM ANALYZE' 'CHECKPOINT'
	cascade=$(seconds sql bench 'DELETE FROM app.patient WHERE id % 25 = 7')
	sql bench 'CHECKPOINT'
	# shellcheck disable=SC2016
	loop=$(seconds sql bench 'DO $$ DECLARE p bigint; BEGIN FOR p IN SELECT id FROM app.patient WHERE id % 25 = 11 LOOP
		DELETE FROM app.patient WHERE id = p; COMMIT; END LOOP; END $$')
	sql bench 'CHECKPOINT'
	ours=$(seconds expunge_as night erase)
	[ "$(sql bench "SELECT count(*) FROM expunge.certificate")" -eq 2000 ] || { echo "not all were certified" >&2; exit 1; }
	say "bench cascade_2000 $cascade s"
	say "bench loop_2000 $loop s"
	say "bench erase_2000 $ours s"
	ratio erase_vs_cascade "$ours" "$cascade"
	ratio erase_vs_loop "$ours" "$loop"
}

if wanted erase; then erase; fi

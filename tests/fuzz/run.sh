#!/usr/bin/env bash
# Runs fuzz targets for a while each: tests/fuzz/run.sh DIRECTORY [TARGET...]
#
# DIRECTORY holds the programs that `make fuzz` builds; the corpus found there is gone on with, and what
# breaks a target is left in DIRECTORY/findings. FUZZ_SECONDS is the time a target gets (default 60),
# JOBS how many run at a time (default 2). One line a target; exit 1 on a finding.
#
# To look at a finding again:  DIRECTORY/libfuzzer-NAME FILE.  Once mended, it becomes a seed in tests/fuzz/seeds/NAME.
set -euo pipefail
cd "$(dirname "$0")/../.."

programs=$1
shift
seconds=${FUZZ_SECONDS:-60}
jobs=${JOBS:-2}
mapfile -t targets < <(if [ $# -gt 0 ]; then printf '%s\n' "$@"; else sed -n 's/^\tX(\([a-z]*\)).*/\1/p' tests/fuzz/fuzz.h; fi)
# targets that read files do so in memory, where there is such a place
work=$(mktemp -d "$([ -w /dev/shm ] && echo /dev/shm || echo "${TMPDIR:-/tmp}")/expunge-fuzz.XXXXXX")
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf -- "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

fuzz() { # fuzz NAME
	local name=$1 log=$work/$1.log rc=0 options=()
	mkdir -p "$work/$name" "$programs/corpus/$name" "$programs/findings"
	if [ -e "tests/fuzz/$name.dict" ]; then
		options+=("-dict=tests/fuzz/$name.dict")
	fi
	FUZZ_DIRECTORY=$work/$name "$programs/libfuzzer-$name" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 \
		-print_final_stats=1 -artifact_prefix="$programs/findings/$name-" "${options[@]}" \
		"$programs/corpus/$name" "tests/fuzz/seeds/$name" >"$log" 2>&1 </dev/null || rc=$?
	if [ "$rc" -eq 0 ]; then
		printf 'ok   fuzz %-12s %s runs\n' "$name" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
	else
		printf 'FAIL fuzz %s\n' "$name"
		grep -vE '^#[0-9]+	(NEW|REDUCE|RELOAD|pulse)' "$log" | tail -n 60 | cut -c1-300 | sed 's/^/     | /'
		touch "$work/failed"
	fi
}

for name in "${targets[@]}"; do
	if [ ! -x "$programs/libfuzzer-$name" ]; then
		printf 'fuzz: there is no target %s\n' "$name" >&2
		exit 2
	fi
	while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do
		wait -n
	done
	fuzz "$name" &
done
wait
[ ! -e "$work/failed" ]

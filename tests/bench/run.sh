#!/usr/bin/env bash
# run.sh [NAME]: benchmarks on a private cluster with durable writes. Each figure is also given as a ratio
# against what a user would otherwise do, in the same run:
#   bench NAME VALUE UNIT
#   ratio NAME VALUE
# and all of it is left in build/bench.txt. NAME: erase, purge, purge_foreground, lifecycle, reactivate, backup, large, foreground, memory,
# check, shred, tenant, open, adopt. README.md says what each is.
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
calc() { awk "BEGIN { printf \"%.${2:-2}f\\n\", $1 }"; }
ratio() { say "ratio $1 $(calc "$2 / $3")"; }
# seconds CMD...: wall time; what it says is in $T/out
seconds() {
	local from=$EPOCHREALTIME
	"$@" >"$T/out" 2>&1 || { cat "$T/out" >&2; exit 1; }
	calc "$EPOCHREALTIME - $from" 3
}
# logged TEXT: the seconds that the last run says it took for something
logged() { calc "$(sed -n "s/.* $1.*, in \\([0-9]*\\) ms\$/\\1/p" "$T/out" | awk '{ n += $1 } END { print n + 0 }') / 1000" 3; }

# practices DB PRACTICES PATIENTS [ROWS]: a database with so many practices and patients a practice, 43 rows each or a
# tenth of them, installed, its caps out of the way
practices() {
	sql postgres "CREATE DATABASE $1"
	mkrole app_owner
	psql -XAtq -v ON_ERROR_STOP=1 -v practices="$2" -v patients="$3" -v tenth="${4:-0}" -d "$1" -f "$ROOT/tests/bench/erase-schema.sql" >/dev/null
	install "$1" "$ROOT/tests/bench/erase-map.conf"
	sed -i 's/subjects_per_run = .*/subjects_per_run = 100000;/; s/tenants_per_run = .*/tenants_per_run = 1000;/
		s/rows_per_run = .*/rows_per_run = 10000000;/; s/tenant_share_percent = .*/tenant_share_percent = 100;/
		s/wait_seconds = 5/wait_seconds = 60/' "$CONF"
	sql "$1" "INSERT INTO expunge.tenant_login SELECT 'clinic_app', g::text FROM generate_series(1, $2) g ON CONFLICT DO NOTHING"
}

# file DB PATIENTS EVERY [FIRST]: requests for one patient of EVERY, with identity established
file() {
	sql -U clinic_app "$1" "SELECT count(expunge_api.request_erasure(((g - 1) / $2 + 1)::text, g::text, '17-1-b', 'bench', NULL, now(), NULL))
		FROM generate_series(${4:-3}, 50000, $3) g" >/dev/null
	sql -U oscar "$1" "SELECT count(expunge.identify_request(id)) FROM expunge.request WHERE state = 'received'" >/dev/null
}

approve_all() {
	sql -U ruth "$1" "SELECT count(expunge.decide_request(r.id, 'accept', NULL, p.hash))
		FROM expunge.request r JOIN expunge.plan p ON p.request_id = r.id" >/dev/null
	sql "$1" 'VACUUM ANALYZE' 'CHECKPOINT'
}

# 2,000 approved patients, erased and certified, against one cascading DELETE of as many neighbours, and against a
# loop of one transaction a patient. VACUUM is no part of the ratios: neither of the others does it.
erase() {
	local cascade loop whole vacuum ours certify issue raw
	practices bench 100 500
	file bench 500 25
	say "bench plan_2000 $(seconds expunge_as night nightly) s"
	approve_all bench
	cascade=$(seconds sql bench 'DELETE FROM app.patient WHERE id % 25 = 7')
	sql bench 'CHECKPOINT'
	# shellcheck disable=SC2016
	loop=$(seconds sql bench 'DO $$ DECLARE p bigint; BEGIN FOR p IN SELECT id FROM app.patient WHERE id % 25 = 11 LOOP
		DELETE FROM app.patient WHERE id = p; COMMIT; END LOOP; END $$')
	sql bench 'CHECKPOINT'
	whole=$(seconds expunge_as night erase)
	[ "$(sql bench "SELECT count(*) FROM expunge.certificate WHERE published_at IS NOT NULL")" -eq 2000 ] || { echo "not all were certified" >&2; exit 1; }
	vacuum=$(logged 'tables vacuumed')
	certify=$(logged 'requests certified')
	issue=$(sed -n 's/.* signed and stored in \([0-9]*\) ms.*/\1/p' "$T/out")
	ours=$(calc "$whole - $vacuum" 3)
	say "bench cascade_2000 $cascade s"
	say "bench loop_2000 $loop s"
	say "bench erase_2000 $ours s"
	say "bench erase_2000_remove $(logged 'requests removed') s"
	say "bench erase_2000_certify $certify s"
	say "bench erase_2000_vacuum $vacuum s"
	ratio erase_vs_cascade "$ours" "$cascade"
	ratio erase_vs_loop "$ours" "$loop"
	# composed, signed, checked, stored and committed, against nothing but signing on all cores
	raw=$(openssl speed -seconds 2 -multi "$(nproc)" ed25519 2>/dev/null | awk '/^ *253 bits EdDSA/ { n = $(NF - 1) } END { print n }')
	say "bench certificates $(calc "2000000 / $issue" 0) 1/s"
	say "bench ed25519 $raw 1/s"
	ratio certificates_vs_ed25519 "$(calc "2000000 / $issue")" "$raw"
}

# load FILE SECONDS: the application at work on patients who stay; latencies in $T/FILE.*
load() {
	(cd "$T" && "$(pg_config --bindir)/pgbench" -n -c 2 -j 1 -R 100 -T "$2" -l --log-prefix="$1" -f "$ROOT/tests/bench/load.sql" fg) >"$T/load.out" 2>&1 ||
		{ cat "$T/load.out" >&2; exit 1; }
}
# in ms; the time that a transaction waited for its turn (-R) counts
p95() { cat "$T/$1".* | awk '{ print $3 }' | sort -n | awk '{ v[NR] = $1 } END { printf "%.3f\n", v[int(NR * 0.95)] / 1000 }'; }

# The latency of the application's reads and writes on the same tables while 10,000 patients are erased slowly, in five
# nights of 2,000: the median of five comparisons, for a disk that stalls once a minute spoils a single one.
foreground() {
	local night before during pid
	practices fg 100 500
	for night in 0 1 2 3 4; do
		file fg 500 25 $((3 + 5 * night))
		expunge_as night nightly >"$T/out" 2>&1
		approve_all fg
		[ "$night" -gt 0 ] || echo 'batch : { rows_per_second = 2500; };' >>"$CONF"
		load "warm$night" 5
		load "before$night" 30
		expunge_as night erase >"$T/erase.out" 2>&1 &
		pid=$!
		load "during$night" 30
		if ! kill -0 "$pid" 2>/dev/null; then echo "note: the erasure ended before the measurement" >&2; fi
		wait "$pid" || { cat "$T/erase.out" >&2; exit 1; }
		before=$(p95 "before$night") during=$(p95 "during$night")
		echo "$(calc "$during / $before" 4) $before $during" >>"$T/nights"
	done
	[ "$(sql fg "SELECT count(*) FROM expunge.certificate")" -eq 10000 ] || { echo "not all were certified" >&2; exit 1; }
	read -r _ before during < <(sort -n "$T/nights" | sed -n 3p)
	say "bench foreground_p95_alone $before ms"
	say "bench foreground_p95_erasing $during ms"
	ratio erase_foreground_p95 "$during" "$before"
}

# Peak memory of planning and erasing whole practices of 500 and of 50,000 patients; batches of 100, so that both
# keep all workers busy.
memory() {
	local patients kb=() n
	"${CC:-cc}" -O1 -o "$T/maxrss" "$ROOT/tests/bench/maxrss.c"
	for patients in 500 50000; do
		practices "m$patients" 1 "$patients" 1
		echo 'batch : { subjects = 100; };' >>"$CONF"
		sql -U clinic_app "m$patients" "SELECT count(expunge_api.request_erasure('1', g::text, '17-1-b', 'bench', NULL, now(), NULL))
			FROM generate_series(1, $patients) g" >/dev/null
		sql -U oscar "m$patients" 'SELECT count(expunge.identify_request(id)) FROM expunge.request' >/dev/null
		"$T/maxrss" "$T/plan" "$EXPUNGE" -c "$CONF" -U night nightly >"$T/out" 2>&1 || { tail "$T/out" >&2; exit 1; }
		approve_all "m$patients"
		"$T/maxrss" "$T/erase" "$EXPUNGE" -c "$CONF" -U night nightly >"$T/out" 2>&1 || { tail "$T/out" >&2; exit 1; }
		n=$(sort -n "$T/plan" "$T/erase" | tail -n 1)
		kb+=("$n")
		say "bench memory_$patients $(calc "$n / 1024" 1) MiB"
		sql postgres "DROP DATABASE m$patients"
	done
	ratio memory_50000_vs_500 "${kb[1]}" "${kb[0]}"
}

# map check on a thousand tables
check() {
	sql postgres 'CREATE DATABASE wide'
	mkrole app_owner
	sql wide 'CREATE SCHEMA app AUTHORIZATION app_owner' 'SET ROLE app_owner' \
		'CREATE TABLE app.practice (id integer PRIMARY KEY, name text)' \
		'CREATE TABLE app.patient (id bigint PRIMARY KEY, practice_id integer NOT NULL REFERENCES app.practice, name text)'
	psql -XAtq -v ON_ERROR_STOP=1 -d wide >/dev/null <<-'SQL'
		SET ROLE app_owner;
		SELECT format('CREATE TABLE app.t%s (id bigint PRIMARY KEY, patient_id bigint NOT NULL REFERENCES app.patient,
			a text, b text, c numeric, d timestamptz)', g) FROM generate_series(1, 998) g \gexec
		SELECT format('CREATE INDEX ON app.t%s (patient_id)', g) FROM generate_series(1, 998) g \gexec
	SQL
	{
		sed '/^tables/,$d' "$ROOT/tests/bench/erase-map.conf"
		printf 'tables = (\n  { table = "app.practice"; action = "tenant"; },\n'
		printf '  { table = "app.patient"; action = "delete"; columns = ( { column = "name"; identifying = true; } ); }'
		for n in $(seq 1 998); do
			printf ',\n  { table = "app.t%s"; owner = "patient_id -> app.patient"; action = "delete"; }' "$n"
		done
		printf ' );\n'
	} >"$T/wide.conf"
	install wide "$T/wide.conf"
	say "bench check_1000_tables $(seconds expunge_as night map check) s"
}

# Ten practices of 1,000 patients, sealed to two places and read back, by one and by two workers, against pg_dump of the
# whole database to one file, compressed (-Fc). The first backup, which makes every patient's key, is told apart. Medians of
# three.
backup() {
	local workers first ours=() dump
	practices seal 10 1000
	with_keys 2>/dev/null
	sed -i 's/^archives : {/&\nworkers = 1;/' "$CONF"
	sql seal 'VACUUM ANALYZE' 'CHECKPOINT'
	first=$(seconds expunge_as night backup)
	dump=$(for _ in 1 2 3; do seconds pg_dump -Fc -f "$T/dump" seal; done | middle)
	for workers in 1 2; do
		sed -i "s/^workers = .*/workers = $workers;/" "$CONF"
		ours+=("$(for _ in 1 2 3; do seconds expunge_as night backup --full; done | middle)")
	done
	"${CC:-cc}" -O1 -o "$T/maxrss" "$ROOT/tests/bench/maxrss.c"
	"$T/maxrss" "$T/rss" "$EXPUNGE" -c "$CONF" -U night backup --full >"$T/out" 2>&1 || { tail "$T/out" >&2; exit 1; }
	say "bench backup_10000_first $first s"
	say "bench backup_10000_one_worker ${ours[0]} s"
	say "bench backup_10000 ${ours[1]} s"
	say "bench backup_10000_memory $(calc "$(cat "$T/rss") / 1024" 1) MiB"
	say "bench backup_10000_room $(calc "$(du -sk "${CONF%/*}/here/archives" | cut -f 1) / 8 / 1024" 1) MiB"
	say "bench pg_dump_10000 $dump s"
	say "bench pg_dump_10000_room $(calc "$(stat -c %s "$T/dump") / 1048576" 1) MiB"
	ratio backup_one_worker_vs_pg_dump "${ours[0]}" "$dump"
	ratio backup_vs_pg_dump "${ours[1]}" "$dump"
	next_backups seal
}

# next_backups DB: the next ones, each after one patient of a hundred has changed, against one that writes everything.
next_backups() {
	local n next=() full room
	sum() { sql "$1" "SELECT sum(size) FROM (SELECT size FROM expunge.archive ORDER BY created_at DESC, finished_at DESC LIMIT 11) a"; }
	full=$(seconds expunge_as night backup --full)
	room=$(sum "$1")
	for n in 1 2 3; do
		sql "$1" "UPDATE app.note SET body = body || '.' WHERE patient_id % 100 = $n"
		next+=("$(seconds expunge_as night backup)")
	done
	say "bench backup_second $(printf '%s\n' "${next[@]}" | middle) s"
	ratio backup_second_vs_first "$(printf '%s\n' "${next[@]}" | middle)" "$full"
	ratio backup_second_vs_first_bytes "$(sum "$1")" "$room"
}

. "$ROOT/tests/bench/keys.bash"
. "$ROOT/tests/bench/large.bash"
. "$ROOT/tests/bench/accounts.bash"
if wanted shred || wanted tenant || wanted open || wanted adopt; then build_keys_bench; fi
if wanted shred; then shred; fi
if wanted tenant; then tenant; fi
if wanted open; then open_leaves; fi
if wanted adopt; then adopt; fi
if wanted erase; then erase; fi
if wanted purge; then purge; fi
if wanted purge_foreground; then purge_foreground; fi
if wanted lifecycle; then lifecycle; fi
if wanted reactivate; then reactivate; fi
if wanted backup; then backup; fi
if wanted large; then large; fi
if wanted foreground; then foreground; fi
if wanted memory; then memory; fi
if wanted check; then check; fi

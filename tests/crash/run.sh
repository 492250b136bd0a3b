#!/usr/bin/env bash
# The crash harness: stops or disturbs a job at each of its statements and file operations in turn, runs
# it again as cron would, and compares the end with that of an undisturbed run.
#
#   make crash                          everything; see README, "Tests", for how long that takes
#   make crash ONLY=nightly,init        these jobs          MODES=kill,drop-sent   these disturbances
#   make crash AT='COMMIT|ledger'       at operations whose line in the listing matches
#   make crash SAMPLE=200 SEED=7        200 cases a job, chosen by chance
#   make crash CASE=nightly:kill-sent@71   this one, with its trace; KEEP=1 keeps the directory
#
# Jobs are described in jobs.bash, a few lines each. The operations are numbered by interpose.c in one
# undisturbed run. A disturbance is <what>-<when>:
#   kill          SIGKILL, at every operation: before, sent (statements: on their way, not answered), after
#   enospc eio    the file operation fails (eio-after: although it was done)
#   eintr short   it is interrupted; half of it is done
#   drop stall    the connection is lost, or all that arrives on it is (a dead network; TCP)
#   restart       the server is stopped as by a power cut, and started again
#   lock          another session locks a table, until the job has given up; rowlock: every patient's row
# After each, the exit code is a documented one, what is said is an error with a remedy or none, and
# holds no person's value; exit code 0 means that all is done. Then no session, transaction or lock is
# left, the job runs again (at most three times) until it exits 0, and its end state is the undisturbed one.
# Prints TAP: one line for each job and disturbance; progress goes to standard error of a terminal.
# shellcheck disable=SC2034 # for lib.sh
cluster_options=--tcp # of its own: it is restarted, and cases of a dead network need TCP
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
. "$ROOT/tests/integration/sessions.bash"
. "$ROOT/tests/integration/tokens.bash"
. "$ROOT/tests/crash/jobs.bash"
interpose=$(dirname "$EXPUNGE")/tests/crash/interpose.so
[ -e "$interpose" ] || skip_all "no $interpose: make crash builds it"
SEED=${SEED:-$RANDOM}
SAMPLE=${SAMPLE:-0}
limit=60 # seconds a run may take, whatever befalls it
reruns=3
modes='kill-before kill-sent kill-after enospc-before eio-before eio-after eintr-before short-before
	drop-before drop-sent stall-before stall-sent restart-before restart-sent lock-before rowlock-before'

expunge_as() { # as in lib.sh, for a limited time
	timeout -k 5 "$limit" "$EXPUNGE" -c "$CONF" -U "$@"
}

# ---------------------------------------------------------------------------- one case

# No client is left in the database, no transaction is prepared, no advisory lock is held.
wait_for_end() {
	sql postgres "DO \$\$ BEGIN
		FOR i IN 1..1500 LOOP
			PERFORM pg_stat_clear_snapshot();
			EXIT WHEN NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = 'clinic' AND backend_type = 'client backend');
			PERFORM pg_sleep(0.01);
		END LOOP; END \$\$" \
		"SELECT 'a session is left: ' || state || ' ' || coalesce(wait_event, '') FROM pg_stat_activity
			WHERE datname = 'clinic' AND backend_type = 'client backend'" \
		"SELECT 'a prepared transaction is left' FROM pg_prepared_xacts" \
		"SELECT 'an advisory lock is left' FROM pg_locks WHERE locktype = 'advisory'"
}

# The checkpoint is for cases that crash the server: a sequence in a database copied by way of the WAL would
# fall back, for PostgreSQL takes the values that the original had logged ahead as logged for the copy.
restore() { # restore JOB
	sql postgres 'SET client_min_messages = warning' 'DROP DATABASE IF EXISTS clinic WITH (FORCE)' \
		'CREATE DATABASE clinic TEMPLATE start STRATEGY wal_log' 'CHECKPOINT'
	rm -rf -- "$T/clinic"
	cp -a "$T/start" "$T/clinic"
	if declare -F "$1_restore" >/dev/null; then "$1_restore"; fi
}

# What happens at the operation, for the interposer: "what when" and perhaps a hook.
disturb() { # disturb MODE
	local statement
	export CRASH_DO=${1%-*} CRASH_WHEN=${1#*-} CRASH_HOOK=''
	case $CRASH_DO in
	restart)
		CRASH_DO=hook CRASH_HOOK="'$ROOT/tests/setup/cluster.sh' restart '$EXPUNGE_TEST_CLUSTER' immediate"
		;;
	lock | rowlock)
		statement='LOCK TABLE app.patient, app.note, expunge.plan IN ACCESS EXCLUSIVE MODE'
		[ "$CRASH_DO" = lock ] || statement='SELECT count(*) FROM (SELECT FROM app.patient FOR UPDATE) p'
		cat >"$T/lock.sql" <<-SQL
			SET lock_timeout = 300;
			BEGIN;
			$statement;
			\\echo held
			SELECT pg_sleep(600);
		SQL
		rm -f "$T/lock.out"
		CRASH_DO=hook CRASH_HOOK="PGAPPNAME=lock psql -XAtq -U postgres -d clinic -v ON_ERROR_STOP=1 -f '$T/lock.sql' >'$T/lock.out' 2>&1 &
			while [ ! -s '$T/lock.out' ]; do sleep 0.02; done"
		;;
	esac
}

# The job under the interposer; $RC, $T/out and $T/err are its.
run_disturbed() { # run_disturbed JOB N
	rm -f "$T/counter" "$T/trace"
	RC=0
	(
		export LD_PRELOAD=$interpose CRASH_PROGRAM=${EXPUNGE##*/} CRASH_ROOT=$T/clinic/ CRASH_COUNTER=$T/counter \
			CRASH_TRACE=$T/trace CRASH_AT=$2
		"$1_run"
	) >"$T/out" 2>"$T/err" </dev/null || RC=$?
}

# What a run said and how it ended, as far as it is wrong.
judge_run() { # judge_run KILLED
	case $RC in
	0 | 1 | 3 | 4 | 5) ;;
	2) grep -Eq '/(expunge|map)\.conf' "$T/err" || printf 'exit code 2\n' ;; # configuration: one that could not be read
	137) [ "$1" = yes ] || printf 'killed\n' ;;
	124) printf 'hung\n' ;;
	*) printf 'exit code %s\n' "$RC" ;;
	esac
	if [ "$RC" != 0 ] && [ "$RC" != 137 ] && [ ! -s "$T/err" ]; then
		printf 'exit code %s without a word\n' "$RC"
	fi
	grep -aE '\(null\)|: Success|Assertion|runtime error' "$T/err" || true
	if grep -aqF -f "$T/markers" "$T/out" "$T/err"; then
		printf 'a value of a person is in the output\n'
	fi
}

# Everything that is wrong with one case, a line each; nothing: it is well.
try_case() { # try_case JOB MODE N
	local job=$1 mode=$2 n=$3 killed=no i
	restore "$job"
	disturb "$mode"
	[ "$CRASH_DO" != kill ] || killed=yes
	run_disturbed "$job" "$n"
	first=$RC
	judge_run "$killed"
	sql postgres "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'lock'" >/dev/null
	wait_for_end
	if declare -F "${job}_between" >/dev/null; then "${job}_between"; fi
	for ((i = 0; i < reruns && RC != 0; i++)); do
		RC=0
		"${job}_run" >"$T/out" 2>"$T/err" </dev/null || RC=$?
		judge_run no
	done
	if [ "$RC" != 0 ]; then
		printf 'exit code %s after %s more runs\n' "$RC" "$reruns"
		tail -n 3 "$T/err"
	fi
	wait_for_end
	"${job}_end" >"$T/end" 2>&1 || printf 'the end state cannot be read\n'
	cmp -s "$T/reference" "$T/end" || { diff "$T/reference" "$T/end" | grep '^[<>]' | cut -c1-200 | sed -n 1,8p; } || true
	if grep -raqF -f "$T/markers" "$T/clinic"; then
		printf 'a value of a person is in the files\n'
	fi
}

# ---------------------------------------------------------------------------- all cases of a job

# The start state as a template, what an undisturbed run makes of it, and what that run does.
prepare() { # prepare JOB
	local job=$1
	rm -rf -- "$T/clinic" "$T/start"
	"${job}_start" 2>&1 | diag
	CONF=$T/clinic/expunge.conf
	set_option conninfo "\"host=127.0.0.1 port=$PGPORT dbname=clinic sslmode=disable gssencmode=disable\""
	set_option connect_timeout_seconds 2
	set_option network_timeout_seconds 2
	sql clinic "SELECT unnest(ARRAY[family_name, display_name, email, nhs_number, phone, replace(phone, ' ', '')]) FROM app.patient
		UNION SELECT name FROM app.guarantor" >"$T/markers" 2>/dev/null || printf 'no person\n' >"$T/markers"
	mv "$T/clinic" "$T/start"
	sql postgres 'ALTER DATABASE clinic RENAME TO start'
	restore "$job"
	CRASH_DO='' CRASH_WHEN='' CRASH_HOOK=''
	run_disturbed "$job" 0
	cp "$T/trace" "$T/listing"
	rc_is 0 "$job: an undisturbed run"
	wait_for_end
	"${job}_end" >"$T/reference"
	run "${job}_run"
	"${job}_end" >"$T/end"
	is "$RC $(diff "$T/reference" "$T/end")" "0 " "$job: another run changes nothing"
	note "$job: $(awk '{ n[$2]++ } END { for (k in n) printf "%d %s, ", n[k], k }' "$T/listing")$(wc -l <"$T/reference") lines of end state"
}

# The cases of the listing: "mode number", those of SAMPLE if it is given.
cases() {
	awk -v modes="$modes" -v only="${MODES:-}" -v seed="$SEED" -v sample="$SAMPLE" -v at="${AT:-}" '
		function fits(mode, kind, call) {
			if (mode ~ /^(kill-before|kill-after|restart-before)$/) return 1
			if (mode ~ /^(kill-sent|drop|stall|restart|lock|rowlock)/)
				return kind == "sql" && !(mode ~ /sent|lock/ && call == "PQfinish")
			if (kind == "sql") return 0
			if (mode ~ /^(enospc|eio-after)/) return kind == "change"
			if (mode ~ /^eintr/) return call ~ /^(open|openat|read|pread|write|fsync|fdatasync|syncfs|close|fcntl)$/
			if (mode ~ /^short/) return call ~ /^(read|pread|write)$/
			return 1
		}
		BEGIN {
			n = split(modes, all, " ")
			m = split(only, chosen, ",")
			srand(seed)
		}
		at == "" || $0 ~ at {
			for (i = 1; i <= n; i++) {
				wanted = m == 0
				for (j = 1; j <= m; j++) if (index(all[i], chosen[j]) == 1) wanted = 1
				if (wanted && fits(all[i], $2, $3)) print (sample > 0 ? rand() : NR), i, all[i], $1
			}
		}' "$T/listing" | sort -k2,2n -k1,1g |
		awk '{ if ($2 != last) { rank = 0; last = $2 } print ++rank, $1, $2, $3, $4 }' |
		if [ "$SAMPLE" -gt 0 ]; then # as many of each kind
			sort -k1,1n -k2,2g | awk -v n="$SAMPLE" 'NR <= n' | sort -k3,3n -k5,5n
		else cat; fi | cut -d' ' -f4-
}

progress() {
	[ ! -t 2 ] || printf '\r\033[K%s' "$*" >&2
}

report() { # report JOB MODE CASES BAD
	[ "$3" -gt 0 ] || return 0
	if [ "$4" -eq 0 ]; then verdict true "$1 $2: $3 cases"; else
		verdict false "$1 $2: $4 of $3 cases"
		diag <"$T/bad"
	fi
	: >"$T/bad"
}

run_job() { # run_job JOB
	local job=$1 mode n last='' tried=0 bad=0 done=0 all began=$SECONDS first=''
	prepare "$job"
	cases >"$T/cases"
	all=$(wc -l <"$T/cases")
	: >"$T/bad"
	while read -r mode n <&4; do
		if [ "$mode" != "$last" ]; then
			report "$job" "$last" "$tried" "$bad"
			tried=0 bad=0 last=$mode
		fi
		progress "$job $mode@$n  $done of $all, $((SECONDS - began)) s"
		try_case "$job" "$mode" "$n" >"$T/wrong"
		tried=$((tried + 1)) done=$((done + 1))
		if [ -s "$T/wrong" ]; then
			bad=$((bad + 1))
			{
				printf 'CASE=%s:%s@%s (%s), exit code %s:\n' "$job" "$mode" "$n" "$(sed -n "${n}p" "$T/listing" | cut -d' ' -f2-)" "$first"
				sed 's/^/    /' "$T/wrong"
			} >>"$T/bad"
		fi
	done 4<"$T/cases"
	report "$job" "$last" "$tried" "$bad"
	progress ''
	note "$job: $done cases in $((SECONDS - began)) s"
}

if [ -n "${CASE:-}" ]; then
	job=${CASE%%:*} mode=${CASE#*:}
	prepare "$job"
	wrong=$(try_case "$job" "${mode%@*}" "${mode#*@}")
	diag <"$T/trace"
	is "$wrong" "" "$CASE"
else
	note "SEED=$SEED"
	only=${ONLY:-$jobs}
	for job in ${only//,/ }; do
		run_job "$job"
		reset_cluster
	done
fi
done_testing

# Second sessions and runs in the background, for tests of what happens at the same time. Sourced after
# lib.sh. Nothing here sleeps for a guessed time: everything waits for a fact, for at most 15 s.
# shellcheck shell=bash

# await NAME CONDITION...: waits until the command succeeds; a test that waited in vain fails.
await() {
	local name=$1 tries=0
	shift
	while ! "$@" >/dev/null 2>&1; do
		tries=$((tries + 1))
		if [ "$tries" -gt 300 ]; then
			verdict false "waited in vain: $name"
			return 0
		fi
		sleep 0.05
	done
}

holds() { # holds DB EXPRESSION: whether it is true
	[ "$(sql "$1" "SELECT $2")" = t ]
}

# session NAME DB [ROLE]: opens a psql session that lives until session_end; say NAME SQL runs one
# statement in it and waits for its end; its output is in $T/session.NAME.
session() {
	mkfifo "$T/fifo.$1"
	psql -XAtq -U "${3:-postgres}" -d "$2" <"$T/fifo.$1" >"$T/session.$1" 2>&1 &
	eval "session_pid_$1=$!"
	eval "exec {session_fd_$1}>\"$T/fifo.$1\""
	eval "session_turn_$1=0"
}

say() {
	send "$1" "$2"
	await "session $1 answers" answered "$1"
}

# send NAME SQL: without waiting, for a statement that waits for a lock itself
send() {
	local fd=session_fd_$1 turn=session_turn_$1
	eval "$turn=$((${!turn} + 1))"
	printf '%s;\n\\echo turn-%d\n' "$2" "${!turn}" >&"${!fd}"
}

answered() { # answered NAME: whether the last statement has ended
	local turn=session_turn_$1
	grep -q "^turn-${!turn}\$" "$T/session.$1"
}

session_end() {
	local fd=session_fd_$1 pid=session_pid_$1
	printf '%s\n' '\q' >&"${!fd}" # its input's end would not do: other children have that descriptor, too
	wait "${!pid}" || true
	eval "exec {$fd}>&-"
	rm -f "$T/fifo.$1"
}

# start NAME CMD...: in the background; finish NAME waits and fills $RC, $OUT and $ERR as run does
start() {
	local name=$1
	shift
	"$@" >"$T/$name.out" 2>"$T/$name.err" </dev/null &
	eval "started_$name=$!"
}

finish() {
	local pid=started_$1
	RC=0
	# shellcheck disable=SC2034 # for the assertions of lib.sh
	wait "${!pid}" || RC=$?
	cp "$T/$1.out" "$T/out"
	cp "$T/$1.err" "$T/err"
	# shellcheck disable=SC2034 # for the assertions of lib.sh
	OUT=$(cat "$T/out") ERR=$(cat "$T/err")
}

# waits_for_lock DB [N]: until N (1) sessions of expunge wait for a lock there
waits_for_lock() {
	await "expunge waits for a lock" holds "$1" "count(*) >= ${2:-1} FROM pg_stat_activity
		WHERE datname = current_database() AND application_name LIKE 'expunge%' AND wait_event_type = 'Lock'"
}

# set_option NAME VALUE: in $CONF, inside a group by name alone (undo_days, lock_timeout_ms ...)
set_option() {
	if grep -q "\\b$1 = " "$CONF"; then
		sed -i "s|\\b$1 = [^;]*;|$1 = $2;|" "$CONF"
	else
		sed -i "s|^database : {|&\n$1 = $2;|" "$CONF"
	fi
}

# scheduled DB TENANT SUBJECT: a request that is approved; its id
scheduled() {
	local id
	id=$(file_request "$1" "$2" "$3")
	approve "$1" "$id"
	printf '%s\n' "$id"
}

# approve_plan DB ID: of a plan that is there
approve_plan() {
	run expunge_as ruth request decide "$2" --accept --plan "$(sql "$1" "SELECT hash FROM expunge.plan WHERE request_id = '$2'")"
}

# states DB: how many requests are in which state
states() {
	sql "$1" "SELECT string_agg(state || ' ' || n, ', ' ORDER BY state) FROM
		(SELECT state, count(*) AS n FROM expunge.request GROUP BY 1) s"
}

# whole DB NAME: serials without a gap, one certificate each certified request, one file each
# certificate, nothing half-claimed, no key set without a request that still needs it
whole() {
	is "$(sql "$1" "SELECT count(*) - coalesce(max(serial), 0) || ' ' || (SELECT last FROM expunge.certificate_counter) - count(*)
		FROM expunge.certificate")" "0 0" "$2: serials have no gap"
	is "$(sql "$1" "SELECT count(*) FROM expunge.request r WHERE (r.state = 'certified') <>
		((SELECT count(*) FROM expunge.certificate c WHERE c.request_id = r.id) = 1)")" 0 "$2: exactly one certificate each"
	is "$(sql "$1" "SELECT count(*) FROM expunge.request WHERE state = 'running'")" 0 "$2: nothing half-claimed"
	is "$(sql "$1" "SELECT count(*) FROM expunge.key_set k WHERE NOT EXISTS (SELECT FROM expunge.request r
		WHERE r.id = k.request_id AND r.removed_at IS NOT NULL AND r.state <> 'certified')")" 0 "$2: no key set left over"
	is "$(find "$(dirname "$CONF")/certificates" -name '*.note' | wc -l)" \
		"$(sql "$1" 'SELECT count(*) FROM expunge.certificate WHERE published_at IS NOT NULL')" "$2: each has its file"
}

left_of() { # left_of DB PATIENT: rows that still say so
	sql "$1" "SELECT (SELECT count(*) FROM app.patient WHERE id = $2) + (SELECT count(*) FROM app.appointment WHERE patient_id = $2)
		+ (SELECT count(*) FROM app.message WHERE ref_type = 'patient' AND ref_id = '$2')
		+ (SELECT count(*) FROM audit.log_patient WHERE id = $2)"
}

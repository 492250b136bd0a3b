#!/usr/bin/env bash
# A private, throw-away PostgreSQL cluster for the tests and the demonstration.
#
#   cluster.sh start DIR [--fast] [--tcp] [--group GROUP] [--copy DATA]
#   cluster.sh env DIR                 prints the settings; eval "$(cluster.sh env DIR)"
#   cluster.sh restart DIR [immediate] immediate = as after a power cut (crash recovery)
#   cluster.sh stop DIR                stops it and removes every byte; may be repeated
#
# DIR keeps two small files, `env` and `pgpass`. The data and the socket live in a short path below
# ${TMPDIR:-/tmp}: a checkout may sit in a place that the server's user cannot enter (/root), and
# the path of a socket must not exceed 107 bytes.
#
#   --fast    fsync off: right for tests, wrong for showing how the program behaves
#   --tcp     listen on the loopback address too, on a free port
#   --group   let members of GROUP, besides the starting user, reach the socket
#   --copy    start from a copy of this data directory instead of an empty one; who may log in how is
#             the copy's business
set -euo pipefail

me=${0##*/}
self=$(realpath "$0")

die() {
	printf '%s: %s\n' "$me" "$*" >&2
	exit 1
}

usage() {
	sed -n '4,7s/^#  *//p' "$self" >&2
	exit 2
}

# PostgreSQL refuses to run as root, so root hands over to a user that may not do much.
pick_owner() {
	if [ "$(id -u)" -ne 0 ]; then
		owner=$(id -un)
	elif id postgres >/dev/null 2>&1; then
		owner=postgres
	else
		owner=nobody
	fi
}

as_owner() {
	if [ "$(id -u)" -eq 0 ] && [ "$owner" != root ]; then
		setpriv --reuid="$owner" --regid="$(id -g "$owner")" --init-groups --reset-env -- "$@"
	else
		"$@"
	fi
}

find_bindir() {
	local dir
	bindir=${PG_BINDIR:-/usr/lib/postgresql/${PG_MAJOR:-15}/bin}
	if [ ! -x "$bindir/initdb" ]; then
		dir=$(pg_config --bindir 2>/dev/null || true)
		bindir=${dir:-$bindir}
	fi
	[ -x "$bindir/initdb" ] || die "no PostgreSQL server in $bindir; run tests/setup/packages.sh test"
}

# Reads what `start` wrote; sets base and owner. Fails if there is no cluster.
load() {
	[ -r "$dir/env" ] || return 1
	base=$(sed -n 's/^# base //p' "$dir/env")
	owner=$(sed -n 's/^# owner //p' "$dir/env")
	[ -n "$base" ] && [ -n "$owner" ]
}

# A server that was killed may stay as a zombie for a while; that counts as gone.
is_running() {
	local pid
	pid=$(as_owner head -n 1 "$base/data/postmaster.pid" 2>/dev/null) || return 1
	kill -0 "$pid" 2>/dev/null && ! grep -q '^State:[[:space:]]*Z' "/proc/$pid/status" 2>/dev/null
}

# Removes only a directory that is unmistakably ours: the name of mktemp's pattern and our marker.
remove_base() {
	case $base in
	*/expunge-pg.??????) ;;
	*) die "will not remove $base: not a name that start makes" ;;
	esac
	if [ -e "$base/.expunge-test-cluster" ]; then
		rm -rf -- "$base"
	fi
}

# The server must not inherit descriptors: an inherited pipe or lock of the caller would stay open
# for as long as the server runs. 255 is where bash reads this script from.
close_descriptors() {
	local fd
	for fd in /proc/self/fd/*; do
		fd=${fd##*/}
		if [ "$fd" -gt 2 ] && [ "$fd" -ne 255 ]; then
			eval "exec $fd>&-"
		fi
	done 2>/dev/null
}

# With EXPUNGE_TEST_CLOCK, a file that libfaketime reads an offset from, the server lives by that clock; with CLOCK_LIBRARY,
# too, by that of tests/fake/clock.c.
launch() { # launch start [pg_ctl option...]
	local clock=()
	if [ -n "${CLOCK_LIBRARY:-}" ]; then
		clock=(env LD_PRELOAD="$CLOCK_LIBRARY" TEST_CLOCK="$EXPUNGE_TEST_CLOCK")
	elif [ -n "${EXPUNGE_TEST_CLOCK:-}" ]; then
		clock=(env LD_PRELOAD="$(faketime -f +0 printenv LD_PRELOAD)" FAKETIME_TIMESTAMP_FILE="$EXPUNGE_TEST_CLOCK"
			FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1)
	fi
	(
		close_descriptors
		as_owner "${clock[@]}" "$bindir/pg_ctl" -D "$base/data" -l "$base/log" -s -w -t 60 "$@" </dev/null
	)
}

make_base() {
	local tmp=${TMPDIR:-/tmp}
	# The name of the socket is added to this path: ours, 18 bytes, then "/s/.s.PGSQL.NNNNN".
	if [ $((${#tmp} + 35)) -gt 107 ] || ! as_owner test -x "$tmp"; then
		tmp=/tmp
	fi
	base=$(mktemp -d "$tmp/expunge-pg.XXXXXX")
	: >"$base/.expunge-test-cluster"
	chmod 0711 "$base"
	mkdir -m 0700 "$base/data"
	mkdir -m 0750 "$base/s"
	: >"$base/log"
	chmod 0600 "$base/log"
	if [ "$(id -u)" -eq 0 ]; then
		chown "$owner" "$base/data" "$base/s" "$base/log"
	fi
	if [ -n "$group" ]; then
		chgrp "$group" "$base/s"
	elif [ "$(id -u)" -ne 0 ]; then
		chmod 0700 "$base/s"
	fi
}

init_data() {
	(umask 077 && printf '%s\n' "$password" >"$base/data.pw")
	if [ "$(id -u)" -eq 0 ]; then
		chown "$owner" "$base/data.pw"
	fi
	as_owner "$bindir/initdb" -D "$base/data" -U postgres --pwfile="$base/data.pw" \
		--auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 --no-sync >"$base/initdb.out" 2>&1 ||
		die "initdb failed: $(tail -n 3 "$base/initdb.out")"
	rm -f "$base/data.pw" "$base/initdb.out"
}

copy_data() {
	[ -s "$copy/PG_VERSION" ] || die "no data directory: $copy"
	[ ! -e "$copy/postmaster.pid" ] || die "a server uses $copy"
	cp -a "$copy/." "$base/data/"
	if [ "$(id -u)" -eq 0 ]; then
		chown -R "$owner" "$base/data"
	fi
}

write_settings() {
	cat >>"$base/data/postgresql.conf" <<-CONF
		listen_addresses = '$listen'
		unix_socket_directories = '$base/s'
		password_encryption = scram-sha-256
		shared_buffers = 128MB
		max_connections = 100
		max_prepared_transactions = 10
		track_commit_timestamp = off
		logging_collector = off
		log_destination = stderr
		log_min_messages = warning
		log_error_verbosity = terse
		lc_messages = 'C'
		timezone = 'UTC'
		log_timezone = 'UTC'
	CONF
	if [ "$fast" = yes ]; then
		cat >>"$base/data/postgresql.conf" <<-CONF
			fsync = off
			full_page_writes = off
		CONF
	fi
}

write_env() {
	{
		printf '# base %s\n# owner %s\n' "$base" "$owner"
		printf 'unset PGHOSTADDR PGSERVICE PGSERVICEFILE PGPASSWORD PGOPTIONS PGSSLMODE PGAPPNAME\n'
		printf 'export PGHOST=%q PGPORT=%q\n' "$base/s" "$port"
		printf 'export PGUSER=postgres PGDATABASE=postgres PGPASSFILE=%q\n' "$dir/pgpass"
		printf 'export EXPUNGE_TEST_CLUSTER=%q EXPUNGE_TEST_LOG=%q\n' "$dir" "$base/log"
	} >"$dir/env.new"
	mv "$dir/env.new" "$dir/env"
}

start() {
	local fast=no tcp=no group='' copy='' listen='' port=5432 password try

	while [ $# -gt 0 ]; do
		case $1 in
		--fast) fast=yes ;;
		--tcp) tcp=yes ;;
		--group) group=${2:?--group needs a name} && shift ;;
		--copy) copy=${2:?--copy needs a data directory} && shift ;;
		*) usage ;;
		esac
		shift
	done

	if load; then
		if is_running; then
			return 0
		fi
		remove_base # left behind by a crash of the machine
	fi

	pick_owner
	make_base
	trap 'stop_quietly' EXIT # a start that fails half-way leaves nothing behind

	password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
	(umask 077 && printf '*:*:*:*:%s\n' "$password" >"$dir/pgpass")
	if [ -n "$copy" ]; then
		copy_data
	else
		init_data
	fi
	if [ "$tcp" = yes ]; then
		listen=127.0.0.1
	fi
	write_settings

	# Only a port on the loopback address can be taken already; then another one is tried.
	for try in 1 2 3 4 5; do
		if [ "$tcp" = yes ]; then
			port=$((20000 + RANDOM % 12000))
		fi
		if launch start -o "-p $port" 2>/dev/null; then
			write_env
			trap - EXIT
			return 0
		fi
		if [ "$tcp" = no ] || [ "$try" = 5 ]; then
			break
		fi
	done
	die "the server does not start: $(tail -n 5 "$base/log")"
}

halt() { # halt [MODE]
	local pid
	if ! is_running; then
		return 0
	fi
	pid=$(as_owner head -n 1 "$base/data/postmaster.pid")
	as_owner "$bindir/pg_ctl" -D "$base/data" -s -w -t 30 -m "${1:-fast}" stop >/dev/null 2>&1 ||
		as_owner "$bindir/pg_ctl" -D "$base/data" -s -w -t 30 -m immediate stop >/dev/null 2>&1 ||
		kill -KILL "$pid" 2>/dev/null || true
}

stop_quietly() {
	halt || true
	remove_base || true
	rm -f "$dir/env" "$dir/env.new" "$dir/pgpass"
}

stop() {
	if ! load; then
		return 0
	fi
	halt
	remove_base
	rm -f "$dir/env" "$dir/pgpass"
	rmdir "$dir" 2>/dev/null || true
}

restart() {
	local mode=${1:-fast} port
	case $mode in
	fast | immediate) ;;
	*) usage ;;
	esac
	load || die "no cluster in $dir"
	port=$(sed -n 's/.* PGPORT=//p' "$dir/env")
	halt "$mode"
	# After a SIGKILL its process entry or its shared memory may linger; the server then refuses.
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		if launch start -o "-p $port" 2>/dev/null; then
			return 0
		fi
		sleep 0.5
	done
	die "the server does not start again: $(tail -n 5 "$base/log")"
}

[ $# -ge 2 ] || usage
verb=$1 dir=$2
shift 2

if [ "$verb" = start ]; then
	mkdir -p "$dir"
elif [ ! -d "$dir" ]; then
	if [ "$verb" = stop ]; then
		exit 0
	fi
	die "no cluster in $dir"
fi
dir=$(cd "$dir" && pwd)
cd / # the server's user may be unable to enter the present directory

find_bindir
case $verb in
start) start "$@" ;;
restart) restart "$@" ;;
stop) stop ;;
env) load || die "no cluster in $dir" && cat "$dir/env" ;;
*) usage ;;
esac

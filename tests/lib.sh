# The test library: source it from tests/integration/NN-name.sh. It prints TAP.
#
#   #!/usr/bin/env bash
#   . "$(dirname "$0")/../lib.sh"
#   fresh_db clinic                      # a database with the sample application
#   configure "$T/etc" clinic            # $CONF is now a configuration for it
#   run "$EXPUNGE" -c "$CONF" check
#   rc_is 0 "a fresh installation passes"
#   out_is "" "and says nothing"
#   done_testing
#
# Given to a test:
#   $EXPUNGE    the binary (default build/expunge)
#   $T          a private directory, removed at exit unless KEEP=1
#   $ROOT       the checkout
#   PGHOST, ... of a throw-away cluster. tests/run hands one over (EXPUNGE_TEST_CLUSTER); a test that
#               runs alone starts its own. A file has the cluster to itself while it runs: databases,
#               prepared transactions and roles that it leaves behind are removed at its end.
#
# A failing assertion prints what it got and the test goes on (with FAIL_FAST=1 it ends). Anything else that fails ends the
# test at once (set -e), and tests/run counts the missing plan as a failure.
# shellcheck shell=bash
set -euo pipefail
shopt -s inherit_errexit # a failure inside $( ) counts too

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
EXPUNGE=$(realpath -m "${EXPUNGE:-$ROOT/build/expunge}")
# shellcheck disable=SC2034 # CONF is for the tests
RC='' OUT='' ERR='' CONF='' own_cluster=''
export EXPUNGE LC_ALL=C.UTF-8 TZ=UTC
tests=0 failed=0

# ---------------------------------------------------------------------------- assertions

# Diagnostics: each line of standard input behind "# ", long ones cut short.
diag() {
	cut -c1-400 | sed 's/^/#   /'
}

# verdict TRUE|FALSE NAME: one line of TAP. It never fails, so that the test goes on.
verdict() {
	local frame=1
	tests=$((tests + 1))
	if [ "$1" = true ]; then
		printf 'ok %d - %s\n' "$tests" "$2"
	else
		failed=$((failed + 1))
		while [ "${BASH_SOURCE[frame]}" = "${BASH_SOURCE[0]}" ]; do
			frame=$((frame + 1)) # up to the test's own line
		done
		printf 'not ok %d - %s\n#   at %s line %s\n' "$tests" "$2" \
			"${BASH_SOURCE[frame]##*/}" "${BASH_LINENO[frame - 1]}"
		[ "${FAIL_FAST:-}" != 1 ] || exit 1
	fi
}

show_run() {
	printf '#   exit code %s\n' "$RC"
	printf '%s\n' "$OUT" | head -n 40 | sed 's/^/out: /' | diag
	printf '%s\n' "$ERR" | head -n 40 | sed 's/^/err: /' | diag
}

# run CMD...: runs it without input; its exit code is in $RC, its output in $OUT and $ERR and, byte
# for byte, in the files $T/out and $T/err.
run() {
	RC=0
	"$@" >"$T/out" 2>"$T/err" </dev/null || RC=$?
	OUT=$(tr -d '\000' <"$T/out")
	ERR=$(tr -d '\000' <"$T/err")
}

# rc_is CODE NAME
rc_is() {
	if [ "$RC" = "$1" ]; then verdict true "$2"; else
		verdict false "$2"
		printf '#   wanted exit code %s\n' "$1"
		show_run
	fi
}

# out_is TEXT NAME and err_is TEXT NAME: the whole output but the last line end
out_is() {
	if [ "$OUT" = "$1" ]; then verdict true "$2"; else
		verdict false "$2"
		printf '%s\n' "$1" | sed 's/^/wanted: /' | diag
		show_run
	fi
}

err_is() {
	if [ "$ERR" = "$1" ]; then verdict true "$2"; else
		verdict false "$2"
		printf '%s\n' "$1" | sed 's/^/wanted on stderr: /' | diag
		show_run
	fi
}

# out_like, out_unlike, err_like, err_unlike REGEX NAME: some line matches (or none), grep -E
out_like() { like_file out "" "$@"; }
out_unlike() { like_file out not "$@"; }
err_like() { like_file err "" "$@"; }
err_unlike() { like_file err not "$@"; }

like_file() {
	local found=yes
	grep -aEq -e "$3" -- "$T/$1" || found=no
	if { [ "$found" = yes ] && [ -z "$2" ]; } || { [ "$found" = no ] && [ -n "$2" ]; }; then
		verdict true "$4"
	else
		verdict false "$4"
		printf '#   wanted %s to match on std%s: %s\n' "${2:-some line}" "$1" "$3"
		show_run
	fi
}

# is GOT WANT NAME
is() {
	if [ "$1" = "$2" ]; then verdict true "$3"; else
		verdict false "$3"
		printf '%s\n' "$1" | sed 's/^/got:    /' | diag
		printf '%s\n' "$2" | sed 's/^/wanted: /' | diag
	fi
}

# ok NAME COND...: passes if the command COND... succeeds: ok "the file is there" test -e "$T/f"
ok() {
	local name=$1
	shift
	if "$@" >"$T/ok.out" 2>&1 </dev/null; then verdict true "$name"; else
		verdict false "$name"
		printf '#   failed: %s\n' "$*"
		head -n 20 "$T/ok.out" | diag
	fi
}

# nok NAME COND...: passes if it fails
nok() {
	local name=$1
	shift
	if "$@" >"$T/ok.out" 2>&1 </dev/null; then
		verdict false "$name"
		printf '#   succeeded: %s\n' "$*"
		head -n 20 "$T/ok.out" | diag
	else verdict true "$name"; fi
}

# skip NAME REASON: counts as skipped, not as passed
skip() {
	tests=$((tests + 1))
	printf 'ok %d - %s # SKIP %s\n' "$tests" "$1" "$2"
}

# skip_all REASON: ends the whole file
skip_all() {
	printf '1..0 # SKIP %s\n' "$1"
	exit 0
}

# note TEXT...: a remark in the test's log
note() {
	printf '%s\n' "$*" | diag
}

# done_testing: the last line of every test
done_testing() {
	printf '1..%d\n' "$tests"
	[ "$failed" -eq 0 ]
}

# ---------------------------------------------------------------------------- the database

# sql [-U ROLE] DB STATEMENT...: rows as bare text, columns separated by '|'; fails on any error
sql() {
	local role=postgres db statement args=()
	if [ "$1" = -U ]; then
		role=$2
		shift 2
	fi
	db=$1
	shift
	for statement in "$@"; do
		args+=(-c "$statement")
	done
	psql -XAtq -v ON_ERROR_STOP=1 -U "$role" -d "$db" "${args[@]}" </dev/null
}

# password: what every role of the cluster logs in with (PGPASSFILE already knows it)
password() {
	sed 's/^.*://' "$PGPASSFILE"
}

# mkrole NAME [GROUP...]: a login role, member of GROUP...; an existing one gets a login. The
# password travels by standard input because arguments are visible to other users.
mkrole() {
	local name=$1 group
	shift
	psql -XAtq -v ON_ERROR_STOP=1 -v name="$name" >/dev/null <<-SQL
		SELECT format('CREATE ROLE %I', :'name')
		WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'name') \gexec
		ALTER ROLE :"name" LOGIN PASSWORD '$(password)';
	SQL
	for group in "$@"; do
		psql -XAtq -v ON_ERROR_STOP=1 -v name="$name" -v group="$group" <<-'SQL'
			GRANT :"group" TO :"name";
		SQL
	done
}

# fresh_db NAME [TEMPLATE]: a database with the sample application, copied from a template that is
# loaded once a cluster; with TEMPLATE, a copy of that database (template0: an empty one).
fresh_db() {
	local template=${2:-sample_template}
	if [ "$template" = sample_template ]; then
		make_sample_template
	fi
	sql postgres "CREATE DATABASE \"$1\" TEMPLATE \"$template\" STRATEGY wal_log"
}

make_sample_template() {
	local file
	if [ -n "$(sql postgres "SELECT 1 FROM pg_database WHERE datname = 'sample_template'")" ]; then
		return 0
	fi
	sql postgres 'CREATE DATABASE sample_loading TEMPLATE template0'
	for file in schema data; do
		psql -XAtq -v ON_ERROR_STOP=1 -d sample_loading -f "$ROOT/tests/sample/$file.sql" >/dev/null
	done
	mkrole app_owner
	sql postgres 'ALTER DATABASE sample_loading RENAME TO sample_template'
}

# drop_db NAME: with all its prepared transactions and connections
drop_db() {
	local gid
	sql "$1" 'SELECT gid FROM pg_prepared_xacts WHERE database = current_database()' |
		while IFS= read -r gid; do
			sql "$1" "ROLLBACK PREPARED '$gid'"
		done
	sql postgres "DROP DATABASE \"$1\" WITH (FORCE)"
}

# Leaves the cluster as it was found, but for the sample's template and its owner.
reset_cluster() {
	local name
	sql postgres "SELECT datname FROM pg_database WHERE datname NOT IN
		('postgres', 'template0', 'template1', 'sample_template')" |
		while IFS= read -r name; do
			sql postgres "ALTER DATABASE \"$name\" RESET ALL"
			PGOPTIONS='-c default_transaction_read_only=off' drop_db "$name"
		done
	sql postgres "SELECT rolname FROM pg_roles WHERE oid >= 16384 AND rolname <> 'app_owner'" |
		while IFS= read -r name; do
			# A role may own something in the databases that stay.
			sql postgres "DROP OWNED BY \"$name\"" "DROP ROLE \"$name\""
		done
}

# sample_markers DB PATIENT: what only this patient's rows say, one marker a line. Ask before erasing.
sample_markers() {
	sql "$1" "SELECT unnest(ARRAY[family_name, email, nhs_number, phone, replace(phone, ' ', '')])
		FROM app.patient WHERE id = $2"
}

# dump DB: all of it as text, with bytea and large objects in hexadecimal
dump() {
	pg_dump -U postgres --blobs -d "$1"
}

# traces DB MARKER...: prints the lines of a full dump that contain a marker, in whatever case, plain
# or as the bytes of a bytea or large object; nothing if the database has no trace.
traces() {
	local db=$1 marker
	shift
	dump "$db" >"$T/dump.sql" || return # half a dump proves nothing
	for marker in "$@"; do
		printf '%s\n' "$marker"
		printf '%s' "$marker" | od -An -v -tx1 | tr -d ' \n'
		printf '\n'
	done >"$T/markers"
	grep -aiF -f "$T/markers" "$T/dump.sql" | cut -c1-300 || true
}

# no_trace DB NAME MARKER... and has_trace DB NAME MARKER...: assertions on that search
no_trace() {
	local name=$2 found
	found=$(traces "$1" "${@:3}")
	if [ -z "$found" ]; then verdict true "$name"; else
		verdict false "$name"
		printf '%s\n' "$found" | head -n 20 | diag
	fi
}

has_trace() {
	local name=$2
	if [ -n "$(traces "$1" "${@:3}")" ]; then verdict true "$name"; else verdict false "$name"; fi
}

# cluster_restart [immediate]: what a power cut does to the server
cluster_restart() {
	"$ROOT/tests/setup/cluster.sh" restart "$EXPUNGE_TEST_CLUSTER" "$@"
}

# ---------------------------------------------------------------------------- the configuration

# configure DIR DB [MAP]: makes DIR with a configuration for database DB; its path is then in $CONF
configure() {
	mkdir -p "$1"
	chmod 0700 "$1"
	write_config "$1" "$2" "${3:-$ROOT/etc/maps/sample.conf}" >"$1/expunge.conf"
	chmod 0600 "$1/expunge.conf"
	# shellcheck disable=SC2034
	CONF=$1/expunge.conf
}

# The text of the configuration: the one place that knows its settings.
write_config() {
	local dir=$1 db=$2 map=$3
	cat <<-CONF
		database : {
		  conninfo = "host=$PGHOST port=$PGPORT dbname=$db";
		};
		map = "$map";
		state_directory = "$dir/state";
		ledger_directory = "$dir/ledger";
		certificate_directory = "$dir/certificates";
		issuer : {
		  name = "expunge.example.org";
		  key = "$dir/issuer.pem";
		};
		processor = "Example Software Ltd, ICO registration ZA000000";
		policy : { undo_days = 0; };
		caps : {
		  subjects_per_run = 50;
		  tenants_per_run = 10;
		  rows_per_run = 500000;
		  tenant_share_percent = 50;
		};
		verify : { wait_seconds = 5; };
	CONF
}

# install DB [MAP]: configuration in $T/DB, control schema, and one login for each kind of person
install() {
	configure "$T/$1" "$1" "${2:-}"
	expunge_as postgres init 2>"$T/init.log" || { cat "$T/init.log" >&2; return 1; }
	mkrole clinic_app expunge_intake
	mkrole ruth expunge_approver
	mkrole oscar expunge_operator expunge_intake
	mkrole dora expunge_dpo
	mkrole night expunge_job
	mkrole watch expunge_monitor
	sql "$1" "SET default_transaction_read_only = off" "INSERT INTO expunge.tenant_login (login, tenant)
		SELECT l, t FROM unnest(ARRAY['clinic_app', 'oscar']) l, unnest(ARRAY['1', '2', '3', 'the-practice']) t"
}

# build_probe NAME: tests/integration/NAME.c, linked with the library, as $T/NAME
build_probe() {
	local build sanitize=()
	build=$(dirname "$EXPUNGE")
	if nm "$build/libexpunge.a" 2>/dev/null | grep __asan_init >/dev/null; then
		sanitize=("-fsanitize=address,undefined") # a library that `make debug` built
	elif nm "$build/libexpunge.a" 2>/dev/null | grep __gcov_init >/dev/null; then
		sanitize=(--coverage) # one that `make coverage` built
	fi
	# shellcheck disable=SC2046 # pkg-config prints words
	ok "$1 is built" "${CC:-gcc}" -std=gnu11 -g -D_GNU_SOURCE -I"$ROOT/lib" -I"$build/gen" "${sanitize[@]}" -o "$T/$1" \
		"$ROOT/tests/integration/$1.c" "$build/libexpunge.a" $(pkg-config --libs libpq libconfig libcrypto jansson libzstd libcurl)
}

# outside_store NAME...: programs of stores outside the database in $T/stores: each appends its arguments to NAME.calls and ends
# with the exit code that NAME.exit holds; not within a minute while there is NAME.sleep
outside_store() {
	local store
	mkdir -p "$T/stores"
	for store; do
		cat >"$T/stores/$store" <<-SH
			#!/bin/sh
			printf '%s\n' "\$*" >>"$T/stores/$store.calls"
			[ ! -e "$T/stores/$store.sleep" ] || sleep 60
			exit "\$(cat "$T/stores/$store.exit")"
		SH
		chmod 755 "$T/stores/$store"
		echo 0 >"$T/stores/$store.exit"
	done
}

# with_keys: declares a key tree in $CONF, its root in two shares of two replicas, its journal in two places, all in the
# directory of $CONF, and makes it
with_keys() {
	local dir=${CONF%/*}
	(umask 077 && mkdir -p "$dir/shares" "$dir/here" "$dir/there")
	cat >>"$CONF" <<-CONF
		keys : {
		  shares = ( { replicas = ["$dir/shares/1a", "$dir/shares/1b"]; }, { replicas = ["$dir/shares/2a", "$dir/shares/2b"]; } );
		  anchor = "$dir/state/anchor";
		};
		archives : {
		  destinations = ( { name = "here"; directory = "$dir/here"; }, { name = "there"; directory = "$dir/there"; } );
		  key = "$dir/archives.pem";
		};
	CONF
	expunge_as postgres init
}

# expunge_as ROLE COMMAND...: the program under test, with $CONF
expunge_as() {
	local role=$1
	shift
	"$EXPUNGE" -c "$CONF" -U "$role" "$@"
}

# file_request DB TENANT SUBJECT: by the application; prints the id
file_request() {
	sql -U clinic_app "$1" "SET default_transaction_read_only = off" "SELECT expunge_api.request_erasure('$2', '$3', '17-1-b', 'portal', 'a practice admin', now(), NULL)"
}

# approve DB ID: identity, plan, and the approval of that plan by another person
approve() {
	expunge_as oscar request identify "$2" >/dev/null
	expunge_as night request plan "$2" >/dev/null
	expunge_as ruth request decide "$2" --accept --plan "$(sql "$1" "SELECT hash FROM expunge.plan WHERE request_id = '$2'")" >/dev/null
}

# request_state DB ID
request_state() {
	sql "$1" "SELECT state FROM expunge.request WHERE id = '$2'"
}

# ---------------------------------------------------------------------------- start and end

leave() {
	local rc=$?
	trap - EXIT
	set +e
	if [ -n "${own_cluster:-}" ]; then
		"$ROOT/tests/setup/cluster.sh" stop "$own_cluster"
	elif [ -n "${PGHOST:-}" ]; then
		reset_cluster >"$T/reset" 2>&1 || { sed 's/^/# clean-up: /' "$T/reset" >&2; }
	fi
	if [ "${KEEP:-}" = 1 ]; then
		printf '# kept %s\n' "$T"
	else
		rm -rf -- "$T"
	fi
	exit "$rc"
}

T=$(mktemp -d "${TMPDIR:-/tmp}/expunge-test.XXXXXX")
T=$(realpath "$T")
export T
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# cluster_options, set before this file is sourced, asks for a cluster of one's own made with them.
if [ -z "${EXPUNGE_TEST_CLUSTER:-}" ] || [ -n "${cluster_options:-}" ]; then
	own_cluster=$T/cluster
	# shellcheck disable=SC2086 # several
	"$ROOT/tests/setup/cluster.sh" start "$own_cluster" --fast ${cluster_options:-}
	EXPUNGE_TEST_CLUSTER=$own_cluster
fi
eval "$("$ROOT/tests/setup/cluster.sh" env "$EXPUNGE_TEST_CLUSTER")"

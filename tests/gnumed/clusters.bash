# What the tests of GNUmed share: its database, and a server on a fresh copy of it. Sourced behind tests/lib.sh.
# GNUMED_DIR names a place for the bootstrapped data directory, which is kept there for the next time (default:
# build/gnumed).
# shellcheck shell=bash
db=gnumed_v22
here=$ROOT/tests/gnumed
# shellcheck disable=SC2034 # for the tests
gnumed_map=$ROOT/etc/maps/gnumed.conf

# The server's user must be able to reach it, which a checkout below /root does not let it.
data_place() {
	local place=${GNUMED_DIR:-$ROOT/build/gnumed}
	mkdir -p "$place"
	if [ "$(id -u)" -eq 0 ] && ! runuser -u "${GNUMED_USER:-postgres}" -- test -x "$place" 2>/dev/null; then
		chmod 0711 "$T"
		place=$T/gnumed
	fi
	printf '%s\n' "$place"
}

# bootstrap: the data directory in $place, or the end of the test
bootstrap() {
	place=$(data_place)
	"$here/bootstrap.sh" "$place" || {
		note "GNUmed's database could not be made"
		exit 1
	}
}

# cluster NAME MAP: a server on a fresh copy, with Expunge installed for MAP
cluster() {
	"$ROOT/tests/setup/cluster.sh" stop "$own_cluster"
	own_cluster=$T/$1.cluster
	"$ROOT/tests/setup/cluster.sh" start "$own_cluster" --fast --copy "$place/data"
	eval "$("$ROOT/tests/setup/cluster.sh" env "$own_cluster")"
	install "$db" "$2"
	mv "$T/$db" "$T/$1" # each part has keys, ledger and certificates of its own
	sed -i "s|$T/$db|$T/$1|" "$T/$1/expunge.conf"
	# shellcheck disable=SC2034
	CONF=$T/$1/expunge.conf
	sql "$db" "ALTER SYSTEM SET log_statement = 'ddl'" 'SELECT pg_reload_conf()' >/dev/null
	sleep 0.2 # for the reload
	: >"$EXPUNGE_TEST_LOG"
}

# rows FILE [DATABASE]: every row of every table
rows() {
	psql -XAtq -U postgres -d "${2:-$db}" -f "$here/rows.sql" >"$1"
}

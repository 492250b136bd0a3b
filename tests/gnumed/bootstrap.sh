#!/bin/bash
# Builds a private PostgreSQL 15 cluster that holds GNUmed's demonstration database, gnumed_v22.
#
#   bootstrap.sh DIR        leaves DIR/data (a data directory, cleanly shut down) and DIR/done
#
# For a test, copy it and start the copy as its owner (a copy keeps what CREATE DATABASE … TEMPLATE
# would lose: the database's own settings, among them default_transaction_read_only = on):
#
#   cp -a DIR/data COPY && pg_ctl -D COPY -w -o "-k SOCKETDIR -p PORT" start
#
# The server listens on no TCP port, knows the superuser "postgres" and lets every local user log in
# as anybody, "gm-dbo" included. Nothing is left running. A second run finds DIR/done and does nothing.
#
# Debian's package gnumed-server is installed where it is missing, with a mail reader that needs no mail
# server; no service is started by that. Its own shell wrapper wants the machine's PostgreSQL on the
# default socket and port and offers to overwrite databases there; the Python program behind it,
# however, obeys PGHOST, so it is given a server of its own and no other server is ever touched.
#
# Root is needed only to install what is missing. Run by root, the server runs as "postgres", or as
# the user named in GNUMED_USER, who must be able to reach DIR.
set -euo pipefail
umask 022

BIN=${PG_BINDIR:-/usr/lib/postgresql/15/bin}
SCRIPTS=/var/lib/gnumed/server
LAST=22                         # gnumed_v22; everything below is a stage on the way to it

say() { printf 'gnumed: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

[ $# -eq 1 ] || { echo "usage: bootstrap.sh DIR" >&2; exit 2; }
case $1 in ''|-*) echo "usage: bootstrap.sh DIR" >&2; exit 2 ;; esac
mkdir -p "$1"
dir=$(cd "$1" && pwd)
cd /                            # which the user below may enter

exec 9>"$dir/lock"
flock 9                         # a second run waits for the first, and then finds its work done
if [ -e "$dir/done" ] && [ -s "$dir/data/PG_VERSION" ]; then
    say "$dir/data is there already ($(cat "$dir/done"))"
    exit 0
fi

have_psycopg2() { /usr/bin/python3 -c 'import psycopg2' 2>/dev/null; }

# Only what is missing: an upgrade would break servers that are running.
missing=()
[ -x "$BIN/postgres" ] || missing+=(postgresql-15)
have_psycopg2 || missing+=(python3-psycopg2)
[ -f "$SCRIPTS/bootstrap/bootstrap-latest.conf" ] || missing+=(gnumed-server s-nail)

# Installs packages without letting Debian create and start a cluster of its own, or any other service.
install_packages() {
    local conf=/etc/postgresql-common/createcluster.d/expunge-gnumed.conf policy=/usr/sbin/policy-rc.d rc=0
    export DEBIAN_FRONTEND=noninteractive
    apt-get -q update >&2 || die "apt-get update failed"
    if [ -e "$policy" ]; then
        policy=
    else
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    apt-get -qy install --no-install-recommends --no-upgrade postgresql-common >&2 || rc=1
    mkdir -p "${conf%/*}"
    echo 'create_main_cluster = false' >"$conf"
    [ $rc -ne 0 ] || apt-get -qy install --no-install-recommends --no-upgrade "${missing[@]}" >&2 || rc=1
    rm -f "$conf" ${policy:+"$policy"}
    [ $rc -eq 0 ] || die "apt-get install failed"
}

if [ ${#missing[@]} -gt 0 ]; then
    if [ "$(id -u)" -ne 0 ]; then
        echo "apt-get install --no-install-recommends ${missing[*]}"
        exit 1
    fi
    install_packages
    [ -x "$BIN/postgres" ] || die "no PostgreSQL 15 in $BIN"
    have_psycopg2 || die "/usr/bin/python3 has no psycopg2"
fi

# Whoever runs the server: never root.
if [ "$(id -u)" -eq 0 ]; then
    user=${GNUMED_USER:-postgres}
    id -u "$user" >/dev/null 2>&1 || die "no such user: $user"
    [ "$(id -u "$user")" -ne 0 ] || die "PostgreSQL does not run as root: set GNUMED_USER"
    as() { runuser -u "$user" -- env -i PATH="$PATH" HOME="$tmp" TZ=UTC LC_ALL=C.UTF-8 "$@" 9>&-; }
else
    user=$(id -un)
    as() { env -i PATH="$PATH" HOME="$tmp" TZ=UTC LC_ALL=C.UTF-8 "$@" 9>&-; }
fi

tmp=$(mktemp -d /tmp/gnumed.XXXXXX)     # socket (its path must be short), scripts, logs
new=$dir/new
started=
work=
finish() {
    local rc=$?
    trap - EXIT
    if [ -n "$started" ]; then
        as "$BIN/pg_ctl" -D "$new/data" -m immediate -w stop >/dev/null 2>&1 || :
    fi
    if [ -n "$work" ]; then     # ends by itself once its server has gone
        wait "$work" || :
    fi
    if [ $rc -ne 0 ] && [ -s "$tmp/log/bootstrap.log" ]; then
        cp "$tmp/log/"*.log "$dir/" && say "not done; see bootstrap.log, output.log and server.log in $dir"
    fi
    rm -rf "$tmp" "$new"
    exit $rc
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# GNUmed's scripts: a copy of our own, because the bootstrap writes into its own tree.
mkdir -p "$tmp/gnumed" "$tmp/log" "$tmp/socket"
cp -r "$SCRIPTS" "$tmp/gnumed/"
grep -q "^update_db-v$((LAST - 1))_v$LAST.conf" "$tmp/gnumed/server/bootstrap/bootstrap-latest.conf" ||
    die "this gnumed-server does not make gnumed_v$LAST"

rm -rf "$new" "$dir/data" "$dir/done"
mkdir -p "$new"
if [ "$(id -u)" -eq 0 ]; then
    chown -R "$user" "$tmp" "$new"
fi
as test -w "$new" || die "user $user cannot write in $new: choose another DIR or set GNUMED_USER"

as "$BIN/initdb" -D "$new/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync >/dev/null
cat >>"$new/data/postgresql.conf" <<'END'

# appended by bootstrap.sh
listen_addresses = ''
jit = off
END

say "bootstrapping gnumed_v$LAST (two or three minutes)"
begin=$SECONDS
# Safe to be careless here: a failed run is thrown away.
as "$BIN/pg_ctl" -D "$new/data" -w -l "$tmp/log/server.log" -o "-k $tmp/socket -p 5432 \
    -c fsync=off -c full_page_writes=off -c synchronous_commit=off -c wal_level=minimal -c max_wal_senders=0 \
    -c max_wal_size=4GB -c checkpoint_timeout=1h -c shared_buffers=256MB -c autovacuum_naptime=5s" start >/dev/null
started=yes

cd "$tmp/gnumed/server/bootstrap"
as PGHOST="$tmp/socket" PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 ./bootstrap_gm_db_system.py \
    --log-file="$tmp/log/bootstrap.log" --conf-file=bootstrap-latest.conf --quiet \
    </dev/null >"$tmp/log/output.log" 2>&1 &
work=$!                         # in the background, so that a signal is obeyed at once
wait $work || die "GNUmed's bootstrap failed"
work=
cd /

query() { as "$BIN/psql" -X -q -At -v ON_ERROR_STOP=1 -h "$tmp/socket" -U "$1" -d "$2" -c "$3"; }

for name in $(query postgres postgres "SELECT datname FROM pg_database
        WHERE datname LIKE 'gnumed%' AND datname <> 'gnumed_v$LAST'"); do
    query postgres postgres "DROP DATABASE $name"
done
[ "$(query gm-dbo gnumed_v$LAST "SELECT count(*) FROM dem.identity i JOIN dem.names n ON n.id_identity = i.pk
        WHERE i.pk = 12 AND n.lastnames = 'Kirk' AND NOT i.deleted")" = 2 ] ||
    die "gnumed_v$LAST lacks its demonstration patient"
query postgres gnumed_v$LAST "VACUUM (ANALYZE)"
query postgres postgres "CHECKPOINT"

as "$BIN/pg_ctl" -D "$new/data" -m fast -w stop >/dev/null
started=
# It was shut down cleanly, so nothing is lost by dropping the spent log files: the copies stay small.
as "$BIN/pg_resetwal" -D "$new/data" >/dev/null
sync -f "$new/data"

mv "$new/data" "$dir/data"
rm -f "$dir/bootstrap.log" "$dir/server.log" "$dir/output.log"
version=$(dpkg-query -W -f '${Version}' gnumed-server 2>/dev/null || echo "(not a package)")
echo "gnumed-server $version, $("$BIN/postgres" -V)" >"$dir/done"
say "done in $((SECONDS - begin)) seconds: $(du -sh "$dir/data" | cut -f1) in $dir/data"

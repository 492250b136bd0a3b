# Restores for the recovery test: a server with base backups and archived WAL, and copies of everything else that such a
# server is restored beside. Sourced after lib.sh and closure/history.bash.
# shellcheck shell=bash

# archive_wal: from now on every segment of the log is kept in $T/wal, as a server in earnest would
archive_wal() {
	local data owner
	data=$(base_of "$EXPUNGE_TEST_CLUSTER")/data
	owner=$(sed -n 's/^# owner //p' "$EXPUNGE_TEST_CLUSTER/env")
	wal=$(dirname "$data")/wal
	mkdir -m 0700 "$wal"
	chown "$owner" "$wal"
	cat >>"$data/postgresql.conf" <<-CONF
		full_page_writes = on
		archive_mode = on
		archive_command = 'test ! -e "$wal/%f" && cp "%p" "$wal/.%f" && mv "$wal/.%f" "$wal/%f"'
	CONF
	cluster_restart
}

base_of() { sed -n 's/^# base //p' "$1/env"; }

# base_backup NAME: into $T/bases/NAME
base_backup() {
	mkdir -p "$T/bases"
	pg_basebackup -D "$T/bases/$1" -c fast -X stream --no-sync
}

# log_is_kept: whatever was written until now is in $T/wal
log_is_kept() {
	local last
	last=$(sql postgres 'SELECT pg_walfile_name(pg_switch_wal())')
	for _ in $(seq 600); do
		[ ! -e "$wal/$last" ] || return 0
		sleep 0.1
	done
	return 1
}

# ---------------------------------------------------------------------------- a restored server

# restored COMMAND...: in the restored server, with the configuration that goes with it
restored() (
	eval "$("$ROOT/tests/setup/cluster.sh" env "$T/back")"
	CONF=$T/restored/expunge.conf "$@"
)

# restore_server BASE [POINT]: a second server from this base backup: as it was when that ended, or with the archived log up
# to the restore point, on a timeline of its own. Beside it a copy of all that is not in the database, in $T/restored, whose
# configuration names the second server and the copies, so that the first one can go on.
restore_server() {
	local stage=$T/stage
	rm -rf -- "$stage" "$T/restored"
	cp -a "$T/bases/$1" "$stage"
	sed -i '/^archive_mode/d; /^archive_command/d' "$stage/postgresql.conf"
	if [ $# -gt 1 ]; then
		cat >>"$stage/postgresql.conf" <<-CONF
			restore_command = 'cp "$wal/%f" "%p"'
			recovery_target_name = '$2'
			recovery_target_action = 'promote'
		CONF
		touch "$stage/recovery.signal"
	fi
	"$ROOT/tests/setup/cluster.sh" start "$T/back" --fast --copy "$stage"
	rm -rf -- "$stage"
	cp "$EXPUNGE_TEST_CLUSTER/pgpass" "$T/back/pgpass" # who may log in is the copy's business
	restored sql postgres "DO \$\$ BEGIN
		FOR i IN 1..3000 LOOP
			EXIT WHEN NOT pg_is_in_recovery();
			PERFORM pg_sleep(0.02);
		END LOOP;
	END \$\$"
	cp -a "$T/clinic" "$T/restored"
	sed -i "s|$T/clinic/|$T/restored/|g; s|host=[^ ]* port=[0-9]*|host=$(base_of "$T/back")/s port=5432|" "$T/restored/expunge.conf"
}

stop_restored() {
	"$ROOT/tests/setup/cluster.sh" stop "$T/back"
	rm -rf -- "$T/restored"
}

# leave_restored: at the end of the test, whichever that is; the exit code stays
leave_restored() {
	local rc=$?
	set +e
	"$ROOT/tests/setup/cluster.sh" stop "$T/back"
	return "$rc"
}

# lose WHAT: of the copies beside the restored server
lose() {
	local dir=$T/restored
	case $1 in
	nothing) ;;
	replica) find "$dir/shares/1a" -name 'root.*' -delete ;; # a new disk, marked
	replicas) find "$dir/shares/1b" "$dir/shares/2a" -name 'root.*' -delete ;;
	destination) # for good, and the configuration says so
		rm -rf -- "$dir/here"
		sed -i 's|{ name = "here"; [^}]*}, ||' "$dir/expunge.conf"
		;;
	disk) # an empty one in its place
		rm -rf -- "$dir/there"
		mkdir -m 0700 "$dir/there"
		restored expunge_as ada keys mark "$dir/there" >/dev/null 2>&1 # a person says that it is
		;;
	host) # all that was on it, but for the keys
		find "$dir/ledger" -type f ! -name '*key*' -delete
		find "$dir/certificates" -type f -delete
		rm -f -- "$dir/state/anchor"
		;;
	esac
}

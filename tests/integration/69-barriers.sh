#!/usr/bin/env bash
# Barriers of a change of the root, besides the key journals: a streaming standby has the pages, the server has archived them. Until
# then, however long, the old root stays and nothing is certified; what could not be waited for at all is not begun.
# shellcheck disable=SC2034 # for lib.sh
cluster_options=' ' # of its own: it is promoted, archives, and has a standby
. "$(dirname "$0")/../lib.sh"
. "$ROOT/tests/integration/sessions.bash"

leave_standby() {
	local rc=$?
	set +e
	[ -z "${walreceiver:-}" ] || kill -CONT "$walreceiver" 2>/dev/null
	"$ROOT/tests/setup/cluster.sh" stop "$T/standby"
	(exit "$rc")
	leave
}
trap leave_standby EXIT

fresh_db clinic
install clinic
ok "a key tree" with_keys
ok "an archive" expunge_as night backup
cp "$CONF" "$T/plain.conf"
barriers() { # barriers TEXT: what keys.barriers says
	sed "s|^ *anchor = .*|&\n  barriers = ( $1 );|" "$T/plain.conf" >"$CONF"
}
records() { find "$T/clinic/shares" -name 'root.*' | wc -l; }
epoch() { sql clinic "SELECT epoch FROM expunge.key_tree"; }
change() { sql clinic "SELECT coalesce((SELECT state FROM expunge.key_change WHERE state NOT IN ('done', 'abandoned')), 'none')"; }
certificates() { sql clinic "SELECT count(*) FROM expunge.certificate"; }
status() { { expunge_as night keys status --json || [ $? -eq 3 ]; } | jq -r "$1"; }
rotate() { run expunge_as night keys rotate; }
# what a change that waits must have left as it was: both roots, every living key, no certificate
nothing_lost() { # nothing_lost NAME
	is "$(records)/$(change)/$(certificates)" "8/journalled/$issued" "$1: both roots are in their places, and nothing is certified"
	ok "$1: every living key opens" expunge_as night backup --verify
	ok "$1: with journal and root alone, too" expunge_as night drill --positive
	nok "$1: meanwhile no archive is made" expunge_as night backup
}
issued=0

# ---------------------------------------------------------------------------- a standby that is not there
barriers '{ kind = "standby"; name = "replica"; timeout_seconds = 2; }'
rotate
rc_is 5 "a standby that is not connected"
err_like 'the root is not changed, keys.barriers could not be passed: standby replica is not connected' "is told"
is "$(epoch)/$(records)/$(change)" 1/4/none "and nothing is begun"
run expunge_as night check
out_like '^error +barriers: standby replica is not connected' "check says so"
ok "nobody waits for it: backups go on" expunge_as night backup
scheduled clinic 1 42 >/dev/null
run expunge_as night nightly
rc_is 3 "a night"
err_like 'leaf keys are not shredded.*standby replica is not connected' "tells it"
is "$(epoch)/$(records)/$(change)/$(certificates)" 1/4/none/0 "and nothing is shredded, destroyed or certified"
barriers '{ kind = "standby"; timeout_seconds = 2; }'
rotate
rc_is 5 "no synchronous standby"
err_like 'no synchronous standby is connected' "is told"

# ---------------------------------------------------------------------------- one that streams
pg_basebackup -D "$T/base" -c fast -X stream -R -d "host=$PGHOST port=$PGPORT user=postgres password=$(password) application_name=replica"
printf 'wal_receiver_status_interval = 1\n' >>"$T/base/postgresql.auto.conf"
"$ROOT/tests/setup/cluster.sh" start "$T/standby" --copy "$T/base"
standby_base=$(sed -n 's/^# base //p' "$T/standby/env")
connected() { holds clinic "EXISTS (SELECT FROM pg_stat_replication WHERE application_name = 'replica' AND state = 'streaming' AND flush_lsn IS NOT NULL)"; }
standby_stop() {
	local pid
	pid=$(head -n 1 "$standby_base/data/postmaster.pid")
	kill -INT "$pid"
	walreceiver=''
	await "the standby has ended" bash -c "! kill -0 $pid 2>/dev/null || grep -q '^State:[[:space:]]*Z' /proc/$pid/status"
	await "and is gone from the list" holds clinic "NOT EXISTS (SELECT FROM pg_stat_replication)"
}
standby_start() {
	"$ROOT/tests/setup/cluster.sh" restart "$T/standby"
	await "the standby streams" connected
}
# it stays connected, and takes nothing
standby_freeze() {
	walreceiver=$(pgrep -f -P "$(head -n 1 "$standby_base/data/postmaster.pid")" walreceiver)
	kill -STOP "$walreceiver"
}
standby_thaw() {
	kill -CONT "$walreceiver"
	walreceiver=''
}
await "the standby streams" connected
barriers '{ kind = "standby"; name = "replica"; timeout_seconds = 600; }'
run expunge_as night check
out_like '^ok +barriers: standby replica is connected' "check sees it"
run expunge_as night nightly
rc_is 0 "with it a night goes through"
is "$(epoch)/$(records)/$(change)/$(certificates)" 2/4/none/1 "to its certificate"
is "$(sql clinic "SELECT count(*) FROM expunge.key_change WHERE epoch > 0 AND barrier_lsn IS NULL")" 0 "having asked for a position"
issued=1

# while it has not the pages, the old root is there
standby_freeze
start first expunge_as night keys rotate
await "the change waits" holds clinic "EXISTS (SELECT FROM expunge.key_change WHERE state = 'journalled' AND barrier_lsn IS NOT NULL)"
is "$(records)/$(change)" 8/journalled "a standby that is connected, and behind: the old root is there"
standby_thaw
finish first
rc_is 0 "it catches up, and the change comes to its end"
is "$(epoch)/$(records)/$(change)" 3/4/none "the old root is gone"
is "$(sql clinic "SELECT bool_and(s.lsn >= c.barrier_lsn) FROM expunge.standbys_seen() s, expunge.key_change c WHERE c.epoch > 0")" t "of a change that the standby has"

# ---------------------------------------------------------------------------- time-out
barriers '{ kind = "standby"; name = "replica"; timeout_seconds = 2; }'
scheduled clinic 2 241 >/dev/null
standby_freeze
run expunge_as night nightly
rc_is 3 "a standby that does not catch up"
err_like 'leaf keys are not shredded.*has waited 2 seconds at a barrier: standby replica has flushed up to [0-9A-F/]+, and [0-9A-F/]+ is waited for' "is told"
err_like 'the old root is in its places and nothing was destroyed' "with what it means"
nothing_lost "after the time-out"
position=$(sql clinic "SELECT barrier_lsn FROM expunge.key_change WHERE state = 'journalled'")
run expunge_as night keys status
rc_is 3 "keys status"
is "$(status .change_waits_for)/$(status .change_under_way)" "$(sql clinic "SELECT barrier FROM expunge.key_change WHERE state = 'journalled'")/journalled" "says what it waits for"
run expunge_as watch status
rc_is 3 "status"
out_like '^NOT WELL: .*a change of the root waits at a barrier' "says so first"
out_like '^barrier +standby replica has flushed up to' "and which"
is "$(expunge_as watch status --prometheus | grep -c '^expunge_key_change_waits 1$')" 1 "metrics, too"
run expunge_as night check
out_like '^error +barriers: a change of the root has waited in vain: standby replica has' "and check"
standby_thaw
standby_stop
run expunge_as night nightly
rc_is 3 "the next run, the standby is gone"
err_like 'has waited 2 seconds at a barrier: standby replica is not connected' "waits for it again"
nothing_lost "after another"
is "$(sql clinic "SELECT barrier_lsn FROM expunge.key_change WHERE state = 'journalled'")" "$position" "for the same position"
rotate
rc_is 3 "keys rotate says so with the same exit code"
# a person's stop is no time-out
barriers '{ kind = "standby"; name = "replica"; timeout_seconds = 600; }'
"$EXPUNGE" -c "$CONF" -U night keys rotate 2>"$T/err" &
pid=$!
await "the run waits" holds clinic "EXISTS (SELECT FROM pg_stat_activity WHERE application_name LIKE 'expunge%' AND query LIKE '%v.needed%')"
kill -TERM "$pid"
rc=0
wait "$pid" || rc=$?
is "$rc" 3 "a run that is asked to stop"
err_like 'asked to stop while a change of the root waits at a barrier: standby replica is not connected' "says where it stood"
nothing_lost "after a stop"
standby_start
run expunge_as night nightly
rc_is 0 "with the standby back, the next night goes on"
is "$(epoch)/$(records)/$(change)/$(certificates)" 4/4/none/2 "to the end, and certifies"
is "$(status .change_waits_for)" null "nothing waits any more"
ok "and nothing of the past opens" expunge_as night drill
issued=2

# ---------------------------------------------------------------------------- synchronous ones
sync_names() { sql postgres "ALTER SYSTEM SET synchronous_standby_names = '$1'" "SELECT pg_reload_conf()" >/dev/null; }
is_sync() { holds clinic "EXISTS (SELECT FROM expunge.standbys_seen() WHERE synchronous)"; }
sql clinic "ALTER DATABASE clinic SET synchronous_commit = local"
barriers '{ kind = "standby"; timeout_seconds = 2; }'
sync_names '2 (replica, other)'
await "the server counts it" is_sync
rotate
rc_is 5 "fewer than a COMMIT would wait for"
err_like '1 of 2 synchronous standbys are connected' "are not enough"
sync_names 'ANY 1 (other, replica)'
await "the server counts it" is_sync
barriers '{ kind = "standby"; timeout_seconds = 600; }'
rotate
rc_is 0 "a quorum"
sync_names replica
await "the server counts it" is_sync
barriers '{ kind = "standby"; timeout_seconds = 2; }'
standby_freeze
rotate
rc_is 3 "COMMITs wait for nobody, the barrier does"
nothing_lost "a synchronous standby that takes nothing"
standby_thaw
barriers '{ kind = "standby"; timeout_seconds = 600; }'
rotate
rc_is 0 "it goes on"
# a COMMIT that was told to stop waiting answers as if the standby had it
barriers '{ kind = "standby"; timeout_seconds = 2; }'
sql clinic "CREATE FUNCTION public.wait_for_standby() RETURNS trigger LANGUAGE plpgsql AS
		\$\$BEGIN PERFORM set_config('synchronous_commit', 'on', true); RETURN NULL; END\$\$" \
	"CREATE TRIGGER wait_for_standby AFTER UPDATE OF epoch ON expunge.key_tree FOR EACH ROW EXECUTE FUNCTION public.wait_for_standby()"
standby_freeze
start cancelled expunge_as night keys rotate
await "the COMMIT hangs" holds clinic "EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep')"
sql postgres "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'" >/dev/null
finish cancelled
rc_is 3 "a COMMIT that was cancelled while it waited is no standby's word"
nothing_lost "a cancelled COMMIT"
standby_thaw
sql clinic "DROP TRIGGER wait_for_standby ON expunge.key_tree"
barriers '{ kind = "standby"; timeout_seconds = 600; }, { kind = "standby"; name = "replica"; timeout_seconds = 600; }'
rotate
rc_is 0 "with both barriers it goes on"
sync_names ''
standby_stop

# ---------------------------------------------------------------------------- archived WAL
barriers '{ kind = "wal-archive"; timeout_seconds = 2; }'
rotate
rc_is 5 "a server that archives nothing"
err_like 'the server archives no write-ahead log, archive_mode is off' "is told"
is "$(records)/$(change)" 4/none "and nothing is begun"
base=$(sed -n 's/^# base //p' "$T/cluster/env")
mkdir "$base/wal"
chown --reference="$base/data" "$base/wal"
archive_by() { sql postgres "ALTER SYSTEM SET archive_command = '$1'" "SELECT pg_reload_conf()" >/dev/null; }
sql postgres "ALTER SYSTEM SET archive_mode = on"
archive_by "test ! -e $base/wal/%f && cp %p $base/wal/%f"
cluster_restart fast
run expunge_as night check
out_like '^warning +barriers: a segment is archived once it is full' "check knows that a quiet server archives nothing"
rotate
rc_is 3 "a segment that is not full"
err_like 'has waited 2 seconds at a barrier: segment [0-9A-F]{24} is not archived' "is waited for"
nothing_lost "a segment that is not full"
sql clinic "GRANT EXECUTE ON FUNCTION pg_catalog.pg_switch_wal() TO expunge_owner"
barriers '{ kind = "wal-archive"; timeout_seconds = 600; }'
rotate
rc_is 0 "where the owner may end it, it is archived"
is "$(records)/$(change)" 4/none "and the change comes to its end"
in_archive() { # whether each segment that a change has waited for is there
	local segment
	for segment in $(sql clinic "SELECT pg_walfile_name(barrier_lsn) FROM expunge.key_change WHERE epoch >= $1"); do
		[ -s "$base/wal/$segment" ] || return 1
	done
}
ok "every segment that was waited for is in the archive" in_archive "$(($(epoch) - 2))"
run expunge_as night check
out_like '^ok +barriers: archiving is on, the last segment archived was' "check is content"
is "$(sql -U night clinic "SELECT expunge.switch_wal()")" f "nobody may switch while no change waits"

# a label of a backup is no segment
pg_basebackup -D "$T/label" -c fast -X none 2>/dev/null
await "the backup's label was archived last" holds clinic "last_archived_wal LIKE '%.backup' FROM pg_stat_archiver"
rotate
rc_is 0 "it is not taken for one, and stops nothing"

# ---------------------------------------------------------------------------- archiving fails
archive_by false
barriers '{ kind = "wal-archive"; timeout_seconds = 2; }'
issued=$(certificates)
scheduled clinic 1 47 >/dev/null
run expunge_as night nightly
rc_is 3 "archiving fails"
err_like 'at a barrier: segment [0-9A-F]{24} is not archived, the last one archived was [0-9A-F.a-z]+; archiving fails: [0-9]+ failures in all, the last one of [0-9A-F]{24} at ' "is told, with the server's counters"
nothing_lost "archiving fails"
run expunge_as night check
out_like '^warning +barriers: archiving fails: [0-9]+ failures' "check tells it before the next night"
out_like '^error +barriers: a change of the root has waited in vain: segment' "and what it has cost"
archive_by "test ! -e $base/wal/%f && cp %p $base/wal/%f"
barriers '{ kind = "wal-archive"; timeout_seconds = 600; }'
run expunge_as night nightly
rc_is 0 "mended, the next night goes on"
is "$(records)/$(change)/$(certificates)" "4/none/$((issued + 1))" "to the certificate"
ok "of a change that is in the archive" in_archive "$(($(epoch) - 1))"
ok "and nothing of the past opens" expunge_as night drill
issued=$(certificates)

# ---------------------------------------------------------------------------- another timeline
archive_by false
barriers '{ kind = "wal-archive"; timeout_seconds = 2; }'
rotate
rc_is 3 "a change that waits"
: >"$base/data/standby.signal"
chown --reference="$base/data" "$base/data/standby.signal"
cluster_restart fast
sql postgres "SELECT pg_promote()" >/dev/null
rotate
rc_is 5 "a server that was promoted meanwhile"
ok "which is the one that counts" expunge_as night keys adopt --this-is-primary
archive_by "test ! -e $base/wal/%f && cp %p $base/wal/%f"
barriers '{ kind = "wal-archive"; timeout_seconds = 600; }'
rotate
rc_is 0 "goes on with it"
is "$(sql clinic "SELECT DISTINCT barrier_timeline FROM expunge.key_change WHERE epoch >= $(epoch) - 2")" 2 "waiting for what is archived of its own timeline"
ok "which is there" in_archive "$(($(epoch) - 2))"
is "$(records)/$(change)" 4/none "and all is well"
done_testing

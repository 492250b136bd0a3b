#!/usr/bin/env bash
# A change of the root whose COMMIT is not answered: a synchronous standby is gone, so the transaction is committed on the
# server's disk, and nobody is told, for as long as that lasts. Nothing is destroyed meanwhile, and the change comes to its
# one end.
# shellcheck disable=SC2034 # for lib.sh
cluster_options=' ' # of its own: its commits hang
. "$(dirname "$0")/../lib.sh"

fresh_db clinic
install clinic
ok "a key tree" with_keys
ok "an archive" expunge_as night backup
records() { find "$T/clinic/shares" -name 'root.*' | wc -l; }
epoch() { sql clinic "SELECT epoch FROM expunge.key_tree"; }
waiting() { sql postgres "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"; }
until_waiting() {
	local i
	for ((i = 0; i < 300; i++)); do
		[ "$(waiting)" -eq 0 ] || return 0
		sleep 0.1
	done
	return 1
}

# only the transaction that ends the epoch waits for the standby
sql clinic "ALTER ROLE night SET synchronous_commit = local" "ALTER ROLE app_owner SET synchronous_commit = local" \
	"CREATE FUNCTION public.wait_for_standby() RETURNS trigger LANGUAGE plpgsql AS
		\$\$BEGIN PERFORM set_config('synchronous_commit', 'on', true); RETURN NULL; END\$\$" \
	"CREATE TRIGGER wait_for_standby AFTER UPDATE OF epoch ON expunge.key_tree FOR EACH ROW EXECUTE FUNCTION public.wait_for_standby()"
standby() { # standby NAME: commits wait for a standby of this name; '' for none
	sql postgres "ALTER SYSTEM SET synchronous_standby_names = '$1'" "SELECT pg_reload_conf()" >/dev/null
}

# ---------------------------------------------------------------------------- killed while it waits
standby nobody
expunge_as night keys rotate >"$T/first.log" 2>&1 &
run=$!
ok "the COMMIT hangs" until_waiting
kill -9 "$run"
wait "$run" 2>/dev/null || true
is "$(epoch)/$(records)" 1/8 "killed, nobody sees the change, and both roots are there"
sql postgres "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'" >/dev/null
for ((i = 0; i < 100; i++)); do [ "$(epoch)" != 2 ] || break; sleep 0.1; done
is "$(epoch)" 2 "the server gives up waiting: it was committed"
standby ''
ok "the next run goes on with it" expunge_as night nightly
is "$(epoch)/$(records)/$(sql clinic "SELECT count(*) FROM expunge.key_change WHERE state NOT IN ('done', 'abandoned')")" 2/4/0 "to its one end"
ok "what should open opens" expunge_as night drill

# ---------------------------------------------------------------------------- the connection is lost while it waits
standby nobody
expunge_as night keys rotate >"$T/second.log" 2>&1 &
run=$!
ok "the COMMIT hangs again" until_waiting
sql postgres "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'" >/dev/null
code=0
wait "$run" || code=$?
is "$code" 1 "the run does not know whether it was committed, and ends"
is "$(epoch)/$(records)" 3/8 "it was, and both roots are there"
standby ''
ok "the next one finds out" expunge_as night keys rotate
is "$(records)/$(sql clinic "SELECT count(*) FROM expunge.key_change WHERE state NOT IN ('done', 'abandoned')")" 4/0 "and nothing is left of either"
ok "every archive opens" expunge_as night backup --verify

# ---------------------------------------------------------------------------- a standby that is slow, and comes
standby nobody
expunge_as night keys rotate >"$T/third.log" 2>&1 &
run=$!
ok "the COMMIT hangs a third time" until_waiting
before=$(epoch)
sleep 3
standby ''
code=0
wait "$run" || code=$?
is "$code/$(epoch)/$(records)" "0/$((before + 1))/4" "answered late, the run goes on as if nothing had been"
done_testing

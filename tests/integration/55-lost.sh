#!/usr/bin/env bash
# Two runs at once, a server that goes away, a COMMIT without an answer, locks that last, full disks:
# after each a clear message, nothing lost or half-claimed, and a second run that finishes the work.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/sessions.bash"
fresh_db clinic
install clinic
set_option lock_timeout_ms 60000
dir=$T/clinic
lock_rows() { # lock_rows PATIENT...: in session app
	say app "BEGIN; SELECT count(*) FROM (SELECT FROM app.appointment WHERE patient_id = ANY ('{$1}') FOR UPDATE) x"
}

# ---- two nightly runs at once
first=$(scheduled clinic 1 42)
session app clinic
lock_rows 42
start night expunge_as night nightly
waits_for_lock clinic
run expunge_as night nightly
rc_is 4 "a second nightly run"
err_like 'another nightly run is under way' "is told of the first"
is "$(sql clinic "SELECT count(*) FROM expunge.run WHERE finished_at IS NULL")" 1 "and leaves no trace of its own"
say app COMMIT
finish night
is "$RC $(request_state clinic "$first")" "0 certified" "the first ends as if alone"

# ---- two workers share the work
for patient in 51 52 53 54 56 57; do
	scheduled clinic 1 "$patient" >/dev/null
done
sed -i 's/^caps : {/batch : { subjects = 2; };\n&/' "$CONF"
lock_rows 51,52,53,54,56,57
start one expunge_as night erase
start two expunge_as night erase
waits_for_lock clinic 2
say app COMMIT
for worker in one two; do
	finish "$worker"
	ok "worker $worker: done, or waiting for the other's transaction" test "$RC" = 0 -o "$RC" = 3
done
run expunge_as night erase
rc_is 0 "and a third for what waited for the others' transactions"
is "$(states clinic)" "certified 7" "do everything"
is "$(sql clinic "SELECT count(DISTINCT number) FROM expunge.run WHERE job = 'erase' AND n_rows > 0")" 2 "both took a share"
whole clinic "two workers"

# ---- the server restarts while a batch is under way
id=$(scheduled clinic 1 58)
lock_rows 58
start night expunge_as night nightly
waits_for_lock clinic
cluster_restart immediate
finish night
rc_is 1 "a server that goes away"
err_like 'connection to the database is lost|terminating connection' "is told"
session_end app
is "$(request_state clinic "$id") $(sql clinic 'SELECT count(*) FROM app.patient WHERE id = 58')" "scheduled 1" "nothing is half-claimed"
run expunge_as night nightly
is "$RC $(request_state clinic "$id")" "0 certified" "the second run finishes"
is "$(sql clinic "SELECT count(*) FROM expunge.run WHERE finished_at IS NULL")" 1 "the first one's row stays open, for status to show"
whole clinic "after a restart"

# ---- the connection is lost at COMMIT: before it happened, and after
# A proxy in between forwards everything until the COMMIT after a statement of a given kind. Then it
# cuts the line, before the server has heard the COMMIT or after it has answered.
cat >"$T/proxy.pl" <<'PERL'
use strict; use warnings; use IO::Socket::UNIX; use IO::Select;
my ($from, $to, $when, $kind) = @ARGV;
my $door = IO::Socket::UNIX->new(Local => $from, Listen => 5) or die "listen: $!";
$SIG{CHLD} = 'IGNORE';
while (my $client = $door->accept) {
	next if fork;
	my $server = IO::Socket::UNIX->new(Peer => $to) or die "connect: $!";
	my $both = IO::Select->new($client, $server);
	my $seen = 0;
	while (my @ready = $both->can_read) {
		for my $s (@ready) {
			sysread($s, my $bytes, 65536) or exit;
			if ($s == $client && $seen && $bytes =~ /^Q....COMMIT\0/s) {
				syswrite($server, $bytes), sysread($server, $bytes, 65536) if $when eq 'after';
				exit;
			}
			$seen ||= $s == $client && index($bytes, $kind) >= 0;
			syswrite $s == $client ? $server : $client, $bytes;
		}
	}
}
PERL
cut_commit() { # cut_commit before|after TEXT: a nightly run whose COMMIT after a statement with that text is cut
	local proxy
	rm -rf "$T/p"
	mkdir "$T/p"
	perl "$T/proxy.pl" "$T/p/.s.PGSQL.$PGPORT" "$PGHOST/.s.PGSQL.$PGPORT" "$1" "$2" &
	proxy=$!
	await "the proxy listens" test -S "$T/p/.s.PGSQL.$PGPORT"
	sed "s|host=[^ ]*|host=$T/p|" "$CONF" >"$dir/proxy.conf"
	chmod 0600 "$dir/proxy.conf"
	run "$EXPUNGE" -c "$dir/proxy.conf" -U night nightly
	kill "$proxy"
	wait "$proxy" 2>/dev/null || true
}
id=$(scheduled clinic 1 59)
cut_commit before 'removed_xid = pg_current_xact_id()'
rc_is 1 "a connection lost at a COMMIT that did not happen"
err_like 'COMMIT.*lost' "is told"
is "$(request_state clinic "$id") $(sql clinic 'SELECT count(*) FROM app.patient WHERE id = 59')" "scheduled 1" "nothing was removed"
run expunge_as night nightly
is "$RC $(request_state clinic "$id")" "0 certified" "the second run finishes"

id=$(scheduled clinic 1 60)
cut_commit after 'removed_xid = pg_current_xact_id()'
rc_is 0 "a COMMIT that happened, but for its answer, is found out"
is "$(request_state clinic "$id") $(left_of clinic 60)" "certified 0" "and the run goes on to the certificate"
is "$(tail -n 1 "$dir/ledger/erasures" | cut -d' ' -f4)" "done" "the ledger says that it was done"

for when in before after; do
	id=$(scheduled clinic 1 "$((${#when} + 70))")
	cut_commit "$when" 'INSERT INTO expunge.certificate '
	rc_is 1 "certificates: a connection lost at COMMIT ($when)"
	err_like 'COMMIT.*lost' "is told"
	run expunge_as night nightly
	is "$RC $(request_state clinic "$id")" "0 certified" "the second run finishes"
	whole clinic "a lost COMMIT of certificates ($when)"
done
session app clinic

# ---- a lock that lasts
set_option lock_timeout_ms 100
id=$(scheduled clinic 1 81) other=$(scheduled clinic 1 82)
lock_rows 81
run expunge_as night nightly
rc_is 3 "a lock of the application that lasts"
err_like "request $id: 55P03" "is told with its code"
is "$(sql clinic "SELECT left(reason, 5) FROM expunge.request WHERE id = '$id'")" 55P03 "and in the request"
say app COMMIT
run expunge_as night nightly
is "$RC $(request_state clinic "$id") $(request_state clinic "$other")" "0 certified certified" "the second run finishes both"
session_end app

# ---- full disks
limited() { # limited BLOCKS: a nightly run that may not write files longer than that (of 1024 bytes)
	run bash -c 'ulimit -f "$1"; shift; exec "$@"' - "$1" "$EXPUNGE" -c "$CONF" -U night nightly
}
id=$(scheduled clinic 1 63)
cp "$dir/ledger/erasures" "$T/ledger.before"
size=$(stat -c %s "$dir/ledger/erasures")
limited $((size / 1024)) # less than there is: an append fails, or stops half-way
rc_is 3 "a full disk under the ledger"
err_like 'writing the erasure ledger: appending to .*: (File too large|[0-9]+ of [0-9]+ bytes written)' "is told"
is "$(sql clinic 'SELECT count(*) FROM app.patient WHERE id = 63')" 1 "nothing was deleted"
ok "the ledger is as before" cmp "$T/ledger.before" "$dir/ledger/erasures"
is "$(request_state clinic "$id")" failed "the request waits for the next run"
run expunge_as night nightly
is "$RC $(request_state clinic "$id")" "0 certified" "which finishes it"

id=$(scheduled clinic 1 64)
files=$(find "$dir/certificates" -type f | wc -l)
rm -f "$dir/ledger/erasures" # short enough for the limit below
limited 1 # a certificate is longer
rc_is 3 "a full disk under the certificates"
err_like 'are signed and stored, but not written to files: .*File too large' "is told"
is "$(request_state clinic "$id")" certified "the certificate is safe in the database"
is "$(find "$dir/certificates" -type f | wc -l)" "$files" "no half file is left"
run expunge_as night nightly
rc_is 0 "the next run writes it"
is "$(sql clinic 'SELECT count(*) FROM expunge.certificate WHERE published_at IS NULL')" 0 "with nothing left to publish"
whole clinic "after full disks"

# a file of another content in the certificate's place
id=$(scheduled clinic 1 65)
serial=$(sql clinic 'SELECT last + 1 FROM expunge.certificate_counter')
run expunge_as night nightly
rc_is 0 "one more"
note=$(find "$dir/certificates" -name "$(printf '%08d' "$serial")-*.note")
printf 'forged\n' >"$note"
sql clinic "UPDATE expunge.certificate SET published_at = NULL WHERE serial = $serial"
run expunge_as night nightly
rc_is 3 "a file that is not the certificate"
err_like 'exists and holds something else' "is told"
is "$(cat "$note")" forged "and not overwritten"
mv "$note" "$T/forged"
run expunge_as night nightly
rc_is 0 "moved away, the true one is written"
whole clinic "at the end"
done_testing

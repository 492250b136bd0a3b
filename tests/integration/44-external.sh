#!/usr/bin/env bash
# External stores: told of each erasure, without a shell, before the certificate.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/sessions.bash"
fresh_db clinic

outside_store documents mailing
{
	cat "$ROOT/etc/maps/sample.conf"
	cat <<-CONF
		external = (
		  { name = "documents"; owner = "the practice's IT"; timeout_seconds = 2;
		    command = [ "$T/stores/documents", "--tenant={tenant}", "--patient={subject}", "{request}", "a b; \$(c)" ]; },
		  { name = "mailing \"list\""; owner = "Post & Co"; command = [ "$T/stores/mailing", "{subject}" ]; } );
	CONF
} >"$T/map.conf"
install clinic "$T/map.conf"
calls() { cat "$T/stores/$1.calls" 2>/dev/null || true; }
forget_calls() { rm -f "$T"/stores/*.calls; }
recipients() { # recipients REQUEST: told/acknowledged
	sql clinic "SELECT count(*) || '/' || count(acknowledged_at) FROM expunge.recipient WHERE request_id = '$1'"
}
note_of() { sql clinic "SELECT note FROM expunge.certificate WHERE request_id = '$1'"; }

run expunge_as night map show
out_like '^external documents of the practice.s IT: .*/stores/documents --tenant=\{tenant\} --patient=\{subject\}' "map show lists the stores"
run expunge_as night check
out_like 'external stores: 2, their programs can be run' "check looks at their programs"

# ---- both acknowledge; a merged duplicate's key is told too
id=$(scheduled clinic 1 148)
run expunge_as night erase --dry-run --request "$id"
out_like '^tells: documents: the practice.s IT$' "the approver sees in the plan who will be told"
is "$(calls documents)" "" "a dry run tells nobody"
run expunge_as night erase --rehearse --request "$id"
is "$(calls documents)" "" "nor does a rehearsal"
run expunge_as night nightly
rc_is 0 "a night"
is "$(calls documents)" "$(for p in 148 149 150; do echo "--tenant=1 --patient=$p $id a b; \$(c)"; done)" "the store hears of each key once, arguments as they are"
is "$(calls mailing)" "$(printf '148\n149\n150')" "so does the other"
is "$(recipients "$id")" 2/2 "both have acknowledged"
is "$(note_of "$id" | grep ^recipients:)" "recipients: told 2 acknowledged 2 pending 0" "and the certificate says so"
is "$(note_of "$id" | grep -c -e mailing -e "practice.s IT" -e Post)" 0 "without names"
run expunge_as dora request recipients "$id"
out_like "mailing \"list\" +20" "the list of recipients"
run expunge_as dora request recipients --open
out_is "no external store that was told has an acknowledgement outstanding" "nothing is outstanding"
run expunge_as oscar request show "$id"
out_like 'recipient-acknowledged +documents' "the history tells it"
run expunge_as night nightly
is "$(calls documents | wc -l)" 3 "nobody is told twice"

# ---- one fails: no certificate, the other is told once, the next night goes on
forget_calls
echo 1 >"$T/stores/mailing.exit"
id=$(scheduled clinic 1 42)
run expunge_as night nightly
rc_is 3 "a store that fails is a failed item"
err_like "request $id: external store mailing \"list\" was not told: exit code 1" "and is named"
is "$(request_state clinic "$id") $(recipients "$id") $(note_of "$id")" "removed 1/1 " "no certificate before all were told"
run expunge_as oscar request show "$id"
out_like 'removed; external store mailing "list" was not told: exit code 1' "request show says why not yet"
run expunge_as watch status
rc_is 3 "status is red"
out_like '^failed +external store mailing "list" was not told: 1' "and says what failed"
run expunge_as night nightly
rc_is 3 "the next night tries again"
is "$(calls documents | wc -l) $(calls mailing | wc -l)" "1 2" "only the one that failed"
echo 75 >"$T/stores/mailing.exit"
run expunge_as night nightly
rc_is 0 "exit code 75: told, the answer comes later"
is "$(recipients "$id")" 2/1 "it has not acknowledged"
is "$(note_of "$id" | grep ^recipients:)" "recipients: told 2 acknowledged 1 pending 0" "the certificate is honest about it"
is "$(sql clinic "SELECT coalesce(reason, '-') FROM expunge.request WHERE id = '$id'")" - "the reason is gone"
run expunge_as watch status
out_like '^recipients +1 told, but without an acknowledgement' "status counts what is outstanding"
run expunge_as watch status --json
out_like '"unacknowledged": 1' "as JSON"
run expunge_as watch status --prometheus
out_like '^expunge_recipients_unacknowledged 1$' "as a metric"
run expunge_as dora request recipients --open
out_like "^$id " "the list names the request"
run expunge_as watch request acknowledge "$id" 'mailing "list"'
rc_is 1 "not everybody may acknowledge"
run expunge_as dora request acknowledge "$id" nobody
rc_is 1 "a store that was not told"
err_like 'no store of this name was told' "is refused"
run expunge_as dora request acknowledge "$id" 'mailing "list"'
rc_is 0 "a person notes the acknowledgement"
first=$OUT
run expunge_as dora request acknowledge "$id" 'mailing "list"'
is "$OUT" "$first" "twice is once"
is "$(recipients "$id")" 2/2 "nothing is outstanding"
echo 0 >"$T/stores/mailing.exit"

# ---- it hangs
forget_calls
touch "$T/stores/documents.sleep"
id=$(scheduled clinic 1 44)
other=$(scheduled clinic 2 250)
run expunge_as night nightly
rc_is 3 "a store that does not end in time"
err_like "request $id: external store documents was not told: .* did not end within 2 seconds" "is told of"
err_unlike '(^|[^0-9a-f])250([^0-9a-f]|$)|patient=' "without a key"
is "$(recipients "$id") $(recipients "$other")" "0/0 0/0" "and nothing counts as told"
rm "$T/stores/documents.sleep"

# ---- a hold between removal and telling keeps what the store has
run expunge_as oscar hold place --tenant 1 --subject 44 --kind litigation --reason 'letter of claim' --review "$(date -d '+30 days' +%F)"
hold=$(grep -oE '[0-9a-f]{8}-[0-9a-f-]{27}' <<<"$OUT")
forget_calls
run expunge_as night nightly
rc_is 3 "a hold on what was removed"
err_like "request $id: external stores were not told: a hold was placed after the removal" "keeps the stores"
is "$(calls documents | grep -c 'patient=44 ' || true) $(request_state clinic "$id") $(request_state clinic "$other")" "0 removed certified" "the others go on"
expunge_as dora hold release "$hold" >/dev/null

# ---- a freeze
expunge_as dora freeze on --reason 'inquiry' >/dev/null
run expunge_as night nightly
rc_is 5 "a freeze"
is "$(calls documents | grep -c 'patient=44 ' || true)" 0 "tells nobody"
expunge_as dora freeze off >/dev/null
run expunge_as night nightly
is "$(request_state clinic "$id") $(recipients "$id")" "certified 2/2" "then it goes on"

# ---- killed while the store works: told again, once
forget_calls
touch "$T/stores/documents.sleep"
id=$(scheduled clinic 1 46)
set -m
"$EXPUNGE" -c "$CONF" -U night nightly >"$T/out" 2>&1 &
pid=$!
set +m
await "the store was called" test -s "$T/stores/documents.calls"
kill -9 "$pid"
wait "$pid" || true
rm "$T/stores/documents.sleep"
await "its session is gone" holds clinic "count(*) = 0 FROM pg_stat_activity WHERE usename IN ('night', 'app_owner')"
is "$(recipients "$id") $(request_state clinic "$id")" "0/0 removed" "killed in the call: not told"
run expunge_as night nightly
rc_is 0 "the next run"
is "$(recipients "$id") $(request_state clinic "$id") $(calls documents | wc -l)" "2/2 certified 2" "tells it again and certifies"

# ---- programs that are missing, or that others could replace
id=$(scheduled clinic 1 48)
chmod g+w "$T/stores/mailing"
run expunge_as night nightly
rc_is 5 "a program that others may write to"
err_like 'external store mailing "list": others may write to' "is refused before the first delete"
is "$(request_state clinic "$id")" scheduled "nothing was removed"
run expunge_as night check
out_like 'external stores: .*others may write to' "check finds it"
chmod g-w "$T/stores/mailing"
mv "$T/stores/mailing" "$T/stores/away"
run expunge_as night nightly
rc_is 5 "a program that is missing"
err_like 'external store mailing "list": .*No such file' "too"
mv "$T/stores/away" "$T/stores/mailing"

# ---- started without descriptors, and with SIGCHLD ignored
rc=0
"$EXPUNGE" -c "$CONF" -U night nightly <&- >&- 2>&- || rc=$?
is "$rc $(request_state clinic "$id")" "0 certified" "closed descriptors become nobody's socket"
id=$(scheduled clinic 1 50)
run perl -e '$SIG{CHLD} = "IGNORE"; exec @ARGV' "$EXPUNGE" -c "$CONF" -U night nightly
is "$RC $(request_state clinic "$id")" "0 certified" "how a program ended is learnt even where SIGCHLD was ignored"

# ---- the map loses a store between the removal and its call
echo 1 >"$T/stores/mailing.exit"
id=$(scheduled clinic 1 52)
run expunge_as night nightly
is "$RC $(request_state clinic "$id") $(recipients "$id")" "3 removed 1/1" "one of two was told"
cp "$T/map.conf" "$T/map.both"
for left in documents none; do
	# shellcheck disable=SC2016 # as it stands in the map
	sed -i -e '/name = "mailing/d' -e 's/b; \$(c)" \]; },$/b; $(c)" ]; } );/' "$T/map.conf"
	[ "$left" = documents ] || sed -i '/external = (/,$d' "$T/map.conf"
	run expunge_as night nightly
	rc_is 3 "the map loses a store (left: $left)"
	err_like "request $id: external store mailing \"list\" was not told: the map does not have it any more" "that the approved plan names"
	is "$(request_state clinic "$id") $(note_of "$id")" "removed " "no certificate without it"
done
cp "$T/map.both" "$T/map.conf"
echo 0 >"$T/stores/mailing.exit"
run expunge_as night nightly
is "$RC $(request_state clinic "$id") $(recipients "$id")" "0 certified 2/2" "put back, it is told"
id=$(scheduled clinic 1 54)

# ---- a store that was added after the approval: another map, another approval
sed -i 's/name = "mailing \\"list\\""/name = "mailing"/' "$T/map.conf"
run expunge_as night nightly
rc_is 5 "another map"
is "$(request_state clinic "$id")" blocked "blocks what was approved under the old one"
done_testing

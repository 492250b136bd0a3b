#!/usr/bin/env bash
# What a mail server can do in the middle of a notice, a process that is killed between the server's word and ours, two hosts
# at once, and the notice of a bad night.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/sessions.bash"
. "$(dirname "$0")/mail.bash"

trap 'kill "${FAULTS_PID:-}" 2>/dev/null; mail_end; leave' EXIT
fresh_db clinic
install clinic
mkdir "$T/certs" "$T/box"
touch "$T/certs/ca.pem"
MAIL_PORT=$(free_port)
python3 "$ROOT/tests/integration/smtp_server.py" "$MAIL_PORT" "$T/box" 2>"$T/faults.err" &
FAULTS_PID=$!
await_port "$MAIL_PORT"
mail_configure 'tls = "off";'
sed -i 's/timeout_seconds = 5/timeout_seconds = 1/' "$CONF"
expunge_as oscar contact add --audience controller --tenant 1 ann@practice.example >"$T/null"

write() { sql clinic "SET default_transaction_read_only = off" "SET ROLE expunge_owner" "$@"; }
begin() { # begin MODE: one notice waits, and the server is in this mode
	write 'DELETE FROM expunge.outbox'
	rm -f "$T"/box/*
	printf '%s\n' "$1" >"$T/box/mode"
	sql -U night clinic "SET default_transaction_read_only = off" "SELECT expunge.notice_put('reactivated', '1', 'controller',
		'{\"planted\": \"planted-secret\"}', 'k')" >"$T/null"
}
kept() { find "$T/box" -name '[0-9]*' | wc -l; }
state() { sql clinic 'SELECT state, attempts, last_code FROM expunge.outbox'; }

while read -r mode rc want; do
	begin "$mode"
	run expunge_as night -v notify
	rc_is "$rc" "$mode: exit code $rc"
	is "$(state)" "${want//_/ }" "$mode: $want"
	err_unlike 'planted-secret|practice.example' "$mode: neither the server's words nor facts and address are in the log"
	out_unlike 'planted-secret|practice.example' "$mode: nor in what is printed"
	case $want in
	queued*)
		printf 'accept\n' >"$T/box/mode"
		write "UPDATE expunge.outbox SET next_at = now() - interval '1 second'"
		run expunge_as night notify
		is "$(state)" "sent|2|250 2.0.0" "$mode: sent the next time"
		is "$(grep -h '^Message-ID:' "$T"/box/[0-9]* | sort -u | wc -l)" "1" "$mode: under one Message-ID, whatever has arrived twice"
		is "$(md5sum "$T"/box/[0-9]* | cut -d' ' -f1 | sort -u | wc -l)" "1" "$mode: in the same bytes"
		;;
	esac
done <<-'LIST'
	accept 0 sent|1|250_2.0.0
	long-lines 0 sent|1|250_2.0.0
	busy 3 queued|1|421_4.3.2
	closed 3 queued|1|554_5.3.2
	drop 3 queued|1|lost
	hang 3 queued|1|timeout
	refuse-sender 3 queued|1|553_5.1.8
	later 0 queued|1|451_4.2.2
	shut 3 queued|1|421_4.7.0
	refuse 3 bounced|1|550_5.1.1
	refuse-data 3 bounced|1|554_5.6.0
	refuse-after-data 3 bounced|1|554_5.7.1
	later-after-data 0 queued|1|452_4.3.1
	drop-in-data 3 queued|1|lost
	drop-after-data-unkept 3 queued|1|lost
	drop-after-data 3 queued|1|lost
	hang-after-data 3 queued|1|lost
	garbage-after-data 3 queued|1|lost
LIST

# ---------------------------------------------------------------- a server that is down is not asked for each
begin drop
sql -U night clinic "SET default_transaction_read_only = off" "SELECT expunge.notice_put('reactivated', '1', 'controller',
	'{}', 'k' || n) FROM generate_series(1, 20) n" >"$T/null"
run expunge_as night notify
is "$(sql clinic 'SELECT sum(attempts) FROM expunge.outbox')" "1" "one attempt where the server is down"
printf 'accept\n' >"$T/box/mode"
run expunge_as night notify --json
is "$(jq -c . <<<"$OUT")" '{"sent":20,"bounced":0,"given_up":0,"failed":0,"waiting":1,"server_down":false}' "the others are sent by the next run"

# ---------------------------------------------------------------- killed between the server's word and our COMMIT
begin accept
sql clinic "SET default_transaction_read_only = off" "CREATE FUNCTION expunge.linger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(60); RETURN NEW; END'" \
	'CREATE TRIGGER linger BEFORE UPDATE ON expunge.outbox FOR EACH ROW EXECUTE FUNCTION expunge.linger()'
"$EXPUNGE" -c "$CONF" -U night notify >"$T/out" 2>&1 </dev/null &
pid=$!
await "the message is with the server" test -s "$T/box/1"
await "its end is being recorded" holds clinic "count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
kill -9 "$pid"
wait "$pid" 2>"$T/null" || true
sql clinic "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'PgSleep'" "SET default_transaction_read_only = off" \
	'DROP TRIGGER linger ON expunge.outbox' >"$T/null"
is "$(state)" "queued|0|" "killed in between: the notice waits"
run expunge_as night notify
is "$(state)" "sent|1|250 2.0.0" "and is sent by the next run"
is "$(kept) $(md5sum "$T"/box/[0-9]* | cut -d' ' -f1 | sort -u | wc -l)" "2 1" "a second time, the same byte for byte, with its Message-ID"

# ---------------------------------------------------------------- two hosts at once
begin accept
sql -U night clinic "SET default_transaction_read_only = off" "SELECT expunge.notice_put('reactivated', '1', 'controller',
	'{}', 'k' || n) FROM generate_series(1, 99) n" >"$T/null"
for host in a b c; do
	"$EXPUNGE" -c "$CONF" -U night notify >"$T/out.$host" 2>&1 </dev/null &
	eval "pid_$host=$!"
done
# shellcheck disable=SC2154 # by eval
wait "$pid_a" "$pid_b" "$pid_c"
is "$(grep -h '^Message-ID:' "$T"/box/[0-9]* | sort | uniq -c | awk '{ print $1 }' | sort | uniq -c | awk '{ print $1, $2 }')" "100 1" \
	"three hosts at once: a hundred notices arrive, each once"
is "$(sql clinic "SELECT state, count(*), max(attempts) FROM expunge.outbox GROUP BY 1")" "sent|100|1" "and are recorded as sent"

# ---------------------------------------------------------------- what closing accounts have to say fits the templates
begin accept
write 'DELETE FROM expunge.outbox'
cat >>"$CONF" <<-'CONF'
	closure : {
	  rules = ( { trigger = "cancellation"; anchor = "paid-until"; days = 45; meaning = "not-before"; within_days = 7; } );
	};
CONF
expunge_as postgres init 2>"$T/init.log" || cat "$T/init.log"
run expunge_as oscar account cancel 1 --paid-until "$(date -d '+10 days' +%F)" --reason 'moving on'
rc_is 0 "a practice cancels"
run expunge_as night notify
is "$(sql clinic "SELECT template, state FROM expunge.outbox ORDER BY queued_at")" "cancelled|sent" "its managers are told"
is "$(python3 -c 'import email, email.policy, sys
print(email.message_from_binary_file(open(sys.argv[1], "rb"), policy=email.policy.default)["subject"])' "$T/box/1")" \
	"Your subscription is cancelled: your data will be deleted from $(date -d '+56 days' '+%-d %B %Y')" "of the day in words"
run expunge_as oscar account reactivate 1 --reason 'they stay'
rc_is 0 "and comes back"
run expunge_as night notify
is "$(sql clinic "SELECT template, state FROM expunge.outbox ORDER BY queued_at")" "cancelled|sent
reactivated|sent" "they are told of that, too"
write "SELECT expunge.tell_controller(c.id, t) FROM expunge.closure c, unnest(ARRAY['ends', 'days-30', 'days-14', 'days-7', 'days-1', 'done']) t" >"$T/null"
run expunge_as night notify
is "$(sql clinic "SELECT DISTINCT state, last_code FROM expunge.outbox")" "sent|250 2.0.0" "and so would they be of all else"

# ---------------------------------------------------------------- a bad night is told of, once a day
begin accept
write 'DELETE FROM expunge.outbox'
expunge_as oscar contact add --audience operator root@software.example >"$T/null"
run expunge_as night nightly
rc_is 0 "a good night"
is "$(kept)" "0" "tells nobody"
expunge_as oscar freeze on --reason 'a test' >"$T/null"
run expunge_as night nightly
rc_is 5 "a night that a safeguard refuses"
is "$(kept)" "1" "is told of"
ok "to the operators" grep -q '^To: <root@software.example>' "$T/box/1"
ok "with its exit code" grep -q 'Subject: Expunge: the nightly run of .* ended with exit code 5' "$T/box/1"
run expunge_as night nightly
is "$(kept)" "1" "once a day"
expunge_as oscar freeze off >"$T/null"
write 'DELETE FROM expunge.outbox'
write "INSERT INTO expunge.request (tenant, subject, ground, received_at, due_on, state) VALUES ('1', '7', '17-1-b', now() - interval '60 days', current_date - 30, 'received')"
run expunge_as night nightly
rc_is 3 "a night with something overdue"
is "$(kept)" "2" "is told of, too"
done_testing

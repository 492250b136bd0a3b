#!/usr/bin/env bash
# Notices are sent: by a real mail server with TLS and login, each once, with the right parts; what refuses, fails, drops the
# connection or shows the wrong certificate.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/sessions.bash"
. "$(dirname "$0")/mail.bash"

trap 'mail_end; leave' EXIT
fresh_db clinic
install clinic
mail_certificates
mail_server_start
mail_configure

put() { # put TEMPLATE TENANT AUDIENCE ONCE [FACTS]
	sql -U night clinic "SET default_transaction_read_only = off" "SELECT expunge.notice_put('$1', nullif('$2', ''), '$3', \$facts\$${5:-$FACTS}\$facts\$, '$4')"
}
due() { # as if time had passed: what is to be tried again, now
	sql clinic "SET default_transaction_read_only = off" "SET ROLE expunge_owner" "UPDATE expunge.outbox SET next_at = now() - interval '1 second' WHERE state = 'queued'"
}
states() { # of a once: state, attempts and code of each address
	sql clinic "SELECT split_part(address, '@', 1), state, attempts, last_code FROM expunge.outbox WHERE once = '$1' ORDER BY 1"
}
contact() { # contact AUDIENCE ADDRESS [TENANT]
	expunge_as oscar contact add --audience "$1" ${3:+--tenant "$3"} "$2" >"$T/null"
}
tidy() { # nothing waits
	sql clinic "SET default_transaction_read_only = off" "SET ROLE expunge_owner" "DELETE FROM expunge.outbox"
	mail_forget
}
FACTS='{"practice": "1", "closure": "c", "ends_on": "2026-02-28", "purge_on": "2026-04-15", "complete_by": "2026-04-22", "zone": "Europe/London"}'

# ---------------------------------------------------------------- contacts
run expunge_as oscar contact add --audience controller --tenant 1 ann@practice.example
rc_is 0 "an operator adds a contact"
out_is "added" "and is told so"
run expunge_as oscar contact add --audience controller --tenant 1 ANN@practice.example
out_is "was there before" "the same again changes nothing"
contact controller ben@practice.example 1
contact operator root@software.example
run expunge_as oscar contact list --json
is "$(jq -r '.[] | [.audience, .tenant, .address] | join(" ")' <<<"$OUT")" "operator  root@software.example
controller 1 ann@practice.example
controller 1 ben@practice.example" "contact list"
run expunge_as oscar contact add --audience controller --tenant 1 $'x@y.example\r\nBcc: z@y.example'
rc_is 1 "an address that begins another header is refused"
err_unlike 'Bcc' "and not repeated"
run expunge_as oscar contact remove --audience controller --tenant 2 ann@practice.example
out_is "was not there" "another practice's contact is not removed"
run expunge_as oscar contact add ann@practice.example
rc_is 2 "an audience is needed"

# ---------------------------------------------------------------- delivered
run expunge_as night notify
out_is "" "nothing waits, and nothing is said"
is "$(put days-30 1 controller k1)" "2" "a notice for two addresses"
run expunge_as oscar notify --dry-run --json
is "$(jq -r '.[] | .template + " " + .tenant' <<<"$OUT")" "days-30 1
days-30 1" "notify --dry-run says what would be sent"
is "$(mail_count)" "0" "and sends nothing"
run expunge_as night notify
rc_is 0 "notify"
out_is "2 sent, 0 refused, 0 given up, 0 to be tried again, 0 waiting" "sends them"
mail_await 2
run expunge_as night notify
is "$(mail_count)" "2" "and not again"
is "$(states k1)" "ann|sent|1|250
ben|sent|1|250" "with the server's answer"
cat >"$T/parts.py" <<-'PY'
	import email, email.policy, sys
	for name in sys.argv[1:]:
	    raw = open(name, "rb").read()
	    assert max(len(line) for line in raw.splitlines()) <= 998
	    assert all(b < 128 for b in raw), "8 bit"
	    m = email.message_from_bytes(raw, policy=email.policy.default)
	    text, html = m.get_body(("plain",)).get_content(), m.get_body(("html",)).get_content()
	    print("\n".join([m["envelope-to"], m["return-path"], m["from"], m["to"], m["subject"], m["auto-submitted"], m["content-type"].content_type,
	        m["message-id"], str(len(m.defects)), text, html]))
PY
python3 "$T/parts.py" "$(grep -l 'To: <ann@' "$MAIL_DIR"/mail/new/*)" >"$T/parts"
ID=$(sql clinic "SELECT id FROM expunge.outbox WHERE address LIKE 'ann@%'")
is "$(sed -n 1,9p "$T/parts")" "ann@practice.example
<privacy@software.example>
privacy@software.example
ann@practice.example
Your data will be deleted from 15 April 2026 on
auto-generated
multipart/alternative
<$ID@software.example>
0" "its headers: one recipient, our sender, the subject with its date in words, auto-submitted, a Message-ID made of the notice's id"
ok "its text" grep -q '^From 15 April 2026 on (time zone Europe/London), we will' "$T/parts"
ok "and the same as HTML" grep -q '^<p>From 15 April 2026 on (time zone Europe/London), we will' "$T/parts"
is "$(sql clinic "SELECT message_id FROM expunge.outbox WHERE id = '$ID'")" "<$ID@software.example>" "the Message-ID is recorded"
is "$(sql clinic "SELECT count(*) FROM expunge.event WHERE kind = 'notice-sent'")" "2" "that they were sent is in the register"
ok "over TLS" grep -q 'X=TLS1' "$MAIL_DIR/log-main"

# ---------------------------------------------------------------- check
run expunge_as night check
out_like '^ok +mail server: smtp://localhost' "check reaches the mail server"
out_like '^ok +notices: ' "and tries each template"
out_like '^ok +contacts: 1 for operators, 3 in all' "and looks for an operator"
sed -i 's/{zone}/{zome}/' "$T/notices/ends.html"
printf 'Subject x\n\n' >"$T/notices/done.txt"
printf 'Subject: x\n\na { brace\n' >"$T/notices/failure.txt"
chmod 0666 "$T/notices/days-1.txt"
rm "$T/notices/reactivated.html"
run expunge_as night check
rc_is 1 "templates that do not fit"
out_like '^error +notices: .*/ends.html:[0-9]+: \{zome\} is not among the facts' "are named: a fact that is none"
out_like '^error +notices: .*/done.txt:1: must be "Subject: ..."' "a subject that is none"
out_like '^error +notices: .*/failure.txt:3: a brace without a name' "a brace"
out_like '^error +notices: .*/days-1.txt' "a file that others can write"
out_like '^error +notices: .*/reactivated.html' "a file that is missing"
rm -r "$T/notices"
mail_configure

# ---------------------------------------------------------------- hostile words
tidy
mail_configure 'from_name = "Müller \"& Söhne\" <x@y.example>";'
put cancelled 1 controller k2 "$(jq -n '{practice: "1", closure: "c", zone: "<script>alert(1)</script> {tenant} \u0416\u0438\u0432\u0430\u0433\u043e =?UTF-8?B?eA==?= & \"x\" '"'"'y'"'"' .", ends_on: "2026-02-30", purge_on: "2026-04-15", complete_by: "From here"}')" >"$T/null"
sed -i "1s/.*/Subject: Ж for {zone} and so on for much longer than one line of a header can be/" "$T/notices/cancelled.txt"
run expunge_as night notify
rc_is 0 "words of every kind are sent"
mail_await 2
python3 "$T/parts.py" "$(grep -l 'To: <ann@' "$MAIL_DIR"/mail/new/*)" >"$T/parts"
is "$(sed -n 3p "$T/parts")" "\"Müller \\\"& Söhne\\\" <x@y.example>\" <privacy@software.example>" "the sender's name is one name"
is "$(sed -n 5p "$T/parts")" "Ж for <script>alert(1)</script> {tenant} Живаго =?UTF-8?B?eA==?= & \"x\" 'y' . and so on for much longer than one line of a header can be" \
	"the subject is what was written"
is "$(sed -n 9p "$T/parts")" "0" "the message has no defect"
ok "text: as it is" grep -qF "(time zone <script>alert(1)</script> {tenant} Живаго =?UTF-8?B?eA==?= & \"x\" 'y' ." "$T/parts"
ok "HTML: escaped" grep -q "&lt;script&gt;alert(1)&lt;/script&gt; {tenant} Живаго =?UTF-8?B?eA==?= &amp; &quot;x&quot; &#39;y&#39; ." "$T/parts"
ok "what is no date is left as it is" grep -q '2026-02-30' "$T/parts"
mail_configure

# ---------------------------------------------------------------- templates that do not fit
tidy
put days-14 1 controller k3 '{"practice": "x"}' >"$T/null"
put days-7 1 controller k3b >"$T/null"
run expunge_as night notify
rc_is 3 "a fact that is missing"
err_like "days-14.txt:[0-9]*: {purge_on} is not among the facts" "names file, line and placeholder"
is "$(states k3)" "ann|queued|1|template
ben|queued|1|template" "these notices wait"
is "$(sql clinic "SELECT state FROM expunge.outbox WHERE once = 'k3b'")" "sent
sent" "and the others are sent"
tidy
rm "$T/notices/days-7.html"
put days-7 1 controller k4 >"$T/null"
run expunge_as night notify
err_like 'days-7.html' "a template that is missing is named"
cp "$ROOT/etc/notices/days-7.html" "$T/notices"
put no-such-template 1 controller k5 >"$T/null"
run expunge_as night notify
err_like 'no-such-template.txt' "and one that never was"

# ---------------------------------------------------------------- refused, for now and for good
tidy
contact controller nobody@practice.example 1
contact controller busy@practice.example 1
touch "$MAIL_DIR/busy"
put days-14 1 controller k6 >"$T/null"
run expunge_as night notify
rc_is 3 "refused recipients"
out_is "2 sent, 1 refused, 0 given up, 1 to be tried again, 1 waiting" "do not keep the others from being told"
is "$(states k6)" "ann|sent|1|250
ben|sent|1|250
busy|queued|1|451 4.2.2
nobody|bounced|1|550 5.1.1" "each with the code of its answer"
err_unlike '@' "no address is in the log"
err_unlike 'no such user|is full' "and none of the server's words"
run expunge_as night notify
out_is "0 sent, 0 refused, 0 given up, 0 to be tried again, 1 waiting" "it is not its time yet"
is "$(sql clinic "SELECT round(extract(epoch FROM next_at - now()) / 60) FROM expunge.outbox WHERE state = 'queued'")" "60" "that is in an hour"
due
run expunge_as night notify
is "$(sql clinic "SELECT round(extract(epoch FROM next_at - now()) / 60) FROM expunge.outbox WHERE state = 'queued'")" "120" "then in two"
rm "$MAIL_DIR/busy"
due
run expunge_as night notify
out_is "1 sent, 0 refused, 0 given up, 0 to be tried again, 0 waiting" "in the end it is sent"
NOBODY=$(sql clinic "SELECT id FROM expunge.outbox WHERE state = 'bounced'")
run expunge_as oscar notify --list --json
is "$(jq -r --arg id "$NOBODY" '.[] | select(.id == $id) | [.state, .last_code, .template] | join(" ")' <<<"$OUT")" "bounced 550 5.1.1 days-14" \
	"notify --list shows what became of it"
out_unlike 'practice.example' "without addresses"
run expunge_as oscar notify --again "$NOBODY"
rc_is 0 "an operator has it tried again"
run expunge_as night notify
is "$(sql clinic "SELECT state, attempts FROM expunge.outbox WHERE id = '$NOBODY'")" "bounced|1" "it is refused again"
run expunge_as oscar notify --bounced "$(sql clinic "SELECT id FROM expunge.outbox WHERE address LIKE 'ann@%'")"
rc_is 0 "and records that another one came back"
touch "$MAIL_DIR/busy"
put days-7 1 controller k7 >"$T/null"
run expunge_as night notify
sql clinic "SET default_transaction_read_only = off" "SET ROLE expunge_owner" "UPDATE expunge.outbox SET since = now() - interval '121 hours' WHERE once = 'k7'"
due
run expunge_as night notify
rc_is 3 "after five days"
is "$(states k7 | grep busy)" "busy|given-up|2|451 4.2.2" "it is given up"
sql clinic "SET default_transaction_read_only = off" "SELECT expunge.remove_contact('1', 'controller', n || '@practice.example') FROM unnest(ARRAY['busy', 'nobody', 'ben']) n" >"$T/null"
tidy
sed -i '1s/.*/Subject: refuse this/' "$T/notices/days-1.txt"
put days-1 1 controller k8 >"$T/null"
run expunge_as night notify
is "$(states k8)" "ann|bounced|1|550 5.6.0" "a content that is refused"

# ---------------------------------------------------------------- TLS and login
failing() { # failing CODE NAME SETTING...: the notice waits
	local code=$1 name=$2
	tidy
	put days-14 1 controller "$name" >"$T/null"
	mail_configure "${@:3}"
	run expunge_as night notify
	rc_is 3 "$name: not sent"
	is "$(states "$name")" "ann|queued|1|$code" "$name: it waits"
	is "$(mail_count)" "0" "$name: nothing arrives"
}
for certificate in wrong-name stranger-signed expired; do
	mail_server_stop
	mail_server_start "$certificate"
	failing tls "$certificate"
done
mail_server_stop
mail_server_start good
tidy
put days-14 1 controller k9 >"$T/null"
mail_configure 'tls = "off";'
run expunge_as night notify
rc_is 0 "without TLS on the loopback address, where the configuration says so"
sed -i 's|smtp://localhost|smtp://mail.software.example|' "$CONF"
run expunge_as night notify
rc_is 2 "and nowhere else"
err_like 'mail without TLS goes to this host itself only' "with the reason"
(umask 077 && printf 'let me in\n' >"$T/password" && printf 'wrong\n' >"$T/wrong")
sql clinic "SET default_transaction_read_only = off" "SELECT expunge.add_contact('1', 'controller', 'far@elsewhere.test')" >"$T/null"
tidy
put days-14 1 controller k10 >"$T/null"
mail_configure 'user = "sender";' "password_file = \"$T/password\";"
run expunge_as night notify
is "$(states k10)" "ann|sent|1|250
far|sent|1|250" "who logs in may send anywhere"
tidy
put days-14 1 controller k11 >"$T/null"
mail_configure
run expunge_as night notify
is "$(states k11 | tail -n 1)" "far|bounced|1|550 5.7.1" "who does not may not"
sql clinic "SET default_transaction_read_only = off" "SELECT expunge.remove_contact('1', 'controller', 'far@elsewhere.test')" >"$T/null"
failing '535' 'wrong password' 'user = "sender";' "password_file = \"$T/wrong\";"
mail_configure 'user = "sender";'
run expunge_as night notify
rc_is 2 "a user without a password"
chmod 0644 "$T/wrong"
mail_configure 'user = "sender";' "password_file = \"$T/wrong\";"
run expunge_as night notify
rc_is 1 "a password that others can read is refused"
MAIL_FROM=banned@software.example failing '550 5.7.1' 'sender refused'
mail_configure
mail_server_stop
failing unreachable 'no server'
run expunge_as night check
out_like '^error +mail server: smtp://localhost.*unreachable' "check says so"

# ---------------------------------------------------------------- no server at all
tidy
put days-14 1 controller k12 >"$T/null"
sed -i '/^mail : {/,/^};/d' "$CONF"
run expunge_as night notify
rc_is 0 "without a mail server"
err_like '1 notices wait, and mail.server is not set' "it is said that notices wait"

run expunge_as watch status
out_like '^attention: .*1 notices wait, and there is no mail server' "status says so"
run expunge_as watch status --json
is "$(jq -c '.notices | [.queued, .late, .bounced]' <<<"$OUT")" '[1,0,0]' "and counts them"
sql clinic "SET default_transaction_read_only = off" "SET ROLE expunge_owner" "UPDATE expunge.outbox SET since = now() - interval '25 hours'"
run expunge_as watch status
rc_is 3 "after a day it is red"
run expunge_as watch status --prometheus
out_like '^expunge_notices_late 1$' "in the metrics, too"
run expunge_as night check
out_like '^skipped +mail server: none is configured' "check says that there is none"
done_testing

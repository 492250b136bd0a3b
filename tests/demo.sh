#!/usr/bin/env bash
# The demonstration (make demo): one patient of a sample practice is erased, from the request to the
# verified certificate, on a private PostgreSQL server that is gone at the end.
#
# Leaves build/demo/certificates/*.note, build/demo/issuer.pem and build/demo/nightly.log. Each line
# with a "$" is a command that really runs; each line with "yes" is a claim that was checked, and the exit
# code is 1 if one did not hold. EXPUNGE names another binary; the results are always beside it.
#
# The patient: record 150 is a duplicate of 149, and 149 of 148, so that asking for one must erase
# all three. Every duplicate of the sample is named in a message of the practice's own, which no key
# connects with the patient (tests/sample/data.sql): the plan tells, and the practice edits it.
set -euo pipefail
shopt -s inherit_errexit
export LC_ALL=C.UTF-8 TZ=UTC

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BINARY=$(realpath "${EXPUNGE:-$ROOT/build/expunge}")
D=${BINARY%/*}/demo
PATIENTS='{148,149,150}'
step=0 failed=0 started=$SECONDS

# ---------------------------------------------------------------------------- telling

if [ -t 1 ]; then bold=$'\e[1m' plain=$'\e[0m'; else bold='' plain=''; fi

heading() {
	step=$((step + 1))
	printf '\n%s%d. %s%s\n' "$bold" "$step" "$1" "$plain"
}

say() {
	printf '   %s\n' "$@"
}

# A command as one would type it.
as_typed() {
	local word
	printf '   $'
	for word; do
		case $word in
		*[\"\$\`\\!]*) word=${word@Q} ;;
		'' | *[!-A-Za-z0-9_./:,=@+]*) word="\"$word\"" ;;
		esac
		printf ' %s' "${word//"$ROOT/"/}"
	done
	printf '\n'
}

# What a command said. Hashes are long, and twelve digits are enough for the eye.
answer() {
	if [ -n "$1" ]; then
		printf '%s\n' "${1//"$ROOT/"/}" |
			sed -E -e 's/(sha256:[0-9a-f]{12})[0-9a-f]{52}/\1.../g' -e 's/^./     &/'
	fi
}

# try CODE COMMAND...: shows the command, runs it, shows what it said (also left in $OUT), and
# insists on the exit code. quietly CODE COMMAND... does not show what it said.
try() {
	quietly "$@"
	answer "$OUT"
}

quietly() {
	local want=$1 rc=0
	shift
	as_typed "$@"
	"$@" >"$W/out" 2>&1 </dev/null || rc=$?
	OUT=$(tr -d '\000' <"$W/out")
	if [ "$rc" -ne "$want" ]; then
		answer "$OUT"
		die "this ended with exit code $rc instead of $want"
	fi
}

# claim TEXT COMMAND...: what the demonstration promises
claim() {
	local text=$1
	shift
	if "$@" >"$W/claim" 2>&1 </dev/null; then
		printf '   %syes%s %s\n' "$bold" "$plain" "$text"
	else
		failed=$((failed + 1))
		printf '   %sNO%s  %s\n' "$bold" "$plain" "$text"
		head -n 20 "$W/claim" | cut -c1-300 | sed 's/^/       /'
	fi
}

die() {
	printf 'demo: %s\n' "$*" >&2
	exit 1
}

not() {
	! "$@"
}

thousands() {
	sed -E ':a; s/^([0-9]+)([0-9]{3})/\1,\2/; ta' <<<"$1"
}

# ---------------------------------------------------------------------------- programs, as they are shown

expunge() {
	"$BINARY" -c "$D/etc/expunge.conf" "$@"
}

psql() {
	command psql -XAtq -v ON_ERROR_STOP=1 "$@"
}

# ---------------------------------------------------------------------------- the server

leave() {
	local rc=$?
	trap - EXIT INT TERM HUP
	set +e
	"$ROOT/tests/setup/cluster.sh" stop "$D/cluster"
	rm -rf -- "$D/work" "$D/etc/pgpass"
	exit "$rc"
}

start() {
	local file
	# a demonstration that was killed may have left its server
	"$ROOT/tests/setup/cluster.sh" stop "$D/cluster" || true
	rm -rf -- "${D:?}"/{certificates,issuer.pem,nightly.log,etc,state,ledger,shares,here,elsewhere,work} ||
		die "cannot remove the results of an earlier demonstration in $D; remove them as the user who made them"
	mkdir -m 0700 "$D"/{etc,shares,here,elsewhere} "$W"
	trap leave EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	"$ROOT/tests/setup/cluster.sh" start "$D/cluster"
	eval "$("$ROOT/tests/setup/cluster.sh" env "$D/cluster")"

	command psql -Xq -c 'CREATE DATABASE clinic TEMPLATE template0'
	export PGDATABASE=clinic
	for file in schema data; do
		psql -f "$ROOT/tests/sample/$file.sql" >"$W/load"
	done
	# The owner of a database may vacuum pg_largeobject, which holds the scans.
	psql -c 'ALTER DATABASE clinic OWNER TO app_owner'
	# One more link: the patient's guarantor pays for two others, too, who stay.
	psql -c 'INSERT INTO app.patient_guarantor
		SELECT 148, g.guarantor_id FROM app.patient_guarantor g WHERE g.patient_id = 145'
}

# Each role has a password of its own. It travels by standard input, as arguments are visible to others.
make_login() {
	local name=$1 group secret
	shift
	secret=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
	printf '*:*:*:%s:%s\n' "$name" "$secret" >>"$D/etc/pgpass"
	psql -v name="$name" <<-SQL
		SELECT format('CREATE ROLE %I', :'name')
		WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'name') \gexec
		ALTER ROLE :"name" LOGIN PASSWORD '$secret';
	SQL
	for group; do
		psql -c "GRANT $group TO $name"
	done
}

make_logins() {
	(umask 077 && sed 's/^\*:\*:\*:\*:/*:*:*:postgres:/' "$PGPASSFILE" >"$D/etc/pgpass")
	make_login imogen expunge_intake expunge_approver
	make_login oscar expunge_operator
	make_login ruth expunge_approver
	make_login night expunge_job
	make_login watch expunge_monitor
	make_login ada expunge_operator expunge_job
	make_login sam expunge_support
	make_login app_owner
	psql -c "INSERT INTO expunge.tenant_login (login, tenant) VALUES ('imogen', '1')"
	export PGPASSFILE=$D/etc/pgpass
}

in_quotes() { # a string of libconfig
	printf '%s' "$1" | sed 's/[\\"]/\\&/g'
}

write_configuration() {
	local d
	d=$(in_quotes "$D")
	(umask 077 && cat >"$D/etc/expunge.conf") <<-CONF
		database : { conninfo = "host='$(in_quotes "$PGHOST")' port=$PGPORT dbname=clinic"; };
		map = "$(in_quotes "$ROOT")/etc/maps/sample.conf";
		state_directory = "$d/state";
		ledger_directory = "$d/ledger";
		certificate_directory = "$d/certificates";
		issuer : { name = "demo.expunge.example"; key = "$d/etc/issuer-private.pem"; };
		processor = "Example Practice Software Ltd, ICO registration ZA000000";
		policy : { undo_days = 0; };    # ordinarily 7: an approval can be taken back until then
		caps : { subjects_per_run = 50; tenants_per_run = 10; rows_per_run = 500000; tenant_share_percent = 5; };
		keys : {
		  shares = ( { replicas = ["$d/shares/1a", "$d/shares/1b"]; }, { replicas = ["$d/shares/2a", "$d/shares/2b"]; } );
		  anchor = "$d/state/anchor";
		};
		archives : {
		  destinations = ( { name = "here"; directory = "$d/here"; }, { name = "elsewhere"; directory = "$d/elsewhere"; } );
		  key = "$d/etc/archives-private.pem";
		};
		closure : {
		  rules = ( { trigger = "cancellation"; anchor = "paid-until"; days = 45; meaning = "not-before"; within_days = 7; } );
		};
	CONF
}

# ---------------------------------------------------------------------------- looking for traces

# Names, mail addresses, NHS and telephone numbers of the three records, each also as the bytes of a scan.
write_markers() {
	local marker
	psql -c "SELECT unnest(ARRAY[family_name, email, nhs_number, phone, replace(phone, ' ', '')])
		FROM app.patient WHERE id = ANY ('$PATIENTS')" >"$W/words"
	while IFS= read -r marker; do
		printf '%s\n' "$marker"
		printf '%s' "$marker" | od -An -v -tx1 | tr -d ' \n'
		printf '\n'
	done <"$W/words" >"$W/markers"
}

count_traces() { # DUMP: how many lines of it hold a marker
	grep -caiF -f "$W/markers" "$1" || [ $? -eq 1 ]
}

# ---------------------------------------------------------------------------- the story

tell_practices() {
	heading 'Three practices, on a private PostgreSQL server'
	try 0 psql -F ' | ' -c "SELECT t.name, count(*) || ' patients' FROM app.practice t JOIN app.patient p ON p.practice_id = t.id GROUP BY t.id ORDER BY t.id"
	write_counts
	say "They have $(cat "$W/counts")."
}

write_counts() {
	psql -F ' ' -R ', ' -c "SELECT n, what FROM (VALUES
		((SELECT count(*) FROM app.appointment), 'appointments'), ((SELECT count(*) FROM app.note), 'notes'),
		((SELECT count(*) FROM app.letter) + (SELECT count(*) FROM app.letter_file), 'letters'),
		((SELECT count(*) FROM app.invoice), 'invoices'), ((SELECT count(*) FROM app.message), 'messages'),
		((SELECT count(*) FROM audit.log_patient) + (SELECT count(*) FROM audit.log_appointment)
		 + (SELECT count(*) FROM audit.log_note), 'old versions in an audit trail')) AS c (n, what)" >"$W/counts"
}

tell_installation() {
	heading 'Expunge is installed beside the application'
	say '"expunge" is short for'" ${BINARY#"$ROOT/"} -c ${D#"$ROOT/"}/etc/expunge.conf"
	write_configuration
	try 0 expunge -U postgres init
	make_logins
	say 'Who does what; each logs in with a password of its own (SCRAM):' \
		'  imogen     runs the first practice; files requests through the SQL API' \
		'  oscar      operator: makes sure that it was the patient who asked' \
		'  ruth       approves, or does not' \
		'  night      the nightly job: removes what was approved, and nothing else' \
		'  watch      monitoring: sees counts, not people' \
		'  ada        is called when the database had to be restored' \
		'  sam        of the support staff: enters where a practice lets him' \
		'  app_owner  the application; owns its tables, so the job deletes from them under this name'
	claim 'a wrong password is refused' not env PGPASSWORD=wrong psql -X -U ruth -c 'SELECT 1'
	try 0 expunge -U night check
}

tell_patient() {
	local n
	heading 'A patient, registered three times'
	try 0 psql -F ' | ' -c "SELECT id, display_name, 'merged into ' || merged_into FROM app.patient WHERE id IN (148, 149, 150) ORDER BY id"
	write_markers
	pg_dump --blobs >"$W/dump.before"
	n=$(count_traces "$W/dump.before")
	claim "a full dump of the database names this person in $n lines, scans included" [ "$n" -gt 30 ]
}

tell_backup() {
	heading 'The hourly backup: a sealed archive of each practice, and one of what belongs to none, in two places'
	try 0 expunge -U night backup
	sha256sum "$D"/*/archives/*/*.archive >"$W/archives"
	claim "$(($(wc -l <"$W/archives") / 2)) archives, each in two places, and not one name, address or number of the patient in them" no_traces_in_archives
}

no_traces_in_archives() {
	cat "$D"/*/archives/*/*.archive "$D"/*/keys/*/*.journal >"$W/all-archives"
	[ "$(count_traces "$W/all-archives")" -eq 0 ]
}

tell_request() {
	heading 'The patient asks for erasure, and imogen files it, for the record that she has open'
	try 0 psql -U imogen -c "SELECT expunge_api.request_erasure('1', '150', '17-1-b', 'portal')"
	ID=$OUT
	say 'oscar makes sure of the identity; the legal month runs'
	try 0 expunge -U oscar request identify "$ID"
}

tell_plan() {
	heading 'What would go: a plan with a hash'
	try 0 expunge -U night request plan "$ID"
	claim 'the plan takes all three records' grep -q '^rows: app.patient delete 3 ' "$W/out"
	say 'It warns of text that names the patient where no key says so. The practice looks, and edits:'
	try 0 psql -U app_owner -c "SELECT id, body FROM app.message WHERE ref_type = 'practice' AND body ~ '-00(148|149|150)'"
	try 0 psql -U app_owner -c "UPDATE app.message SET body = 'Has anybody seen the X-rays?' WHERE id = ${OUT%%|*}"
	quietly 0 expunge -U night request plan "$ID"
	PLAN=$(sed -n 's/^plan: //p' "$W/out")
	claim 'a new plan has nothing of the kind left' not grep -q 'names the subject' "$W/out"
	quietly 0 expunge -U night erase --dry-run --request "$ID"
	claim 'a dry run shows the same plan' grep -qx "plan: $PLAN" "$W/out"
	say 'A rehearsal removes everything, counts again, and rolls back:'
	try 0 expunge -U night erase --rehearse --request "$ID"
}

tell_approval() {
	heading 'Two people: who files does not approve'
	say "imogen may approve others' requests, but not this one"
	try 5 expunge -U imogen request decide "$ID" --accept --plan "$PLAN"
	say 'ruth approves, and names the plan that she has seen'
	try 0 expunge -U ruth request decide "$ID" --accept --plan "$PLAN"
}

tell_night() {
	heading 'The night'
	say 'It would come seven days later (policy.undo_days, 0 here): until then the approval can be taken back.'
	"$ROOT/tests/sample/rows.sh" clinic >"$W/rows.before"
	psql -v patients="$PATIENTS" -v what=gone -f "$ROOT/tests/sample/rows_of.sql" | LC_ALL=C sort >"$W/rows.gone"
	psql -v patients="$PATIENTS" -v what=new -f "$ROOT/tests/sample/rows_of.sql" | LC_ALL=C sort >"$W/rows.new"
	# as a backup of the server has it
	command psql -Xq -d postgres -c 'CREATE DATABASE yesterday TEMPLATE clinic OWNER app_owner STRATEGY wal_log'
	try 0 expunge -U night -v nightly
	cp "$W/out" "$D/nightly.log"
	cp "$D/certificates/issuer.pem" "$D/issuer.pem"
	quietly 0 expunge -U night nightly
	set -- "$D"/certificates/*.note
	NOTE=$1
	claim 'a second night finds nothing to do, and signs nothing' [ $# -eq 1 ]
}

tell_certificate() {
	heading 'The certificate'
	quietly 0 cat "$NOTE"
	sed 's/^./     &/' "$NOTE"
	claim 'it is final, and says that the invoices had to stay' grep -qx 'outcome: completed-with-exclusions' "$NOTE"
	claim 'a guarantor who pays for other patients too stays, the one of this patient alone went along' \
		grep -q '^live: app.guarantor before 2 removed 1 masked 0 retained 1 ' "$NOTE"
	claim 'the emptied pages, those of large objects too, were vacuumed, and the keys of the three records destroyed' \
		grep -qx 'level: keys-destroyed' "$NOTE"
	claim 'which makes them unreadable in the archive that was taken before' grep -qx 'archives: generations unreadable 1' "$NOTE"
	claim 'it names nobody' not grep -qaiF -f "$W/markers" "$NOTE"
	try 0 expunge certificate verify --key "$D/issuer.pem" "$NOTE"
}

# The method of doc/certificate.md.
verify_with_openssl() {
	local note=$1 blank
	blank=$(sed -n '/^$/=' "$note" | tail -n 1)
	head -n "$((blank - 1))" "$note" >"$W/body"
	tail -n +"$((blank + 1))" "$note" | head -n 1 | sed 's/.* //' | openssl base64 -d -A | tail -c 64 >"$W/sig"
	openssl pkeyutl -verify -rawin -pubin -inkey "$D/issuer.pem" -in "$W/body" -sigfile "$W/sig"
}

tell_openssl() {
	heading 'The same with openssl alone'
	cat <<-'SHELL'
		   $ blank=$(sed -n '/^$/=' "$note" | tail -n 1)
		   $ head -n "$((blank - 1))" "$note" >body
		   $ tail -n +"$((blank + 1))" "$note" | head -n 1 | sed 's/.* //' | openssl base64 -d -A | tail -c 64 >sig
		   $ openssl pkeyutl -verify -rawin -pubin -inkey build/demo/issuer.pem -in body -sigfile sig
	SHELL
	claim 'openssl accepts the signature' verify_with_openssl "$NOTE"
	sed 's/^live: app.patient before 3 removed 3/live: app.patient before 4 removed 4/' "$NOTE" >"$W/altered"
	claim 'and refuses a certificate of which one line was changed' refused_by_openssl
}

refused_by_openssl() {
	not cmp -s "$W/altered" "$NOTE" && not verify_with_openssl "$W/altered"
}

length_and() { # each part of subject-ref is preceded by its length, four bytes, big-endian
	local hex
	printf -v hex '%08x' "${#1}"
	printf "\\x${hex:0:2}\\x${hex:2:2}\\x${hex:4:2}\\x${hex:6:2}%s" "$1"
}

tell_opening() {
	local instance tenant subject salt
	heading 'Whose certificate is it? Only the practice can show that'
	try 0 psql -U imogen -c "SELECT * FROM expunge_api.collect_opening('$ID')"
	IFS='|' read -r instance tenant subject salt <<<"$OUT"
	{
		length_and expunge/ref/v1
		printf '\x00\x00\x00\x20'
		# shellcheck disable=SC2059 # the salt's bytes
		printf "$(printf '%s' "$salt" | sed 's/../\\x&/g')"
		length_and "$instance"
		length_and "$tenant"
		length_and "$ID"
		length_and "$subject"
	} >"$W/ref"
	claim 'the SHA-256 of these, joined, is the subject-ref of the certificate' \
		grep -qx "subject-ref: sha256:$(openssl dgst -sha256 -r "$W/ref" | cut -d' ' -f1)" "$NOTE"
	psql -c "SELECT (SELECT count(*) FROM expunge.opening) + (SELECT count(*) FROM expunge.key_set)
		+ (SELECT count(*) FROM expunge.request WHERE subject IS NOT NULL)" >"$W/known"
	claim 'and Expunge itself no longer knows whom it erased' grep -qx 0 "$W/known"
}

tell_proof() {
	local n
	heading 'What is left'
	quietly 0 pg_dump --blobs -f "$W/dump.after"
	count_traces "$W/dump.after" >"$W/traces"
	claim "no trace of the patient in a full dump of $(thousands "$(stat -c %s "$W/dump.after")") bytes: $(wc -l <"$W/words") words, as text and as bytes" \
		grep -qx 0 "$W/traces"
	"$ROOT/tests/sample/rows.sh" clinic >"$W/rows.after"
	n=$(wc -l <"$W/rows.new")
	LC_ALL=C comm -23 "$W/rows.before" "$W/rows.after" >"$W/rows.lost"
	claim "gone are the patient's own $(($(wc -l <"$W/rows.gone") - n)) rows and scans; $n invoices stay, without the name" \
		diff "$W/rows.gone" "$W/rows.lost"
	# what was there before, less the patient's rows, and with the invoices as they must be now
	LC_ALL=C comm -23 "$W/rows.before" "$W/rows.gone" >"$W/rows.others"
	LC_ALL=C sort "$W/rows.others" "$W/rows.new" >"$W/rows.wanted"
	claim "every other row is unchanged: $(thousands "$(wc -l <"$W/rows.others")") rows and scans compared" \
		diff "$W/rows.wanted" "$W/rows.after"
	try 0 expunge -U watch status
}

tell_restore() {
	local practice
	heading 'And the backup? The archives of before the night are restored'
	claim 'not a byte of the archives has changed' sha256sum --quiet -c "$W/archives"
	command psql -Xq -c 'CREATE DATABASE again TEMPLATE template0'
	psql -d again -f "$ROOT/tests/sample/schema.sql" >"$W/load"
	# code lists belong to no practice
	sed -n 's/.*table = "\([a-z_.]*\)".*action = "reference".*/\1/p' "$ROOT/etc/maps/sample.conf" | while read -r table; do
		pg_dump --data-only -t "$table"
	done | psql -d again >"$W/load"
	try 0 expunge -U night restore --tenant 1 --into "dbname=again user=postgres host=$PGHOST port=$PGPORT"
	say 'A row that two patients own is in the archive under the key of each, and goes in once.'
	for practice in 2 3; do
		quietly 0 expunge -U night restore --tenant "$practice" --into "dbname=again user=postgres host=$PGHOST port=$PGPORT"
	done
	say 'What the law keeps is not the patient'"'"'s any more: the next archive of what belongs to nobody has it'
	try 0 expunge -U night backup --tenant @nobody
	quietly 0 expunge -U night restore --tenant @nobody --into "dbname=again user=postgres host=$PGHOST port=$PGPORT"
	"$ROOT/tests/sample/rows.sh" again >"$W/rows.again"
	claim "together they give back every row but the patient's: $(thousands "$(wc -l <"$W/rows.wanted")") rows and scans compared" \
		diff "$W/rows.wanted" "$W/rows.again"
	pg_dump --blobs -d again -f "$W/dump.again"
	claim 'and no trace of the patient, who was in it' [ "$(count_traces "$W/dump.again")" -eq 0 ]
	try 0 expunge -U night drill
}

tell_adoption() {
	heading 'A disk dies, and the whole database is restored, to before the night'
	command psql -Xq -d postgres -c 'ALTER DATABASE clinic RENAME TO dead' -c 'ALTER DATABASE yesterday RENAME TO clinic'
	try 0 psql -F ' | ' -c "SELECT id, display_name FROM app.patient WHERE id IN (148, 149, 150) ORDER BY id"
	say 'The patient is back, and the certificate is not. Nothing runs:'
	try 5 expunge -U night nightly
	say 'before the application writes to it, ada says that it was restored'
	try 0 expunge -U ada -v restore --adopt
	"$ROOT/tests/sample/rows.sh" clinic >"$W/rows.adopted"
	pg_dump --blobs >"$W/dump.adopted"
	claim 'no trace of the patient is left' [ "$(count_traces "$W/dump.adopted")" -eq 0 ]
	claim 'every other row is as it was' diff "$W/rows.after" "$W/rows.adopted"
	claim 'the certificate is there again, byte for byte, and no other' \
		diff <(psql -c "SELECT note FROM expunge.certificate" | head -c "$(wc -c <"$NOTE")") "$NOTE"
	claim 'every living key opens' grep -q 'living keys, each of them opened' "$W/out"
	try 0 expunge -U night backup --verify
	quietly 0 expunge -U night nightly
	claim 'and the nights go on' grep -q 'done: 0 removed' "$W/out"
}

tell_visit() {
	local visit request consent session used unused second
	heading 'The support staff visits'
	visit=(--tenant 1 --ticket 4711 --scope records --reason 'bookings fail')
	try 1 expunge -U sam support open "${visit[@]}"
	say 'Nobody enters without consent. sam asks, and imogen lets him in, for this ticket and two hours:'
	try 0 expunge -U sam support request "${visit[@]}"
	request=$OUT
	try 0 expunge -U imogen support consent "$request" --tenant 1 --until "$(date -u -d '+2 hours' +%Y-%m-%dT%H:%M:%SZ)"
	consent=$OUT
	try 0 expunge -U sam support open "${visit[@]}"
	session=$OUT
	say 'He looks at no patient: he makes two of his own, and registers them. The practice books one of them an appointment'
	try 0 psql -U app_owner -c "INSERT INTO app.patient (practice_id, given_name, family_name, born)
		VALUES (1, 'Test', 'Visitor-1', '1980-01-01'), (1, 'Test', 'Visitor-2', '1980-01-01') RETURNING id"
	unused=${OUT%%$'\n'*} used=${OUT##*$'\n'}
	try 0 psql -U sam -c "SELECT expunge_api.register_test_subject('$session', '1', '$unused')"
	try 0 psql -U sam -c "SELECT expunge_api.register_test_subject('$session', '1', '$used')"
	second=$OUT
	try 0 psql -U app_owner -c "INSERT INTO app.appointment (patient_id, starts_at) VALUES ($used, now())"
	try 0 expunge -U sam support close "$session"
	say 'Seven days later (here, the end of their time is moved):'
	psql -c 'SET ROLE expunge_owner' -c "UPDATE expunge.support_event SET until = now() WHERE kind = 'test-subject-registered'"
	try 0 expunge -U night nightly
	psql -c "SELECT id FROM app.patient WHERE family_name LIKE 'Visitor-_'" >"$W/visitors"
	claim 'the test patient that nobody used is gone' not grep -qx "$unused" "$W/visitors"
	NOTE=$(grep -l '^kind: test-subject$' "$D"/certificates/*.note)
	claim 'with a certificate, which names the consent' grep -q "^approver: support-consent:$consent " "$NOTE"
	claim 'the one that the practice used is there' grep -qx "$used" "$W/visitors"
	say 'and in quarantine, until imogen decides; she reads all of it in the register:'
	try 0 expunge -U imogen support show "$second"
	try 0 psql -U imogen -F ' | ' -c "SELECT kind, count(*) FROM expunge_api.support_register GROUP BY kind ORDER BY min(number)"
	claim 'nobody takes an event of it away, not even a superuser' not psql -c 'DELETE FROM expunge.support_event'
}

# As if a closing had begun so many days earlier.
days_pass() { # days_pass TENANT DAYS
	psql -v tenant="$1" -v days="$2" <<-'SQL'
		UPDATE expunge.closure c SET anchor = m.anchor - :days, filed_at = c.filed_at - :days * interval '1 day',
			purge_on = k.purge_on, not_before = k.not_before, complete_on = k.complete_on, complete_by = k.complete_by
		FROM expunge.closure m, expunge.closure_clock(m.anchor - :days, m.zone, m.days, m.meaning, m.within_days) k
		WHERE c.id = m.id AND m.tenant = :'tenant';
	SQL
}

rows_of_others() { # in the first and the third practice, as far as a practice's column says so
	psql -c "SELECT t::text FROM app.patient t WHERE practice_id <> 2" -c "SELECT t::text FROM app.staff t WHERE practice_id <> 2" \
		-c "SELECT a::text FROM app.appointment a JOIN app.patient p ON p.id = a.patient_id WHERE p.practice_id <> 2" | LC_ALL=C sort
}

rows_of_third() { # of the third practice
	psql -c "SELECT t::text FROM app.practice t WHERE id = 3" -c "SELECT t::text FROM app.patient t WHERE practice_id = 3" \
		-c "SELECT a::text FROM app.appointment a JOIN app.patient p ON p.id = a.patient_id WHERE p.practice_id = 3" \
		-c "SELECT i::text FROM app.invoice i JOIN app.patient p ON p.id = i.patient_id WHERE p.practice_id = 3" | LC_ALL=C sort
}

tell_leaving() {
	local plan
	heading 'Two practices leave; one of them comes back'
	quietly 0 expunge -U oscar account cancel 3 --paid-until "$(date +%F)"
	say 'Where backups of the server are kept 35 days, an account has to leave the live database long before its purge:'
	psql -c 'UPDATE expunge.instance SET store_days = 35'
	rows_of_third >"$W/third.before"
	days_pass 3 40
	quietly 0 expunge -U night nightly
	try 0 expunge -U oscar account list
	claim "on day 40 its $(thousands "$(wc -l <"$W/third.before")") rows (of these tables) are sealed, and none is left" [ "$(rows_of_third | wc -l)" -eq 0 ]
	say 'Then it thinks better of it:'
	try 0 expunge -U oscar account reactivate 3 --reason 'they called'
	rows_of_third >"$W/third.after"
	claim 'and all of them are back, byte for byte' cmp "$W/third.before" "$W/third.after"
	psql -c 'UPDATE expunge.instance SET store_days = NULL'
	try 0 expunge -U oscar account cancel 2 --paid-until "$(date +%F)" --reason 'the partners retire'
	days_pass 2 40
	quietly 0 expunge -U night nightly
	try 0 expunge -U night account export 2 --to "$W/handover"
	claim 'the second takes its data along, in open form, and each file is what its sum says' \
		bash -c 'cd "$1" && sha256sum --quiet -c SHA256SUMS' sums "$W/handover"
	plan=$(psql -c "SELECT p.hash FROM expunge.closure_plan p JOIN expunge.closure c ON c.id = p.closure_id WHERE c.tenant = '2'")
	try 0 expunge -U ruth account approve 2 --plan "$plan"
	try 0 expunge -U oscar account told 2 --reason 'by letter, as it has no e-mail'
	days_pass 2 6
	quietly 0 expunge -U night nightly
	try 0 expunge -U oscar account list
	claim 'its 45 days are over, and one person has approved: nothing goes' [ "$(psql -c 'SELECT count(*) FROM app.patient WHERE practice_id = 2')" -eq 200 ]
	quietly 0 expunge -U night account export 2 --to "$W/last"
	try 0 expunge -U imogen account approve 2 --plan "$plan"
	rows_of_others >"$W/others.before"
	say 'The window of purges, Monday to Thursday, is held open here.'
	psql -c "CREATE OR REPLACE FUNCTION expunge.purge_window(zone text, at timestamptz DEFAULT now()) RETURNS text LANGUAGE sql AS 'SELECT NULL::text'"
	try 0 expunge -U night nightly
	rows_of_others >"$W/others.after"
	claim 'the next night takes the account' [ "$(psql -c 'SELECT count(*) FROM app.patient WHERE practice_id = 2')" -eq 0 ]
	claim "and not a row of another practice: $(thousands "$(wc -l <"$W/others.before")") compared" diff "$W/others.before" "$W/others.after"
	NOTE=$(grep -l '^kind: account-closure$' "$D"/certificates/*.note)
	quietly 0 cat "$NOTE"
	grep -E '^(kind|outcome|cooling-off|approver|keys|archives|level)' "$NOTE" | sed 's/^./     &/'
	try 0 expunge certificate verify --key "$D/issuer.pem" "$NOTE"
	try 1 expunge -U night restore --tenant 2 --into "dbname=again user=postgres host=$PGHOST port=$PGPORT"
	try 0 expunge -U night drill
	claim 'its archives open for nobody, and those of the others do' grep -q 'tenant_key_gone' <(psql -c "SELECT 'tenant_key_gone' FROM expunge.key_gone WHERE tenant = '2'")
	try 1 expunge -U oscar account reactivate 2 --reason 'they called, too late'
}

tell_end() {
	printf '\n'
	if [ "$failed" -gt 0 ]; then
		die "$failed claims did not hold"
	fi
	printf '%sAll of it held, in %d seconds.%s Left for you in %s: certificates/, issuer.pem, nightly.log\n' \
		"$bold" "$((SECONDS - started))" "$plain" "${D#"$ROOT/"}"
}

W=$D/work
mkdir -p "$D"
[ -w "$D" ] || die "$D belongs to somebody else"
exec 9>"$D/.lock"
flock -n 9 || die "another demonstration is running in $D"
start
tell_practices
tell_installation
tell_patient
tell_backup
tell_request
tell_plan
tell_approval
tell_night
tell_certificate
tell_openssl
tell_opening
tell_proof
tell_restore
tell_adoption
tell_visit
tell_leaving
tell_end

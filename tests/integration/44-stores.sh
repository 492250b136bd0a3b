#!/usr/bin/env bash
# Copies outside that end by themselves: certificates are interim until the last has, then final; exactly one of each,
# never before its day by either clock, whatever the configuration says later.
# shellcheck disable=SC2034 # for lib.sh
cluster_options=' ' # of its own: its clock is moved
. "$(dirname "$0")/../lib.sh"
if ! command -v faketime >/dev/null || grep -qa __asan_init "$EXPUNGE"; then
	skip_all "faketime is not installed, or the build is sanitized"
fi

# ---- a clock that is moved by days, for the server and for the program
export EXPUNGE_TEST_CLOCK=$PGHOST/clock
days=0
clock_at() { # clock_at OFFSET: as libfaketime writes it, for the server and for expunge
	printf '%s\n' "$1" >"$EXPUNGE_TEST_CLOCK"
	chmod 644 "$EXPUNGE_TEST_CLOCK"
	now=$1
}
in_days() { # in_days N: so many days after the start
	days=$1
	clock_at "+$((days * 86400))"
}
at() { # at ROLE COMMAND...: expunge at the server's time, or at $host where that is set
	RC=0
	faketime -f "${host:-$now}" "$EXPUNGE" -c "$CONF" -U "$1" "${@:2}" >"$T/out" 2>"$T/err" </dev/null || RC=$?
	OUT=$(cat "$T/out") ERR=$(cat "$T/err")
}
host=
in_days 0
cluster_restart fast
is "$(sql postgres "SELECT now() - to_timestamp($(date +%s)) < interval '1 minute'")" t "the server's clock is ours"
in_days 2
is "$(sql postgres "SELECT round(extract(epoch FROM now() - to_timestamp($(date +%s))) / 86400)")" 2 "until it is moved"
in_days 0

# ---- the notes
notes() { # notes STAGE: how many certificates of a stage there are, in the database and as files
	printf '%s %s\n' "$(sql clinic "SELECT count(*) FROM expunge.certificate WHERE stage = '$1'")" \
		"$(grep -l "^stage: $1\$" "$T"/clinic/certificates/*.note 2>/dev/null | wc -l)"
}
note_of() { # note_of REQUEST STAGE
	sql clinic "SELECT note FROM expunge.certificate WHERE request_id = '$1' AND stage = '$2'"
}
field() { # field REQUEST STAGE KEY
	note_of "$1" "$2" | sed -n "s/^$3: //p"
}
stores() { # stores LINE...: the configuration's stores from now on
	sed -i '/^stores = /d' "$CONF"
	[ $# -eq 0 ] || printf 'stores = ( %s );\n' "$(printf '%s, ' "$@" | sed 's/, $//')" >>"$CONF"
}
erased() { # erased TENANT SUBJECT: certified in one night; prints the request
	local id
	id=$(file_request clinic "$1" "$2")
	faketime -f "$now" "$EXPUNGE" -c "$CONF" -U oscar request identify "$id" >/dev/null
	faketime -f "$now" "$EXPUNGE" -c "$CONF" -U night request plan "$id" >/dev/null
	faketime -f "$now" "$EXPUNGE" -c "$CONF" -U ruth request decide "$id" --accept \
		--plan "$(sql clinic "SELECT hash FROM expunge.plan WHERE request_id = '$id'")" >/dev/null
	faketime -f "$now" "$EXPUNGE" -c "$CONF" -U night nightly >&2 2>"$T/err" || cat "$T/err" >&2
	printf '%s\n' "$id"
}
today() { # today [N]: the practice's civil date, so many days on from the server's now
	sql clinic "SELECT expunge.civil_date(now()) + ${1:-0}"
}

fresh_db clinic
install clinic
sed -i 's/tenant_share_percent = 50/tenant_share_percent = 100/' "$CONF"
backups='{ name = "base backups"; kind = "physical-backup"; retention_days = 30; }'
wal='{ name = "archived WAL"; kind = "wal-archive"; retention_days = 14; }'

# ---------------------------------------------------------------- none: final at once
none=$(erased 1 48)
is "$(field "$none" final level) $(notes interim) $(notes final)" "vacuumed 0 0 1 1" "without stores the certificate is final, as ever"
is "$(field "$none" final interim-serial)" "" "and follows none"

# ---------------------------------------------------------------- two that age by days
stores "$backups" "$wal"
at night check
out_like 'stores.*2 declared: certificates are interim until they have aged out' "check says what they mean"
first=$(erased 1 42)
is "$(field "$first" interim archives)" "residual base%20backups until $(today 30) declared
residual archived%20WAL until $(today 14) declared" "each store and its last day is named, as declared"
is "$(field "$first" interim level)" vacuumed "the level is what was done"
is "$(sql clinic "SELECT subject IS NULL, subject_hash IS NOT NULL FROM expunge.request WHERE id = '$first'")" "t|t" \
	"the request has lost its subject"
is "$(sql clinic "SELECT string_agg(name || ' ' || (bound_until = until), ' ' ORDER BY name) FROM expunge.request_store")" \
	"archived WAL true base backups true" "and is bound to its stores"
at oscar request show "$first"
out_like "^why_not_yet: certified, interim: base backups until $(today 30), archived WAL until $(today 14)$" "request show says until when"
at watch status
rc_is 0 "an interim certificate is in order"
out_like '^interim +1, their final certificates to follow; 0 of those overdue' "status counts it"
at watch status --prometheus
out_like '^expunge_certificates_interim 1$' "so do the metrics"
at dora store list
out_like "base backups +physical-backup .* 1 .*$(today 30)" "store list shows what is waited for"
at night nightly
is "$(notes final)" "1 1" "no final certificate on the same night"

in_days 15
at night nightly
rc_is 0 "a night on which one of two has aged out"
is "$(sql clinic "SELECT name, ended_how FROM expunge.request_store WHERE ended_at IS NOT NULL") $(notes final)" \
	"archived WAL|declared 1 1" "is noted, and no certificate comes of it"

# a shorter retention, or none at all, does not shorten what stood when the rows went
stores '{ name = "base backups"; kind = "physical-backup"; retention_days = 1; }'
at night nightly
is "$(notes final) $(sql clinic "SELECT until - bound_until FROM expunge.request_store WHERE ended_at IS NULL")" "1 1 0" \
	"a shorter retention does not count"
stores
at night nightly
is "$(notes final)" "1 1" "nor does no store at all"
# a longer one does, and both are on record
stores '{ name = "base backups"; kind = "physical-backup"; retention_days = 35; }'
at night nightly
is "$(sql clinic "SELECT until - bound_until, until FROM expunge.request_store WHERE ended_at IS NULL")" "5|$(today 20)" \
	"a longer retention extends, and both are on record"
stores "$backups" "$wal"

in_days 35
at night nightly
rc_is 0 "the last day"
waits="SELECT count(*) FROM expunge.request_store WHERE ended_at IS NULL"
is "$(notes final) $(sql clinic "$waits")" "1 1 1" "is not over"
at night nightly --dry-run --json
is "$(jq '.finals | length' "$T/out")" 0 "and nothing is due"

# the day after by the server, and not yet by the host: within a skew that is allowed here. And the other way round.
printf 'clock : { max_skew_seconds = 3600; };\n' >>"$CONF"
midnight=$(($(date -d "TZ=\"Europe/London\" $(today) 00:00" +%s) + 86400 - $(date +%s)))
clock_at "+$((midnight + 5))"
host=+$((midnight - 1700))
at night nightly
rc_is 0 "past midnight by the server, and not by the host"
is "$(notes final) $(sql clinic "$waits")" "1 1 1" "no final certificate"
clock_at "+$((midnight - 1700))"
host=+$((midnight + 5))
at night nightly
rc_is 0 "past midnight by the host, and not by the server"
is "$(notes final) $(sql clinic "$waits")" "1 1 1" "no final certificate either"
host=

in_days 36
at night nightly --dry-run
out_like "^final certificates$" "a dry run lists"
out_like "$first" "what is due"
at night nightly
rc_is 0 "the night after the last day"
is "$(notes interim) $(notes final)" "1 1 2 2" "the final certificate"
is "$(field "$first" final interim-serial) $(field "$first" final level) $(field "$first" final serial)" "2 aged-out 3" \
	"follows the interim one, in the same series"
is "$(field "$first" final archives)" "aged-out archived%20WAL until $(today -22) declared
aged-out base%20backups until $(today -1) declared" "and says on whose word each store has aged out"
is "$(diff <(note_of "$first" interim | sed '/^$/,$d') <(note_of "$first" final | sed '/^$/,$d') | sed -n 's/^[<>] \([a-z-]*\): .*/\1/p' | sort -u)" \
	"archives
id
interim-serial
level
serial
stage
tool" "nothing else is said otherwise"
at night nightly
is "$(notes final)" "2 2" "there is one, ever"
at oscar request show "$first"
out_like '^why_not_yet: -$' "nothing is open"
at dora certificate list
out_like " final " "certificate list"
at dora certificate export --format json --output "$T/export"
ok "the export has both" jq -e 'map(.stage) == ["final", "interim", "final"]' "$T/export/certificates.json"
for note in "$T"/clinic/certificates/*.note; do
	ok "verify.sh: $(sed -n 's/^stage: //p' "$note")" sh "$ROOT/doc/verify.sh" "$T/clinic/certificates/issuer.pem" expunge.example.org "$note"
	ok "certificate verify" "$EXPUNGE" certificate verify --key "$T/clinic/certificates/issuer.pem" "$note"
	blank=$(sed -n '/^$/=' "$note" | tail -n 1)
	head -n "$((blank - 1))" "$note" >"$T/body"
	tail -n +"$((blank + 1))" "$note" | head -n 1 | sed 's/.* //' | openssl base64 -d -A | tail -c 64 >"$T/sig"
	ok "openssl" openssl pkeyutl -verify -rawin -pubin -inkey "$T/clinic/certificates/issuer.pem" -in "$T/body" -sigfile "$T/sig"
done

# ---------------------------------------------------------------- what the signed interim certificate promised
stores "$wal"
forged=$(erased 1 49)
good=$(erased 1 43)
stores
sql clinic "UPDATE expunge.request_store SET until = until - 20 WHERE request_id = '$forged'"
at night nightly
rc_is 3 "a date moved back in the table"
err_like "no final certificate of request $forged: store archived WAL has ended earlier" "is told"
is "$(notes final)" "2 2" "and is no final certificate"
sql clinic "DELETE FROM expunge.request_store WHERE request_id = '$forged'" \
	"INSERT INTO expunge.request_store (request_id, name, kind, declared, until, ended_at, ended_how)
		VALUES ('$forged', 'other', 'other', true, '2020-01-01', now(), 'declared')"
at night nightly
rc_is 3 "a store that is gone from the table"
err_like "no final certificate of request $forged: store archived WAL, which the interim certificate names, is not on record" "is missed"
sql clinic "UPDATE expunge.request_store SET ended_at = now(), ended_how = 'declared' WHERE request_id = '$good'"
at night nightly
is "$(notes final)" "2 2" "nor does one that is marked as ended before its day"
sql clinic "UPDATE expunge.request_store SET ended_at = NULL, ended_how = NULL WHERE request_id = '$good'" \
	"DELETE FROM expunge.request_store WHERE request_id = '$forged'"
at night nightly
rc_is 3 "no store in the table"
in_days 51
at night nightly
rc_is 3 "the others get theirs"
is "$(field "$good" final level)" aged-out "on their day"
sql clinic "UPDATE expunge.certificate SET note = replace(note, 'control pass', 'control not-run') WHERE request_id = '$forged'" \
	"INSERT INTO expunge.request_store (request_id, name, kind, declared, until, ended_at, ended_how)
		VALUES ('$forged', 'archived WAL', 'wal-archive', true, current_date - 1, now(), 'declared')"
at night nightly
rc_is 3 "an interim certificate that was altered"
err_like "no final certificate of request $forged: the stored certificate [0-9]+ is not one that we signed" "is not built upon"
sql clinic "SET session_replication_role = replica" "DELETE FROM expunge.certificate WHERE request_id = '$forged'" \
	"DELETE FROM expunge.request WHERE id = '$forged'"

# ---------------------------------------------------------------- a person's word
stores "$backups"
stated=$(erased 1 40) # a large object, which only a superuser can vacuum
at night store end "base backups" --reason 'I say so'
rc_is 1 "the job cannot state it"
at oscar store end "base backups" --reason 'I say so'
rc_is 1 "nor can an operator"
at dora store end "base backup" --reason 'tapes destroyed'
rc_is 1 "a name that nobody waits for"
at dora store end "base backups" --reason 'tapes destroyed, protocol 7'
rc_is 0 "the data protection officer can"
out_is "1 certificates wait for it no longer" "and is told what it does"
is "$(sql clinic "SELECT ended_how, ended_by, ended_reason FROM expunge.request_store WHERE request_id = '$stated'")" \
	"stated|dora|tapes destroyed, protocol 7" "who and why is on record"
at night nightly
is "$(field "$stated" final archives)" "aged-out base%20backups until $(today) stated" "the final certificate says that a person stated it"
is "$(field "$stated" interim level) $(field "$stated" final level)" "logical logical" "and a level that was not reached below the copies is not above them"
again=$(erased 1 45)
is "$(notes interim | cut -d ' ' -f 1) $(field "$again" interim archives | cut -d ' ' -f 1)" "4 residual" "the next one waits again"

# ---------------------------------------------------------------- what the server shows and nobody declared
stores
sql clinic "SELECT pg_create_physical_replication_slot('sitting', true)" >/dev/null
at night check
out_like 'replication slot sitting, and nobody has declared it' "check warns of an undeclared slot"
slot=$(erased 1 46)
is "$(field "$slot" interim archives)" "undeclared replication-slot 1" "the certificate says what it saw, and is interim"
in_days 52
at night nightly
is "$(notes final | cut -d ' ' -f 1)" 4 "a slot that keeps WAL from before is waited for"
in_days 55
at night nightly
rc_is 3 "and said to be late"
err_like '1 final certificates wait for replication-slot "sitting", which nobody has declared' "by name"
at watch status
rc_is 3 "status is red"
out_like '1 final certificates overdue' "and says why"
stores '{ name = "sitting"; kind = "replication-slot"; retention_days = 1; }'
at night nightly
rc_is 3 "declaring it is not enough"
err_like 'wait for replication-slot "sitting", which the server has not reported past their erasures' "while the server says otherwise"
sql clinic "SELECT pg_drop_replication_slot('sitting')" "CHECKPOINT" "SELECT pg_switch_wal()" \
	"SELECT pg_create_physical_replication_slot('sitting', true)" >/dev/null
at night nightly
rc_is 0 "a slot that has moved on"
is "$(field "$slot" final archives)" "aged-out sitting until $(today) reported" "is reported"
standby=$(stores '{ name = "replica"; kind = "standby"; retention_days = 1; }' '{ name = "sitting"; kind = "replication-slot"; retention_days = 1; }'
	erased 1 47)
stores '{ name = "replica"; kind = "standby"; retention_days = 1; }' '{ name = "sitting"; kind = "replication-slot"; retention_days = 1; }'
at night check
out_like 'the server knows no standby called replica' "check looks for what is declared"
in_days 58
at night nightly
rc_is 3 "a standby that is not connected says nothing"
is "$(sql clinic "SELECT count(*) FROM expunge.certificate WHERE request_id = '$standby' AND stage = 'final'")" 0 "and is waited for"
at dora store end replica --reason 'taken down'
sql clinic "SELECT pg_drop_replication_slot('sitting')" >/dev/null
at night nightly
is "$(field "$standby" final archives)" "aged-out replica until $(today) stated
aged-out sitting until $(today) reported" "a person's word, and the server's"

# ---------------------------------------------------------------- a standby that is there, and reports
pg_basebackup -D "$T/base" -c fast -X stream
{
	printf "primary_conninfo = 'host=%s port=%s user=postgres password=%s application_name=replica'\n" "$PGHOST" "$PGPORT" "$(password)"
	printf 'wal_receiver_status_interval = 1\nprimary_slot_name = replica_slot\n'
} >>"$T/base/postgresql.auto.conf"
: >"$T/base/standby.signal"
sql clinic "SELECT pg_create_physical_replication_slot('replica_slot')" >/dev/null
leave_standby() {
	local rc=$?
	set +e
	"$ROOT/tests/setup/cluster.sh" stop "$T/standby"
	(exit "$rc")
	leave
}
trap leave_standby EXIT
"$ROOT/tests/setup/cluster.sh" start "$T/standby" --fast --copy "$T/base"
standby() { # standby STATEMENT: on the standby
	(eval "$("$ROOT/tests/setup/cluster.sh" env "$T/standby")" && PGPASSFILE=$T/cluster/pgpass sql clinic "$1")
}
caught_up() { # waits until the standby has replayed and reported what there is
	sql clinic "DO \$\$ DECLARE here pg_lsn := pg_current_wal_lsn(); BEGIN
		FOR i IN 1..600 LOOP
			PERFORM pg_stat_clear_snapshot();
			EXIT WHEN EXISTS (SELECT FROM pg_stat_replication r WHERE r.replay_lsn >= here);
			PERFORM pg_sleep(0.1);
		END LOOP; END \$\$"
}
caught_up
is "$(sql clinic "SELECT kind, name, other_name FROM expunge.copies_seen() ORDER BY 1")" \
	"replication-slot|replica_slot|
standby|replica|replica_slot" "the server shows a standby and its slot"
stores
at night check
out_like 'standby replica is connected, and nobody has declared it' "check warns of a standby that nobody declared"
seen=$(erased 2 241)
is "$(field "$seen" interim archives)" "undeclared replication-slot 1
undeclared standby 1" "the certificate counts both"
stores '{ name = "replica_slot"; kind = "standby"; retention_days = 1; }'
at night check
out_unlike 'nobody has declared it' "a standby may be declared by the name of its slot"
out_unlike 'the server knows no standby' "and is found"
standby 'SELECT pg_wal_replay_pause()' >/dev/null
lagging=$(erased 2 245)
is "$(field "$lagging" interim archives)" "residual replica_slot until $(today 1) reported" "it is one store"
in_days 62
at night nightly
rc_is 3 "a standby that is behind"
err_like '[12] final certificates wait for standby "replica_slot", which the server has not reported past' "is waited for after its day"
is "$(sql clinic "SELECT count(*) FROM expunge.certificate WHERE request_id = '$lagging' AND stage = 'final'")" 0 "however long"
standby 'SELECT pg_wal_replay_resume()' >/dev/null
caught_up
at night nightly
rc_is 0 "a standby that has replayed the erasure"
is "$(field "$lagging" final archives)" "aged-out replica_slot until $(today) reported" "the server's word"
is "$(field "$seen" final archives | sed 's/ until .*T*[0-9] / /')" "aged-out replica_slot reported
aged-out undeclared-standby declared" "what was seen first and then declared ends as declared"

# ---------------------------------------------------------------- the series
is "$(sql clinic "SELECT count(*) - max(serial), (SELECT last FROM expunge.certificate_counter) - max(serial) FROM expunge.certificate" | tr '|' ' ')" \
	"-1 0" "serials have no gap but for the certificate that this test took away"
is "$(sql clinic "SELECT count(*) FROM expunge.certificate c WHERE stage = 'final' GROUP BY request_id HAVING count(*) > 1")" "" "no request has two"
done_testing

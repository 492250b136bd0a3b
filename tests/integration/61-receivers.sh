#!/usr/bin/env bash
# Destinations that are commands: they get every archive, and nothing before journals and catalogue know of it; one that fails,
# hangs or stops reading is told, costs the others nothing, and is never claimed to have what it has not; what it gives back is
# verified like a file. Killed anywhere, the next backup sends again.
. "$(dirname "$0")/../lib.sh"
. "$ROOT/tests/integration/sessions.bash"

fresh_db clinic
install clinic
with_keys 2>/dev/null
sed -i 's/^archives : {/&\n  reuse_days = 0;/' "$CONF" # each archive by itself; 63-incremental.sh has the others
set_option wait_seconds 30
sql clinic "SELECT setseed(0.5)" "CREATE FUNCTION pg_temp.noise(n int) RETURNS bytea LANGUAGE sql AS
		'SELECT string_agg(sha512(random()::text::bytea), NULL) FROM generate_series(1, n / 64)'" \
	"UPDATE app.letter SET scan = pg_temp.noise(600000) WHERE id IN (SELECT id FROM app.letter WHERE patient_id < 201 ORDER BY id LIMIT 1)" >/dev/null

OUT_SIDE="$T/out side"
mkdir -m 0700 "$OUT_SIDE"
# shellcheck disable=SC2016,SC1003 # nobody is to expand it
ODD='a  b; $(touch /tmp/x) `y` * & | < > \ '"' \" ~ -- %s # {id}"
# What it does is in $T/mode: a word for each task. It writes down how it was called.
cat >"$T/receiver" <<-SCRIPT
	#!/bin/bash
	id=\$2 file="$OUT_SIDE/\$2" task=\$1
	printf '%s\n' "\$1 \$2" >>"$T/calls"
	printf '<%s>' "\$@" >"$T/arguments"
	. "$T/mode"
	case \$task:\${!task} in
	put:good) exec cat >"\$file" ;;
	put:look)
		export PGHOST=$PGHOST PGPORT=$PGPORT PGPASSFILE=$PGPASSFILE
		{
			psql -XAtq -U postgres -d clinic -c "SELECT state, destinations, sending FROM expunge.archive WHERE id = '\$id'"
			generation=\$(psql -XAtq -U postgres -d clinic -c "SELECT generation FROM expunge.archive WHERE id = '\$id'")
			for place in here there; do
				ls "$T/clinic/\$place/archives/"*/"\$id.archive" >/dev/null && echo named
				grep -aq "^leaf \$generation " "$T/clinic/\$place/keys/"*/*.journal && echo journalled
			done
			psql -XAtq -U postgres -d clinic -c "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted
				AND ((classid::bigint << 32) | objid::bigint) = hashtextextended('expunge/keys', 0)"
		} </dev/null | paste -sd ' ' >>"$T/seen"
		exec cat >"\$file" ;;
	put:deaf) exec <&-; exit 0 ;;
	put:half) head -c 1000 >"\$file"; exit 0 ;;
	put:late) cat >"\$file"; printf 'quota\t\033[31m exceeded\nand more\n' >&2; exit 1 ;;
	put:killed) kill -9 \$\$ ;;
	put:hang) head -c 1000 >"\$file"; : >"$T/hangs"; exec sleep 1000 ;;
	put:wait)
		head -c 1000 >"\$file"; : >"$T/waits"
		while [ ! -e "$T/go" ]; do sleep 0.05; done
		cat >>"\$file"; : >"$T/ended" ;;
	put:alter)
		head -c 1000 >"\$file"
		here=\$(echo "$T"/clinic/here/archives/*/"\$id.archive")
		printf '\0\0\0\0' | dd of="\$here" bs=1 seek=\$((\$(stat -c %s "\$here") - 2000)) conv=notrunc 2>/dev/null
		cat >>"\$file" && : >"$T/whole" ;;
	put:expire)
		cat >"\$file"
		PGHOST=$PGHOST PGPORT=$PGPORT PGPASSFILE=$PGPASSFILE psql -XAtq -U postgres -d clinic -c "UPDATE expunge.archive SET state = 'expired' WHERE id = '\$id'" ;;
	get:good) exec cat "\$file" ;;
	get:garbage) cp "\$file" "$T/altered"; "$ROOT/tests/alter.sh" "$T/altered" 5000; exec cat "$T/altered" ;;
	get:short) exec head -c 50000 "\$file" ;;
	get:other) cat "\$(find "$OUT_SIDE" -type f ! -name "\$id" -size "-\$((\$(stat -c %s "\$file") / 1024))k" | head -n 1)" ;;
	get:endless) cat "\$file"; exec head -c 64M /dev/zero ;; # a program that takes all of it fills no disk
	get:fails) cat "\$file"; exit 9 ;;
	delete:good) exec rm -f "\$file" ;;
	delete:fails) echo 'not today' >&2; exit 1 ;;
	esac
SCRIPT
chmod 755 "$T/receiver"
put=good get=good delete=good
mode() { # mode TASK=WORD...
	local "$@"
	printf 'put=%s get=%s delete=%s\n' "$put" "$get" "$delete" >"$T/mode"
}
mode
PUT="store = [\"$T/receiver\", \"put\", \"{id}\"];" GET="fetch = [\"$T/receiver\", \"get\", \"{id}\"];" DELETE="remove = [\"$T/receiver\", \"delete\", \"{id}\"];"
directories=$(sed -n 's/^ *destinations = ( \(.*\) );$/\1/p' "$CONF")
outside() { # outside MEMBER...: a third destination, a command
	LINE="  destinations = ( $directories, { name = \"outside\"; $* } );" perl -pi -e 's/^ *destinations = .*/$ENV{LINE}/' "$CONF"
}
backup() { run expunge_as night backup "$@"; }
row() { sql clinic "SELECT array_to_string(destinations, ' ') || '/' || array_to_string(sending, ' ') FROM expunge.archive WHERE tenant = '$1' ORDER BY created_at DESC, finished_at DESC LIMIT 1"; }
all_rows() { sql clinic "SELECT DISTINCT array_to_string(destinations, ' ') || '/' || array_to_string(sending, ' ') FROM expunge.archive" | paste -sd ,; }
latest() { sql clinic "SELECT id FROM expunge.archive WHERE tenant = '$1' ORDER BY created_at DESC, finished_at DESC LIMIT 1"; }
# what is outside, and what should be: names and sums
has() { (cd "$OUT_SIDE" && find . -type f -exec sha256sum {} + | sed 's|\./||' | sort); }
should() { (cd "$T"/clinic/here/archives/*/ && sha256sum ./*.archive | sed 's|\./||; s|\.archive$||' | sort); }

# ---------------------------------------------------------------------------- any program
outside "store = [\"/usr/bin/dd\", \"of=$OUT_SIDE/{id}\", \"bs=64k\"];"
backup --dry-run
out_like 'to .*/here .*/there /usr/bin/dd$' "a dry run names the command"
nok "and runs nothing" test -n "$(has)"
backup
rc_is 0 "dd takes archives"
is "$(has)" "$(should)" "all of them, byte for byte"
is "$(all_rows)" "here there outside/" "as the catalogue says"
run expunge_as oscar backup list --tenant 1 --json
is "$(jq -r '.[].destinations' <<<"$OUT")" "here there outside" "and the list"

run expunge_as night check
out_like '^warning +destinations: outside: a command that nothing can be read back from' "check knows that nothing is read back"
backup --verify
is "$RC/$OUT" "0/8 good, 0 bad, 4 that cannot be read back" "--verify counts it apart, and it is no failure"
err_like 'in outside: cannot be read back' "and says where"

# ---------------------------------------------------------------------------- arguments
# shellcheck disable=SC2001 # two characters
outside "store = [\"$T/receiver\", \"put\", \"{id}\", \"$(sed 's/[\\"]/\\&/g' <<<"$ODD")\", \"\"]; $GET $DELETE"
backup --tenant 3
rc_is 0 "arguments with all that a shell would eat"
is "$(cat "$T/arguments")" "<put><$(latest 3)><${ODD/\{id\}/$(latest 3)}><>" "arrive as they are, with the id in its place"
run expunge_as night check
out_like '^ok +destinations: outside: a command$' "check is content"
chmod o+w "$T/receiver"
run expunge_as night check
out_like '^error +destinations: outside: others may write to' "a program that others may write is an error"
backup --tenant 3
rc_is 3 "and is not run"
err_like 'destination outside: archive .* was not taken: others may write to' "which is told"
chmod o-w "$T/receiver"
outside "$PUT $GET $DELETE"
backup
rc_is 0 "later it is"
is "$(has)/$(all_rows)" "$(should)/here there outside/" "and gets what it had missed, too"

# ---------------------------------------------------------------------------- order
mode put=look
backup --tenant 2
is "$RC/$(cat "$T/seen")" "0/complete|{here,there}|{outside} named journalled named journalled 0" \
	"before it gets a byte, catalogue and journals know the archive, it is named, and no key is held"
for place in here there; do mv "$T/clinic/$place/keys" "$T/keys.$place"; : >"$T/clinic/$place/keys"; done
: >"$T/calls"
backup --tenant 2
rc_is 3 "no journal can be written"
is "$(cat "$T/calls")" "" "it is not called"
for place in here there; do rm "$T/clinic/$place/keys"; mv "$T/keys.$place" "$T/clinic/$place/keys"; done

# ---------------------------------------------------------------------------- failures
failing() { # failing MODE MESSAGE NAME
	mode put="$1"
	backup --tenant 1
	rc_is 3 "$3"
	err_like "destination outside: archive [0-9a-f]{16} was not taken: .*$2" "is told"
	is "$(row 1)" "here there/outside" "and claimed nowhere"
	is "$(has | grep -c "$(should | grep "$(latest 1)")" || true)" "${4:-0}" "for it has not got it"
}
failing deaf 'ended before it had read everything' "a command that does not read"
failing half 'ended before it had read everything' "one that reads a part and is content"
failing killed 'was ended by signal 9' "one that is killed"
failing late 'receiver: exit code 1, quota.*exceeded$' "one that fails after it has read all" 1
nok "whose control characters reach nobody" grep -q "$(printf '\033')" "$T/err"
failing alter 'the file has changed while it was sent' "a file that changes under way"
nok "is not given to its end" test -e "$T/whole"
cp "$T"/clinic/there/archives/*/"$(latest 1).archive" "$T"/clinic/here/archives/*/
outside "timeout_seconds = 1; $PUT $GET $DELETE"
failing hang 'did not end within 1 seconds' "one that hangs"
: >"$T/calls"
backup --tenant 1
is "$(wc -l <"$T/calls")" 1 "one that fails is asked once, however much waits for it"
backup
rc_is 3 "all tenants"
is "$(sql clinic "SELECT count(*) FROM expunge.archive WHERE state <> 'complete'")/$(row 2)/$(row @nobody)" "0/here there/outside/here there/outside" "have their archives elsewhere"
run expunge_as watch status
out_like '^copies +0 missing, 0 bad, [1-9][0-9]* on their way to a command' "status counts them"
outside "$PUT $GET $DELETE"
rm -f "$T/hangs"
"$EXPUNGE" -c "$CONF" -U night backup --tenant 3 2>"$T/err" &
pid=$!
await "the command hangs" test -e "$T/hangs"
kill -TERM "$pid"
rc=0
wait "$pid" || rc=$?
nok "a run that is asked to stop does not wait for a command" test "$rc" = 0
is "$(row 3)" "here there/outside" "and claims nothing"
mode
backup
rc_is 0 "when it works again"
is "$(has)/$(all_rows)" "$(should)/here there outside/" "it gets everything"

# ---------------------------------------------------------------------------- killed
mode put=wait
"$EXPUNGE" -c "$CONF" -U night backup --tenant 1 2>/dev/null &
pid=$!
await "the command waits" test -e "$T/waits"
kill -9 "$pid"
wait "$pid" 2>/dev/null || true
: >"$T/go"
await "it sees an end" test -e "$T/ended"
is "$(row 1)" "here there/outside" "killed half-way: what it was given is not claimed"
nok "although it takes it for all" cmp -s "$OUT_SIDE/$(latest 1)" "$T/clinic/here/archives/"*/"$(latest 1).archive"
mode
backup --tenant 1
is "$RC/$(has)/$(all_rows)" "0/$(should)/here there outside/" "the next run sends it again"

# ---------------------------------------------------------------------------- read back
n=$(sql clinic 'SELECT count(*) FROM expunge.archive')
backup --verify
is "$RC/$OUT" "0/$((3 * n)) good, 0 bad" "what it gives back is read to its last frame"
bad() { # bad MODE MESSAGE NAME
	mode get="$1"
	backup --verify --tenant 1
	rc_is 3 "$3"
	err_like "archive $(latest 1 | cut -c 1-16) in outside: .*$2" "is told"
	out_like "^[0-9]+ good, $(sql clinic "SELECT count(*) FROM expunge.archive WHERE tenant = '1'") bad$" "as bad"
}
bad garbage 'altered' "a byte that is another"
bad short 'truncated' "a part of it"
bad other 'another archive than the one that was written' "an archive that is whole, but another one"
bad endless 'more bytes come back than the archive has' "more than it was given"
bad fails 'exit code 9' "all of it, and an exit code"
mode
run bash -c 'ulimit -f 200; exec "$@"' limited "$EXPUNGE" -c "$CONF" -U night backup --verify --tenant 1
rc_is 3 "no room for what comes back"
err_like 'in outside: writing to a file in the state directory: ' "is told"
is "$(find "$T/clinic/state" -name '.*' -type f; find "$T/clinic/state" -name 'fetched*')" "" "nothing lies about"

# ---------------------------------------------------------------------------- restore
empty() {
	sql postgres "CREATE DATABASE $1 TEMPLATE template0"
	psql -XAtq -v ON_ERROR_STOP=1 -d "$1" -f "$ROOT/tests/sample/schema.sql" >/dev/null
	sed -n 's/.*table = "\([a-z_.]*\)".*action = "reference".*/\1/p' "$ROOT/etc/maps/sample.conf" |
		while read -r table; do pg_dump -d clinic --data-only -t "$table"; done | psql -XAtq -v ON_ERROR_STOP=1 -d "$1" >/dev/null
}
restore() { run expunge_as night restore --into "host=$PGHOST port=$PGPORT dbname=$1 user=postgres" --disable-triggers --tenant 1; }
empty copy
empty fetched
: >"$T/calls"
restore copy
is "$RC/$(cat "$T/calls")" 0/ "a practice is restored; while a directory has it, no command is asked"
for place in here there; do mv "$T/clinic/$place/archives" "$T/archives.$place"; mkdir -m 0700 "$T/clinic/$place/archives"; done
mode get=garbage
restore fetched
rc_is 1 "a copy that was altered"
err_like 'destination outside: .*altered' "is told"
is "$(sql fetched 'SELECT count(*) FROM app.patient')" 0 "and loaded nowhere"
outside "$PUT $DELETE"
restore fetched
rc_is 1 "without fetch"
err_like 'destination outside: it has no fetch command' "nothing can be had"
outside "$PUT $GET $DELETE"
mode
restore fetched
rc_is 0 "with it the practice is restored from there"
"$ROOT/tests/sample/rows.sh" copy >"$T/copy"
"$ROOT/tests/sample/rows.sh" fetched >"$T/fetched"
is "$(diff "$T/copy" "$T/fetched" | cut -c 1-60 | head -n 3)" "" "the same"
# not to be sent is what no directory has any more
sql clinic "UPDATE expunge.archive SET destinations = '{here,there}', sending = '{outside}' WHERE id = '$(latest 2)'"
lost=$(latest 2)
for place in here there; do rmdir "$T/clinic/$place/archives" && mv "$T/archives.$place" "$T/clinic/$place/archives"; done
"$ROOT/tests/alter.sh" "$(echo "$T"/clinic/here/archives/*/"$lost.archive")" 5000
rm "$OUT_SIDE/$lost"
backup --tenant 2
rc_is 0 "of a damaged and a whole copy"
ok "the whole one is sent" cmp "$OUT_SIDE/$lost" "$T/clinic/there/archives/"*/"$lost.archive"
cp "$OUT_SIDE/$lost" "$T"/clinic/here/archives/*/"$lost.archive"
run expunge_as night drill
rc_is 0 "drills are of directories"

# ---------------------------------------------------------------------------- expiry
sed -i 's/^archives : {/&\nkeep_hourly = 1;/' "$CONF"
mode put=expire
sql clinic "UPDATE expunge.archive SET created_at = now() - interval '5 hours' WHERE tenant = '3'"
backup --tenant 3
ok "what has expired while it was sent" test -z "$(find "$OUT_SIDE" -name "$(latest 3)")"
sql clinic "UPDATE expunge.archive SET state = 'complete' WHERE id = '$(latest 3)'"
mode
backup --tenant 3
is "$(row 3)" "here there outside/" "does not stay"
hours_ago() { sql clinic "UPDATE expunge.archive SET created_at = created_at - interval '3 hours'"; }
hours_ago
mode put=half
backup
mode delete=fails
run expunge_as night backup --expire
rc_is 3 "old archives expire, and a command does not remove them"
err_like 'destination outside: [0-9]+ files of expired archives are still there: .*exit code 1, not today' "is told"
is "$(sql clinic "SELECT DISTINCT array_to_string(destinations || sending, ' ') FROM expunge.archive WHERE state = 'expired'")" outside "the catalogue keeps them"
is "$(sql clinic "SELECT count(*) FROM expunge.key_leaf WHERE kind = 'generation' AND shredded_epoch IS NULL AND id IN (SELECT generation FROM expunge.archive WHERE state = 'expired')")" 0 "their keys are gone"
mode
scheduled clinic 1 42 >/dev/null
run expunge_as night nightly
rc_is 0 "the next night"
is "$(sql clinic "SELECT count(*) FROM expunge.archive WHERE state = 'expired'")" 0 "has them removed"
backup
is "$(has)/$(all_rows)" "$(should)/here there outside/" "and nothing else"
# what is on its way, and perhaps there in part, is removed, too
hours_ago
mode put=half
backup --tenant 1
hours_ago
mode
outside "store = [\"$T/receiver\", \"put\", \"{id}\"]; $DELETE" # the command of before
mode put=killed
backup --tenant 1
is "$(find "$OUT_SIDE" -type f -size -3 | wc -l)" 1 "there is a part of an archive"
run expunge_as night backup --expire
rc_is 0 "an archive that was on its way expires"
is "$(find "$OUT_SIDE" -type f -size -3 | wc -l)" 0 "and what there was of it is removed"
outside "$PUT"
mode
backup
hours_ago
backup
count=$(find "$OUT_SIDE" -type f | wc -l)
run expunge_as night backup --expire --json
is "$RC/$(jq -r '.files_left, (.files_staying > 0)' <<<"$OUT" | paste -sd /)" "0/0/true" "without remove they stay, and JSON counts them"
err_like 'destination outside: [0-9]+ expired archives stay there, it has no remove command' "which is said"
is "$(find "$OUT_SIDE" -type f | wc -l)/$(sql clinic "SELECT count(*) FROM expunge.archive WHERE state = 'expired'")" "$count/0" "and holds no entry up"

# ---------------------------------------------------------------------------- one directory, and the command
directories=${directories%%, \{ name = \"there\"*}
outside "$PUT $GET $DELETE"
run expunge_as night check
out_like '^warning +destinations: there is one directory only' "a command is no second place of the key journal, check says"

done_testing

#!/usr/bin/env bash
# Archives that have expired and are needed: they are sent, kept and copied like those that refer to them, wherever these are.
. "$(dirname "$0")/../lib.sh"
fresh_db clinic
install clinic
with_keys 2>/dev/null
backup() { run expunge_as night backup "$@"; }
latest() { sql clinic "SELECT id FROM expunge.archive WHERE tenant = '1' ORDER BY created_at DESC, finished_at DESC LIMIT 1"; }
older() { sql clinic "UPDATE expunge.archive SET created_at = created_at - interval '$1', seq = (SELECT key_seq FROM expunge.key_tree)"; }
state() { sql clinic "SELECT state || ' ' || array_to_string(destinations, ',') || ' ' || array_to_string(sending, ',') FROM expunge.archive WHERE id = '$1'"; }
destination() { # destination TEXT: one more
	LINE=", { $1 } );" perl -pi -e 's/ \);$/$ENV{LINE}/ if /^ *destinations = /' "$CONF"
}
mkdir "$T/outside"
cat >"$T/receiver" <<-SCRIPT
	#!/bin/bash
	case \$1 in
	put)
		[ ! -e "$T/away" ] || { cat >/dev/null; exit 1; }
		cat >"$T/outside/\$2"
		[ "\$(cat "$T/slow" 2>/dev/null)" != "\$2" ] || { touch "$T/waits"; while [ -e "$T/slow" ]; do sleep 0.1; done; } ;;
	get) echo "\$2" >>"$T/gets" && cat "$T/outside/\$2" ;;
	remove) rm -f "$T/outside/\$2" ;;
	esac
SCRIPT
chmod 755 "$T/receiver"
destination "name = \"outside\"; store = [\"$T/receiver\", \"put\", \"{id}\"]; fetch = [\"$T/receiver\", \"get\", \"{id}\"]; remove = [\"$T/receiver\", \"remove\", \"{id}\"];"
sed -i 's/^archives : {/&\n  keep_hourly = 1;/' "$CONF"

# ---------------------------------------------------------------------------- a command that was away
touch "$T/away"
backup --tenant 1
first=$(latest)
older '3 hours'
backup --tenant 1
backup --expire
rc_is 0 "the first archive expires before a command has taken it"
is "$(state "$first")" "expired here,there outside" "its file stays: the second refers to it"
rm "$T/away"
older '3 hours'
backup --tenant 1
rc_is 0 "the command is back"
is "$(state "$first")" "expired here,there,outside " "and is given what is needed, too"
backup --verify --tenant 1
is "$RC/$OUT" "0/9 good, 0 bad" "all is good, there as well"

# ---------------------------------------------------------------------------- a file that is bad there
"$ROOT/tests/alter.sh" "$T/outside/$first" 5000
backup --verify --repair --tenant 1
is "$RC/$OUT" "3/6 good, 2 bad, 1 repaired" "a needed file that is bad with a command: it is to be sent again"
backup --tenant 1
backup --verify --tenant 1
is "$RC/$OUT" "0/12 good, 0 bad" "and is good again with the next backup"

# ---------------------------------------------------------------------------- it expires while it is sent
touch "$T/away"
backup --tenant 1 --full
second=$(latest)
older '3 hours'
backup --tenant 1
rm "$T/away"
echo "$second" >"$T/slow"
expunge_as night backup --tenant 1 >"$T/slow.out" 2>&1 &
for ((i = 0; i < 600; i++)); do
	[ ! -e "$T/waits" ] || break
	sleep 0.1
done
ok "a command takes its time" test -e "$T/waits"
backup --expire
is "$(state "$second")" "expired here,there outside" "what it is given expires meanwhile, and is needed"
rm "$T/slow"
wait
ok "it stays there" test -e "$T/outside/$second"
is "$(state "$second")" "expired here,there,outside " "and the catalogue knows"
backup --verify --tenant 1
is "$RC/$(grep -o ', .* bad' <<<"$OUT")" "0/, 0 bad" "nothing that refers to it is bad"

# ---------------------------------------------------------------------------- a directory that is new
mkdir -m 0700 "$T/clinic/third"
destination "name = \"third\"; directory = \"$T/clinic/third\";"
run expunge_as night keys mark "$T/clinic/third"
rc_is 0 "a directory is marked"
backup --verify --tenant 1
n=$(grep -o '[0-9]* missing' <<<"$OUT")
is "$RC/$n" "0/$(sql clinic "SELECT count(*) FROM expunge.archive") missing" "a new directory lacks every file"
backup --verify --repair --tenant 1
is "$RC/$(grep -o '[0-9]* bad.*' <<<"$OUT")" "0/0 bad, ${n% *} repaired" "is given all"
backup --verify --tenant 1
is "$RC/$(grep -o ', .* bad.*' <<<"$OUT")" "0/, 0 bad" "and what it was given is good there"

# ---------------------------------------------------------------------------- many files, and only a command has them
rm -r "$T/gets" "$T/clinic/third"
perl -pi -e 's/, \{ name = "third";[^}]*\}//' "$CONF"
backup --tenant 1 --full
for ((i = 0; i < 66; i++)); do
	sql clinic "UPDATE app.patient SET phone = '$i' WHERE id IN (SELECT id FROM app.patient WHERE practice_id = 1 ORDER BY id % 17, id LIMIT 2 OFFSET 2 * $i)" >/dev/null
	backup --tenant 1
done
is "$(sql clinic "SELECT cardinality(needs) > 64 FROM expunge.archive WHERE id = '$(latest)'")" t "an archive refers to more files than are open at a time"
rm -r "$T/clinic/here/archives" "$T/clinic/there/archives"
sql postgres "CREATE DATABASE copy TEMPLATE template0"
psql -XAtq -v ON_ERROR_STOP=1 -d copy -f "$ROOT/tests/sample/schema.sql" >/dev/null
sed -n 's/.*table = "\([a-z_.]*\)".*action = "reference".*/\1/p' "$ROOT/etc/maps/sample.conf" |
	while read -r table; do pg_dump -d clinic --data-only -t "$table"; done | psql -XAtq -v ON_ERROR_STOP=1 -d copy >/dev/null
run expunge_as night restore --into "host=$PGHOST port=$PGPORT dbname=copy user=postgres" --disable-triggers --tenant 1
rc_is 0 "it is restored from there"
is "$(sort "$T/gets" | uniq -d | wc -l)" 0 "and each file is fetched once"
done_testing

#!/usr/bin/env bash
# Backups that refer to earlier ones for what has not changed: what is written again, what is restored, what expires when, who is
# unreadable where, and what happens when a file that is referred to is missing, altered, or too old.
. "$(dirname "$0")/../lib.sh"
fresh_db clinic
install clinic
with_keys 2>/dev/null
backup() { run expunge_as night backup "$@"; }
ids() { sql clinic "SELECT id FROM expunge.archive WHERE tenant = '1' ORDER BY created_at, finished_at"; }
latest() { ids | tail -n 1; }
file() { echo "$T/clinic/$1/archives"/*/"$2.archive"; }
needs() { sql clinic "SELECT cardinality(needs) FROM expunge.archive WHERE id = '$1'"; }
unchanged() { grep -o '[0-9]* of them unchanged' "$T/err" | cut -d ' ' -f 1; }
frames() { sql clinic "SELECT n_frames FROM expunge.archive WHERE id = '$(latest)'"; }
older() { sql clinic "UPDATE expunge.archive SET created_at = created_at - interval '$1', seq = (SELECT key_seq FROM expunge.key_tree)"; }
forget() { # forget ARCHIVE: as if it had not been made
	sql clinic "DELETE FROM expunge.archive WHERE id = '$1'"
	find "$T/clinic/here" "$T/clinic/there" -name "$1.archive" -delete
}
restored=0
# restore [OPTION...]: rows into $copy, what is said in $ERR
restore() {
	restored=$((restored + 1)) copy=copy$restored
	sql postgres "CREATE DATABASE $copy TEMPLATE template0"
	psql -XAtq -v ON_ERROR_STOP=1 -d "$copy" -f "$ROOT/tests/sample/schema.sql" >/dev/null
	sed -n 's/.*table = "\([a-z_.]*\)".*action = "reference".*/\1/p' "$ROOT/etc/maps/sample.conf" |
		while read -r table; do pg_dump -d clinic --data-only -t "$table"; done | psql -XAtq -v ON_ERROR_STOP=1 -d "$copy" >/dev/null
	run expunge_as night restore --into "host=$PGHOST port=$PGPORT dbname=$copy user=postgres" --disable-triggers --tenant 1 "$@"
}
rows() { # rows DB: of practice 1, as text
	psql -XAtq -d "$1" -c "SELECT 'p', p.* FROM app.patient p WHERE practice_id = 1" \
		-c "SELECT 'a', a.* FROM app.appointment a JOIN app.patient p ON p.id = a.patient_id WHERE p.practice_id = 1" \
		-c "SELECT 'n', n.id, n.body FROM app.note n JOIN app.appointment a ON a.id = n.appointment_id JOIN app.patient p ON p.id = a.patient_id
			WHERE p.practice_id = 1" | LC_ALL=C sort
}

# ---------------------------------------------------------------------------- what is written again
backup --tenant 1
is "$RC/$(unchanged)/$(needs "$(latest)")" 0/0/0 "the first backup writes everything"
first=$(latest)
patient=$(sql clinic "SELECT min(id) FROM app.patient WHERE practice_id = 1")
other=$(sql clinic "SELECT max(id) FROM app.patient WHERE practice_id = 1")
backup --tenant 1
second=$(latest)
is "$RC/$(unchanged)/$(needs "$second")" "0/$(frames)/1" "the next one refers to all of it"
ok "and is small" test "$(stat -c %s "$(file here "$second")")" -lt $(($(stat -c %s "$(file here "$first")") / 5))
sql clinic "UPDATE app.appointment SET reason = 'x' || substr(reason, 2) WHERE patient_id = $patient" >/dev/null # of the same length
backup --tenant 1
third=$(latest)
is "$RC/$(unchanged)/$(needs "$third")" "0/$(($(frames) - 1))/1" "a patient who has changed is written again, and nobody else"
sql clinic "CLUSTER app.appointment USING appointment_pkey" "UPDATE app.appointment SET reason = reason WHERE patient_id = $other" >/dev/null 2>&1
backup --tenant 1
fourth=$(latest)
is "$(needs "$fourth")" 2 "an archive refers to the files where rows lie, not to those that refer to them"
restore
is "$RC/$(diff <(rows clinic) <(rows "$copy") | head -n 3)" 0/ "the last restores as the practice is"
restore --generation "$second"
is "$RC" 0 "one between, too"
is "$(sql "$copy" "SELECT count(*) FROM app.appointment WHERE reason LIKE 'x%'")" 0 "as it was then"
backup --verify --tenant 1
is "$RC/$OUT" "0/8 good, 0 bad" "all are good"
backup --tenant 1 --full
is "$RC/$(unchanged)/$(needs "$(latest)")" 0/0/0 "--full writes everything"
forget "$(latest)"

# ---------------------------------------------------------------------------- damage
damaged() { # damaged NAME COMMAND...: the copy of $first in `there`; who refers to it is bad there, and good here
	local name=$1 path
	shift
	path=$(file there "$first")
	cp -p "$path" "$T/kept"
	"$@"
	backup --verify --tenant 1
	is "$RC/$OUT" "3/4 good, 4 bad" "$name: every archive there that refers to it is bad, and none here"
	err_like "archive $(cut -c 1-16 <<<"$fourth") in there: archive $(cut -c 1-16 <<<"$first"), where some of its rows lie" "$name: which is named"
	restore
	is "$RC/$(diff <(rows clinic) <(rows "$copy") | head -n 3)" 0/ "$name: it is restored from the other place"
	backup --tenant 1
	rc_is 0 "$name: a backup goes on"
	is "$(sql clinic "SELECT '$first' = ANY (needs) FROM expunge.archive WHERE id = '$(latest)'")" f "$name: and refers to it no more"
	forget "$(latest)"
	cp -p "$T/kept" "$path"
	backup --verify --tenant 1
	rc_is 0 "$name: until it is found whole again"
}
damaged "an altered file" "$ROOT/tests/alter.sh" "$(file there "$first")" 5000
damaged "a missing file" rm "$(file there "$first")"
damaged "a file that is cut short" truncate -s -1000 "$(file there "$first")"
damaged "another archive under its name" cp "$(file there "$second")" "$(file there "$first")"
for harm in "rm" "truncate -s -1000"; do # nobody has verified it
	cp -p "$(file there "$first")" "$T/kept"
	path=$(file there "$first")
	$harm "$path"
	backup --tenant 1
	is "$RC/$(sql clinic "SELECT '$first' = ANY (needs) FROM expunge.archive WHERE id = '$(latest)'")" 0/f "$harm: a file that is not there in its length is not referred to"
	forget "$(latest)"
	cp -p "$T/kept" "$path"
done
mv "$T/clinic/there/archives" "$T/away"
backup --tenant 1
rc_is 0 "a directory that was emptied"
is "$(needs "$(latest)")" 0 "gets everything"
err_like 'everything is written again: [0-9]+ earlier archives are not whole in every directory' "and that is told"
rm -rf "$T/clinic/there/archives"
mv "$T/away" "$T/clinic/there/archives"
forget "$(latest)"
cp -p "$(file here "$fourth")" "$T/kept"
for place in here there; do "$ROOT/tests/alter.sh" "$(file $place "$fourth")" $(($(stat -c %s "$(file $place "$fourth")") - 300)); done
backup --tenant 1
is "$RC/$(needs "$(latest)")" 0/0 "where the latest cannot be read, all is written again"
err_like 'everything is written again: archive [0-9a-f]*: ' "and that is told"
forget "$(latest)"
for place in here there; do cp -p "$T/kept" "$(file $place "$fourth")"; done

# ---------------------------------------------------------------------------- the schema
sql clinic "ALTER TABLE app.patient RENAME COLUMN phone TO telephone" 2>/dev/null
backup --tenant 1
is "$(sql clinic "SELECT count(*) FROM expunge.archive WHERE tenant = '1'")/$RC" "4/2" "columns that the map does not know: no backup"
sql clinic "ALTER TABLE app.patient RENAME COLUMN telephone TO phone" "ALTER TABLE app.patient ADD COLUMN added text"
backup --tenant 1
is "$(needs "$(latest)")" 0 "another column: nothing is referred to"
sql clinic "ALTER TABLE app.patient DROP COLUMN added"
forget "$(latest)"

# ---------------------------------------------------------------------------- erased
erased=$(sql clinic "SELECT id FROM app.patient WHERE practice_id = 1 AND id NOT IN ($patient, $other) ORDER BY id LIMIT 1")
approve clinic "$(file_request clinic 1 "$erased")" >/dev/null
run expunge_as night nightly
rc_is 0 "a patient is erased"
for generation in "$first" "$second" "$fourth"; do
	restore --generation "$generation"
	is "$RC/$(sql "$copy" "SELECT count(*) FROM app.patient WHERE id = $erased")/$(sql "$copy" "SELECT count(*) FROM app.patient WHERE id = $patient")" 0/0/1 \
		"generation $(cut -c 1-8 <<<"$generation") has everybody but that patient"
	out_like ' [1-9][0-9]* rows withheld' "and says so"
done
backup --tenant 1
restore
is "$RC/$(diff <(rows clinic) <(rows "$copy") | head -n 3)" 0/ "a backup after it restores as the practice is now"
out_like ' 0 rows withheld' "nothing of it is left out"

# ---------------------------------------------------------------------------- expiry
size=$(stat -c %s "$(file here "$first")")
sed -i 's/^archives : {/&\n  keep_hourly = 1;/' "$CONF"
older '3 hours'
backup --tenant 1
sixth=$(latest)
backup --expire
rc_is 0 "all but the last expire"
is "$(sql clinic "SELECT string_agg(state, ' ' ORDER BY created_at, finished_at) FROM expunge.archive WHERE tenant = '1' AND id IN ('$first', '$sixth')")" \
	"expired complete" "their keys are shredded"
for place in here there; do
	ok "what the last refers to stays ($place)" test "$(stat -c %s "$(file $place "$first")")" = "$size"
	nok "what it does not is gone ($place)" test -e "$(file $place "$second")"
done
is "$(sql clinic "SELECT expired FROM expunge.status_archive")" 0 "status does not miss its removal"
run expunge_as night backup list --tenant 1
out_like "^$(cut -c 1-16 <<<"$first").* needed" "backup list says why it is there"
restore --generation "$first"
nok "it cannot be restored by itself" test "$RC" = 0
restore
is "$RC/$(diff <(rows clinic) <(rows "$copy") | head -n 3)" 0/ "and the last restores with what expired ones hold"
backup --verify --tenant 1
is "$RC/$OUT" "0/8 good, 0 bad" "it is good, and so are the three expired files it refers to"
"$ROOT/tests/alter.sh" "$(file there "$first")" 5000
backup --verify --tenant 1
is "$RC/$OUT" "3/6 good, 2 bad" "an expired file that is altered, and what refers to it"
run bash -c 'ulimit -f 100; exec "$@"' limited "$EXPUNGE" -c "$CONF" -U night backup --verify --repair --tenant 1
is "$RC/$OUT" "3/6 good, 2 bad, 0 repaired" "while there is no room for it, what refers to it is not called repaired"
backup --verify --repair --tenant 1
is "$RC/$OUT" "0/7 good, 0 bad, 1 repaired" "it is copied from where it is whole"
ok "byte for byte" cmp "$(file here "$first")" "$(file there "$first")"
"$ROOT/tests/alter.sh" "$(file there "$first")" 5000
"$ROOT/tests/alter.sh" "$(file here "$first")" 6000
backup --verify --repair --tenant 1
is "$RC/$OUT" "3/4 good, 4 bad, 0 repaired" "what is whole nowhere is not called repaired, nor what refers to it"
backup --tenant 1
is "$RC/$(sql clinic "SELECT '$first' = ANY (needs) FROM expunge.archive WHERE id = '$(latest)'")" 0/f "the next backup writes it again"
forget "$(latest)"
"$ROOT/tests/alter.sh" "$(file there "$first")" 5000
"$ROOT/tests/alter.sh" "$(file here "$first")" 6000
backup --verify --tenant 1
is "$RC/$OUT" "0/8 good, 0 bad" "good again"
run expunge_as night drill
rc_is 0 "journal and root open it, too"

# ---------------------------------------------------------------------------- and an end
older '31 days'
backup --tenant 1
seventh=$(latest)
is "$RC/$(needs "$seventh")" 0/0 "what lies in files of a month ago is written again"
older '3 hours'
backup --tenant 1
is "$(sql clinic "SELECT needs[1] FROM expunge.archive WHERE id = '$(latest)'")/$(needs "$(latest)")" "$seventh/1" "and is what the next refers to"
backup --expire
rc_is 0 "when nobody needs them"
is "$(find "$T/clinic/here/archives" "$T/clinic/there/archives" -name '*.archive' | wc -l)/$(sql clinic "SELECT count(*) FROM expunge.archive")" 4/2 "the old files go"

# ---------------------------------------------------------------------------- a destination that is a command
mkdir "$T/outside"
cat >"$T/receiver" <<-SCRIPT
	#!/bin/bash
	case \$1 in
	put) cat >"$T/outside/\$2" ;;
	get) cat "$T/outside/\$2" ;;
	esac
SCRIPT
chmod 755 "$T/receiver"
LINE=", { name = \"outside\"; store = [\"$T/receiver\", \"put\", \"{id}\"]; fetch = [\"$T/receiver\", \"get\", \"{id}\"]; } );" \
	perl -pi -e 's/ \);$/$ENV{LINE}/ if /^ *destinations = /' "$CONF"
backup --tenant 1
eighth=$(latest)
is "$RC/$(needs "$eighth")/$(find "$T/outside" -type f | wc -l)" 0/1/1 "what it has not got yet is no reason to write everything"
backup --verify --tenant 1
is "$RC/$OUT" "3/6 good, 1 bad, 2 missing" "but its copy is not whole"
err_like "in outside: archive $(cut -c 1-16 <<<"$seventh"), where some of its rows lie" "and why is told"
backup --tenant 1 --full
backup --tenant 1
for place in here there; do mv "$T/clinic/$place/archives" "$T/archives.$place"; mkdir -m 0700 "$T/clinic/$place/archives"; done
restore
is "$RC/$(diff <(rows clinic) <(rows "$copy") | head -n 3)" 0/ "an archive and what it refers to are fetched"
for place in here there; do rmdir "$T/clinic/$place/archives" && mv "$T/archives.$place" "$T/clinic/$place/archives"; done

# ---------------------------------------------------------------------------- many generations
for n in $(seq 68); do
	sql clinic "UPDATE app.appointment SET reason = 'changed $n' WHERE patient_id =
		(SELECT id FROM app.patient WHERE practice_id = 2 ORDER BY id OFFSET $n LIMIT 1)" >/dev/null
	expunge_as night backup --tenant 2 2>/dev/null || break
done
is "$(sql clinic "SELECT max(cardinality(needs)) FROM expunge.archive WHERE tenant = '2'")" 67 "an archive that refers to 67 others"
run bash -c 'ulimit -n 80; exec "$@"' limited "$EXPUNGE" -c "$CONF" -U night backup --verify --tenant 2
is "$RC/$OUT" "0/204 good, 0 bad" "all are checked, with a few files open at a time"

# ---------------------------------------------------------------------------- adoption
pg_dump -Fc -f "$T/dump" clinic
backup --tenant 1
last=$(latest)
sql postgres 'ALTER DATABASE clinic RENAME TO lost' 'CREATE DATABASE clinic TEMPLATE template0'
pg_restore -d clinic "$T/dump" 2>/dev/null
run expunge_as postgres restore --adopt
rc_is 0 "a database from before the last backup is adopted"
is "$(latest)/$(needs "$last")" "$last/1" "the catalogue knows again what refers to what"
restore
is "$RC/$(diff <(rows clinic) <(rows "$copy") | head -n 3)" 0/ "and it restores"
done_testing

#!/usr/bin/env bash
# Foreign stores, through the command destination and nothing between: a real restic repository, and rclone. What is there is what
# a directory has; it is read back, restored from, and removed; who was erased stays unreadable in what was taken before; and a
# store that refuses is told, and never claimed to have anything.
. "$(dirname "$0")/../lib.sh"
. "$ROOT/tests/integration/sessions.bash"

for program in restic rclone; do
	[ -x "/usr/bin/$program" ] || skip_all "no /usr/bin/$program here"
done

fresh_db clinic
install clinic
with_keys 2>/dev/null
sed -i 's/^archives : {/&\n  reuse_days = 0;/' "$CONF" # each archive by itself; 63-incremental.sh has the others
set_option wait_seconds 30
cp "$CONF" "$T/plain.conf"
directories=$(sed -n 's/^ *destinations = ( \(.*\) );$/\1/p' "$CONF")
outside() { # outside DESTINATION...: besides the directories
	LINE="  destinations = ( $directories$(printf ', %s' "$@") );" perl -p -e 's/^ *destinations = .*/$ENV{LINE}/' "$T/plain.conf" >"$CONF"
}
R="$T/restic repository" PASSWORD=$T/restic.password
password >"$PASSWORD"
# as doc/archive.md has them, but for the places
documented() { sed -n "/^    { name = \"$1\"/,/}\$/p" "$ROOT/doc/archive.md" | tr '\n' ' '; }
restic_destination() { # restic_destination [REPOSITORY [PASSWORD FILE]]
	documented restic | sed "s|/mnt/nas/expunge|${1:-$R}|g; s|/etc/expunge/restic.password|${2:-$PASSWORD}|g"
}
rclone_destination() { documented rclone | sed "s|/etc/expunge/rclone.conf|$T/rclone.conf|g"; }
restic() { /usr/bin/restic --repo "$R" --password-file "$PASSWORD" --no-cache --quiet "$@"; }
snapshots() { restic snapshots --json | jq -r '.[].tags[]' | sort; }
archives() { sql clinic "SELECT id FROM expunge.archive WHERE state = 'complete' ORDER BY id"; }
latest() { sql clinic "SELECT id FROM expunge.archive WHERE tenant = '$1' ORDER BY created_at DESC, finished_at DESC LIMIT 1"; }
row() { sql clinic "SELECT array_to_string(destinations, ' ') || '/' || array_to_string(sending, ' ') FROM expunge.archive WHERE id = '$(latest "$1")'"; }
backup() { run expunge_as night backup "$@"; }
in_directories() { [ -n "$(find "$T/clinic/here/archives" "$T/clinic/there/archives" -name "$1.archive")" ]; }
away() { for place in here there; do mv "$T/clinic/$place/archives" "$T/archives.$place" && mkdir -m 0700 "$T/clinic/$place/archives"; done; }
back() { for place in here there; do rmdir "$T/clinic/$place/archives" && mv "$T/archives.$place" "$T/clinic/$place/archives"; done; }
empty() {
	sql postgres "CREATE DATABASE $1 TEMPLATE template0"
	psql -XAtq -v ON_ERROR_STOP=1 -d "$1" -f "$ROOT/tests/sample/schema.sql" >/dev/null
	sed -n 's/.*table = "\([a-z_.]*\)".*action = "reference".*/\1/p' "$ROOT/etc/maps/sample.conf" |
		while read -r table; do pg_dump -d clinic --data-only -t "$table"; done | psql -XAtq -v ON_ERROR_STOP=1 -d "$1" >/dev/null
}
restore() { # restore DB [OPTION...]
	run expunge_as night restore --into "host=$PGHOST port=$PGPORT dbname=$1 user=postgres" --disable-triggers --tenant 1 "${@:2}"
}
rows_of() { "$ROOT/tests/sample/rows.sh" "$1"; }

# ---------------------------------------------------------------------------- stored, read back
restic init >/dev/null
mkdir -m 0700 "$T/cloud" "$T/cloud/archives"
printf '[cloud]\ntype = alias\nremote = %s\n' "$T/cloud" >"$T/rclone.conf"
outside "$(restic_destination)" "$(rclone_destination)"
run expunge_as night check
out_like '^ok +destinations: restic: a command$' "check is content with restic"
out_like '^ok +destinations: rclone: a command$' "and with rclone"
backup
rc_is 0 "archives of all practices go to restic and rclone"
is "$(snapshots)" "$(archives)" "a snapshot each, tagged with the archive's id"
is "$(row 1)" "here there restic rclone/" "the catalogue says so"
same=yes
for id in $(archives); do
	restic dump --tag "$id" latest "/$id.archive" | cmp - "$T"/clinic/here/archives/*/"$id.archive" || same=no
	cmp "$T/cloud/archives/$id.archive" "$T"/clinic/here/archives/*/"$id.archive" || same=no
done
is "$same" yes "both hold the same bytes"
ok "restic finds its repository whole" restic check --read-data
n=$(archives | wc -l)
backup --verify
is "$RC/$OUT" "0/$((4 * n)) good, 0 bad" "both are read back to the last frame"

# ---------------------------------------------------------------------------- restored from
before=$(latest 1)
empty whole
restore whole
rc_is 0 "a practice is restored from a directory"
rows_of whole >"$T/whole"
away
outside "$(restic_destination)"
empty restic
restore restic
rc_is 0 "with all directories empty it is restored from restic"
rows_of restic >"$T/restored"
is "$(diff "$T/whole" "$T/restored" | head -n 3 | cut -c 1-60)" "" "the same"
outside "$(rclone_destination)"
empty rclone
restore rclone
rc_is 0 "and from rclone"
rows_of rclone >"$T/restored"
is "$(diff "$T/whole" "$T/restored" | head -n 3 | cut -c 1-60)" "" "the same"
back
outside "$(restic_destination)" "$(rclone_destination)"

# ---------------------------------------------------------------------------- who was erased
mapfile -t his < <(sample_markers clinic 42)
scheduled clinic 1 42 >/dev/null
run expunge_as night nightly
rc_is 0 "a patient is erased"
ok "the snapshot of before is there, as it was" cmp <(restic dump --tag "$before" latest "/$before.archive") "$T/clinic/here/archives/"*/"$before.archive"
away
for store in restic rclone; do
	outside "$("${store}_destination")"
	empty "after_$store"
	restore "after_$store" --generation "$before"
	rc_is 0 "$store: the archive of before his erasure is restored"
	out_like '[1-9][0-9]* rows withheld' "$store: and says what it withholds"
	rows_of "after_$store" >"$T/after"
	is "$(diff -a "$T/whole" "$T/after" | grep -c "^>" || true)" 0 "$store: nothing is there that was not"
	{ diff -a "$T/whole" "$T/after" || true; } | sed -n "s/^< //p" >"$T/withheld"
	is "$(grep -c '^app.patient:' "$T/withheld")/$(sed -n 's/^app.patient:(\([0-9]*\),.*/\1/p' "$T/withheld")" 1/42 "$store: of the patients exactly he is missing"
	ok "$store: with no more rows than are withheld" \
		test "$(wc -l <"$T/withheld")" -le "$(sed -n 's/.* \([0-9]*\) rows withheld.*/\1/p' <<<"$OUT")"
	no_trace "after_$store" "$store: of whom there is no trace" "${his[@]}"
done
back
outside "$(restic_destination)" "$(rclone_destination)"

# ---------------------------------------------------------------------------- failures
refused() { # refused MESSAGE NAME
	backup --tenant 1
	rc_is 3 "$2"
	err_like "destination restic: archive $(latest 1 | cut -c 1-16) was not taken: /usr/bin/restic: .*$1" "$2 is told"
	is "$(row 1)" "here there rclone/restic" "$2: it is claimed nowhere, and the others have theirs"
	is "$(snapshots | grep -c "$(latest 1)" || true)" 0 "$2: for it is not there"
}
taken() { # taken NAME
	outside "$(restic_destination)" "$(rclone_destination)"
	backup --tenant 1
	rc_is 0 "$1, and the next backup"
	is "$(snapshots)" "$(archives)" "sends what was missed"
	is "$(sql clinic "SELECT count(*) FROM expunge.archive WHERE sending <> '{}'")" 0 "and the catalogue says so"
}
printf 'another password' >"$T/wrong.password"
outside "$(restic_destination "$R" "$T/wrong.password")" "$(rclone_destination)"
refused 'exit code 1, Fatal: wrong password or no key found' "a wrong password"
backup --verify --tenant 1
rc_is 3 "nor is anything read back with it"
err_like 'in restic: .*wrong password' "which is told"
outside "$(restic_destination "$T/nowhere")" "$(rclone_destination)"
refused 'exit code 1, Fatal: unable to open config file' "a repository that is not there"
outside "$(restic_destination "$R" "$T/no.password")" "$(rclone_destination)"
refused 'exit code 1, .*no.password' "a password file that is not there"
taken "repaired"
mv "$T/rclone.conf" "$T/rclone.kept"
: >"$T/rclone.conf"
backup --tenant 1
rc_is 3 "rclone without its remote"
err_like 'destination rclone: archive .* was not taken: /usr/bin/rclone: exit code 1' "is told"
is "$(row 1)" "here there restic/rclone" "and claimed nowhere"
mv "$T/rclone.kept" "$T/rclone.conf"
taken "with it"
# somebody prunes: an exclusive lock
fresh_lock() { # a lock of a restic that is at work: it waits for input that does not come
	mkfifo "$T/slow"
	restic backup --stdin --stdin-filename slow --tag slow <"$T/slow" >/dev/null 2>&1 &
	slow=$!
	exec {slow_fd}>"$T/slow"
	await "restic has its lock" bash -c "ls '$R'/locks/*"
}
fresh_lock
sed -i 's/^archives : {/&\nkeep_hourly = 1;/' "$T/plain.conf"
outside "$(restic_destination)" "$(rclone_destination)"
sql clinic "UPDATE expunge.archive SET created_at = created_at - interval '3 hours'"
backup
rc_is 0 "while another restic is at work, archives are taken"
old=$(sql clinic "SELECT id FROM expunge.archive WHERE created_at < now() - interval '2 hours' ORDER BY id")
run expunge_as night backup --expire
rc_is 3 "but nothing is removed"
err_like 'destination restic: [0-9]+ files of expired archives are still there: .*repository is already locked' "which is told"
is "$(sql clinic "SELECT DISTINCT array_to_string(destinations || sending, ' ') FROM expunge.archive WHERE state = 'expired'")" restic "the catalogue keeps what is still there"
is "$(snapshots | grep -cFx "$old")" "$(wc -l <<<"$old")" "it is"
is "$(find "$T/cloud" -type f | grep -cF "$old" || true)" 0 "rclone has removed its own"
# one that was killed leaves its lock behind, which restic takes for what it is where its process is gone
kill -9 "$slow"
wait "$slow" 2>/dev/null || true
exec {slow_fd}>&-
size=$(du -sk "$R" | cut -f 1)

# ---------------------------------------------------------------------------- expired
run expunge_as night backup --expire
rc_is 0 "when nobody is, what has expired is removed"
is "$(snapshots)" "$(archives)" "the snapshots of what lives are there, and no other"
is "$(sql clinic "SELECT count(*) FROM expunge.archive WHERE state = 'expired'")" 0 "the catalogue has nothing left to remove"
ok "restic has given the room back" test "$(du -sk "$R" | cut -f 1)" -lt "$size"
ok "its repository is whole" restic check --read-data
backup --verify
rc_is 0 "and what lives is read back"
run /usr/bin/restic --repo "$R" --password-file "$PASSWORD" --no-cache forget --tag "$before" --keep-tag none --prune
rc_is 0 "removing what is not there any more is no failure"

# ---------------------------------------------------------------------------- half of it
# a run that is killed while restic reads: its input ends too early, and what it has is a snapshot all the same
cat >"$T/slowly" <<-SCRIPT
	#!/bin/bash
	head -c 1000 >"$T/part"
	: >"$T/reading"
	cat >>"$T/part" # until the other end is gone
	exec /usr/bin/restic --repo "$R" --password-file "$PASSWORD" --no-cache --quiet backup --host expunge --tag "\$1" --stdin --stdin-filename "\$1.archive" < <(head -c 900 "$T/part")
SCRIPT
chmod 755 "$T/slowly"
outside "$(restic_destination | sed "s|store  = \[[^]]*\]|store = [\"$T/slowly\", \"{id}\"]|")"
"$EXPUNGE" -c "$CONF" -U night backup --tenant 2 2>/dev/null &
pid=$!
await "the command reads" test -e "$T/reading"
kill -9 "$pid"
wait "$pid" 2>/dev/null || true
await "a part of the archive is in the repository" bash -c "/usr/bin/restic --repo '$R' --password-file '$PASSWORD' --no-cache --quiet snapshots --json | grep -q $(latest 2)"
is "$(row 2)" "here there/restic" "half an archive is not claimed"
outside "$(restic_destination)"
backup --tenant 2
rc_is 0 "the next backup sends it again"
is "$(snapshots | grep -c "$(sql clinic "SELECT id FROM expunge.archive WHERE tenant = '2' ORDER BY created_at DESC, finished_at DESC OFFSET 1 LIMIT 1")")" 2 "beside the half"
backup --verify --tenant 2
rc_is 0 "and what is read back is the whole one"
done_testing

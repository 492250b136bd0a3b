#!/usr/bin/env bash
# Old backups end: by the archives.keep_ settings and by nothing else, together with the night's patients in one change of
# the root. What was copied away before opens for nobody after, whatever is held; all others are what they were. Places that
# are away, files that are gone or cannot be removed, a catalogue that has lost a row.
. "$(dirname "$0")/../lib.sh"
. "$ROOT/tests/integration/sessions.bash"
build_probe archive_probe

fresh_db clinic
install clinic
with_keys 2>/dev/null
sed -i 's/^archives : {/&\n  reuse_days = 0;/' "$CONF" # each archive by itself; 63-incremental.sh has the others
set_option wait_seconds 30
keep() { # keep SETTING=VALUE...: no others
	sed -i '/keep_/d' "$CONF"
	for setting in "$@"; do sed -i "s|^archives : {|&\n${setting%=*} = ${setting#*=};|" "$CONF"; done
}
opened() { "$T/archive_probe" "$CONF" "host=$PGHOST port=$PGPORT dbname=clinic" "$1" "$2" 2>"$T/said" | LC_ALL=C sort; }
catalogue() { sql clinic "SELECT count(*) FROM expunge.archive ${1:+WHERE $1}"; }
files() { find "$T/clinic/$1/archives" -name '*.archive' | wc -l; }
epoch() { sql clinic 'SELECT epoch FROM expunge.key_tree'; }
# dated DAYS...: the archives of each tenant, the first made first, are so many days old
dated() {
	sql clinic "UPDATE expunge.archive a SET created_at = now() - make_interval(days => (ARRAY[$(paste -sd , <<<"$*" | tr ' ' ,)])[n.n])
		FROM (SELECT id, row_number() OVER (PARTITION BY tenant ORDER BY generation) AS n FROM expunge.archive) n WHERE n.id = a.id"
}
expire() { run expunge_as night backup --expire "$@"; }

# one archive of each practice, and none of what belongs to nobody: that many, of so many tenants, is easier to count
back_up() { for tenant in 1 2 3; do expunge_as night backup --tenant "$tenant" 2>/dev/null; done; }

for _ in 1 2 3 4; do back_up; done
dated 9 3 1 0
folder=$(dirname "$(find "$T/clinic/here/archives" -name '*.archive' | head -n 1)")
cp -a "$folder" "$T/copied"

# ---------------------------------------------------------------------------- nothing says so
expire
rc_is 2 "without a setting nothing can be expired"
err_like 'nothing ever expires' "which is said"
run expunge_as night check
out_like '^warning .*nothing says how long they are kept' "and check warns"
expunge_as night nightly 2>/dev/null
is "$(catalogue)/$(files here)/$(epoch)" 12/12/1 "nor does a night expire anything"

# ---------------------------------------------------------------------------- what would go
keep keep_daily=2
run expunge_as night check
out_unlike 'nothing says how long' "check is content"
expire --dry-run
rc_is 0 "a dry run"
is "$(grep -c '^would expire archive' <<<"$OUT")/$(catalogue)/$(files here)" 6/12/12 "names six archives, and changes nothing"
expire --dry-run --json
is "$(jq -r 'map(.tenant) | sort | join(" ")' <<<"$OUT")" "1 1 2 2 3 3" "as JSON, too"
expunge_as oscar freeze on --reason 'a look' >/dev/null
expire
is "$RC/$(epoch)/$(catalogue)" 5/1/12 "a freeze stops it"
expunge_as oscar freeze off >/dev/null
run expunge_as night backup --json
rc_is 2 "--json is of --expire"

# ---------------------------------------------------------------------------- it goes
mapfile -t old < <(sql clinic "SELECT id FROM expunge.archive WHERE tenant = '1' ORDER BY generation")
opened 1 "$T/copied/${old[0]}.archive" >"$T/first"
opened 1 "$T/copied/${old[3]}.archive" >"$T/last"
ok "what goes has opened until now" test "$(wc -l <"$T/first")" -gt 1000
# an attempt that failed has left a key, and an archive that the catalogue has lost has a file
for place in here there; do mv "$T/clinic/$place/archives" "$T/$place"; : >"$T/clinic/$place/archives"; done
run expunge_as night backup --tenant 2
rc_is 3 "a backup that found no place"
for place in here there; do rm "$T/clinic/$place/archives"; mv "$T/$place" "$T/clinic/$place/archives"; done
attempt=$(sql clinic "SELECT max(id) FROM expunge.key_leaf WHERE kind = 'generation'")
lost=$(sql clinic "SELECT generation FROM expunge.archive WHERE id = '${old[2]}'")
sql clinic "CREATE TABLE public.lost AS SELECT * FROM expunge.archive WHERE generation = $lost" "DELETE FROM expunge.archive WHERE generation = $lost"
generations=$(sql clinic "SELECT count(*) FROM expunge.key_leaf WHERE kind = 'generation' AND shredded_epoch IS NULL")
before=$(sql clinic "SELECT count(*) FROM expunge.key_leaf WHERE shredded_epoch IS NULL")
expire
rc_is 0 "old archives expire"
out_is "5 archives expired, 6 keys shredded, 10 files removed, 0 still there" "and the key of the attempt"
err_like "here: .*${old[2]}.archive is not in the catalogue" "a file of which the catalogue knows nothing is named"
is "$(epoch)" 2 "by one change of the root"
is "$(sql clinic "SELECT shredded_epoch FROM expunge.key_leaf WHERE id = $attempt")/$(sql clinic "SELECT shredded_epoch FROM expunge.key_leaf WHERE id = $lost")" \
	"2/" "the attempt's key is gone, that of the lost archive is not"
is "$generations/$(sql clinic "SELECT count(*) FROM expunge.key_leaf WHERE kind = 'generation' AND shredded_epoch IS NULL")" 13/7 "six generations are shredded"
is "$(sql clinic "SELECT count(*) FROM expunge.key_leaf WHERE shredded_epoch IS NULL")" $((before - 6)) "and no other key"
is "$(files here)/$(files there)/$(catalogue)" 7/7/6 "their files and rows are gone"
sql clinic "INSERT INTO expunge.archive SELECT * FROM public.lost" "DROP TABLE public.lost"
opened 1 "$T/copied/${old[0]}.archive" >"$T/after" || true
is "$(wc -l <"$T/after")" 0 "a copy that was kept aside opens no more"
ok "for its key is gone" grep -qE 'destroyed|^ok:' "$T/said"
opened 1 "$T/copied/${old[3]}.archive" >"$T/after"
is "$(diff "$T/last" "$T/after" | head -n 3)" "" "the latest is what it was"
run expunge_as night backup --verify
is "$RC/$OUT" "0/14 good, 0 bad" "and so are all others, in both places"
run expunge_as night drill
rc_is 0 "as the drills find"
is "$(sql clinic "SELECT detail FROM expunge.event WHERE kind = 'archives-expired'")" "5 of 3 tenants" "the register says so"
expire
is "$RC/$OUT/$(epoch)" "0/1 archives expired, 1 keys shredded, 2 files removed, 0 still there/3" "with the lost one back, another one has had its time"
expire
is "$RC/$OUT/$(epoch)" "0/0 archives expired, 0 keys shredded, 0 files removed, 0 still there/3" "again there is nothing to do"

# ---------------------------------------------------------------------------- in the night, with a patient
back_up
dated 2 1 0
a=$(scheduled clinic 1 42)
leaf=$(sql clinic "SELECT id FROM expunge.key_leaf WHERE tenant = '1' AND kind = 'subject' AND name = '42'")
run expunge_as night nightly
rc_is 0 "a night with a patient to erase, and archives that have had their time"
is "$(epoch)" 4 "changes the root once"
is "$(sql clinic "SELECT string_agg(kind, ' ' ORDER BY kind) FROM (SELECT DISTINCT kind FROM expunge.key_leaf WHERE shredded_epoch = 4) k")" "generation subject" "for both"
is "$(sql clinic "SELECT shredded_epoch FROM expunge.key_leaf WHERE id = $leaf")/$(request_state clinic "$a")" 4/certified "the patient has his certificate"
err_like 'leaf keys shredded: 4, of 1 patients, 3 archives, 0 attempts' "the log says what went"
err_like 'archives expired: 3, files removed: 6' "and that the files did"
is "$(files here)/$(catalogue)" 6/6 "files and rows are gone"
run expunge_as night backup --verify
is "$RC/$OUT" "0/12 good, 0 bad" "the others open"
keep keep_hourly=1
run expunge_as night nightly
is "$RC/$(files here)/$(epoch)" 0/3/5 "a night without a patient expires what has gone out, those with the erased patient in it, too"

# ---------------------------------------------------------------------------- what stands in the way
back_up
dated 1 0
mv "$T/clinic/there/archives" "$T/away"
expire
rc_is 3 "a destination that is away"
err_like 'destination there: 3 files of expired archives are still there: opening directory' "is named"
is "$(sql clinic "SELECT DISTINCT state || array_to_string(destinations, ' ') FROM expunge.archive WHERE state <> 'complete'")" expiredthere "and the rows say where"
run expunge_as oscar backup list --tenant 1 --json
is "$(jq -r '.[] | .state + " " + .destinations' <<<"$OUT" | paste -sd /)" "complete here there/expired there" "as the list does"
run expunge_as night restore --tenant 1 --generation "$(sql clinic "SELECT id FROM expunge.archive WHERE tenant = '1' AND state = 'expired'")" --into "dbname=nowhere"
rc_is 1 "none of these is restored"
mv "$T/away" "$T/clinic/there/archives"
run expunge_as night nightly
is "$RC/$(files there)/$(catalogue)" 0/3/3 "with it back, the next night removes what is left"

back_up
dated 1 0
rm "$folder/$(sql clinic "SELECT id FROM expunge.archive ORDER BY created_at, tenant LIMIT 1").archive"
expire
is "$RC/$(files here)/$(catalogue)" 0/3/3 "a file that is gone already holds nothing up"

back_up
dated 1 0
# shellcheck disable=SC2016 # the inner shell's
readonly_run() { # readonly_run DIRECTORY COMMAND...
	unshare --mount bash -c 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" || exit 99; "${@:2}"' readonly "$@"
}
if readonly_run "$folder" true 2>/dev/null; then
	run readonly_run "$folder" "$EXPUNGE" -c "$CONF" -U night backup --expire
	rc_is 3 "a file system that cannot be written"
	err_like 'destination here: 3 files .*Read-only file system' "is named"
	is "$(files here)/$(files there)/$(catalogue "destinations = '{here}' AND state = 'expired'")" 6/3/3 "the others finish"
	expire
	is "$RC/$(files here)/$(catalogue)" 0/3/3 "and the next run removes the rest"
else
	skip "a file system that cannot be written" "nothing can be mounted here"
	expire
fi

# a destination that is declared no more has what it has: rows do not wait for it
back_up
dated 1 0
sed -i 's|name = "there"|name = "elsewhere"|' "$CONF"
expire
is "$RC/$(files here)/$(catalogue)" 0/3/3 "a destination under another name holds no row back"
sed -i 's|name = "elsewhere"|name = "there"|' "$CONF"

# ---------------------------------------------------------------------------- what status says
status() { run expunge_as watch status "$@"; }
expunge_as night nightly 2>/dev/null
status
is "$RC" 0 "status is content"
out_like '^backups +3 archives of 3 tenants; the newest of each at most [0-9]+ minutes old; 0 not named yet, 0 expired' "and counts archives"
out_like '^copies +0 missing, 0 bad, 0 on their way' "and their copies"
out_like '^drill +passed ' "and drills"
sql clinic "UPDATE expunge.archive SET created_at = now() - interval '5 hours' WHERE tenant = '2'" \
	"UPDATE expunge.archive SET destinations = '{here}' WHERE tenant = '3'" \
	"INSERT INTO expunge.event (kind, detail) VALUES ('drill-failed', 'a test')"
status
is "$RC" 3 "a drill that failed turns it red"
out_like 'the last drill failed, the newest backup of a tenant is 5 hours old, 1 copy of an archive is missing' "as the first line says, with the age of the worst"
status --prometheus
is "$(grep -E '^expunge_(archive|drill).* [0-9]+$' <<<"$OUT" | sed -E 's/(age|timestamp)_seconds [0-9]+/\1/' | paste -sd ' ')" \
	"expunge_archives 3 expunge_archive_newest_age expunge_archives_unnamed 0 expunge_archives_expired 0 expunge_drill_last_timestamp expunge_archive_copies_missing 1 expunge_archive_copies_bad 0 expunge_archive_copies_sending 0 expunge_drill_last_passed 0" "monitoring gets the same"
status --json
is "$(jq -c '.archives | [.archives, .tenants, .copies_missing, .last_drill_passed]' <<<"$OUT")" '[3,3,1,false]' "as JSON, too"
run expunge_as night check
out_like '^warning .*archives: the newest one of a tenant is 5 hours old' "and check warns"
sql clinic "UPDATE expunge.archive SET destinations = '{here,there}', created_at = now()"

# the clock: nothing is expired by one that has jumped
back_up
dated 1 0
sql clinic "UPDATE expunge.run SET started_at = started_at + interval '10 years', finished_at = finished_at + interval '10 years'" 2>/dev/null || true
expire
is "$RC/$(catalogue)" 5/6 "a clock that has jumped stops it"

done_testing

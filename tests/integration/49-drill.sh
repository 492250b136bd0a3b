#!/usr/bin/env bash
# Drills: by hand and each night, whether or not anything was shredded. The positive one reads an archive with nothing but
# journal and root. What fails is named in the night's log and in the register, and nothing is certified after it.
. "$(dirname "$0")/../lib.sh"
. "$ROOT/tests/integration/sessions.bash"

fresh_db clinic
install clinic
with_keys 2>/dev/null
set_option wait_seconds 30
events() { sql clinic "SELECT kind FROM expunge.event WHERE kind LIKE 'drill-%' AND number > $SINCE ORDER BY number" | uniq -c | awk '{ print $1, $2 }' | paste -sd ' '; }

# ---------------------------------------------------------------------------- an archive opens
run expunge_as night drill
is "$RC/$OUT/$ERR" "0/passed, for the keys; no archive to open yet/" "a drill without any archive says what was not tried"
expunge_as night backup 2>/dev/null
run env -u PGHOST -u PGPORT "$EXPUNGE" -c "$CONF" drill
is "$RC/$OUT" "0/passed" "a drill with archives"
err_like "journal and root alone open $T/clinic/here/archives/.*\.archive, of 2" "opens one of them"
err_like "journal and root alone open $T/clinic/there/archives/" "in each place"
folder=$(dirname "$(find "$T/clinic/here/archives" -name '*.archive' | head -n 1)")
cp -a "$folder" "$T/whole"
damage() { for file in "$@"; do printf 'xxxx' | dd of="$file" bs=1 seek=300 conv=notrunc 2>/dev/null; done; }
# the first is of the tenant that was backed up first: its keys are not in the newest segment
mapfile -t files < <(sql clinic "SELECT '$folder/' || id || '.archive' FROM expunge.archive ORDER BY tenant")
damage "${files[0]}" "${files[1]}" "${files[3]}"
run expunge_as night drill
is "$RC" 0 "where three of four are damaged"
err_like "journal and root alone open ${files[2]}" "the other is opened"
damage "${files[2]}"
run expunge_as night drill
rc_is 1 "where all are"
err_like 'none of 4 archives could be read; .*altered' "the drill fails"
rm -r "$folder"
cp -a "$T/whole" "$folder"
# an archive that the journal beside it does not know: the write-ahead rule was broken
mkdir "$T/aside"
generation=$(sql clinic "SELECT generation FROM expunge.archive WHERE id = '$(basename "${files[0]}" .archive)'")
mv "${files[@]:1}" "$T/aside/"
sql clinic "DELETE FROM expunge.archive WHERE generation = $generation" "DELETE FROM expunge.key_leaf WHERE id = $generation"
cp -a "$T/clinic/here/keys" "$T/keys"
rm "$T/clinic/here/keys/"*/*.journal
expunge_as night backup --tenant 2 2>/dev/null
mv "$folder/$(sql clinic "SELECT id FROM expunge.archive WHERE tenant = '2' ORDER BY generation DESC LIMIT 1").archive" "$T/aside/"
run expunge_as night drill
rc_is 1 "an archive whose generation the journal does not know"
err_like 'does not know its generation' "is named"
rm "${files[0]}"
mv "$T"/aside/*.archive "$folder/"
run expunge_as night drill
rc_is 0 "without it all is well"

# what was sealed since the last change of the root hangs on pages that it has left alone
expunge_as night keys rotate >/dev/null
for tenant in 3 1 2; do
	expunge_as night backup --tenant "$tenant" 2>/dev/null
done
run expunge_as night drill
rc_is 0 "backups after a change of the root"
SINCE=$(sql clinic "SELECT max(number) FROM expunge.event")
run expunge_as night drill --change
is "$RC/$(events)" 0/ "what a change itself runs passes, too, and is no proof for the register"

# ---------------------------------------------------------------------------- each night
SINCE=$(sql clinic "SELECT max(number) FROM expunge.event")
run expunge_as night nightly
is "$RC/$(events)" "0/1 drill-passed" "a night with nothing to do is drilled"
# one who came after the last backup: nothing is shredded, and no change of the root clears anything away
a=$(scheduled clinic 1 "$(sql clinic "INSERT INTO app.patient (practice_id, given_name, family_name, born) VALUES (1, 'Nova', 'Lateley', '1990-01-01') RETURNING id")")
mkdir "$T/old"
cp "$T"/clinic/shares/1a/root.2.* "$T/old/"
expunge_as night keys rotate >/dev/null
cp -a "$T"/old/root.2.* "$T/clinic/shares/1a/"
run expunge_as night nightly
rc_is 3 "a share of the root before that is there again"
err_like 'nothing is certified: drill failed \(exit code 1\): negative drill: root\.2\.[0-9a-f]+ is there again' "the night says so, and why"
err_like 'hint: ask who put it back' "and what to do"
is "$(request_state clinic "$a")/$(events)" "removed/1 drill-passed 1 drill-failed" "nothing is certified, and the register knows"
is "$(sql clinic "SELECT detail LIKE '%negative drill: root.2.%' FROM expunge.event WHERE kind = 'drill-failed' AND number > $SINCE")" t "with the reason"
rm "$T"/clinic/shares/1a/root.2.*
run expunge_as night nightly
is "$RC/$(request_state clinic "$a")/$(events)" "0/certified/1 drill-passed 1 drill-failed 1 drill-passed" "the next night certifies"
mv "$T/clinic/shares/2a" "$T/away"
run expunge_as night nightly
rc_is 3 "a place that is away"
err_like 'positive drill: not every place of keys.shares is there: .*2a' "is named"
mv "$T/away" "$T/clinic/shares/2a"

# a segment that no change has to do with any more: a change does not read it, a night does
expunge_as night keys rotate >/dev/null
cp -a "$T/clinic/here/keys" "$T/good"
base=$(grep -l '^kind: base$' "$T/clinic/here/keys/"*/*.journal | tail -n 1)
sed -i '/^leaf /s/ subject / Subject /' "$base"
run expunge_as night drill --negative --change
rc_is 0 "a row of the journal's base is altered: a change that has nothing to do with it does not look"
run expunge_as night drill --negative
is "$((RC > 0))" 1 "the drill that reads all does"
mv "$base" "$T/base"
run expunge_as night drill --negative --change
is "$((RC > 0))" 1 "the segment is missing: a change sees that"
rm -r "$T/clinic/here/keys"
mv "$T/good" "$T/clinic/here/keys"
done_testing

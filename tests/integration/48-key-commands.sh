#!/usr/bin/env bash
# The key tree by its commands: made by init, shown, rotated, drilled; and bad days: places that are not there, records that
# are damaged or come back, a journal that is not believed, a drill that fails in the middle of a change.
. "$(dirname "$0")/../lib.sh"

fresh_db clinic
install clinic
run expunge_as night keys status
rc_is 2 "without keys.shares there is no key tree"
err_like 'keys.shares are not declared' "and the message says so"

status() { # status FIELD
	{ expunge_as night keys status --json || [ $? -eq 3 ]; } | jq -r "$1"
}
records() { find "$T/clinic/shares" -name 'root.*' | wc -l; }

# ---------------------------------------------------------------------------- init
ok "init makes it" with_keys
is "$(status .epoch)" 1 "in epoch 1"
is "$(records)" 4 "with a record in each of four places"
is "$(status .root)/$(status '.places | length')/$(status .anchor)" "present/0/good" "and all is well"
is "$(status '.devices | map(contains("\n")) | unique | .[]')" false "which two are on one disk is a list"
run expunge_as night keys status
out_like '^epoch +1$' "text is for people"
out_like "^journal +$T/clinic/here: whole and up to date" "with a line for each journal"
is "$(grep -c '^devices ' <<<"$OUT")" "$(status '.devices | length')" "and for each thing to look at"
out_unlike '[{}"]|\\n' "and is no JSON"
cp "$CONF" "$T/conf"
sed -i 's|^\( *destinations = .*\) );|\1, { name = "outside"; store = ["/usr/bin/dd", "of=/{id}"]; } );|' "$CONF"
run expunge_as night keys status
out_like '^command +outside: /usr/bin/dd, gives nothing back, removes nothing$' "a destination that is a command is shown"
is "$(status '.commands | tostring')" '[{"name":"outside","store":"/usr/bin/dd","fetches":false,"removes":false}]' "as JSON, too"
cp "$T/conf" "$CONF"
is "$(status '.journals | map(.state) | unique | .[]')" "whole and up to date" "with a journal on each destination"
expunge_as postgres init 2>/dev/null
is "$(status .epoch)/$(records)" 1/4 "init again changes nothing"
run expunge_as night check
out_like '^ok +root shares: epoch 1, 2 shares' "check looks at the root"
out_like '^warning +root shares: .* one lost disk takes both' "at what one disk would take"
out_like "^warning +destinations: $T/clinic/there is on the device of" "at the destinations"
out_like '^ok +key journal: .*here: whole' "and at the journals"

mv "$T/clinic/shares" "$T/unmounted"
mkdir -m 0700 "$T/clinic/shares"
run expunge_as postgres init
is "$(find "$T/clinic/shares" -mindepth 1)" "" "nor does it mark empty mount points when no place is mounted"
rm -rf "$T/clinic/shares"
mv "$T/unmounted" "$T/clinic/shares"

run expunge_as night keys public
out_is "$(openssl pkey -in "$T/clinic/archives.pem" -pubout)" "the public half of the key that signs archives and journals"

# ---------------------------------------------------------------------------- rotate, drill
cp -a "$T/clinic/shares" "$T/stolen"
run expunge_as night keys rotate --dry-run
out_like 'would make a fresh root in 2 shares' "a dry run says what it would do"
is "$(status .epoch)" 1 "and does not"
run expunge_as night keys rotate
rc_is 0 "a fresh root"
out_is "epoch 2" "is the next epoch's"
is "$(find "$T/clinic/shares" -name 'root.1.*' | wc -l)/$(records)" 0/4 "nothing of the old one is left"
run expunge_as night drill
rc_is 0 "what should open opens, and the past does not"

# a copy of the old shares comes back: found, and destroyed at the next change
for share in 1a 1b 2a 2b; do cp -a "$T/stolen/$share"/root.1.* "$T/clinic/shares/$share/"; done
run expunge_as night drill --negative
rc_is 1 "an old root that is there again"
err_like 'is there again' "is named by the drill"
run expunge_as night keys rotate
rc_is 0 "the next change of the root"
is "$(find "$T/clinic/shares" -name 'root.[12].*' | wc -l)/$(records)" 0/4 "destroys what came back"

# copies under other names: an editor's, a careful person's
for share in 1a 2b; do
	record=$(find "$T/clinic/shares/$share" -name 'root.*')
	cp -p "$record" "$record.bak"
	cp -p "$record" "$T/clinic/shares/$share/.old~"
done
run expunge_as night keys rotate
rc_is 0 "a root of which there are copies under other names"
is "$(records)/$(find "$T/clinic/shares" -name '*.bak' -o -name '.old~')" "4/" "is destroyed with them"
cp "$T/stolen"/1a/root.1.* "$T/clinic/shares/1a/kept"
run expunge_as night drill --negative
rc_is 1 "an old record under another name"
err_like 'root\.1\.[0-9a-f]* is there again' "is named by the drill, too"
rm "$T/clinic/shares/1a/kept"

# ---------------------------------------------------------------------------- a week later
kinds() { for segment in "$T/clinic/here/keys/"*/*.journal; do sed -n 's/^kind: //p' "$segment" | head -n 1; done | uniq | paste -sd' '; }
is "$(kinds)" "base step" "the journal begins with a base"
if command -v faketime >/dev/null && ! grep -qa __asan_init "$EXPUNGE"; then
	ok "after a week" faketime -f '+8d' "$EXPUNGE" -c "$CONF" -U night keys rotate
	is "$(kinds)" "base step base step" "it gets a fresh one"
	run expunge_as night drill
	rc_is 0 "with which alone the drill goes through"
	is "$(status '.journals | map(.base > 1) | unique | .[]')" true "and that is where reading begins"
fi

# ---------------------------------------------------------------------------- bad days
mv "$T/clinic/shares/2a" "$T/away"
run expunge_as night keys status
rc_is 3 "a place that is not there"
out_like 'share 2, replica 1' "is named"
run expunge_as night keys rotate
rc_is 1 "and no root is changed without it"
is "$(sql clinic "SELECT count(*) FROM expunge.key_change WHERE state = 'intent'")" 1 "the intent stays"
run expunge_as night check
out_like '^error +root shares: a change of the root has not ended, it is in state intent' "and check says that backups wait for it"
mkdir -m 0700 "$T/clinic/shares/2a"
run expunge_as night keys rotate
rc_is 1 "nor with an empty directory in its place"
rmdir "$T/clinic/shares/2a"
mv "$T/away" "$T/clinic/shares/2a"
run expunge_as night keys rotate
rc_is 0 "with it back, the change is gone on with"
is "$(status .change_under_way)/$(records)" null/4 "to its end"

record=$(find "$T/clinic/shares/1a" -name 'root.*')
cp -p "$record" "$T/record"
"$ROOT/tests/alter.sh" "$record" 100
run expunge_as night keys status
rc_is 3 "a damaged copy"
out_like 'share 1, replica 1' "is named, too"
is "$(status .root)" present "and the root is still had from the other"
cp -p "$T/record" "$record"

journal=$(find "$T/clinic/there/keys" -name '*.journal' | sort | tail -n 1)
cp -p "$journal" "$T/journal"
sed -i 's/^end 0$/end 1/' "$journal"
run expunge_as night check
out_like '^error +key journal: .*it has 0 rows, and says 1' "an altered journal is an error of check"
run expunge_as night drill --positive
rc_is 1 "a journal that was altered"
err_like "$(basename "$journal")" "is named by the drill"
epoch=$(status .epoch)
run expunge_as night keys rotate
rc_is 1 "and no change of the root begins"
is "$(status .epoch)/$(find "$T/clinic/shares" -name "root.$epoch.*" | wc -l)" "$epoch/4" "the root stays until the journal is good"
cp -p "$T/journal" "$journal"
run expunge_as night keys rotate
rc_is 0 "with the journal back, one is made"
is "$(find "$T/clinic/shares" -name "root.$epoch.*" | wc -l)/$(records)" 0/4 "and the old root goes"

# a segment that is lost: nothing else is, and the remedy that the drill names is one
epoch=$(status .epoch)
rm "$(find "$T/clinic/there/keys" -name '*.journal' | sort | tail -n 2 | head -n 1)"
run expunge_as night keys rotate
rc_is 1 "a journal that lacks a segment"
is "$(status .epoch)/$(find "$T/clinic/shares" -name "root.$epoch.*" | wc -l)" "$((epoch + 1))/4" "stops a change before the old root goes"
run expunge_as night drill --positive
err_like 'move all segments in .*/there/keys/[0-9a-f-]* away' "the drill says what to do"
mkdir "$T/lost"
mv "$T/clinic/there/keys/"*/*.journal "$T/lost/"
run expunge_as night keys rotate
rc_is 0 "and that done, the change is gone on with"
is "$(status '.journals | map(.state) | unique | .[]')" "whole and up to date" "with a whole journal again"

# ---------------------------------------------------------------------------- safeguards
expunge_as oscar freeze on --reason 'a look' >/dev/null
run expunge_as night keys rotate
rc_is 5 "frozen, no root is changed"
expunge_as oscar freeze off >/dev/null

# a change that the journal has, and a database that has lost it: both roots are there, and which is right is not known
sql postgres 'CREATE DATABASE old TEMPLATE clinic STRATEGY wal_log'
cp -a "$T/clinic/shares" "$T/both"
mv "$T/clinic/state/anchor" "$T/anchor"
mkdir "$T/clinic/state/anchor"
run expunge_as night keys rotate
rc_is 1 "a change that stops late"
rmdir "$T/clinic/state/anchor"
mv "$T/anchor" "$T/clinic/state/anchor"
for share in 1a 1b 2a 2b; do cp -a "$T/both/$share"/root.* "$T/clinic/shares/$share/"; done
sql postgres 'ALTER DATABASE clinic RENAME TO newer' 'ALTER DATABASE old RENAME TO clinic'
run expunge_as night keys rotate
rc_is 5 "is not made a second time in a database that has lost it"
err_like 'restore --adopt' "and the remedy is named"
is "$(status .change_under_way)/$(records)" null/8 "nothing is begun, and no root is destroyed"
sql clinic "INSERT INTO expunge.key_change (attempt, epoch, state, leaves, leaves_hash)
	SELECT repeat('0', 32), epoch, 'done', '{}', '' FROM expunge.key_tree" \
	"UPDATE expunge.key_tree SET epoch = epoch + 1, key_seq = key_seq + 1, attempt = repeat('0', 32)"
run expunge_as night keys rotate
rc_is 5 "nor where it was made a second time already"
err_like 'by another change of the root' "which the message says"
sql postgres 'DROP DATABASE clinic' 'ALTER DATABASE newer RENAME TO clinic'
run expunge_as night keys rotate
rc_is 0 "with the newer database back, it is gone on with"
is "$(status .change_under_way)/$(records)" null/4 "to its end"

cp "$T/clinic/state/anchor" "$T/anchor"
sed '/^sha256:/d; s/^key-seq: .*/key-seq: 4711/' "$T/anchor" >"$T/clinic/state/anchor"
printf 'sha256: %s\n' "$(sha256sum <"$T/clinic/state/anchor" | cut -d' ' -f1)" >>"$T/clinic/state/anchor"
run expunge_as night keys rotate
rc_is 5 "nor is one begun when the anchor has come further"
err_like 'the anchor has come to' "which the message says, too"
cp "$T/anchor" "$T/clinic/state/anchor"
sql clinic 'UPDATE expunge.key_tree SET key_seq = 1'
run expunge_as night keys rotate
rc_is 5 "nor in a database that is behind its journal"
err_like 'restore --adopt' "and the remedy is named"
is "$(status .change_under_way)" null "before anything is begun"

done_testing

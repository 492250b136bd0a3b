#!/usr/bin/env bash
# Every entry of doc/runbook.md, rehearsed under its heading: what it says works, and says what it says.
. "$(dirname "$0")/../lib.sh"
. "$ROOT/tests/integration/tokens.bash"
. "$ROOT/tests/integration/sessions.bash"

rehearsed=()
entry() { # entry HEADING
	rehearsed+=("$1")
	ok "the runbook has: $1" grep -qx "## $1" "$ROOT/doc/runbook.md"
}
status() { { expunge_as night keys status --json || [ $? -eq 3 ]; } | jq -r "$1"; }
records() { find "$T/clinic/shares" -name 'root.*' | wc -l; }
target() { # target NAME: an empty database with the application's tables
	fresh_db "$1" template0
	psql -XAtq -v ON_ERROR_STOP=1 -d "$1" -f "$ROOT/tests/sample/schema.sql" >/dev/null
	pg_dump -U postgres --data-only -t app.code clinic | psql -XAtq -v ON_ERROR_STOP=1 -d "$1" >/dev/null
}

# ---------------------------------------------------------------------------- the first day
entry 'Key ceremony'
fresh_db clinic
install clinic
mkrole ada expunge_operator expunge_job
ok "init makes the tree" with_keys
is "$(status '.places | length')/$(records)" "0/4" "every place has its share"
run expunge_as night check
out_like '^warning +root shares: .* are on one device' "check says what one disk would take"
ok "journal and root suffice" expunge_as night drill
ok "a first backup" expunge_as night backup

# ---------------------------------------------------------------------------- shares
entry 'Moving a share'
cp -a "$T/clinic/shares/1a" "$T/clinic/shares/moved"
sed -i "s|shares/1a\"|shares/moved\"|" "$CONF"
is "$(status '.places | length')" 0 "the copy is as good as the old one"
shred -u "$T/clinic/shares/1a"/root.*
rm -r "$T/clinic/shares/1a"
ok "a fresh root" expunge_as night keys rotate
is "$(status '.places | length')/$(records)" "0/4" "and all is well"

entry 'Losing a replica of a share'
mv "$T/clinic/shares/2b" "$T/broken"
request=$(file_request clinic 1 7)
approve clinic "$request"
run expunge_as night nightly
rc_is 3 "nothing is certified while it is away"
err_like 'shares/2b' "which is named"
is "$(request_state clinic "$request")" removed "the patient is removed, and waits"
mkdir -m 0700 "$T/clinic/shares/2b"
run expunge_as night keys status
out_like 'expunge keys mark' "the remedy is named"
run expunge_as night keys mark "$T/clinic/shares/nowhere"
rc_is 2 "another directory is none of ours"
run expunge_as night keys mark "$T/clinic/shares/2b"
rc_is 0 "the new disk is marked"
ok "the night goes on" expunge_as night nightly
is "$(request_state clinic "$request")" certified "and certifies"
ok "a fresh root" expunge_as night keys rotate
is "$(status '.places | length')/$(records)" "0/4" "after which the lost disk opens nothing"
rm "$T/clinic/shares/2b"/root.*
run expunge_as night nightly
err_like '1 replicas of root shares were absent, and are written again' "a record that is lost alone is written again by the night"
is "$(status '.places | length')" 0 "from the other replica"

# ---------------------------------------------------------------------------- destinations
entry 'Losing a destination'
mv "$T/clinic/there" "$T/gone"
run expunge_as night backup
rc_is 3 "a backup goes on without it, and says so"
mkdir -m 0700 "$T/clinic/there"
run expunge_as night backup
rc_is 3 "nor is an empty directory one, which may be a disk that is not mounted"
err_like 'keys mark' "it says how to make it one"
ok "marked" expunge_as night keys mark "$T/clinic/there/"
ok "the empty directory in its place" expunge_as night backup
is "$(status '.journals | map(.state) | unique | .[]')" "whole and up to date" "gets a whole journal"
run expunge_as night backup --verify
rc_is 3 "archives that were there"
err_like 'there: ' "are named"
ok "and copied again from the other place" expunge_as night backup --verify --repair
run expunge_as night status
out_like '^copies +0 missing, 0 bad' "then nothing is missing"
rm -rf "$T/gone"

# ---------------------------------------------------------------------------- the database
entry 'Losing the database'
sql postgres "CREATE DATABASE copy TEMPLATE clinic STRATEGY wal_log"
request=$(file_request clinic 1 8)
approve clinic "$request"
ok "an erasure after the copy" expunge_as night nightly
sql postgres "ALTER DATABASE clinic RENAME TO lost" "ALTER DATABASE copy RENAME TO clinic"
hold=$(expunge_as oscar hold place --tenant 1 --subject 8 --kind complaint --reason 'from before' --review "$(date -d '+30 days' +%F)" | grep -oE '[0-9a-f-]{36}' | head -n 1)
run expunge_as ada restore --adopt --dry-run
out_like '1 in the ledger, 1 subjects are back' "how far it is behind"
run expunge_as ada restore --adopt
rc_is 3 "a hold is in the way"
err_like 'hold' "and is named"
run expunge_as night nightly
rc_is 5 "until it is cleared nothing runs"
expunge_as oscar hold release "$hold" >/dev/null
ok "released, the adoption ends" expunge_as ada restore --adopt
is "$(sql clinic 'SELECT count(*) FROM app.patient WHERE id = 8')" 0 "the patient is gone again"
ok "the nights go on" expunge_as night nightly

entry 'Restoring a practice to before an epoch'
first=$(expunge_as night backup list --tenant 1 --json | jq -r 'sort_by(.created) | .[0].id')
target elsewhere
run expunge_as night restore --tenant 1 --generation "$first" --into "host=$PGHOST port=$PGPORT dbname=elsewhere user=postgres"
rc_is 0 "the first archive, of an epoch long ended, opens"
out_like 'rows withheld' "and says how much it withholds"
is "$(sql elsewhere 'SELECT count(*) FROM app.patient WHERE id IN (7, 8)')/$(sql elsewhere 'SELECT count(*) > 100 FROM app.patient')" 0/t "everybody is there but the erased"

entry 'A copy that runs'
sql postgres "CREATE DATABASE staging TEMPLATE clinic STRATEGY wal_log"
sql postgres "ALTER DATABASE clinic RENAME TO primary_one" "ALTER DATABASE staging RENAME TO clinic"
ok "it runs with the primary's configuration" expunge_as night nightly
sql postgres "ALTER DATABASE clinic RENAME TO staging" "ALTER DATABASE primary_one RENAME TO clinic"
run expunge_as night nightly
rc_is 5 "the primary refuses"
err_like 'keys adopt --this-is-primary' "and says what to do"
ok "a person says which one counts" expunge_as ada keys adopt --this-is-primary
ok "and it runs" expunge_as night nightly

# ---------------------------------------------------------------------------- the worst day
entry 'Losing every replica of a share'
rm -rf "$T/clinic/shares/1b" "$T/clinic/shares/moved"
run expunge_as night keys rotate
rc_is 1 "without a share there is no root"
run expunge_as night restore --tenant 1 --into "host=$PGHOST port=$PGPORT dbname=elsewhere user=postgres"
rc_is 1 "and no archive opens"
for place in here there; do
	mkdir -p "$T/old/$place"
	mv "$T/clinic/$place/keys" "$T/clinic/$place/archives" "$T/old/$place"
done
mv "$T/clinic/state/anchor" "$T/old"
shred -u "$T/clinic/shares"/2[ab]/root.*
statement=$(sed -n '/^## Losing every replica/,/^## /p' "$ROOT/doc/runbook.md" | tr '\n' ' ' | grep -oE 'SET ROLE expunge_owner; TRUNCATE [^;]*;' | tr -s ' ')
sql clinic "$statement"
ok "a new tree" expunge_as postgres init
ok "its first archives" expunge_as night backup
ok "which are read again" expunge_as night backup --verify
ok "and the nights go on" expunge_as night nightly

# ---------------------------------------------------------------------------- a barrier
entry 'A barrier that is not passed'
cp "$CONF" "$T/without"
sed -i "s|^ *anchor = .*|&\n  barriers = ( { kind = \"standby\"; name = \"replica\"; timeout_seconds = 2; } );|" "$CONF"
mkdir "$T/received"
PGAPPNAME=replica pg_receivewal -D "$T/received" --synchronous --no-loop 2>/dev/null & # what a standby receives, and no more
standby=$!
await "it is there" holds clinic "EXISTS (SELECT FROM expunge.standbys_seen() WHERE name = 'replica' AND lsn IS NOT NULL)"
ok "a barrier is passed" expunge_as night keys rotate
kill -STOP "$standby"
run expunge_as night keys rotate
rc_is 3 "it hangs, and a change of the root waits"
run expunge_as night check
out_like '^error +barriers: a change of the root has waited in vain: standby replica has' "check says for whom"
kill -CONT "$standby"
ok "mended, the change goes on" expunge_as night keys rotate
is "$(records)" 4 "to its end"
kill -STOP "$standby"
run expunge_as night keys rotate
rc_is 3 "the next one waits again"
kill -9 "$standby"
wait "$standby" 2>/dev/null || true
await "its end is seen" holds clinic "NOT EXISTS (SELECT FROM expunge.standbys_seen())"
run expunge_as night backup
rc_is 3 "and it is gone for good; no backup is made"
cp "$T/without" "$CONF"
ok "without its barrier the change goes on" expunge_as night keys rotate
is "$(records)" 4 "to its end, too"
ok "what should open opens" expunge_as night drill
ok "and backups are made again" expunge_as night backup

# ---------------------------------------------------------------------------- an account that comes back
entry 'A dormant account that does not wake'
cp "$CONF" "$T/before.conf"
cat >>"$CONF" <<'CONF'
closure : {
  rules = ( { trigger = "cancellation"; anchor = "paid-until"; days = 45; meaning = "not-before"; within_days = 7; } );
};
stores = ( { name = "physical backups"; kind = "physical-backup"; retention_days = 35; } );
CONF
expunge_as postgres init 2>"$T/init.log"
patients() { sql clinic "SELECT count(*) FROM app.patient WHERE practice_id = 2"; }
were=$(patients)
expunge_as oscar account cancel 2 --paid-until "$(date +%F)" >/dev/null
sql clinic "SET default_transaction_read_only = off" "UPDATE expunge.closure SET anchor = anchor - 20, purge_on = purge_on - 20, complete_on = complete_on - 20"
run expunge_as night nightly
is "$(patients)" 0 "it is dormant"
dormant=$(sql clinic "SELECT archive_id FROM expunge.dormancy_archive")
mapfile -t copies < <(find "$T/clinic" -name "$dormant.archive")
for copy in "${copies[@]}"; do mv "$copy" "$copy.away"; done
run expunge_as oscar account reactivate 2 --reason "they called"
run expunge_as watch status
rc_is 3 "status is red"
out_like 'came back and whose rows are not loaded yet' "... and says that it did not wake"
run expunge_as oscar account show 2
out_like "not loaded yet" "show says why"
mv "${copies[0]}.away" "${copies[0]}"
expunge_as night backup --verify --repair --tenant 2 >/dev/null 2>&1 || true
ok "a copy is brought back, and the other made from it" test -e "${copies[1]}"
ok "the next night loads it" expunge_as night lifecycle
is "$(patients)" "$were" "everybody is back"
cat "$T/before.conf" >"$CONF"
expunge_as postgres init 2>"$T/init.log"

# ---------------------------------------------------------------------------- files that rows name
entry 'Losing a directory of documents'
psql -XAtq -v ON_ERROR_STOP=1 -U app_owner -d clinic <<<"ALTER TABLE app.letter_file ADD file text; UPDATE app.letter_file SET file = patient_id || '/a letter'"
sed 's/^    columns = ( { column = "content"; lo = true; } );/    columns = ( { column = "content"; lo = true; }, { column = "file"; documents = "letters"; } );/' \
	"$ROOT/etc/maps/sample.conf" >"$T/clinic/map.conf"
sed -i "s|^map = .*|map = \"$T/clinic/map.conf\";|" "$CONF"
printf 'documents = ( { name = "letters"; directory = "%s"; } );\n' "$T/clinic/letters" >>"$CONF"
sql clinic 'SELECT patient_id FROM app.letter_file' | while IFS= read -r id; do
	mkdir -p "$T/clinic/letters/$id"
	printf 'to %s\n' "$id" >"$T/clinic/letters/$id/a letter"
done
ok "init marks the directory" expunge_as postgres init
cp -a "$T/clinic/letters" "$T/clinic/copy"
id=$(file_request clinic 1 60)
approve clinic "$id"
ok "a night" expunge_as night nightly
is "$(request_state clinic "$id") $(test -e "$T/clinic/letters/60/a letter" || echo gone)" "certified gone" "takes a letter"
mv "$T/clinic/letters" "$T/clinic/lost"
mkdir "$T/clinic/letters"
run expunge_as night nightly
rc_is 5 "an empty directory is not the one that was there"
run expunge_as postgres init
rc_is 5 "and init does not make it so"
sql clinic "SELECT file FROM app.letter_file WHERE file <> ''" | tar -C "$T/clinic/copy" -c --verbatim-files-from -T - | tar -C "$T/clinic/letters" -x
rm "$T/clinic/state/documents-letters"
ok "init marks the new one" expunge_as postgres init
is "$(cd "$T/clinic/letters" && find . -type f ! -name .expunge-documents | sort)" "$(cd "$T/clinic/lost" && find . -type f ! -name .expunge-documents | sort)" \
	"what was there is there, and no more"
ok "and the nights go on" expunge_as night nightly

# ---------------------------------------------------------------------------- tokens
entry 'Token ceremony'
if softhsm >/dev/null; then
	make_token clinic # the later day: one more share
	sed -i "s|^  shares = (\(.*\) );|  shares = (\1, { replicas = [\"$T/clinic/shares/3a\"]; tokens = ( $(token_of "$(softhsm)" expunge "$T/clinic/pin") ); } );|" "$CONF"
	ok "a directory and its token are marked" expunge_as night keys mark "$T/clinic/shares/3a"
	ok "a root that needs it, too" expunge_as night keys rotate
	is "$(status .drivers)/$(status '.places | length')" "file, file, pkcs11/0" "status says so"
	ok "the drills pass" expunge_as night drill
fi

entry 'The token refuses its PIN'
if softhsm >/dev/null; then
	echo wrong >"$T/clinic/pin"
	nok "a wrong PIN" expunge_as night keys rotate
	ok "is noted" test -e "$T/clinic/shares/3a/expunge-pin-refused"
	printf '%s\n' "$PIN" >"$T/clinic/pin"
	rm "$T/clinic/shares/3a/expunge-pin-refused"
	ok "the right one goes on" expunge_as night keys rotate
fi

entry 'Moving to another token'
if softhsm >/dev/null; then
	softhsm2-util --init-token --free --label second --so-pin 12345678 --pin "$PIN" >/dev/null
	one=$(token_of "$(softhsm)" expunge "$T/clinic/pin") two=$(token_of "$(softhsm)" second "$T/clinic/pin")
	sed -i -e "s|\"$T/clinic/shares/3a\"|&, \"$T/clinic/shares/3b\"|" -e "s|tokens = (.*|tokens = ( $one, $two ); } );|" "$CONF"
	ok "the new token is one more replica" expunge_as night keys mark "$T/clinic/shares/3b"
	is "$(status '.places | length')" 0 "that has the share"
	cp -p "$T/clinic/shares/3b"/root.* "$T/clinic/shares/3a/"
	sed -i -e "s|, \"$T/clinic/shares/3b\"||" -e "s|tokens = (.*|tokens = ( $two ); } );|" "$CONF"
	is "$(status '.places | length')" 0 "it takes the place of the first"
	ok "a fresh root" expunge_as night keys rotate
	rm -r "$T/clinic/shares/3b"
	softhsm2-util --delete-token --token expunge >/dev/null
	ok "without the old token" expunge_as night drill
fi

entry 'Losing a token'
if softhsm >/dev/null; then
	softhsm2-util --init-token --free --label third --so-pin 12345678 --pin "$PIN" >/dev/null
	three=$(token_of "$(softhsm)" third "$T/clinic/pin")
	sed -i -e "s|\"$T/clinic/shares/3a\"|&, \"$T/clinic/shares/3b\"|" -e "s|tokens = (.*|tokens = ( $two, $three ); } );|" "$CONF"
	ok "a share on two tokens" expunge_as night keys mark "$T/clinic/shares/3b"
	softhsm2-util --delete-token --token second >/dev/null
	ok "one is lost: a backup goes on" expunge_as night backup
	softhsm2-util --init-token --free --label fourth --so-pin 12345678 --pin "$PIN" >/dev/null
	sed -i "s|label = \"second\"|label = \"fourth\"|" "$CONF"
	ok "another one in its place" expunge_as night keys mark "$T/clinic/shares/3a"
	is "$(status '.places | length')" 0 "gets the share from the one that is left"
	ok "a fresh root" expunge_as night keys rotate
	ok "the drills pass" expunge_as night drill
fi

# ---------------------------------------------------------------------------- nothing is left out
rehearsed+=('What the tool cannot know')
is "$(sed -n 's/^## //p' "$ROOT/doc/runbook.md" | sort)" "$(printf '%s\n' "${rehearsed[@]}" | sort)" "every entry was rehearsed"
done_testing

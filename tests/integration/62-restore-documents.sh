#!/usr/bin/env bash
# Document files are in the archives of those whose rows name them, under their keys, and come back byte for byte, but for
# those of the erased; what is missing is counted, and what could lead elsewhere stops the backup.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/sessions.bash"
. "$(dirname "$0")/shapes.bash"

LETTERS=$T/letters SCANS=$T/scans
mkdir -p "$LETTERS/deep/er" "$SCANS"
HEAD='tenant : { table = "app.practice"; key = "id"; }; subject : { table = "app.patient"; key = "id"; tenant = "practice_id"; };
	session : { login = "app_owner"; };'
TENANT=1
schema='CREATE TABLE app.practice (id int PRIMARY KEY, logo text);
	CREATE TABLE app.patient (id int PRIMARY KEY, practice_id int REFERENCES app.practice, name text);
	CREATE TABLE app.letter (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, patient_id int REFERENCES app.patient, file text);
	CREATE TABLE app.bill (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, patient_id int REFERENCES app.patient, file text);'
mapped='{ table = "app.practice"; action = "tenant"; columns = ( { column = "logo"; documents = "letters"; } ); },
	{ table = "app.patient"; action = "delete"; },
	{ table = "app.letter"; owner = "patient_id -> app.patient"; action = "delete"; columns = ( { column = "file"; documents = "letters"; } ); },
	{ table = "app.bill"; owner = "patient_id -> app.patient"; action = "retain"; columns = ( { column = "file"; documents = "scans"; mask = "keep"; } ); }'
shape papers "$schema
	INSERT INTO app.practice VALUES (1, 'logo.svg'), (2, NULL);
	INSERT INTO app.patient SELECT i, CASE WHEN i < 8 THEN 1 ELSE 2 END, CASE i WHEN 2 THEN '$MARK' ELSE 'p' || i END FROM generate_series(1, 9) i;" "$mapped" "$HEAD"
cat >>"$CONF" <<CONF
documents = ( { name = "letters"; directory = "$LETTERS"; }, { name = "scans"; directory = "$SCANS"; } );
CONF
with_keys 2>/dev/null

letter() { # letter PATIENT PATH <FILE
	cat >"$LETTERS/$2"
	psql -XAtq -v ON_ERROR_STOP=1 -v p="$1" -v f="$2" -U app_owner -d papers <<<"INSERT INTO app.letter (patient_id, file) VALUES (:'p', :'f')"
}
echo '<svg/>' >"$LETTERS/logo.svg"
seq 1 3000000 | letter 1 large
head -c 262144 /dev/urandom | letter 1 exact
head -c 262145 /dev/urandom | letter 3 'deep/er/one more'
letter 1 empty </dev/null
echo "a \\ b	c" | letter 3 'Zoë \N \x41 "q".pdf'
echo "$MARK" | letter 2 deep/of-2
echo shared | letter 4 shared
letter 5 shared <"$LETTERS/shared"
echo other | letter 8 deep/of-8
echo "bill of 6" >"$SCANS/b6"
sql papers "INSERT INTO app.bill (patient_id, file) VALUES (6, 'b6'), (NULL, 'b6'), (5, ''), (5, NULL)"
sums() { (cd "$1" && find . -type f ! -name .expunge-documents -exec sha256sum {} + | sort -k2); }

run expunge_as night backup
rc_is 0 "a backup"
err_unlike warning "with nothing to warn of"
run expunge_as night backup --verify
rc_is 0 "it is read again"
is "$(grep -rlaF -e "$MARK" -e "$(printf %s "$MARK" | od -An -v -tx1 | tr -d ' \n')" "$T/papers/here" "$T/papers/there" || true)" "" "no file lies there in clear"

empty() { # empty NAME
	sql postgres "CREATE DATABASE $1 TEMPLATE template0 STRATEGY wal_log" "GRANT CREATE ON DATABASE $1 TO app_owner"
	psql -XAtq -v ON_ERROR_STOP=1 -U app_owner -d "$1" <<<"CREATE SCHEMA app; $schema"
}
restore() { run expunge_as night restore --into "host=$PGHOST port=$PGPORT dbname=$1 user=postgres" --tenant "${@:2}"; }

# ---- all of it
empty copy
restore copy 1
rc_is 1 "files need a place"
err_like 'say with --documents DIRECTORY where they are to go' "which is said"
mkdir "$T/full"
echo x >"$T/full/x"
restore copy 1 --documents "$T/full"
rc_is 5 "one that is not empty is refused"
ln -s full "$T/link"
restore copy 1 --documents "$T/link"
rc_is 1 "nor a link"
is "$(sql copy 'SELECT count(*) FROM app.patient')" 0 "and nothing was loaded"
restore copy 1 --documents "$T/copy"
rc_is 0 "practice 1 is restored"
out_like "^document files: 9 in $T/copy, 0 were missing" "with its files"
(cd "$LETTERS" && sha256sum deep/er/* deep/of-2 empty exact large logo.svg shared Zoë* | sort -k2) >"$T/wanted"
(cd "$T/copy/letters" && find . -type f -exec sha256sum {} + | sed 's|\./||' | sort -k2) >"$T/got"
is "$(diff "$T/wanted" "$T/got")" "" "names and bytes are what they were"
is "$(sums "$T/copy/scans")" "$(sums "$SCANS")" "of each kind"
is "$(find "$T/copy" -type f ! -perm 600 -o -type d ! -perm 700)" "" "for nobody else to read"
restore copy 2 --documents "$T/two"
is "$RC $(cd "$T/two" && find . -type f)" "0 ./letters/deep/of-8" "practice 2 has its own"
restore copy @nobody --documents "$T/nobody"
is "$RC $(cd "$T/nobody" && find . -type f)" "0 ./scans/b6" "and nobody what is nobody's"

# ---- two at a time in one directory: whichever failed would take the other's files away
mkdir "$T/shared"
exec 9<"$T/shared"
flock 9
restore copy 1 --documents "$T/shared"
rc_is 4 "a directory that another restore writes to is refused"
err_like "another restore writes to $T/shared" "which is said"
exec 9<&-
ok "and stays as it was" rmdir "$T/shared"

# ---- a restore that fails leaves nothing in clear
empty broken
small() { run bash -c 'ulimit -f 1500; exec "$@"' limited "$EXPUNGE" -c "$CONF" -U night restore --into "host=$PGHOST port=$PGPORT dbname=$1 user=postgres" --tenant 1 "${@:2}"; }
small broken --documents "$T/torn"
rc_is 1 "a file that cannot be written to its end"
err_like "writing a file beneath $T/torn" "fails the restore"
nok "and no other one stays, nor the directory" test -e "$T/torn"
mkdir -m 0750 "$T/torn"
small broken --documents "$T/torn"
is "$RC/$(find "$T/torn" -printf '%y %m')" "1/d 750" "a directory that was there stays as it was"
rmdir "$T/torn"
sql broken "ALTER TABLE app.bill ADD CHECK (id < 0)" "ALTER TABLE app.letter ADD CHECK (id < 0)"
restore broken 1 --documents "$T/torn"
rc_is 1 "rows that do not go in"
nok "take the files with them" test -e "$T/torn"
restore broken 1 --documents "$T/full"
is "$RC/$(cat "$T/full/x")" "5/x" "what lay in a directory that is refused is nobody's to remove"

# ---- missing ones, and those of the erased
rm "$LETTERS/exact"
run expunge_as night backup --tenant 1
rc_is 0 "a file that is missing costs no backup"
err_like 'warning .*tenant 1: 1 document files that rows name are not there' "it is told, without its name"
err_unlike exact "..."
schedule() {
	plan "$1"
	decide
	[ "$RC" = 0 ] || show_run
}
schedule 2
run expunge_as night nightly
is "$RC $(request_state papers "$ID")" "0 certified" "a patient is erased"
nok "his letter has gone" test -e "$LETTERS/deep/of-2"
ok "his neighbours' is there" test -e "$LETTERS/deep/of-8"
empty later
restore later 1 --documents "$T/later"
rc_is 0 "the same archive is restored"
out_like "^document files: 7 in $T/later, 1 were missing when the archive was made" "and says what was missing"
nok "without his letter" test -e "$T/later/letters/deep/of-2"
is "$(sums "$T/later/letters")" "$(sums "$LETTERS" | grep -v of-8)" "and with everybody else's"
is "$(grep -rl "$MARK" "$T/later" || true)" "" "nothing of his came"
id=$(sql papers "SELECT id FROM expunge.archive WHERE tenant = '1' ORDER BY created_at, finished_at LIMIT 1")
empty earlier
restore earlier 1 --generation "$id" --documents "$T/earlier"
is "$RC $(test -e "$T/earlier/letters/deep/of-2" && echo there)" "0 " "nor does it come out of an older one"

# ---- paths that lead elsewhere
mkdir "$T/outside"
echo secret >"$T/outside/secret"
ln -s "$T/outside" "$LETTERS/door"
mkfifo "$LETTERS/pipe"
archives=$(sql papers "SELECT count(*) FROM expunge.archive WHERE state = 'complete'")
for path in door/secret pipe ../outside/secret "$T/outside/secret" deep; do
	sql papers "INSERT INTO app.letter (patient_id, file) VALUES (7, '$path'), (7, '$path')"
	run timeout 60 "$EXPUNGE" -c "$CONF" -U night backup --tenant 1
	rc_is 3 "refused: $path"
	err_like 'tenant 1: app.letter: 1 files are no regular files in the directory of letters' "... told by table and number"
	if [ "${#path}" -gt 4 ]; then err_unlike "$path" "... and not by name"; fi
	sql papers "DELETE FROM app.letter WHERE patient_id = 7"
done
is "$(sql papers "SELECT count(*) FROM expunge.archive WHERE state = 'complete'")" "$archives" "no archive was made of them"
mv "$LETTERS" "$T/unmounted"
mkdir "$LETTERS"
run expunge_as night backup
rc_is 3 "a disk that is not mounted"
err_like 'tenant 1: documents letters: .*\.expunge-documents is missing' "... costs those their backup whose files are there"
is "$(sql papers "SELECT count(*) FROM expunge.archive WHERE state = 'complete' AND tenant = '@nobody'")" 2 "... and nobody else"
rmdir "$LETTERS"
mv "$T/unmounted" "$LETTERS"
run expunge_as night backup
rc_is 0 "and when it is back, all is well"
rm "$LETTERS/door" "$LETTERS/pipe"

# ---- the whole database comes back from before an erasure, and with it, or without it, a file
mkrole ada expunge_operator expunge_job
letter 3 deep/of-3 <"$LETTERS/logo.svg"
schedule 3
sql postgres "CREATE DATABASE before TEMPLATE papers STRATEGY wal_log"
cp "$LETTERS/deep/of-3" "$T/kept"
run expunge_as night nightly
is "$RC $(request_state papers "$ID") $(find "$LETTERS/deep" -type f | wc -l)" "0 certified 1" "another patient is erased, with three files"
sql postgres 'ALTER DATABASE papers RENAME TO lost' 'ALTER DATABASE before RENAME TO papers'
cp "$T/kept" "$LETTERS/deep/of-3"
run expunge_as ada restore --adopt
rc_is 0 "a database from before is adopted"
is "$(sql papers 'SELECT count(*) FROM app.patient WHERE id = 3') $(find "$LETTERS/deep" -type f | sed 's|.*/||')" "0 of-8" "the patient goes again, and the file that was back"
is "$(sql papers "SELECT count(*) FROM expunge.key_set")" 0 "and nothing of it is kept"
run expunge_as night nightly
rc_is 0 "the next night is an ordinary one"
# ---- beside a destination that is a command, and has no directory to look into
sed -i "s|{ name = \"there\"; [^}]*}|&, { name = \"outside\"; store = [\"/usr/bin/dd\", \"of=$T/{id}\", \"status=none\"]; }|" "$CONF"
ok "a backup" expunge_as night backup
run expunge_as night check
is "$RC/$(find "$T" -maxdepth 1 -size +0 -regex '.*/[0-9a-f]*' | wc -l)" "0/$(sql papers "SELECT count(*) FROM expunge.archive WHERE 'outside' = ANY (destinations)")" "is there, too"
done_testing

#!/usr/bin/env bash
# Files outside the database that rows name: they go with the rows, and nothing else does, whatever a path says.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/sessions.bash"
. "$(dirname "$0")/shapes.bash"
LETTERS=$T/letters SCANS=$T/scans
mkdir -p "$LETTERS/in" "$LETTERS/by year/2026" "$SCANS"
mapped='{ table = "app.patient"; action = "delete"; },
	{ table = "app.letter"; owner = "patient_id -> app.patient"; action = "delete"; columns = ( { column = "file"; documents = "letters"; } ); },
	{ table = "app.bill"; owner = "patient_id -> app.patient"; action = "retain";
		columns = ( { column = "file"; documents = "scans"; mask = "null"; }, { column = "kept"; documents = "scans"; mask = "keep"; } ); },
	{ table = "app.note"; owner = "patient_id -> app.patient"; action = "delete"; },
	{ table = "app.logo"; action = "none"; reason = "the house"; columns = ( { column = "file"; documents = "letters"; } ); }'
shape papers "CREATE TABLE app.patient (id int PRIMARY KEY, name text);
	INSERT INTO app.patient SELECT i, CASE WHEN i < 60 THEN '$MARK ' || i ELSE 'p' || i END FROM generate_series(1, 99) i;
	CREATE TABLE app.letter (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, patient_id int REFERENCES app.patient, file text);
	CREATE TABLE app.bill (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, patient_id int REFERENCES app.patient, file text, kept text);
	CREATE TABLE app.note (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, patient_id int REFERENCES app.patient);
	CREATE TABLE app.logo (file varchar(100));" "$mapped"

letter() { # letter PATIENT PATH: a row and its file
	printf 'To %s %s: %s\n' "$MARK" "$1" "$2" >"$LETTERS/$2"
	named "$1" "$2"
}
named() { # named PATIENT PATH: a row that names it
	psql -XAtq -v ON_ERROR_STOP=1 -v p="$1" -v f="$2" -U app_owner -d papers <<<"INSERT INTO app.letter (patient_id, file) VALUES (:'p', :'f')"
}
files() { # every file, with what is in it; links by where they lead
	(cd "$T" && find letters scans outside ! -name .expunge-documents ! -type d -printf '%y %p %l\n' | sort &&
		find letters scans outside -type f -exec sha256sum {} + | sort -k2) 2>/dev/null
}
gone() { # gone WANTED NAME: which files went since `files >$T/files.before`
	files >"$T/files.after"
	is "$(diff "$T/files.before" "$T/files.after" | sed -n 's/^< f \(.*\) $/-\1/p; s/^> f \(.*\) $/+\1/p')" "$1" "$2"
}
schedule() { # schedule PATIENT: approved; $ID
	plan "$1"
	decide
	[ "$RC" = 0 ] || show_run
}
reason() { sql papers "SELECT coalesce(reason, '-') FROM expunge.request WHERE id = '$ID'"; }

# ---- nothing is done without a directory that bears our mark
mkdir "$T/outside"
echo 'somebody else' >"$T/outside/secret"
letter 1 in/1
run expunge_as night check
rc_is 5 "a kind of documents without a directory"
err_is "" "..."
out_like 'documents: documents letters: the configuration declares no directory' "check says so"
plan 1
rc_is 5 "no plan is made"
run expunge_as night nightly
rc_is 5 "no night runs"
cat >>"$CONF" <<CONF
documents = ( { name = "letters"; directory = "$LETTERS"; }, { name = "scans"; directory = "$SCANS"; } );
CONF
run expunge_as night nightly
rc_is 5 "nor without the mark that init leaves"
err_like 'letters/.expunge-documents is missing' "which is named"
sed -i "s|\"letters\"; directory = \"$LETTERS\"|\"letters\"; directory = \"$T/papers/state\"|" "$CONF"
run expunge_as night check
out_like 'documents: documents letters: .* holds .*/state \(state_directory\)' "a directory of ours is none for documents"
sed -i "s|\"letters\"; directory = \"$T/papers/state\"|\"letters\"; directory = \"$LETTERS\"|" "$CONF"
ln -s "$LETTERS" "$T/elsewhere"
mkdir "$LETTERS/deep"
sed -i "s|directory = \"$SCANS\"|directory = \"$T/elsewhere/deep\"|" "$CONF"
run expunge_as postgres init
run expunge_as night check
out_like 'documents: documents letters: .* holds .*/elsewhere/deep \(other documents\)' "nor one with documents of another kind in it, on whatever way"
sed -i "s|directory = \"$T/elsewhere/deep\"|directory = \"$SCANS\"|" "$CONF"
rm -r "$T/elsewhere" "$LETTERS/deep" "$T"/papers/state/documents-scans
run expunge_as postgres init
rc_is 0 "init leaves it"
run expunge_as night check
out_like 'documents: 2, their directories are there and bear our mark' "check finds both"
run expunge_as night map show
out_like 'file: documents letters' "the map shows the column"

# ---- the files of one patient
letter 2 'in/2 a.pdf'
letter 2 "by year/2026/Zoë's \"x\" \\ %41.pdf"
letter 3 in/3
named 2 in/lost
named 2 ''
letter 2 in/twice
named 2 in/twice
echo "$MARK" >"$SCANS/bill 2"
echo kept >"$SCANS/kept 2"
sql papers "INSERT INTO app.bill (patient_id, file, kept) VALUES (2, 'bill 2', 'kept 2'), (3, NULL, NULL)" "INSERT INTO app.letter (patient_id) VALUES (2)"
schedule 2
run expunge_as night request show "$ID"
document=$(sql papers "SELECT document FROM expunge.plan WHERE request_id = '$ID'")
is "$(sed -nE 's/^(files|missing): ([a-z]+ [0-9]+).*/\1 \2/p' <<<"$document")" "files letters 4
files scans 1
missing letters 1" "the plan counts them, and what is missing"
files >"$T/files.before"
run expunge_as night nightly
rc_is 0 "a night"
is "$(request_state papers "$ID")" certified "certifies"
gone "-letters/by year/2026/Zoë's \"x\" \\ %41.pdf
-letters/in/2 a.pdf
-letters/in/twice
-scans/bill 2" "exactly these have gone"
certificate 'app.bill 1 0 0 1 0 0
app.letter 7 7 0 0 0 0
app.patient 1 1 0 0 0 0
documents:letters 3 3 0 0 0 0
documents:scans 1 1 0 0 0 0' "the certificate counts them"
is "$(sql papers "SELECT note FROM expunge.certificate WHERE request_id = '$ID'" | grep -c 'documents outside the database that live does not count')" 1 "and is about them"
is "$(sql papers "SELECT count(*) FROM expunge.key_set")" 0 "their paths are forgotten"
ok "it verifies" "$EXPUNGE" certificate verify --key "$T/papers/certificates/issuer.pem" "$T/papers/certificates/"*.note

# ---- the approval is bound to them
schedule 3
letter 3 in/3b
run expunge_as night nightly
is "$(request_state papers "$ID")" blocked "a letter more"
approve_plan papers "$ID"
sql papers "UPDATE app.letter SET file = 'in/3c' WHERE file = 'in/3b'"
mv "$LETTERS/in/3b" "$LETTERS/in/3c"
run expunge_as night nightly
is "$(request_state papers "$ID") $(reason)" "blocked new rows: the rows are not those that were approved" "another path of the same row"
approve_plan papers "$ID"
files >"$T/files.before"
run expunge_as night nightly
is "$(request_state papers "$ID")" certified "approved, it goes on"
gone "-letters/in/3
-letters/in/3c" "with what was approved last"

# files that were there at the approval, and are not: another disk, marked as ours on a host that knows of none
letter 7 in/7
schedule 7
mv "$LETTERS" "$T/unmounted"
mkdir "$LETTERS"
rm "$T/papers/state/documents-letters"
run expunge_as postgres init
run expunge_as night nightly
is "$(request_state papers "$ID") $(reason)" "blocked files that were there at the approval are missing: is it the disk that is meant?" "files that are missing since the approval"
rm -r "$LETTERS"
mv "$T/unmounted" "$LETTERS"
run expunge_as night nightly
approve_plan papers "$ID"
run expunge_as night nightly
is "$(request_state papers "$ID")" certified "approved when they are back, it goes on"
nok "... with them" test -e "$LETTERS/in/7"

# ---- paths that lead elsewhere, and what is no regular file
ln -s "$T/outside" "$LETTERS/door"
ln -s "$T/outside/secret" "$LETTERS/in/link"
ln -s in "$LETTERS/inner"
mkfifo "$LETTERS/in/pipe"
mkdir "$LETTERS/in/directory"
echo two >"$LETTERS/in/two"
ln "$LETTERS/in/two" "$LETTERS/in/names"
long=$(printf 'x%.0s' {1..300})
longest=$(for i in {1..200}; do sha512sum <<<"$i" | cut -c-99; done | tr '\n' '/')x # that no compression makes short
patient=10
for path in "$T/outside/secret" ../outside/secret in/../../outside/secret in/.. . .. / in/ in//1 ./in/1 in/./1 door/secret in/link inner/1 in/pipe \
	in/directory in/two in/1/x $'in/new\nline' "$long" "$(printf 'y/%.0s' {1..2000})z" "$longest" .expunge-documents in; do
	named "$patient" "$path"
	files >"$T/files.before"
	rows >"$T/rows.before"
	plan "$patient"
	is "$(sql papers "SELECT count(*) FROM expunge.plan WHERE request_id = '$ID' AND blockers LIKE '%blocker: app.letter files 1 are no regular files in the directory of letters' || chr(10) || '%'")" 1 \
		"refused: $(printf '%.40q' "$path")"
	decide
	is "$RC $(gone '' -; changes)" "5 ok $((tests + 1)) - -" "... no approval, nothing has gone"
	if grep -qF -- "$path" "$T/out" "$T/err" && [ "${#path}" -gt 9 ]; then verdict false "... and not told"; fi
	patient=$((patient + 1))
done
sql papers "DELETE FROM app.letter WHERE patient_id BETWEEN 10 AND 50"
rm "$LETTERS/in/two" "$LETTERS/in/names" "$LETTERS/door" "$LETTERS/in/link" "$LETTERS/inner" "$LETTERS/in/pipe"

# ---- a file that a row names which stays: of another patient, of the house, of the patient's own; written in another way
shared() { # shared NAME STATEMENT...
	local name=$1
	shift
	letter 51 in/shared
	sql papers "$@"
	rows >"$T/rows.before"
	files >"$T/files.before"
	plan 51
	is "$(sql papers "SELECT blockers FROM expunge.plan WHERE request_id = '$ID'" | sed 's/bill/letter/; s/logo/letter/')" "contested: app.letter files 1 are named by rows that stay" "refused: $name"
	decide
	rc_is 5 "... no approval"
	gone "" "... nothing has gone"
	sql papers "DELETE FROM app.letter WHERE file ~ 'shared'" "DELETE FROM app.logo" "DELETE FROM app.bill"
	expunge_as oscar request withdraw "$ID" >/dev/null
}
shared "named by another patient" "INSERT INTO app.letter (patient_id, file) VALUES (52, 'in/shared')"
shared "named by nobody's row" "INSERT INTO app.letter (file) VALUES ('in/shared')"
shared "named in another way" "INSERT INTO app.letter (patient_id, file) VALUES (52, './in//shared')"
shared "named from the root" "INSERT INTO app.letter (patient_id, file) VALUES (52, '/in/shared')"
shared "named by the house" "INSERT INTO app.logo VALUES ('in/shared')"
sed -i 's/documents = "scans"; mask = "keep"/documents = "letters"; mask = "keep"/' "$T/papers.map"
shared "named by a row of the patient's own that stays" "INSERT INTO app.bill (patient_id, kept) VALUES (51, 'in/shared')"
sed -i 's/documents = "letters"; mask = "keep"/documents = "scans"; mask = "keep"/' "$T/papers.map"
schedule 51
named 52 in/shared
letter 51 in/shared
run expunge_as night nightly
is "$(request_state papers "$ID") $(reason)" "blocked new rows: the rows are not those that were approved" "named by somebody else after the approval"
sql papers "DELETE FROM app.letter WHERE patient_id IN (51, 52)"

# both of two patients whose rows name it, in one night
schedule 53
first=$ID
schedule 54
letter 53 in/both
named 54 in/both
run expunge_as night nightly
is "$(request_state papers "$first") $(request_state papers "$ID")" "blocked blocked" "two patients with one file are both refused"
ok "... and it stays" test -f "$LETTERS/in/both"
sql papers "DELETE FROM app.letter WHERE patient_id IN (53, 54)"

# ---- killed between the removal's COMMIT and the first file, and between the last file and the recount
set_option wait_seconds 60
set_option lock_timeout_ms 60000
removed() { # removed PATIENT: its rows are removed, and the run waits; as job `night`
	session old papers
	say old 'BEGIN; SELECT pg_current_xact_id()'
	schedule "$1"
	start night "$EXPUNGE" -c "$CONF" -U night nightly # the process itself, to be killed
	await "the removal is committed" holds papers "count(*) = 1 FROM expunge.request WHERE state = 'removed' AND id = '$ID'"
}
killed() {
	# shellcheck disable=SC2154 # of start
	kill -9 "$started_night"
	finish night 2>/dev/null
	await "its sessions end" holds papers "count(*) = 0 FROM pg_stat_activity WHERE application_name LIKE 'expunge%'"
}
letter 55 in/55
letter 55 in/55b
sql papers "INSERT INTO app.note (patient_id) VALUES (55)"
removed 55
ok "after the COMMIT, and while others may still look, the files are there" test -f "$LETTERS/in/55" -a -f "$LETTERS/in/55b"
killed
session_end old
is "$RC $(request_state papers "$ID") $(sql papers "SELECT count(*) FROM expunge.key_set WHERE via >= 2000")" "137 removed 2" "killed there, their paths are known"
run expunge_as night nightly
is "$RC $(request_state papers "$ID")" "0 certified" "the next night goes on with them"
nok "... and they go" test -e "$LETTERS/in/55" -o -e "$LETTERS/in/55b"
is "$(sql papers "SELECT note FROM expunge.certificate WHERE request_id = '$ID'" | grep '^live: documents')" \
	"live: documents:letters before 2 removed 2 masked 0 retained 0 arrived-later 0 after 0" "... counted"

letter 56 in/56
removed 56
session door papers
say door 'BEGIN; LOCK TABLE app.note IN ACCESS EXCLUSIVE MODE'
session_end old
await "the file goes" test ! -e "$LETTERS/in/56"
waits_for_lock papers
killed
session_end door
is "$RC $(request_state papers "$ID")" "137 removed" "killed before the recount"
run expunge_as night nightly
is "$RC $(request_state papers "$ID")" "0 certified" "the next night goes on"
is "$(sql papers "SELECT note FROM expunge.certificate WHERE request_id = '$ID'" | grep -c '^live: documents:letters before 1 removed 1 ')" 1 "... and counts what it did not see"

# ---- what comes between: each keeps the files, their paths, and the certificate back, until it is over
between() { # between NAME PATIENT REGEX: removed already, and something is done that stands in the way
	killed
	session_end old
	files >"$T/files.before"
	run expunge_as night nightly
	is "$(request_state papers "$ID") $(sql papers "SELECT count(*) FROM expunge.certificate WHERE request_id = '$ID'") $(sql papers \
		"SELECT count(*) FROM expunge.key_set WHERE request_id = '$ID' AND via >= 2000")" "removed 0 1" "$1: no certificate, nothing is forgotten"
	err_like "$3" "... it says why"
	err_unlike "in/$2" "... without the path"
	gone "" "... and nothing goes"
}
over() {
	run expunge_as night nightly
	is "$RC $(request_state papers "$ID")" "0 certified" "... and goes on when that is over"
	nok "... the file goes" test -e "$LETTERS/in/$1"
}
set_option wait_seconds 5
letter 57 in/57
removed 57
mv "$LETTERS" "$T/unmounted"
mkdir "$LETTERS"
between "a disk that is not mounted" 57 'letters/.expunge-documents is missing'
rc_is 5 "... the whole run is refused"
run expunge_as postgres init
rc_is 5 "... and init does not make another one of it"
mv "$T/papers/state/documents-letters" "$T/memory"
run expunge_as postgres init
rc_is 5 "... nor on another host, which remembers none"
err_like 'still to be taken away' "... while files of removed rows are to go"
nok "... it leaves no mark" test -e "$LETTERS/.expunge-documents"
mv "$T/memory" "$T/papers/state/documents-letters"
rmdir "$LETTERS"
run expunge_as night nightly
rc_is 5 "no directory at all: refused"
mv "$T/unmounted" "$LETTERS"
over 57

letter 58 in/58
removed 58
hold=$(expunge_as oscar hold place --tenant the-practice --subject 58 --kind litigation --reason 'letter of claim' --review "$(date -d '+30 days' +%F)")
between "a hold" 58 'document files were not removed: a hold was placed after the removal'
rc_is 3 "... it is a failed item"
run expunge_as oscar request show "$ID"
out_like 'document files were not removed: a hold' "... request show tells it"
expunge_as oscar hold release "${hold%% *}" >/dev/null
over 58

letter 59 in/59
removed 59
named 60 in/59
between "a name that was given again" 59 'rows of app.letter name 1 of the files again'
sql papers "DELETE FROM app.letter WHERE patient_id = 60"
over 59

letter 5 in/5
removed 5
sed -i 's/ documents = "letters";/ mask = "keep";/' "$T/papers.map"
between "a map that does not name documents any more" 5 'app.letter does not name documents letters in the data map as it did at the removal'
printf '%s\ntables = ( %s );\n' "$HEAD" "$mapped" >"$T/papers.map"
rm "$LETTERS/in/5"
ln -s 1 "$LETTERS/in/5"
files >"$T/files.before"
run expunge_as night nightly
err_like 'document files were not removed: 1 are no regular files in their directory' "a link in its place is not taken"
ok "... nor followed" test -L "$LETTERS/in/5" -a -f "$LETTERS/in/1"
rm "$LETTERS/in/5"
mkdir "$LETTERS/in/5"
run expunge_as night nightly
rc_is 3 "nor is a directory"
rmdir "$LETTERS/in/5"
over 5

# ---- one that comes back between the recount and the certificate
letter 6 in/6
schedule 6
run expunge_as night erase --rehearse --request "$ID"
rc_is 0 "a rehearsal"
ok "... takes nothing" test -f "$LETTERS/in/6"
printf '#!/bin/sh\necho back >"%s"\n' "$LETTERS/in/6" >"$T/back"
chmod 755 "$T/back"
printf 'external = ( { name = "disk"; owner = "IT"; command = [ "%s", "{subject}" ]; } );\n' "$T/back" >>"$T/papers.map"
run expunge_as night nightly
expunge_as night request plan "$ID" >/dev/null 2>&1
approve_plan papers "$ID"
run expunge_as night nightly
is "$RC $(request_state papers "$ID")" "3 failed" "a file that is there again when the certificate is signed"
err_like 'rows of documents:letters came back between recount and signing' "... is told"
printf '#!/bin/sh\n' >"$T/back"
run expunge_as night nightly
is "$RC $(request_state papers "$ID")" "0 certified" "the next night takes it again"
nok "... it goes" test -e "$LETTERS/in/6"

is "$(cat "$T/outside/secret") $(find "$LETTERS" -type f | sed "s|$LETTERS/||" | sort | tr '\n' ' ')" "somebody else .expunge-documents in/1 in/both in/shared " "what belongs to others is there, byte for byte"
is "$(cat "$LETTERS/in/1")" "To $MARK 1: in/1" "..."

# ---- handed over with the practice's data
named 1 in/nowhere
run expunge_as night account export the-practice --to "$T/export"
rc_is 0 "a practice's export has its files"
is "$(cd "$T/export/documents/letters" && find . -type f | sort | tr '\n' ' ')" "./in/1 " "... in their places"
ok "... byte for byte" cmp "$T/export/documents/letters/in/1" "$LETTERS/in/1"
err_like '1 document files that rows name are not there' "... and says which are not there"
is "$(wc -l <"$T/export/tables/app.note.csv")" "$(sql papers "SELECT count(*) + 1 FROM app.note")" "... and all rows"
sql papers "DELETE FROM app.letter WHERE file = 'in/nowhere'"
whole papers "at the end"
done_testing

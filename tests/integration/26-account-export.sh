#!/usr/bin/env bash
# A practice's data in open form: every row of its own and of its patients, nothing of another's, all of one moment; documents and
# large objects; hostile names; and nothing left of an export that failed.
. "$(dirname "$0")/../lib.sh"
fresh_db clinic
install clinic
to=$T/out-1
export_1() { expunge_as "${2:-night}" account export 1 --to "$1"; }

run export_1 "$to"
rc_is 0 "a practice is exported"
out_like '^200 patients, [0-9]+ rows, [0-9]+ files as of ' "... and counted"
rows=$(sed -n 's/.* patients, \([0-9]*\) rows.*/\1/p' "$T/out")
is "$(tail -n 1 "$T/out")" "SHA256SUMS: $(sha256sum "$to/SHA256SUMS" | cut -d' ' -f1)" "the last line names the whole of it"
ok "sha256sum -c reads it" bash -c "cd '$to' && sha256sum --strict -c SHA256SUMS"
is "$(cd "$to" && find . -type f ! -name SHA256SUMS | wc -l)" "$(wc -l <"$to/SHA256SUMS")" "every file is in it"
is "$(find "$to" -type f ! -perm 600 -o -type d ! -perm 700)" "" "nobody else reads any of it"

# ---- the same rows as the database has, by another way: each table's patients and practice
cat >"$T/compare.py" <<'PY'
import csv, glob, json, os, sys
to = sys.argv[1]
manifest = json.load(open(to + "/manifest.json"))
total = 0
tables = {}
for t in manifest["tables"]:
    if "file" not in t: continue
    path = os.path.join(to, t["file"])
    rows = list(csv.reader(open(path, newline=""))) if os.path.exists(path) else [[c["name"] for c in t["columns"]]]
    assert rows[0] == [c["name"] for c in t["columns"]], t["name"]
    assert len(rows) - 1 == t["rows"], t["name"]
    tables[t["name"]] = [dict(zip(rows[0], r)) for r in rows[1:]]
    total += t["rows"]
patients = [json.load(open(p)) for p in sorted(glob.glob(to + "/patients/*.json"))]
owned = {}
for p in patients:
    for name, rows in p["tables"].items():
        owned.setdefault(name, []).extend(rows)
if len(sys.argv) > 2:
    print(len(tables[sys.argv[2]]), sorted({r.get(sys.argv[3], "") for r in tables[sys.argv[2]]})[:3])
else:
    print(total, len(patients), len({p["subject"] for p in patients}), all(p["tables"]["app.patient"][0]["id"] == int(p["subject"]) for p in patients),
        sum(1 for n, r in owned.items() if len({json.dumps(x, sort_keys=True) for x in r}) != len({json.dumps(x, sort_keys=True) for x in tables[n]})))
PY
is "$(python3 "$T/compare.py" "$to")" "$rows 200 200 True 0" "as many rows as it says, each patient in a file of its own, and the same rows as in the tables"
for table in appointment letter reminder invoice; do
	is "$(python3 "$T/compare.py" "$to" "app.$table" none | cut -d' ' -f1)" \
		"$(sql clinic "SELECT count(*) FROM app.$table a JOIN app.patient p ON p.id = a.patient_id WHERE p.practice_id = 1")" "app.$table: every row"
done
is "$(python3 "$T/compare.py" "$to" app.patient practice_id)" "200 ['1']" "patients of this practice, and of no other"
is "$(python3 "$T/compare.py" "$to" app.staff practice_id)" "5 ['1']" "its staff"
is "$(python3 "$T/compare.py" "$to" app.practice id)" "1 ['1']" "and the practice itself"
is "$(sql clinic "SELECT md5(string_agg(id || coalesce(given_name, '') || family_name, '' ORDER BY id)) FROM app.patient WHERE practice_id = 1")" \
	"$(python3 -c "
import csv, hashlib, sys
rows = sorted(csv.DictReader(open('$to/tables/app.patient.csv', newline='')), key=lambda r: int(r['id']))
print(hashlib.md5(''.join(r['id'] + r['given_name'] + r['family_name'] for r in rows).encode()).hexdigest())")" "letter by letter"

# ---- large objects
is "$(find "$to/objects" -type f | wc -l)" "$(sql clinic "SELECT count(*) FROM (SELECT l.content FROM app.letter_file l JOIN app.patient p ON p.id = l.patient_id WHERE p.practice_id = 1 AND l.content IS NOT NULL
	UNION SELECT i.scan FROM app.invoice i JOIN app.patient p ON p.id = i.patient_id WHERE p.practice_id = 1 AND i.scan IS NOT NULL) x")" "each large object is a file"
lo=$(find "$to/objects" -type f | head -n 1)
is "$(sha256sum <"$lo" | cut -d' ' -f1)" "$(sql clinic "SELECT encode(sha256(lo_get(${lo##*/})), 'hex')")" "... with its bytes"

# ---- hostile values
sql clinic "SET default_transaction_read_only = off" "UPDATE app.patient SET family_name = E'O\"Brien,\n\\\\ \t</script>\u202e', given_name = '=cmd()' WHERE id = 42" >/dev/null
run export_1 "$T/out-2"
is "$(python3 "$T/compare.py" "$T/out-2")" "$((rows + 1)) 200 200 True 0" "quotes, line ends and backslashes stay what they are"

# ---- more patients than are taken at a time
sql clinic "SET default_transaction_read_only = off" "INSERT INTO app.patient (practice_id, given_name, family_name, born)
	SELECT 3, 'Given', 'Family ' || n, '1980-01-01' FROM generate_series(1, 2100) n" >/dev/null
run expunge_as night account export 3 --to "$T/out-many"
out_like '^2300 patients, ' "a large practice is exported whole"
is "$(python3 "$T/compare.py" "$T/out-many" | cut -d' ' -f2-)" "2300 2300 True 0" "... each patient once"

# ---- what is noted of it
sql clinic "SET default_transaction_read_only = off" "INSERT INTO expunge.closure_rule VALUES ('cancellation', 'paid-until', 45, 'not-before', 7)"
expunge_as oscar account cancel 1 --paid-until "$(date +%F)" >/dev/null
obstacle() { sql clinic "SELECT count(*) FROM expunge.closure c, expunge.closure_obstacles(c.id) o WHERE c.tenant = '1' AND o.code = 'EX524'"; }
run export_1 "$T/out-3"
is "$(obstacle)" 1 "an export on the last paid day does not count"
sql clinic "SET default_transaction_read_only = off" "UPDATE expunge.closure SET anchor = anchor - 2, purge_on = purge_on - 2, complete_on = complete_on - 2"
run export_1 "$T/out-4"
is "$(obstacle)" 0 "one after it does"
is "$(sql clinic "SELECT export_sha256 FROM expunge.closure")" "$(sha256sum "$T/out-4/SHA256SUMS" | cut -d' ' -f1)" "and is known by its hash"

# ---- refusals, and failures that leave nothing
run export_1 "$T/out-4"
rc_is 5 "a directory that is not empty is refused"
ok "... and left alone" test -e "$T/out-4/manifest.json"
run expunge_as night account export 77 --to "$T/out-5"
rc_is 1 "a practice that there is not"
nok "... leaves nothing" test -e "$T/out-5"
run expunge_as night account export "1' OR true --" --to "$T/out-5"
rc_is 1 "... nor does one that is no practice's name"
run expunge_as night account export 1
rc_is 2 "either --to or --not-needed"
run expunge_as night account export 1 --to "$T/out-5" --not-needed
rc_is 2 "... and not both"
mkdir "$T/full"
# shellcheck disable=SC2016 # the inner shell's
small() { # small DIRECTORY COMMAND...: on a small file system, which nobody else sees; prints what is left in it
	unshare --mount bash -c 'mount -t tmpfs -o size=64k tmpfs "$1" || exit 99
		rc=0; "${@:2}" || rc=$?; ls -A "$1"; exit "$rc"' small "$@"
}
if small "$T/full" true 2>/dev/null; then
	run small "$T/full" "$EXPUNGE" -c "$CONF" -U night account export 1 --to "$T/full/out"
	rc_is 1 "a full disk ends it"
	out_is "" "... and nothing in clear stays behind"
else
	skip "a full disk" "no file system can be mounted here"
fi
done_testing

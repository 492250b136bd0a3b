# The jobs of the crash harness. A job NAME is:
#
#   NAME_start     makes the start state: database clinic, directory $T/clinic with its configuration
#   NAME_run       what is interrupted, and run again; its last exit code is the job's
#   NAME_end       prints the end state, without times and random ids: compared with that of an
#                  uninterrupted run
#   NAME_restore   (may be absent) what else is to be put back before each case
#   NAME_between   (may be absent) prints what must never be, not even between interruption and next run
#
# and its name in $jobs. sql, expunge_as, install and the like are those of tests/lib.sh.
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # jobs is for run.sh, T comes from lib.sh
jobs='nightly erase init plan export freeze rotate token shred lagging backup send expire finals adopt notify purge dormant wake'

# ---------------------------------------------------------------------------- purge

# A claimed account, some patients at a time; the other practice has just as many.
purge_start() {
	DB=clinic
	small_clinic
	[ -x "$T/purge_probe" ] || build_probe purge_probe >/dev/null
	. "$ROOT/tests/integration/purge.bash"
	claimed 2
	others 2 >"$T/purge.others"
}

purge_closure() {
	sql clinic 'SELECT id FROM expunge.closure'
}

purge_run() {
	export CRASH_PROGRAM=purge_probe
	[ "$(sql clinic 'SELECT state FROM expunge.closure')" = claimed ] || return 0
	timeout -k 5 "$limit" "$T/purge_probe" "$CONF" "host=$PGHOST port=$PGPORT dbname=clinic" remove "$(purge_closure)" &&
		timeout -k 5 "$limit" "$T/purge_probe" "$CONF" "host=$PGHOST port=$PGPORT dbname=clinic" recount "$(purge_closure)"
}

purge_end() {
	sql clinic "SELECT state, problem FROM expunge.closure" \
		"SELECT m.name, t.n_removed, t.n_created FROM expunge.closure_tally t JOIN expunge.mapped_table m ON m.id = t.table_id ORDER BY 1" \
		"SELECT sum(n_subjects), sum(n_rows), count(*) FILTER (WHERE is_last), bool_or(has_files) FROM expunge.closure_chunk" \
		"SELECT 'rows of the account', count(*) FROM app.patient WHERE practice_id = 2"
	find "$T/clinic/letters" -type f ! -name .expunge-documents -printf '%P\n' | sort
}

# Nothing of the other practice is ever touched, and nothing goes that the ledger has not named.
purge_between() {
	local chunk
	DB=clinic
	. "$ROOT/tests/integration/purge.bash"
	others 2 | diff "$T/purge.others" - || true
	sql clinic 'SELECT id FROM expunge.closure_chunk' | while IFS= read -r chunk; do
		grep -q " $chunk intent " "$T/clinic/ledger/erasures" || printf 'a chunk is not in the ledger: %s\n' "$chunk"
	done
	sql clinic "SELECT 'tallies and chunks differ' WHERE (SELECT coalesce(sum(t.n_removed), 0) FROM expunge.closure_tally t
			JOIN expunge.mapped_table m ON m.id = t.table_id WHERE m.name NOT LIKE 'documents:%') <>
		(SELECT coalesce(sum(n_rows), 0) FROM expunge.closure_chunk)"
}

# ---------------------------------------------------------------------------- dormant, wake

# A closing account on the day by which it is to have left the live database.
dormant_start() {
	DB=clinic
	small_clinic
	with_keys 2>/dev/null
	. "$ROOT/tests/integration/purge.bash"
	printf 'stores = ( { name = "physical backups"; kind = "physical-backup"; retention_days = 35; } );\n' >>"$CONF"
	expunge_as postgres init 2>/dev/null
	sql clinic "UPDATE app.letter_file SET file = NULL" \
		"INSERT INTO expunge.closure (tenant, trigger, source, anchor, zone, days, meaning, within_days, purge_on, not_before, complete_on, complete_by, state)
			SELECT '2', 'cancellation', 'command', current_date - 20, 'Europe/London', 45, 'not-before', 7, k.*, 'cooling-off'
			FROM expunge.closure_clock(current_date - 20, 'Europe/London', 45, 'not-before', 7) k"
	all_rows >"$T/dormant.rows"
	others 2 >"$T/dormant.others"
}

dormant_run() {
	expunge_as night nightly
}

dormant_end() {
	sql clinic "SELECT phase, n_rows, problem FROM expunge.dormancy" "SELECT state FROM expunge.closure" \
		"SELECT sum(n_subjects), sum(n_rows), count(*) FILTER (WHERE is_last) FROM expunge.dormancy_chunk" \
		"SELECT 'without an archive', count(*) FROM expunge.dormancy_chunk k
			WHERE NOT EXISTS (SELECT FROM expunge.archive a WHERE a.id = k.archive_id AND a.state = 'complete' AND cardinality(a.destinations) = 2)" \
		"SELECT 'rows of the account', count(*) FROM app.patient WHERE practice_id = 2"
	dormant_between
}

# Each row is in the database or has left it, and is then in an archive that is where the catalogue says.
dormant_between() {
	local archive all
	DB=clinic
	. "$ROOT/tests/integration/purge.bash"
	others 2 | diff "$T/dormant.others" - || true
	all="$(($(all_rows | wc -l) + $(sql clinic 'SELECT coalesce(sum(n_rows), 0) FROM expunge.dormancy_chunk')))"
	[ "$all" -eq "$(wc -l <"$T/dormant.rows")" ] || printf '%s rows are live or sealed\n' "$all"
	sql clinic 'SELECT DISTINCT archive_id FROM expunge.dormancy_chunk' | while IFS= read -r archive; do
		[ "$(find "$T/clinic/here" "$T/clinic/there" -name "$archive.archive" | wc -l)" -eq 2 ] || printf 'an archive is not there\n'
	done
}

# The same account, dormant, and the practice is back.
wake_start() {
	dormant_start
	expunge_as night nightly 2>/dev/null
	sql clinic "SELECT expunge.reactivate_account('2', 'they are back')" >/dev/null
}

wake_run() {
	expunge_as night lifecycle
}

wake_end() {
	sql clinic "SELECT phase, n_rows, problem FROM expunge.dormancy" "SELECT state FROM expunge.closure"
	wake_between
}

# All of it, or nothing.
wake_between() {
	DB=clinic
	. "$ROOT/tests/integration/purge.bash"
	case $(sql clinic 'SELECT phase FROM expunge.dormancy') in
	waking) others 2 | diff "$T/dormant.others" - || true ;;
	awake) all_rows | diff "$T/dormant.rows" - | sed -n 1,5p || true ;;
	*) printf 'neither waking nor awake\n' ;;
	esac
	sql clinic "SELECT 'rows of the account', count(*) FROM app.patient WHERE practice_id = 2 HAVING count(*) NOT IN (0, 14)"
}

# ---------------------------------------------------------------------------- rotate

rotate_start() {
	sql postgres 'CREATE DATABASE clinic TEMPLATE template0'
	mkrole app_owner
	install clinic
	with_keys 2>/dev/null
	set_option lock_timeout_ms 200
}

rotate_run() {
	expunge_as night keys rotate
}

# a killed change is gone on with, and then comes the one that was asked for
rotate_end() {
	expunge_as night drill
	expunge_as night keys status --json | jq -r '.root, (.places | tostring), .anchor, (.change_under_way | tostring), (.journals[].state)'
	find "$T/clinic/shares" -name 'root.*' -printf '%h\n' | sort | sed "s|$T||"
}

# at every moment there is a whole root of the database's epoch
rotate_between() {
	expunge_as night keys status --json | jq -r '.root' | grep -vx present || true
}

# ---------------------------------------------------------------------------- token

# As rotate, with a share on a token; SoftHSM's own files are not what is tried here. Its calls are: 67-pkcs11-faults.sh.
token_start() {
	sql postgres 'CREATE DATABASE clinic TEMPLATE template0'
	mkrole app_owner
	install clinic
	make_token token
	with_token_keys 2>/dev/null
	cp -a "$T/token" "$T/token.start"
	set_option lock_timeout_ms 200
}

token_restore() {
	rm -rf -- "$T/token"
	cp -a "$T/token.start" "$T/token"
}

token_run() {
	rotate_run
}

token_end() {
	rotate_end
	find "$T/token/tokens" -name '*.object' ! -name token.object | wc -l
}

token_between() {
	rotate_between
}

# ---------------------------------------------------------------------------- shred

# A night with patients who were backed up; others keep their leaf keys.
shred_start() {
	small_clinic
	with_keys 2>/dev/null
	[ -x "$T/leaf_probe" ] || build_probe leaf_probe >/dev/null
	shred_leaf 1 42 40 43 >/dev/null
	shred_leaf 2 245 248 >/dev/null
	scheduled clinic 1 42 >/dev/null
	scheduled clinic 2 245 >/dev/null
	scheduled clinic 1 49 >/dev/null # who was never backed up
}

shred_leaf() { # shred_leaf TENANT SUBJECT...
	"$T/leaf_probe" "$CONF" "host=$PGHOST port=$PGPORT dbname=clinic" "$@"
}

shred_run() {
	expunge_as night nightly
}

# A share that was gone before the run that recorded it is named without its file system.
shred_end() {
	nightly_end | sed '/^keys: destroyed/s/file:[a-z0-9]*/file/g'
	sql clinic "SELECT 'leaf', tenant, name, shredded_epoch, page IS NULL, sealed_name IS NULL FROM expunge.key_leaf ORDER BY id" \
		"SELECT 'tree', epoch FROM expunge.key_tree" "SELECT 'changes', count(*) FROM expunge.key_change WHERE state = 'done'"
	{
		expunge_as night drill
		shred_leaf 1 40 43
		shred_leaf 2 248
	} 2>&1
	expunge_as night keys status --json | jq -r '.root, (.places | tostring), .anchor, (.change_under_way | tostring), (.journals[].state)'
	find "$T/clinic/shares" -name '*root.*' -printf '%h\n' | sort | sed "s|$T||"
}

# No certificate of a patient whose leaf key lives, or whose old root is still somewhere; and the root that the database
# needs is there.
shred_between() {
	local epoch
	evidence_between
	sql clinic "SELECT 'a certificate, and leaf key ' || l.id || ' lives' FROM expunge.certificate c
			JOIN expunge.request_leaf q USING (request_id) JOIN expunge.key_leaf l ON l.id = q.leaf_id WHERE l.shredded_epoch IS NULL" \
		"SELECT 'a certificate names keys before the change of the root is done' FROM expunge.certificate
			WHERE note LIKE E'%\nkeys: destroyed%' AND EXISTS (SELECT FROM expunge.key_change WHERE state NOT IN ('done', 'abandoned'))"
	epoch=$(sql clinic 'SELECT epoch FROM expunge.key_tree')
	if [ -n "$(sql clinic "SELECT 1 FROM expunge.certificate WHERE note LIKE E'%\nkeys: destroyed%' LIMIT 1")" ] &&
		find "$T/clinic/shares" -name '*root.*' | grep -v "/root\.$epoch\."; then
		printf 'a certificate names keys, and roots other than that of epoch %s are there\n' "$epoch"
	fi
	rotate_between
}

# ---------------------------------------------------------------------------- lagging

# As shred, with a replica of a share that has missed the last change: it has the root of the epoch before, and not this one.
lagging_start() {
	shred_start
	cp -a "$T/clinic/shares/2b" "$T/older"
	expunge_as night keys rotate >/dev/null
	rm -r "$T/clinic/shares/2b"
	mv "$T/older" "$T/clinic/shares/2b"
}

lagging_run() {
	shred_run
}

lagging_end() {
	shred_end
}

lagging_between() {
	shred_between
}

# ---------------------------------------------------------------------------- finals

# Interim certificates whose stores have all ended, but for one; a longer retention comes on the same night.
finals_start() {
	small_clinic
	printf 'stores = ( { name = "tapes"; kind = "physical-backup"; retention_days = 30; } );\n' >>"$CONF"
	scheduled clinic 1 42 >/dev/null
	scheduled clinic 1 49 >/dev/null
	scheduled clinic 2 241 >/dev/null
	expunge_as night nightly
	expunge_as dora store end tapes --reason 'destroyed' >/dev/null
	scheduled clinic 2 245 >/dev/null
	expunge_as night erase # which issues none
	sed -i 's/retention_days = 30/retention_days = 40/' "$CONF"
}

finals_run() {
	expunge_as night nightly
}

finals_end() {
	nightly_end
	sql clinic "SELECT 'store', request_id, name, declared, until - bound_until, ended_how FROM expunge.request_store ORDER BY request_id, name"
}

# A final certificate only where every store has ended; the request says so, and there is one.
finals_between() {
	evidence_between
	sql clinic "SELECT 'final, and a store is left: ' || c.request_id FROM expunge.certificate c JOIN expunge.request_store s USING (request_id)
			WHERE c.stage = 'final' AND s.ended_at IS NULL" \
		"SELECT 'final in one place only: ' || r.id FROM expunge.request r LEFT JOIN expunge.certificate c
			ON c.request_id = r.id AND c.stage = 'final' WHERE r.state = 'certified' AND (r.final_at IS NULL) <> (c.serial IS NULL)"
}

# ---------------------------------------------------------------------------- adopt

# A database from before a night with three patients: one was approved already, one had asked, one had not. A later backup is
# in the journal only.
adopt_start() {
	small_clinic
	with_keys 2>/dev/null
	mkrole ada expunge_operator expunge_job
	expunge_as night backup
	scheduled clinic 1 42 >/dev/null
	adopt_asked=$(file_request clinic 2 245)
	sql postgres 'CREATE DATABASE before TEMPLATE clinic STRATEGY wal_log'
	approve clinic "$adopt_asked"
	scheduled clinic 1 49 >/dev/null
	expunge_as night nightly
	expunge_as night backup
	adopt_leaves >"$T/adopt_leaves"
	sql postgres 'DROP DATABASE clinic' 'ALTER DATABASE before RENAME TO clinic'
}

adopt_leaves() {
	sql clinic 'SELECT id, tenant, kind, name, name_hash, incarnation, kcv, made_epoch, shredded_epoch FROM expunge.key_leaf ORDER BY id'
}

adopt_run() {
	expunge_as ada restore --adopt
}

# A request is carried out again under a number of chance, and certified again by none.
adopt_end() {
	"$ROOT/tests/sample/rows.sh" clinic
	sql clinic "SELECT 'request', r.id, r.tenant, r.state, r.reason, r.subject, r.subject_hash FROM expunge.request r WHERE r.kind <> 'replay' ORDER BY r.id" \
		"SELECT 'again', original, serial FROM expunge.replay ORDER BY 2" \
		"SELECT 'carried out again', tenant, state, subject, subject_hash FROM expunge.request WHERE kind = 'replay' ORDER BY tenant, subject_hash" \
		"SELECT 'serials', count(*), min(serial), max(serial), (SELECT last FROM expunge.certificate_counter), md5(string_agg(note, '' ORDER BY serial)) FROM expunge.certificate" \
		"SELECT 'sets', (SELECT count(*) FROM expunge.key_set), (SELECT count(*) FROM expunge.control_set), (SELECT count(*) FROM expunge.adopted_line)" \
		"SELECT 'adoptions under way', count(*) FROM expunge.adoption WHERE ended_at IS NULL" \
		"SELECT 'archives', tenant, count(*) FROM expunge.archive GROUP BY tenant ORDER BY tenant" \
		"SELECT 'tree', epoch FROM expunge.key_tree" "SELECT 'changes', count(*) FROM expunge.key_change WHERE state = 'done'"
	diff "$T/adopt_leaves" <(adopt_leaves) || true
	certificate_files
	{
		expunge_as night drill
		expunge_as night backup --verify >/dev/null
	} 2>&1 | sed '/info/d'
	expunge_as night keys status --json | jq -r '.root, (.places | tostring), .anchor, (.change_under_way | tostring), (.journals[].state)'
	find "$T/clinic/shares" -name '*root.*' -printf '%h\n' | sort | sed "s|$T||"
	disk_end
}

# Nothing else runs before it has ended, and the root that the journals end with is there.
adopt_between() {
	local rc=0
	if [ -z "$(sql clinic 'SELECT 1 FROM expunge.adoption WHERE ended_at IS NOT NULL')" ]; then
		expunge_as night nightly >/dev/null 2>&1 || rc=$?
		[ "$rc" = 5 ] || printf 'a night before the adoption has ended: exit code %s\n' "$rc"
	fi
	[ "$(find "$T/clinic/shares" -name "$(basename "$(find "$T/start/shares/1a" -name 'root.*')")" | wc -l)" = 4 ] || printf 'a root is lost\n'
	sql clinic "SELECT 'certificate ' || serial || ' is there twice' FROM expunge.certificate GROUP BY request_id, serial HAVING count(*) > 1" \
		"SELECT 'more certificates than the journal has' FROM expunge.certificate HAVING count(*) > 3"
}

# ---------------------------------------------------------------------------- backup

backup_start() {
	small_clinic
	with_keys 2>/dev/null
	sed -i 's/^archives : {/&\n  reuse_days = 0;/' "$CONF" # the probe reads one file
	[ -x "$T/archive_probe" ] || build_probe archive_probe >&2
}

backup_run() {
	expunge_as night backup
}

# The newest archive of each tenant, row by row; all are whole. A killed run may have left one more.
backup_end() {
	"$ROOT/tests/sample/rows.sh" clinic
	expunge_as night backup --verify 2>/dev/null | sed 's/^[1-9][0-9]* good/all good/; s/, [0-9]* missing$//'
	sql clinic "SELECT DISTINCT ON (tenant) tenant, id FROM expunge.archive ORDER BY tenant, created_at DESC, finished_at DESC" |
		while IFS='|' read -r tenant id; do
			"$T/archive_probe" "$CONF" "host=$PGHOST port=$PGPORT dbname=clinic" "$tenant" \
				"$(find "$T/clinic/here/archives" -name "$id.archive")" 2>/dev/null | cut -f 1,3- | sort
		done
	sql clinic "SELECT 'between: ' || id FROM expunge.archive WHERE state <> 'complete'"
	disk_end
}

# whatever has its name is in the catalogue, and whole
backup_between() {
	find "$T/clinic/here" "$T/clinic/there" -name '*.archive' | while read -r file; do
		[ -n "$(sql clinic "SELECT 1 FROM expunge.archive WHERE id = '$(basename "$file" .archive)'")" ] || printf 'unknown: %s\n' "$file"
	done
}

# ---------------------------------------------------------------------------- send

# The same, and a destination that is a command.
send_start() {
	backup_start
	mkdir -m 0700 "$T/clinic/outside"
	sed -i "s|^\(  destinations = (.*\) );|\1, { name = \"outside\";\\
		store = [\"/usr/bin/dd\", \"of=$T/clinic/outside/{id}\"]; fetch = [\"/usr/bin/cat\", \"$T/clinic/outside/{id}\"]; } );|" "$CONF"
}

send_run() {
	expunge_as night backup
}

send_end() {
	backup_end
	sql clinic "SELECT 'on its way: ' || id FROM expunge.archive WHERE sending <> '{}'"
}

# what the catalogue says is outside is, whole
send_between() {
	backup_between
	sql clinic "SELECT id FROM expunge.archive WHERE 'outside' = ANY (destinations)" | while read -r id; do
		cmp -s "$T/clinic/outside/$id" "$T/clinic/here/archives/"*/"$id.archive" || printf 'claimed, not there: %s\n' "$id"
	done
}

# ---------------------------------------------------------------------------- expire

# A night with a patient, and archives that have had their time, in two places.
expire_start() {
	backup_start
	[ -x "$T/leaf_probe" ] || build_probe leaf_probe >&2
	for _ in 1 2 3; do expunge_as night backup; done
	sql clinic "UPDATE expunge.archive a SET created_at = now() - make_interval(days => 3 - n.n::integer)
		FROM (SELECT id, row_number() OVER (PARTITION BY tenant ORDER BY generation) AS n FROM expunge.archive) n WHERE n.id = a.id"
	sed -i 's/^archives : {/&\nkeep_daily = 2;/' "$CONF"
	scheduled clinic 1 42 >/dev/null
}

expire_run() {
	expunge_as night nightly
}

# A patient whose removal was disturbed goes with the next night's change, and the archives with the first's.
expire_end() {
	shred_end | grep -v -e '^leaf.*|generation|' -e 'info drill:' -e '^tree|' -e '^changes|' |
		sed -E 's/epoch [0-9]+ -> [0-9]+/epoch/; /^leaf/s/\|[0-9]+\|t\|t$/|gone/'
	sql clinic "SELECT tenant, state, destinations FROM expunge.archive ORDER BY tenant, created_at" \
		"SELECT 'a generation without an archive lives: ' || id FROM expunge.key_leaf l WHERE kind = 'generation' AND shredded_epoch IS NULL
			AND NOT EXISTS (SELECT FROM expunge.archive a WHERE a.generation = l.id)" \
		"SELECT 'archives expired: ' || sum(split_part(detail, ' ', 1)::integer) FROM expunge.event WHERE kind = 'archives-expired'"
	expunge_as night backup --verify 2>/dev/null
	for place in here there; do find "$T/clinic/$place/archives" -name '*.archive' -printf '%f\n' | sort; done
}

# what shred promises; and no file goes before its key has gone
expire_between() {
	shred_between
	sql clinic "SELECT a.id, a.destinations FROM expunge.archive a JOIN expunge.key_leaf l ON l.id = a.generation WHERE l.shredded_epoch IS NULL" |
		while IFS='|' read -r id _; do
			[ -n "$(find "$T/clinic/here/archives" -name "$id.archive")" ] || printf 'file gone, key there: %s\n' "$id"
		done
}

# ---------------------------------------------------------------------------- nightly, erase

# The sample practices with 28 patients: with large objects, document files, audit triggers, masks, shared guarantors
# and merged duplicates among them.
small_clinic() {
	sql postgres 'CREATE DATABASE clinic TEMPLATE template0'
	mkrole app_owner
	psql -XAtq -v ON_ERROR_STOP=1 -d clinic -f "$ROOT/tests/sample/schema.sql" >/dev/null
	sed 's/FROM generate_series(1, 600) AS p$/FROM (TABLE few) AS few (p)/
		/^INSERT INTO app.guarantor /,/;$/s/row_number() OVER (ORDER BY p.id)/((p.id - 1) \/ 4 + 1)/
		s/^BEGIN;$/CREATE TEMPORARY TABLE few AS SELECT p FROM generate_series(1, 400) AS p WHERE p % 200 BETWEEN 37 AND 50;\nGRANT SELECT ON few TO app_owner;\n&/' \
		"$ROOT/tests/sample/data.sql" | psql -XAtq -v ON_ERROR_STOP=1 -d clinic >/dev/null
	mkdir -p "$T/clinic"
	printf '#!/bin/sh\nprintf "%%s\\n" "$*" >>"%s"\n' "$T/clinic/told" >"$T/clinic/store"
	chmod 755 "$T/clinic/store"
	{
		cat "$ROOT/etc/maps/sample.conf"
		printf 'external = ( { name = "documents"; owner = "Practice IT"; command = [ "%s", "{request}", "{tenant}", "{subject}" ]; } );\n' "$T/clinic/store"
	} >"$T/clinic/map.conf"
	# a letter of every fifth patient is a file
	psql -XAtq -v ON_ERROR_STOP=1 -U app_owner -d clinic >/dev/null \
		<<<"ALTER TABLE app.letter_file ADD file text; UPDATE app.letter_file SET file = 'in/letter ' || patient_id"
	sed -i 's/^    columns = ( { column = "content"; lo = true; } );/    columns = ( { column = "content"; lo = true; }, { column = "file"; documents = "letters"; } );/' \
		"$T/clinic/map.conf"
	mkdir -p "$T/clinic/letters/in"
	sql clinic 'SELECT file FROM app.letter_file' | while IFS= read -r id; do
		printf 'this is %s\n' "$id" >"$T/clinic/letters/$id"
	done
	install clinic "$T/clinic/map.conf"
	printf 'documents = ( { name = "letters"; directory = "%s"; } );\n' "$T/clinic/letters" >>"$CONF"
	expunge_as postgres init 2>/dev/null
	sed -i 's/^caps : {/batch : { subjects = 2; };\n&/; s/tenant_share_percent = 50/tenant_share_percent = 100/' "$CONF"
	set_option wait_seconds 0 # what a killed run left open is looked at by the next
	set_option lock_timeout_ms 200
}

nightly_start() {
	local id
	small_clinic
	for id in '1 42' '1 40' '2 245' '1 49' '2 241'; do
		# shellcheck disable=SC2086 # tenant and subject
		scheduled clinic $id >/dev/null
	done
	id=$(scheduled clinic 2 248) # held: nothing of it may go
	expunge_as oscar hold place --tenant 2 --subject 248 --kind complaint --reason 'case 7' --review "$(date -d '+1 year' +%F)" >/dev/null
	id=$(file_request clinic 1 44) # is planned by the night
	expunge_as oscar request identify "$id" >/dev/null
}

nightly_run() {
	expunge_as night nightly
}

nightly_end() {
	"$ROOT/tests/sample/rows.sh" clinic
	(cd "$T/clinic/letters" && find . -type f -exec sha256sum {} + | sort -k 2)
	evidence_end
	external_end
	disk_end
}

nightly_between() {
	evidence_between
}

erase_start() {
	small_clinic
	scheduled clinic 1 42 >/dev/null
	scheduled clinic 2 243 >/dev/null # no large object, which only a superuser can vacuum: level vacuumed
}

erase_run() {
	expunge_as night erase
}

erase_end() {
	nightly_end
}

erase_between() {
	evidence_between
}

# Who was told of whom before which certificate; twice is allowed.
external_end() {
	[ ! -e "$T/clinic/told" ] || sort -u "$T/clinic/told"
}

# No file goes before its row, and none outlives it but while its request waits for the recount.
files_between() {
	local file waiting
	sql clinic 'SELECT file FROM app.letter_file' | sort >"$T/named"
	(cd "$T/clinic/letters" && find in -type f | sort) >"$T/filed"
	comm -23 "$T/named" "$T/filed" | sed 's/^/a file that has gone before its row: /'
	waiting=$(sql clinic "SELECT count(*) FROM expunge.request WHERE state IN ('removed', 'failed')")
	file=$(comm -13 "$T/named" "$T/filed")
	[ -z "$file" ] || [ "$waiting" != 0 ] || printf 'a file that outlives its row: %s\n' "$file"
}

# Removed means no row, and no removed state means all rows; a certificate only of a certified request.
evidence_between() {
	sql clinic "SELECT 'request ' || r.id || ' is ' || r.state || ', its patient ' || CASE WHEN p.id IS NULL THEN 'gone' ELSE 'there' END
		FROM expunge.request r LEFT JOIN app.patient p ON p.id::text = r.subject
		WHERE r.state NOT IN ('certified', 'withdrawn') AND (r.state = 'removed') <> (p.id IS NULL)" \
		"SELECT 'a certificate of a request that is ' || r.state FROM expunge.certificate c JOIN expunge.request r ON r.id = c.request_id
		WHERE r.state <> 'certified'" \
		"SELECT 'half-claimed: ' || id FROM expunge.request WHERE state = 'running'"
	files_between
	sql clinic 'SELECT request_id FROM expunge.certificate' | while read -r id; do
		grep -qs "^$id " "$T/clinic/told" || printf 'a certificate before the store was told\n'
	done
}

# What the control schema says, and whether the files say the same. Whether a level is logical or vacuumed depends on whose rows
# are recounted in one night: large objects, which only a superuser can vacuum, keep all of them at logical.
evidence_end() {
	sql clinic "SELECT 'request', r.id, r.tenant, r.state, r.reason, r.subject, r.subject_hash, r.approved_plan, p.hash, p.n_rows,
			(SELECT count(*) FROM expunge.certificate c WHERE c.request_id = r.id AND c.published_at IS NOT NULL),
			(SELECT count(*) FROM expunge.opening o WHERE o.request_id = r.id), r.removed_at IS NULL, r.controlled
		FROM expunge.request r LEFT JOIN expunge.plan p ON p.request_id = r.id ORDER BY r.id" \
		"SELECT 'serials', count(*), min(serial), max(serial), (SELECT last FROM expunge.certificate_counter) FROM expunge.certificate" \
		"SELECT 'sets', (SELECT count(*) FROM expunge.key_set), (SELECT count(*) FROM expunge.control_set)" \
		"SELECT 'certificate of ' || request_id || E'\n' || regexp_replace(regexp_replace(note, '\nlevel: (logical|vacuumed)\n', E'\nlevel: logical or vacuumed\n'),
			'(^|\n)((serial|id|subject-ref|executed|as-of|holds): [^\n]*|— [^\n]*)', '\1', 'g')
		FROM expunge.certificate ORDER BY request_id, serial"
	certificate_files
	ledger_entries
	RC=0
	expunge_as night status >/dev/null 2>&1 || RC=$?
	printf 'status %s\n' "$RC"
}

# Each stored certificate is a file, byte for byte, that verifies; and no other file is there.
certificate_files() {
	local hash name directory=$T/clinic/certificates
	while read -r hash name; do
		printf '%s  %s\n' "$hash" "$directory/$name.note" | md5sum --check --quiet 2>&1
		[ -s "$directory/$name.note.sig" ] || printf 'no signature beside %s\n' "$name"
	done < <(sql clinic "SELECT md5(convert_to(note, 'UTF8')) || ' ' || lpad(serial::text, 8, '0') || '-' || id FROM expunge.certificate")
	find "$directory" -name '*.note' -exec "$EXPUNGE" certificate verify --key "$directory/issuer.pem" {} + 2>&1 |
		sed 's/^.*: good (serial [0-9]*,/good (/' | sort
	printf 'files %s\n' "$(find "$directory" -type f | wc -l)"
}

# Whose rows were announced, but for batches that were abandoned. What is said to be done was done once.
ledger_entries() {
	[ -e "$T/clinic/ledger/erasures" ] || return 0
	awk '$4 == "intent" { rows[$3] = rows[$3] $4 " " $5 " " $6 " " $7 "\n"; requests[$3] = requests[$3] " " $5 }
		$4 == "done" || $4 == "abandoned" { if ($3 in ended) print "ended twice: " $3; ended[$3] = $4 }
		NF != 8 || $1 != "v1" { print "malformed: " $0 }
		END {
			for (batch in rows) if (ended[batch] != "abandoned") printf "%s", rows[batch]
			for (batch in rows) if (ended[batch] == "done") {
				n = split(requests[batch], r, " ")
				# one intent for each row of the subject: merged duplicates have theirs in the same batch
				for (i = 1; i <= n; i++) if (!((batch, r[i]) in seen)) {
					seen[batch, r[i]] = 1
					if (times[r[i]]++) print "done twice: " r[i]
				}
			}
		}' "$T/clinic/ledger/erasures" | sort -u
}

# Hidden files are temporary ones.
disk_end() {
	find "$T/clinic" -name '.*' -printf 'left behind: %P\n'
}

# ---------------------------------------------------------------------------- init

init_start() {
	sql postgres 'CREATE DATABASE clinic TEMPLATE template0'
	mkrole app_owner
	mkdir -p "$T/clinic"
	cp "$ROOT/etc/maps/sample.conf" "$T/clinic/map.conf"
	configure "$T/clinic" clinic "$T/clinic/map.conf"
}

init_restore() {
	sql postgres "SELECT rolname FROM pg_roles WHERE rolname LIKE 'expunge%'" | while IFS= read -r role; do
		sql postgres "DROP ROLE \"$role\""
	done
}

init_run() {
	expunge_as postgres init
}

init_end() {
	pg_dump -U postgres --schema-only -d clinic | grep -v '^.\(un\)\?restrict '
	sql clinic "SELECT number, name, sha256 FROM expunge.migration ORDER BY number" \
		"SELECT to_jsonb(i) - '{id,system_identifier,created_at,clock_accepted_at}'::text[] FROM expunge.instance i" \
		"SELECT rolname, rolcanlogin, rolsuper, (SELECT string_agg(m.roleid::regrole::text, ' ' ORDER BY m.roleid::regrole::text)
			FROM pg_auth_members m WHERE m.member = r.oid) FROM pg_roles r WHERE rolname ~ '^(expunge|app_)' ORDER BY rolname"
	(cd "$T/clinic" && find . -printf '%P %M %s\n' | sort)
	sql clinic 'SELECT id FROM expunge.instance' | cmp -s - <(sed -n 's/^instance //p' "$T/clinic/state/instance") ||
		printf 'bound to another instance\n'
	openssl pkey -in "$T/clinic/issuer.pem" -pubout | cmp -s - "$T/clinic/certificates/issuer.pem" ||
		printf 'issuer.pem is not the public half\n'
	disk_end
}

# ---------------------------------------------------------------------------- request plan

plan_start() {
	small_clinic
	file_request clinic 1 42 >"$T/clinic/request"
	expunge_as oscar request identify "$(cat "$T/clinic/request")" >/dev/null
}

plan_run() {
	expunge_as night request plan "$(cat "$T/clinic/request")"
}

plan_end() {
	nightly_end
	sql clinic 'SELECT request_id, document, n_rows, n_new_rows, blockers FROM expunge.plan'
}

# ---------------------------------------------------------------------------- certificate export

export_start() {
	erase_start
	expunge_as night erase
}

export_run() {
	expunge_as dora certificate export --output "$T/clinic/export" &&
		expunge_as dora certificate export --format json --output "$T/clinic/export" &&
		expunge_as dora certificate export --format csv --output "$T/clinic/export"
}

export_end() {
	(cd "$T/clinic/export" && find . -type f -printf '%M %P\n' -exec md5sum {} + | sort)
	disk_end
}

# ---------------------------------------------------------------------------- freeze on

freeze_start() {
	small_clinic
}

freeze_run() {
	expunge_as oscar freeze on --reason 'case 7' &&
		expunge_as oscar freeze on --reason 'case 7'
}

# The row stops every host; a person without rights on the state directory does without the file.
freeze_end() {
	sql clinic 'SELECT reason, frozen_by FROM expunge.freeze'
	[ ! -e "$T/clinic/state/freeze" ] || [ "$(cat "$T/clinic/state/freeze")" = 'case 7' ] || printf 'half a file\n'
	disk_end
}

# ---------------------------------------------------------------------------- notify

# Four notices, and a mail server outside of what is disturbed, which keeps what it takes.
notify_start() {
	local port
	small_clinic
	mkdir -p "$T/box"
	cp -r "$ROOT/etc/notices" "$T/clinic/notices"
	port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	python3 "$ROOT/tests/integration/smtp_server.py" "$port" "$T/box" >/dev/null 2>&1 & # until $T is gone
	cat >>"$CONF" <<-CONF
		mail : { server = "smtp://127.0.0.1:$port"; tls = "off"; from = "privacy@software.example"; timeout_seconds = 2; };
		notices : { directory = "$T/clinic/notices"; };
	CONF
	expunge_as oscar contact add --audience controller --tenant 1 ann@practice.example
	expunge_as oscar contact add --audience controller --tenant 1 ben@practice.example
	sql clinic "SET default_transaction_read_only = off" "SET ROLE expunge_job" \
		"SELECT expunge.notice_put('reactivated', '1', 'controller', '{}', 'k' || n) FROM generate_series(1, 2) n" >/dev/null
}

notify_restore() {
	rm -f "$T"/box/*
}

# What could not be sent is tried again in an hour: that is now.
notify_run() {
	sql clinic "SET default_transaction_read_only = off" "SET ROLE expunge_owner" "UPDATE expunge.outbox SET next_at = now() WHERE state = 'queued'" &&
		expunge_as night notify
}

# Each has arrived, perhaps twice, the same byte for byte; and is recorded as sent, once.
notify_end() {
	sql clinic "SELECT id, state, last_code FROM expunge.outbox ORDER BY 1" \
		"SELECT kind, split_part(detail, ' ', 2), count(*) FROM expunge.event WHERE kind LIKE 'notice-%' GROUP BY 1, 2 ORDER BY 1, 2"
	md5sum "$T"/box/[0-9]* | cut -d' ' -f1 | sort -u
}

# What is recorded as sent is with the server.
notify_between() {
	local id
	for id in $(sql clinic "SELECT id FROM expunge.outbox WHERE state = 'sent'"); do
		grep -qs "^Message-ID: <$id@" "$T"/box/[0-9]* || printf 'recorded as sent, and never was: %s\n' "$id"
	done
}

#!/usr/bin/env bash
# GNUmed's demonstration database is backed up and restored: every row of every table, byte for byte, into a copy that has
# none of what the data map says is somebody's. Its tables refer to each other in cycles, inherit from each other and
# share sequences, and rules and triggers are all over them. Then Kirk is erased, and the same archive gives everybody
# but him.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/clusters.bash"

# emptied NAME: a copy of the database in which the tables of $T/tables have no rows, and sequences begin anew
emptied() {
	sql postgres "CREATE DATABASE $1 TEMPLATE $db"
	{
		echo "SET session_replication_role = replica; DROP SCHEMA expunge, expunge_api CASCADE;"
		sed 's/.*/DELETE FROM ONLY &;/' "$T/tables"
		sed "s/.*/SELECT setval(d.refobjid::regclass, 1, false) FROM pg_depend d JOIN pg_attrdef f ON f.oid = d.objid \
			JOIN pg_class s ON s.oid = d.refobjid AND s.relkind = 'S' \
			WHERE d.classid = 'pg_attrdef'::regclass AND f.adrelid = '&'::regclass;/" "$T/tables"
	} >"$T/empty.sql"
	PGOPTIONS='-c default_transaction_read_only=off' psql -XAtq -v ON_ERROR_STOP=1 -U postgres -d "$1" -f "$T/empty.sql" >/dev/null 2>&1
}
restore() { expunge_as night restore --tenant the-practice --into "host=$PGHOST port=$PGPORT dbname=$1 user=postgres" "${@:2}"; }
# behind DATABASE: of those tables, columns whose sequence would give a number again that a row has
behind() {
	sed "s/.*/SELECT format('SELECT %L FROM (SELECT max(%I) AS top FROM ONLY %s) m, %s s WHERE m.top >= s.last_value + s.is_called::int', \
		a.attrelid::regclass || '.' || a.attname, a.attname, a.attrelid::regclass, s.oid::regclass) \
		FROM pg_depend d JOIN pg_attrdef f ON f.oid = d.objid JOIN pg_class s ON s.oid = d.refobjid AND s.relkind = 'S' \
		JOIN pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum \
		WHERE d.classid = 'pg_attrdef'::regclass AND f.adrelid = '&'::regclass \\\\gexec/" "$T/tables" >"$T/behind.sql"
	psql -XAtq -v ON_ERROR_STOP=1 -U postgres -d "$1" -f "$T/behind.sql"
}
# schema DATABASE
schema() { pg_dump -U postgres --schema-only -d "$1" | grep -avE '^\\(un)?restrict '; }
sorted() { rows "$T/unsorted" "$1" && LC_ALL=C sort "$T/unsorted"; }
tables_of() { cut -f 1 | uniq -c | awk '{ print $2, $1 }'; }

bootstrap
cluster restore "$gnumed_map"
with_keys 2>/dev/null
expunge_as night map show --json | jq -r '.tables[] | select(.action != "reference" and .action != "none") | .table' >"$T/tables"
is "$(wc -l <"$T/tables")" 139 "139 tables have rows that are somebody's"

# ---------------------------------------------------------------------------- everybody
run expunge_as night backup
rc_is 0 "a backup"
is "$(sql "$db" "SELECT tenant FROM expunge.archive")" the-practice "is one archive, of the only practice"
err_unlike warning "with nothing to warn of"
sorted "$db" >"$T/before"
emptied copy
sorted copy >"$T/others"
restored=$(($(wc -l <"$T/before") - $(wc -l <"$T/others")))
ok "a copy without what the archive should have" test "$restored" -gt 1000
is "$(grep -c '^clin.clin_root_item' "$T/others")" 0 "which is nothing of anybody"
run restore copy
rc_is 5 "GNUmed's triggers would fire"
schema copy >"$T/schema"
run restore copy --disable-triggers
rc_is 0 "switched off, it is restored"
out_like ": $restored rows restored, 0 rows withheld" "in full"
sorted copy >"$T/after"
is "$(diff "$T/before" "$T/after" | cut -c 1-100 | head -n 5)" "" "every row of every table is what it was, byte for byte"
is "$(schema copy | diff "$T/schema" -)" "" "and so are triggers, rules and constraints"
is "$(behind copy)" "" "no sequence gives a number that a row has"

# ---------------------------------------------------------------------------- all but Kirk
sum=$(sha256sum "$T"/restore/here/archives/*/*.archive)
id=$(file_request "$db" the-practice 12)
approve "$db" "$id"
run expunge_as night nightly
rc_is 0 "Kirk is erased"
like=$(sql "$db" "SELECT note FROM expunge.certificate WHERE request_id = '$id'")
is "$(grep -E '^archives: generations' <<<"$like")" "archives: generations unreadable 1" "and unreadable in the archive"
is "$(sha256sum "$T"/restore/here/archives/*/*.archive)" "$sum" "of which no byte has changed"
emptied later
run restore later --disable-triggers
rc_is 0 "it is restored again"
sorted "$db" >"$T/now"
sorted later >"$T/later"
is "$(diff "$T/now" "$T/later" | cut -c 1-100 | head -n 5)" "" "every row of everybody else is there, byte for byte, and none of his"
LC_ALL=C comm -23 "$T/before" "$T/later" >"$T/gone"
out_like ": $((restored - $(wc -l <"$T/gone"))) rows restored, $(wc -l <"$T/gone") rows withheld" "his are withheld"
is "$(tables_of <"$T/gone")" "$(awk '!/^#/ && $2 > 0 { print $1, $2 }' "$here/kirk.rows" | LC_ALL=C sort)" \
	"from the tables where they were counted by hand"
is "$(pg_dump -U postgres -d later | grep -ciE 'SC937-0176-CEC|Shatner|James Tiberius' || true)" 0 "and no trace of him"

done_testing

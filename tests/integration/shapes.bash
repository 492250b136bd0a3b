# Small schemas of one odd shape each, erased through the whole path. Source it after lib.sh.
#
#   shape NAME SCHEMA TABLES [HEAD]   a database from SQL run as app_owner, with control schema and a map
#   erased SUBJECT... WANTED NAME     one night erases them; WANTED is the difference, "-table: row", "+table: row"
#   refused SUBJECT REGEX NAME        the plan says why not, no approval is taken, nothing changes
#   fails SUBJECT REGEX NAME          the night rolls back: exit code 3, nothing changes, no certificate
#   certificate LINES NAME            the live: lines of the last certificate, "table before removed masked retained arrived after"
#
# What belongs to those who are erased carries $MARK somewhere: no dump may hold it afterwards.
# shellcheck shell=bash disable=SC2034
MARK=Quillfeather
TENANT=the-practice
HEAD='tenant : { constant = "the-practice"; }; subject : { table = "app.patient"; key = "id"; };
	session : { login = "app_owner"; constraints = "immediate"; };'
DB='' ID=''

mkrole app_owner

# as_owner STATEMENTS: in the shape's database, by the application's owner
as_owner() {
	psql -XAtq -v ON_ERROR_STOP=1 -U app_owner -d "$DB" <<<"$1" >/dev/null
}

# use_map TABLES [HEAD]
use_map() {
	printf '%s\ntables = ( %s );\n' "${2:-$HEAD}" "$1" >"$T/$DB.map"
}

shape() {
	DB=$1
	sql postgres "CREATE DATABASE \"$DB\" TEMPLATE template0 STRATEGY wal_log" "GRANT CREATE ON DATABASE \"$DB\" TO app_owner"
	sql "$DB" 'CREATE EXTENSION citext'
	as_owner "CREATE SCHEMA app; CREATE DOMAIN app.code AS varchar(20) CHECK (VALUE LIKE 'X-%'); $2"
	use_map "$3" "${4:-$HEAD}"
	if [ -z "$(sql postgres "SELECT 1 FROM pg_roles WHERE rolname = 'night'")" ]; then
		install "$DB" "$T/$DB.map"
	else
		configure "$T/$DB" "$DB" "$T/$DB.map"
		expunge_as postgres init 2>"$T/init.log" || { cat "$T/init.log" >&2; return 1; }
		sql "$DB" "INSERT INTO expunge.tenant_login (login, tenant) VALUES ('clinic_app', '1'), ('clinic_app', 'the-practice')"
	fi
}

# rows: every row of the application, "table: row" a line, and every large object
rows() {
	psql -XAtq -v ON_ERROR_STOP=1 -U postgres -d "$DB" <<-'SQL' | LC_ALL=C sort
		SELECT format('SELECT %L || t::text FROM ONLY %I.%I t', n.nspname || '.' || c.relname || ': ', n.nspname, c.relname)
		  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		 WHERE n.nspname !~ '^(pg_|expunge|information_schema)' AND c.relkind = 'r' \gexec
		SELECT 'large object: ' || convert_from(lo_get(m.oid), 'UTF8') FROM pg_largeobject_metadata m;
	SQL
}

changes() {
	rows >"$T/rows.after"
	diff "$T/rows.before" "$T/rows.after" | sed -n 's/^< /-/p; s/^> /+/p' || true
}

# request SUBJECT: files it; the id is in $ID
request() {
	ID=$(PGOPTIONS='-c default_transaction_read_only=off' psql -XAtq -v ON_ERROR_STOP=1 -v subject="$1" -v tenant="$TENANT" -U clinic_app -d "$DB" <<-'SQL'
		SELECT expunge_api.request_erasure(:'tenant', :'subject', '17-1-b', 'portal', 'a practice admin', now(), NULL)
	SQL
	)
}

# plan SUBJECT: files, identifies and plans; what was said is in $OUT and $ERR
plan() {
	request "$1"
	expunge_as oscar request identify "$ID" >/dev/null 2>&1
	run expunge_as night request plan "$ID"
}

decide() {
	run expunge_as ruth request decide "$ID" --accept --plan \
		"$(sql "$DB" "SELECT hash FROM expunge.plan WHERE request_id = '$ID'")"
}

erased() {
	local subjects=("${@:1:$#-2}") wanted=${*: -2:1} name=${*: -1} subject ids=()
	rows >"$T/rows.before"
	for subject in "${subjects[@]}"; do
		plan "$subject"
		decide
		[ "$RC" = 0 ] || { show_run; sql "$DB" "SELECT blockers FROM expunge.plan WHERE request_id = '$ID'" | diag; }
		ids+=("$ID")
	done
	run expunge_as night nightly
	is "$(for subject in "${ids[@]}"; do request_state "$DB" "$subject"; done | sort -u; changes)" "certified
$wanted" "$name"
	[ "$RC" = 0 ] || show_run
	no_trace "$DB" "... without a trace" "$MARK"
}

unchanged() {
	is "$(changes)" "" "... and nothing changed"
}

refused() {
	rows >"$T/rows.before"
	plan "$1"
	is "$(sql "$DB" "SELECT blockers FROM expunge.plan WHERE request_id = '$ID'" | grep -Ec -- "$2" || true)" 1 "$3"
	decide
	rc_is 5 "... no approval"
	unchanged
}

night_fails() {
	run expunge_as night nightly
	is "$RC $(request_state "$DB" "$ID")" "3 failed" "$2"
	err_like "$1" "... and says why"
	unchanged
	is "$(sql "$DB" "SELECT count(*) FROM expunge.certificate WHERE request_id = '$ID'")" 0 "... no certificate"
}

fails() {
	rows >"$T/rows.before"
	plan "$1"
	decide
	night_fails "$2" "$3"
}

certificate() {
	is "$(sql "$DB" "SELECT note FROM expunge.certificate WHERE request_id = '${3:-$ID}'" |
		sed -nE 's/^live: (.*) before ([0-9]+) removed ([0-9]+) masked ([0-9]+) retained ([0-9]+) arrived-later ([0-9]+) after ([0-9]+)( created [0-9]+)?$/\1 \2 \3 \4 \5 \6 \7\8/p')" "$1" "$2"
}

# A history for the closure test: a practice database that lives some nights, with arrivals, backups, erasures, changes of
# the root that are killed, and writes that are rolled back; and everything that an attacker could have kept of it.
# Sourced after lib.sh and sessions.bash.
# shellcheck shell=bash

# prepare_cluster: a log that is complete, with the page images of a server in earnest
prepare_cluster() {
	sql postgres 'ALTER SYSTEM SET full_page_writes = on' "ALTER SYSTEM SET wal_keep_size = '100GB'" \
		'SELECT pg_reload_conf()' >/dev/null
}

# build_rotating_root_only: $T/root-only, the program with one thing changed: of all keys only the root ever gets a new one
build_rotating_root_only() {
	local build flags=() cflags libs
	build=$(dirname "$EXPUNGE")
	perl -0pe 's/(\n\t\t)if \(give_key\(tree, pages\[i\], err\) != 0\)/$1pages[i]->is_dirty = true;$1if (pages[i]->parent == 0 && give_key(tree, pages[i], err) != 0)/ or die;
		s/return give_key\(tree, top, err\) == 0 \? above : NULL;/put(above, 0, top->key.bytes);\n\ttop->is_dirty = true;\n\treturn above;/ or die' \
		"$ROOT/lib/keys/tree.c" >"$T/tree.c"
	if nm "$build/libexpunge.a" 2>/dev/null | grep __asan_init >/dev/null; then flags=("-fsanitize=address,undefined"); fi
	if nm "$build/libexpunge.a" 2>/dev/null | grep __gcov_init >/dev/null; then flags=(--coverage); fi
	read -ra cflags < <(pkg-config --cflags libpq libconfig libcrypto jansson libzstd libcurl)
	read -ra libs < <(pkg-config --libs libpq libconfig libcrypto jansson libzstd libcurl)
	"${CC:-gcc}" -std=gnu11 -O1 -g -D_GNU_SOURCE -I"$ROOT/lib" "${cflags[@]}" "${flags[@]}" -o "$T/root-only" \
		"$build"/jobs/*.o "$T/tree.c" "$build/libexpunge.a" "${libs[@]}"
}

# begin_history DB TENANTS PATIENTS: the practices, the installation, and what disturbs it
begin_history() {
	sql postgres "CREATE DATABASE $1 TEMPLATE template0"
	mkrole app_owner
	psql -XAtq -v ON_ERROR_STOP=1 -d "$1" -f "$ROOT/tests/sample/schema.sql" >/dev/null
	sql "$1" "INSERT INTO app.practice (id, name, country) SELECT n, 'Practice ' || n, 'GB-ENG' FROM generate_series(1, $2) n" \
		"INSERT INTO app.code VALUES ('FUP', 'follow-up')" \
		"INSERT INTO app.staff (practice_id, name, role) SELECT (n - 1) / 5 + 1, 'Member ' || n, 'clinician' FROM generate_series(1, 5 * $2) n"
	install "$1"
	sed -i 's/tenant_share_percent = 50/tenant_share_percent = 100/' "$CONF"
	with_keys 2>"$T/init.log"
	psql -XAtq -v ON_ERROR_STOP=1 -d "$1" -f "$ROOT/tests/race/clinic.sql" >/dev/null
	sql "$1" "INSERT INTO expunge.tenant_login (login, tenant) SELECT 'clinic_app', n::text FROM generate_series(4, $2) n" \
		"SELECT race.make(n, 1 + n % $2, NULL) FROM generate_series(1, $2 * $3) n" \
		"CREATE TABLE expunge.test_asked (patient bigint PRIMARY KEY)" >/dev/null
	watch_keys "$1"
	mkdir -p "$T/$1/dumps"
}

# Every version of every page that was committed is kept, and not in the log, where the attacker is to find it by itself;
# what expunge.test_disturb says befalls the next write of its kind.
watch_keys() {
	psql -XAtq -v ON_ERROR_STOP=1 -d "$1" <<-'SQL'
		CREATE UNLOGGED TABLE expunge.test_seen (LIKE expunge.key_page);
		INSERT INTO expunge.test_seen SELECT * FROM expunge.key_page;
		CREATE FUNCTION expunge.test_see() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
			'BEGIN INSERT INTO expunge.test_seen SELECT NEW.*; RETURN NULL; END';
		CREATE TRIGGER see AFTER INSERT OR UPDATE ON expunge.key_page FOR EACH ROW EXECUTE FUNCTION expunge.test_see();
		CREATE TABLE expunge.test_disturb (what text);
		CREATE FUNCTION expunge.test_disturb() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
			BEGIN
				IF EXISTS (SELECT FROM expunge.test_disturb WHERE what = TG_ARGV[0] || ' waits') THEN
					PERFORM pg_sleep(600);
				ELSIF EXISTS (SELECT FROM expunge.test_disturb WHERE what = TG_ARGV[0]) THEN
					RAISE 'disturbed';
				END IF;
				RETURN NEW;
			END $$;
		CREATE TRIGGER disturb BEFORE UPDATE ON expunge.key_tree FOR EACH ROW WHEN (NEW.epoch <> OLD.epoch) EXECUTE FUNCTION expunge.test_disturb('change');
		CREATE TRIGGER disturb BEFORE INSERT ON expunge.key_leaf FOR EACH ROW WHEN (NEW.kind = 'subject') EXECUTE FUNCTION expunge.test_disturb('leaf');
	SQL
}

disturb() { # disturb DB [WHAT]
	sql "$1" 'TRUNCATE expunge.test_disturb' "INSERT INTO expunge.test_disturb SELECT '${2:-}' WHERE '${2:-}' <> ''"
}

# arrive DB NIGHT TENANTS: two new patients
arrive() {
	sql "$1" "SELECT race.make(100000 + 2 * $2 + n, 1 + ($2 * 2 + n) % $3, NULL) FROM generate_series(0, 1) n" >/dev/null
}

# file_some DB N SALT: requests for so many patients who are in archives, drawn by chance
file_some() {
	sql "$1" "WITH few AS (INSERT INTO expunge.test_asked SELECT p.id FROM app.patient p
			JOIN expunge.key_leaf l ON l.tenant = p.practice_id::text AND l.kind = 'subject' AND l.name = p.id::text
			WHERE p.id NOT IN (SELECT patient FROM expunge.test_asked) ORDER BY md5('$3' || p.id) LIMIT $2 RETURNING patient)
		SELECT format('SELECT expunge_api.request_erasure(%L, %L, ''17-1-b'', ''portal'', ''the practice'', now(), NULL);', p.practice_id, p.id)
		FROM few JOIN app.patient p ON p.id = few.patient" | psql -XAtq -v ON_ERROR_STOP=1 -U clinic_app -d "$1" >/dev/null
	sql "$1" "SELECT expunge.identify_request(id) FROM expunge.request WHERE state = 'received'" >/dev/null
}

# approve_planned DB: all that the last night has planned
approve_planned() {
	sql "$1" "SELECT format('SELECT expunge.decide_request(%L, ''accept'', NULL, %L);', r.id, p.hash)
		FROM expunge.request r JOIN expunge.plan p ON p.request_id = r.id WHERE r.state = 'identified'" |
		psql -XAtq -v ON_ERROR_STOP=1 -U ruth -d "$1" >/dev/null
}

roots_held() { find "${CONF%/*}/shares" -name 'root.*' | sed 's|.*/||' | sort -u | wc -l; }

# killed_night DB [lose]: a night whose change of the root is killed in its transaction, after the new root was written;
# lose: one record of that root is lost besides, so that the attempt has to be abandoned
killed_night() {
	local pid newest
	disturb "$1" 'change waits'
	"$EXPUNGE" -c "$CONF" -U night nightly >"$T/night.log" 2>&1 &
	pid=$!
	await "the change of the root has written its pages" holds "$1" \
		"EXISTS (SELECT FROM pg_stat_activity WHERE datname = '$1' AND wait_event = 'PgSleep')"
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null || true
	sql "$1" "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '$1' AND wait_event = 'PgSleep'" >/dev/null
	await "nobody is left" holds "$1" "NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name LIKE 'expunge%')"
	disturb "$1"
	is "$(sql "$1" "SELECT state FROM expunge.key_change ORDER BY started_at DESC LIMIT 1")/$(roots_held)" intent/2 \
		"a change is killed with both roots there"
	if [ "${2:-}" = lose ]; then
		newest=$(find "${CONF%/*}/shares/2b" -name 'root.*' | sort -t . -k 2,2n | tail -n 1)
		rm "$newest"
	fi
}

# live DB TENANTS NIGHTS ERASURES SALT: the nights; each is told what goes wrong in it
live() {
	local night
	for ((night = 1; night <= $3; night++)); do
		arrive "$1" "$night" "$2"
		run expunge_as night backup
		[ "$RC" = 0 ] || rc_is 0 "night $night: a backup"
		approve_planned "$1"
		file_some "$1" "$4" "$5 $night"
		case $((night % 6)) in
		2) killed_night "$1" ;;
		4) killed_night "$1" lose ;;
		*)
			run expunge_as night nightly
			[ "$RC" = 0 ] || rc_is 0 "night $night: nightly"
			;;
		esac
		case $((night % 6)) in # more leaves than the change was begun with
		2 | 4)
			run expunge_as night nightly
			rc_is 0 "night $night: gone on with"
			;;
		esac
		[ $((night % 3)) != 0 ] || pg_dump -n expunge -T expunge.test_seen -f "$T/$1/dumps/$night.sql" "$1"
	done
	approve_planned "$1"
	run expunge_as night nightly
	rc_is 0 "the last night"
	is "$(sql "$1" "SELECT count(*) FROM expunge.key_leaf WHERE kind = 'subject' AND shredded_epoch IS NOT NULL")/$(sql "$1" "SELECT count(*) FROM expunge.certificate")" \
		"$(($3 * $4))/$(($3 * $4))" "all who asked are shredded and certified"
	is "$(roots_held)" 1 "one root is left"
	# under keys that are all there still
	sql "$1" "SELECT race.make(200000, 1, NULL)" >/dev/null
	disturb "$1" leaf
	run expunge_as night backup --tenant 1
	[ "$RC" != 0 ] || rc_is 1 "new leaves are rolled back"
	disturb "$1"
}

# keep_all DB: what the attacker is given, of which the server's part is written out
keep_all() {
	pg_dump -t expunge.test_seen -f "$T/$1/seen.sql" "$1"
	sql "$1" CHECKPOINT "SELECT CASE WHEN shredded_epoch IS NULL THEN 'live' ELSE 'dead' END, id, encode(kcv, 'hex') FROM expunge.key_leaf" |
		tr '|' ' ' >"$T/$1/targets"
}

# attack DB [OPTION...]: with these sources
attack() {
	local db=$1 data
	shift
	data=$(sed -n 's/^# base //p' "$EXPUNGE_TEST_CLUSTER/env")/data
	run nice python3 "$ROOT/tests/closure/attacker.py" --instance "$(sql "$db" 'SELECT id FROM expunge.instance')" --targets "$T/$db/targets" \
		--roots "$T/$db/shares" --data "$data" --without "$(sql "$db" "SELECT pg_relation_filepath('expunge.test_seen')")" \
		--without "$(sql "$db" "SELECT pg_relation_filepath(reltoastrelid) FROM pg_class WHERE oid = 'expunge.test_seen'::regclass")" "$@"
}

#!/usr/bin/env bash
# Clients of S3 as destinations, as doc/archive.md has them, with the environment that a command gets and no other: s3cmd, awscli and
# rclone put, give back and remove archives, in one part and in several, and what the store refuses is told. The store is
# s3_server.py beside this file.
. "$(dirname "$0")/../lib.sh"
. "$ROOT/tests/integration/sessions.bash"

for program in s3cmd aws rclone python3; do
	[ -x "/usr/bin/$program" ] || skip_all "no /usr/bin/$program here"
done
leave_server() {
	local rc=$?
	[ -z "${server:-}" ] || kill "$server" 2>/dev/null || true
	(exit "$rc")
	leave
}
trap leave_server EXIT
mkdir -m 0700 "$T/s3" "$T/s3/bucket" "$T/s3/archives"
/usr/bin/python3 "$ROOT/tests/integration/s3_server.py" "$T/s3" "$T/port" 2>"$T/server.log" &
server=$!
await "the store listens" test -s "$T/port"
port=$(cat "$T/port")

fresh_db clinic
install clinic
with_keys 2>/dev/null
sed -i 's/^archives : {/&\n  reuse_days = 0;/' "$CONF" # each archive by itself; 63-incremental.sh has the others
directories=$(sed -n 's/^ *destinations = ( \(.*\) );$/\1/p' "$CONF")
cp "$CONF" "$T/plain.conf"
# a practice whose archive goes in several parts, whatever the client
sql clinic "SELECT setseed(0.5)" "CREATE FUNCTION pg_temp.noise(n int) RETURNS bytea LANGUAGE sql AS
		'SELECT string_agg(sha512(random()::text::bytea), NULL) FROM generate_series(1, n / 64)'" \
	"UPDATE app.letter SET scan = pg_temp.noise(17000000) WHERE id = (SELECT min(id) FROM app.letter WHERE patient_id < 201)" >/dev/null

printf '[default]\naccess_key = a\nsecret_key = b\nhost_base = 127.0.0.1:%s\nhost_bucket = 127.0.0.1:%s\nuse_https = False\n' "$port" "$port" >"$T/s3cfg"
printf '[default]\naws_access_key_id = a\naws_secret_access_key = b\nregion = eu-west-2\n' >"$T/aws"
printf '[cloud]\ntype = s3\nprovider = Other\naccess_key_id = a\nsecret_access_key = b\nendpoint = http://127.0.0.1:%s\n' "$port" >"$T/rclone.conf"
documented() { # documented NAME: its configuration, but for the places, and the store that is not Amazon's
	sed -n "/^    { name = \"$1\"/,/}\$/p" "$ROOT/doc/archive.md" | tr '\n' ' ' | sed "s|/etc/expunge/|$T/|g
		s|s3://bucket/{id}|s3://bucket/$1-{id}|g; s|\"s3\", |\"s3\", \"--endpoint-url\", \"http://127.0.0.1:$port\", |g"
}
outside() { # outside NAME...
	local name list=''
	for name in "$@"; do list+=", $(documented "$name")"; done
	LINE="  destinations = ( $directories$list );" perl -p -e 's/^ *destinations = .*/$ENV{LINE}/' "$T/plain.conf" >"$CONF"
}
backup() { run expunge_as night backup "$@"; }
latest() { sql clinic "SELECT id FROM expunge.archive WHERE tenant = '$1' ORDER BY created_at DESC, finished_at DESC LIMIT 1"; }
in_store() { find "$T/s3" -type f ! -name fail ! -name '.*' | sed 's|.*/||' | sort; }
should() { # the names of what lives, for each client
	sql clinic "SELECT p || id || '.archive' FROM expunge.archive, unnest(ARRAY['', 's3cmd-', 'aws-']) p WHERE state = 'complete'" | LC_ALL=C sort
}

outside s3cmd aws rclone
run expunge_as night check
is "$(grep -c '^ok *destinations: [a-z0-9]*: a command$' "$T/out")" 3 "check is content with all three"
backup
rc_is 0 "archives of all practices go to the store by three clients"
is "$(in_store | LC_ALL=C sort)" "$(should)" "each has each"
ok "one of them is of several parts" test "$(stat -c %s "$T/s3/archives/$(latest 1).archive")" -gt 16000000
same=yes
for file in "$T"/s3/archives/* "$T"/s3/bucket/*; do
	name=${file##*/}
	cmp "$file" "$T"/clinic/here/archives/*/"${name##*-}" || same=no
done
is "$same" yes "byte for byte"
n=$(sql clinic 'SELECT count(*) FROM expunge.archive')
backup --verify
is "$RC/$OUT" "0/$((5 * n)) good, 0 bad" "all are read back"

# an object that is gone, or is refused
rm "$T/s3/bucket/s3cmd-$(latest 3).archive" "$T/s3/bucket/aws-$(latest 3).archive" "$T/s3/archives/$(latest 3).archive"
backup --verify --tenant 3
rc_is 3 "what is not there"
is "$(grep -c "archive $(latest 3 | cut -c 1-16) in \(s3cmd\|aws\|rclone\): " "$T/err")" 3 "is missed by each, also where the client says that all is well"
: >"$T/s3/fail"
for client in s3cmd aws rclone; do
	outside "$client"
	backup --tenant 3
	rc_is 3 "$client: a store that refuses"
	err_like "destination $client: archive .* was not taken: .*: exit code [0-9]+, .*(AccessDenied|403)" "$client: is told, with what it said"
	is "$(sql clinic "SELECT array_to_string(destinations, ' ') || '/' || array_to_string(sending, ' ') FROM expunge.archive WHERE id = '$(latest 3)'")" \
		"here there/$client" "$client: and claimed nowhere"
done
rm "$T/s3/fail"

# expired
sed -i 's/^archives : {/&\nkeep_hourly = 1;/' "$T/plain.conf"
outside s3cmd aws rclone
sql clinic "UPDATE expunge.archive SET created_at = created_at - interval '3 hours'"
backup
rc_is 0 "a later backup"
run expunge_as night backup --expire
rc_is 0 "what has expired is removed, and what was not there is no failure"
is "$(in_store | LC_ALL=C sort)" "$(should)" "what lives is there, and nothing else"
backup --verify
rc_is 0 "and is read back"
done_testing

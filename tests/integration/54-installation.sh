#!/usr/bin/env bash
# An installation that lacks something, or that is not the one it was made for: keys, directories, the
# binding to one database. Each is found before anything is deleted.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/sessions.bash"
fresh_db clinic
install clinic
dir=$T/clinic
id=$(scheduled clinic 1 42)

# untouched WHAT: the request waits as it did, its rows are there, the ledger has no intent
untouched() {
	is "$(request_state clinic "$id") $(sql clinic "SELECT count(*) FROM app.patient WHERE id = 42") $(find "$dir" -name erasures | wc -l)" \
		"scheduled 1 0" "$1: nothing was touched"
}

# refused CODE WHAT REGEX
refused() {
	run expunge_as night nightly
	rc_is "$1" "$2"
	err_like "$3" "$2: a clear message"
	untouched "$2"
}

# ---- keys and directories, before anything is deleted
mv "$dir/issuer.pem" "$dir/away.pem"
refused 1 "the issuer's key is missing" 'open issuer key .*issuer\.pem: no such file'
mv "$dir/away.pem" "$dir/issuer.pem"
chmod 0640 "$dir/issuer.pem"
refused 1 "the issuer's key is readable by its group" 'group or others may use it'
err_like 'hint: .*chmod 600' "and what to do"
chmod 0600 "$dir/issuer.pem"
ln -s issuer.pem "$dir/link.pem"
sed -i "s|issuer.pem\"|link.pem\"|" "$CONF"
refused 1 "the issuer's key is a link" 'symbolic link'
sed -i "s|link.pem\"|issuer.pem\"|" "$CONF"
mv "$dir/ledger/key" "$dir/ledger.key"
refused 1 "the ledger's key is missing" 'ledger key'
err_like 'hint: .*backup' "and what to do"
printf 'not a key\n' >"$dir/ledger/key"
chmod 0600 "$dir/ledger/key"
refused 1 "the ledger's key is damaged" 'is not a ledger key'
mv "$dir/ledger.key" "$dir/ledger/key"
for what in certificates ledger; do
	mv "$dir/$what" "$dir/$what.away"
	refused 1 "$what: the directory is missing" "$what.*(No such file|cannot be written)"
	: >"$dir/$what"
	refused 1 "$what: a file is in its place" "$what.*Not a directory"
	rm "$dir/$what"
	mv "$dir/$what.away" "$dir/$what"
done

# ---- the binding to one database
mv "$dir/state/instance" "$dir/instance"
refused 5 "the binding file is missing" 'state/instance is missing: this configuration is bound to no database'
err_like 'hint: expunge init writes it' "and what to do"
sed 's/^instance ./instance z/' "$dir/instance" >"$dir/state/instance"
refused 5 "another installation's binding" 'not the database that .* was made for'
mv "$dir/instance" "$dir/state/instance"
fresh_db copy template0
dump clinic | psql -XAtq -d copy >/dev/null 2>&1 || true
sed "s/dbname=clinic/dbname=copy/" "$CONF" >"$dir/copy.conf"
chmod 0600 "$dir/copy.conf"
run "$EXPUNGE" -c "$dir/copy.conf" -U night nightly
rc_is 5 "a dump restored into another database of the cluster"
err_like 'made in another cluster or database' "is recognised"
is "$(sql copy 'SELECT count(*) FROM app.patient WHERE id = 42')" 1 "and left alone"
run "$EXPUNGE" -c "$dir/copy.conf" -U postgres init
rc_is 5 "not even init adopts it"
"$ROOT/tests/setup/cluster.sh" start "$T/other" --fast
(
	eval "$("$ROOT/tests/setup/cluster.sh" env "$T/other")"
	for role in app_owner night expunge_owner expunge_intake expunge_approver expunge_operator expunge_job expunge_dpo expunge_monitor; do
		printf 'CREATE ROLE %s LOGIN PASSWORD %s;\n' "$role" "'$(password)'"
	done | psql -XAtq
	psql -XAtq -c 'GRANT expunge_job TO night, app_owner' -c 'CREATE DATABASE clinic TEMPLATE template0'
)
dump clinic >"$T/clinic.sql"
(
	eval "$("$ROOT/tests/setup/cluster.sh" env "$T/other")"
	psql -XAtq -d clinic -f "$T/clinic.sql" >/dev/null 2>&1 || true
	sed "s|host=[^ ]* port=[0-9]*|host=$PGHOST port=$PGPORT|" "$CONF" >"$dir/other.conf"
	chmod 0600 "$dir/other.conf"
	rc=0
	"$EXPUNGE" -c "$dir/other.conf" -U night nightly >"$T/other.out" 2>"$T/other.err" || rc=$?
	printf '%d %s\n' "$rc" "$(psql -XAtq -d clinic -c 'SELECT count(*) FROM app.patient WHERE id = 42')" >"$T/other.rc"
)
"$ROOT/tests/setup/cluster.sh" stop "$T/other"
is "$(cat "$T/other.rc")" "5 1" "a dump restored into another cluster is refused and left alone"
ok "and recognised" grep -q 'made in another cluster or database' "$T/other.err"
untouched "the original"


run expunge_as night nightly
is "$RC $(request_state clinic "$id") $(left_of clinic 42)" "0 certified 0" "with everything in its place, the night does its work"
whole clinic "at the end"
done_testing

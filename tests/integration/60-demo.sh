#!/usr/bin/env bash
# The demonstration keeps its promises, twice in a row and in a path with a space; and it can fail:
# what it says is checked, and not only said.
. "$(dirname "$0")/../lib.sh"

mkdir "$T/a b"
cp "$EXPUNGE" "$T/a b/expunge"
demo=$T/a\ b/demo

# demonstrate BINARY: in a session of its own, without the settings of this test's cluster
demonstrate() {
	run env -u PGHOST -u PGPORT -u PGUSER -u PGDATABASE -u PGPASSFILE EXPUNGE="$1" "$ROOT/tests/demo.sh"
}

for time in first second; do
	demonstrate "$T/a b/expunge"
	rc_is 0 "the demonstration succeeds the $time time"
	out_unlike '^   NO ' "every claim holds"
	out_like '^   yes no trace of the patient in a full dump of [0-9,]+ bytes' "nothing is left in a dump"
	out_like '^   yes every other row is unchanged: [0-9]{2},[0-9]{3} rows' "nothing else was touched"
	out_like 'was filed by imogen, who cannot decide it' "the filer was not allowed to approve"
	out_like '^     1215\|Has anybody seen' "the message that no key connects with the patient was found"
done
err_is "" "it says nothing on standard error"
ok "it leaves the nightly run's log" grep -q 'requests certified: 1, ' "$demo/nightly.log"
run sh "$ROOT/doc/verify.sh" "$demo/issuer.pem" demo.expunge.example "$demo"/certificates/*.note
rc_is 0 "its three certificates are good for the shell script of doc/, too"
is "$(grep -c . "$T/out")" 3 "and are three"
nok "no server is left" test -e "$demo/cluster"
nok "no password is left" test -e "$demo/etc/pgpass"

exec 8>"$demo/.lock"
flock 8
demonstrate "$T/a b/expunge"
rc_is 1 "two at a time in the same place are refused"
err_like 'another demonstration is running' "and it says why"
exec 8>&-

# An Expunge that forgets a row, one that takes too much, and one that signs something else.
# shellcheck disable=SC2016 # for the script that it writes
broken() { # broken NAME COMMANDS: they run after each command of the true program
	mkdir "$T/$1"
	{
		printf '#!/usr/bin/env bash\n%q "$@" || exit\nconf=$2\n' "$EXPUNGE"
		printf '[[ " $* " == *" -v nightly "* ]] || exit 0\n%s\n' "$2"
	} >"$T/$1/expunge"
	chmod +x "$T/$1/expunge"
	demonstrate "$T/$1/expunge"
}
broken forgets "psql -qU postgres -c \"UPDATE app.code SET label = encode('Kenelm Jellicoe-00150', 'hex') WHERE code = 'EX'\""
rc_is 1 "a trace as hexadecimal digits fails the demonstration"
out_like '^   NO  no trace of the patient' "and is what it complains about"
out_like '^   NO  every other row is unchanged' "a changed row, too"
broken greedy "psql -qU postgres -c 'DELETE FROM app.reminder WHERE patient_id = 147'"
rc_is 1 "a neighbour's row that is gone fails it"
out_like "^   NO  gone are the patient's own" "as more than the patient's own"
out_like '^   yes no trace of the patient' "while no trace is left"
# shellcheck disable=SC2016 # for the script
broken forger 'sed -i s/^controller:.1/controller:\ 2/ "${conf%/etc/*}"/certificates/*.note'
rc_is 1 "an altered certificate fails it"
done_testing

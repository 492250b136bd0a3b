#!/usr/bin/env bash
# kill -9 at any moment, run again, the same end: a night that is killed over and over leaves the
# application's rows as an undisturbed night does, and one certificate each.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/sessions.bash"
rounds=${KILL_ROUNDS:-12} # so many nights are killed
RANDOM=${KILL_SEED:=$$}
note "KILL_SEED=$KILL_SEED"
pool=(42 43 44 60 75 80 101 110 148 {5..33} {82..99} {121..147} {161..199})
subjects=()

prepare() { # prepare DB
	fresh_db "$1"
	install "$1" 2>/dev/null # the roles of the first database are there
	set_option wait_seconds 0 # what a killed run left open is looked at by the next
	sed -i 's/^caps : {/batch : { subjects = 2; };\n&/; s/tenant_share_percent = 50/tenant_share_percent = 100/' "$CONF"
}

more() { # so many requests more, approved
	local n
	for ((n = 0; n < $1; n++)); do
		scheduled clinic 1 "${pool[0]}" >/dev/null
		subjects+=("${pool[0]}")
		pool=("${pool[@]:1}")
	done
}

now_ms() {
	printf '%d\n' "$((${EPOCHREALTIME/./} / 1000))"
}

prepare clinic
more 4
began=$(now_ms)
run expunge_as night nightly
rc_is 0 "an undisturbed night"
lasts=$(($(now_ms) - began)) # moments are spread over a night's length

kills=0 ends=0 odd=''
while [ "$kills" -lt "$rounds" ] && [ "${#pool[@]}" -gt 4 ]; do
	if [ "$(sql clinic "SELECT count(*) FROM expunge.request WHERE state <> 'certified'")" = 0 ]; then
		more 4
	fi
	"$EXPUNGE" -c "$CONF" -U night nightly >/dev/null 2>"$T/killed.err" </dev/null &
	pid=$!
	at=$((RANDOM % lasts + 5))
	sleep "$((at / 1000)).$(printf '%03d' $((at % 1000)))" # the moment is the test
	kill -9 "$pid" 2>/dev/null || true
	RC=0
	wait "$pid" 2>/dev/null || RC=$?
	case $RC in
	137) kills=$((kills + 1)) ;;
	0 | 3 | 4) ends=$((ends + 1)) ;; # 3: waits for a transaction; 4: the server still ends the last run
	*) odd="$odd $RC: $(tail -n 1 "$T/killed.err")" kills=$((kills + 1)) ;;
	esac
	if [ "$(sql clinic "SELECT count(*) FROM expunge.request WHERE state = 'running'")" != 0 ]; then
		odd="$odd half-claimed"
	fi
done
note "$kills killed within ${lasts} ms, $ends ended before; ${#subjects[@]} requests"
is "$odd" "" "a killed night leaves nothing that stops or spoils the next"
is "$kills" "$rounds" "so many were killed"

finished() {
	run expunge_as night nightly
	[ "$RC" = 0 ] && [ "$(states clinic)" = "certified ${#subjects[@]}" ]
}
await "the night ends" finished
is "$(states clinic)" "certified ${#subjects[@]}" "every request is certified"
whole clinic "after all kills"
"$ROOT/tests/sample/rows.sh" clinic >"$T/clinic.rows"
killed=$CONF
prepare calm
for patient in "${subjects[@]}"; do
	scheduled calm 1 "$patient" >/dev/null
done
set_option subjects_per_run 1000
run expunge_as night nightly
is "$RC $(states calm)" "0 certified ${#subjects[@]}" "the same in one undisturbed night"
"$ROOT/tests/sample/rows.sh" calm >"$T/calm.rows"
CONF=$killed
ok "the application's rows are those of the undisturbed night" cmp "$T/calm.rows" "$T/clinic.rows"
is "$(find "$T/clinic/certificates" -name '*.note.sig' | wc -l)" "${#subjects[@]}" "each certificate has its signature beside it"
is "$(find "$T/clinic/certificates" "$T/clinic/ledger" -name '.*' -type f | wc -l)" 0 "no temporary file is left"
bad=''
for file in "$T"/clinic/certificates/*.note; do
	"$EXPUNGE" certificate verify --key "$T/clinic/certificates/issuer.pem" "$file" >/dev/null 2>&1 || bad="$bad $file"
done
is "$bad" "" "every certificate verifies"
is "$(sql clinic "SELECT count(*) FROM expunge.opening")" "${#subjects[@]}" "each has one opening"
run expunge_as night check
out_like 'ledger.*unbroken chain' "the ledger's chain is unbroken"
run expunge_as night nightly
is "$RC $(sql clinic 'SELECT count(*) FROM expunge.certificate')" "0 ${#subjects[@]}" "one more night signs nothing"
done_testing

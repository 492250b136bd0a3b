#!/usr/bin/env bash
# Final certificates are certificates: none after a drill that failed, and none is a file before the journals have it.
. "$(dirname "$0")/../lib.sh"
. "$ROOT/tests/integration/sessions.bash"

fresh_db clinic
install clinic
with_keys 2>/dev/null
expunge_as night backup 2>/dev/null
notes() { # notes STAGE: as rows, and as files
	printf '%s %s' "$(sql clinic "SELECT count(*) FROM expunge.certificate WHERE stage = '$1'")" \
		"$(grep -rl "^stage: $1\$" --include='*.note' "$T/clinic/certificates" | wc -l)"
}
journal_serial() { find "$T/clinic/$1/keys" -name '*.journal' | sort | tail -n 1 | xargs sed -n 's/^serial: //p' | head -n 1; }
printf 'stores = ( { name = "tapes"; kind = "physical-backup"; retention_days = 9; } );\n' >>"$CONF"
scheduled clinic 1 3 >/dev/null
ok "a night with a store declared" expunge_as night nightly
is "$(notes interim)" "1 1" "an interim certificate"
run expunge_as dora store end tapes --reason 'taken down'
mv "$T/clinic/shares/2a" "$T/away"
run expunge_as night nightly
rc_is 3 "a night whose drill fails"
is "$(notes final)" "0 0" "issues no final certificate"
mv "$T/away" "$T/clinic/shares/2a"
ok "the next night does" expunge_as night nightly
is "$(notes interim)/$(notes final)" "1 1/1 1" "as a file too"
serial=$(sql clinic "SELECT last FROM expunge.certificate_counter")
is "$(journal_serial here)/$(journal_serial there)" "$serial/$serial" "and both journals have it"
done_testing

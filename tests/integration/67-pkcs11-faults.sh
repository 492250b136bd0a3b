#!/usr/bin/env bash
# What SoftHSM does not do on demand: a token that is full, a session that is lost, a PIN that is locked, a token that says
# it has destroyed a key and has not; and each PKCS#11 call of a change of the root failing, one at a time, or the program
# killed there (a sample; PKCS11_WALK=all walks them all, SEED=n repeats a sample). A module hands all calls on to SoftHSM
# but the one that fails (tests/fake/pkcs11.c). After each, the next run comes to a good end.
. "$(dirname "$0")/../lib.sh"
. "$ROOT/tests/integration/tokens.bash"
softhsm >/dev/null || skip_all "there is no SoftHSM"

fresh_db clinic
install clinic
make_token clinic
D=$T/clinic
share=$D/shares/2a
FAKE_PKCS11_MODULE=$(softhsm)
export FAKE_PKCS11_MODULE FAKE_PKCS11_CALLS=$T/calls FAKE_PKCS11_FAULT=$T/fault
MODULE=$(dirname "$EXPUNGE")/tests/fake/pkcs11.so
status() { { expunge_as night keys status --json || [ $? -eq 3 ]; } | jq -r "$1"; }
record() { find "$share" -name 'root.*'; }
token() { python3 "$ROOT/tests/integration/token.py" "$FAKE_PKCS11_MODULE" expunge "$PIN" "$@"; }
fault() { # fault WHEN NAME N CODE
	: >"$T/calls"
	printf '%s %s %s %s\n' "$@" >"$T/fault"
}
mend() {
	rm -f "$T/fault" "$share/expunge-pin-refused"
}
whole() { # "whole" if all is as after any change: one record, one key and the mark, both drills pass
	mend
	if ! { expunge_as night keys rotate && expunge_as night drill; } >"$T/end" 2>&1; then
		cat "$T/end"
		return
	fi
	[ "$(status '.root + (.places | tostring) + .anchor')/$(record | wc -l)/$(token_objects)" = "present[]good/1/2" ] ||
		{ status '.root + (.places | tostring) + .anchor'; record; token_objects; return; }
	echo whole
}

ok "init with a share on a token" with_token_keys
is "$(whole)" whole "and a change of the root"

# ---------------------------------------------------------------------------- faults with a name
while IFS='|' read -r what when call n code says hint; do
	fault "$when" "$call" "$n" "$code"
	run expunge_as night keys rotate
	rc_is 1 "$what: refused"
	err_like "$says" "with what happened"
	err_like "hint: .*$hint" "and what to do"
	is "$(whole)" whole "nothing is lost: the next run ends well"
done <<'FAULTS'
the token is full|before|C_GenerateKey|1|0x31|making a key: CKR_DEVICE_MEMORY|the token is full
write-protected|before|C_GenerateKey|0|0xe2|making a key: CKR_TOKEN_WRITE_PROTECTED|write-protected
full, although the key was made|after|C_GenerateKey|1|0x31|making a key: CKR_DEVICE_MEMORY|the token is full
session lost before the first seal|before|C_EncryptInit|1|0xb3|sealing a root share: CKR_SESSION_HANDLE_INVALID|connect the token
pulled while it opens|before|C_Decrypt|1|0x32|opening a root share: CKR_DEVICE_REMOVED|connect the token
no AES-GCM|before|C_EncryptInit|0|0x70|CKR_MECHANISM_INVALID|has them not
pulled while it destroys|before|C_DestroyObject|0|0x32|destroying a key: CKR_DEVICE_REMOVED|connect the token
destroyed, and says it is not|after|C_DestroyObject|1|0x30|destroying a key: CKR_DEVICE_ERROR|connect the token
a search that breaks off|before|C_FindObjects|3|0xb3|looking for keys: CKR_SESSION_HANDLE_INVALID|connect the token
another is logged in|before|C_Login|0|0x104|logging in: CKR_USER_ANOTHER_ALREADY_LOGGED_IN|another program holds the token
no session is free|before|C_OpenSession|0|0xb1|opening a session: CKR_SESSION_COUNT|another program holds the token
the PIN is locked|before|C_Login|0|0xa4|logging in: CKR_PIN_LOCKED|security officer unlocks it
the token says that its PIN is locked|flags|*|0|0x40000|logging in: CKR_PIN_LOCKED|security officer unlocks it
one more wrong PIN would lock it|flags|*|0|0x20000|a wrong PIN would lock it now, and none was tried|log in once by hand
an answer nobody knows|before|C_FindObjectsInit|1|0x80001234|error 0x80001234|PKCS#11
FAULTS

fault before C_Login 0 0xa0
run expunge_as night keys rotate
is "$(grep -c C_Login "$T/calls")" 1 "a wrong PIN is tried once"
run expunge_as night keys rotate
run expunge_as night nightly
run expunge_as night keys status
is "$(grep -c C_Login "$T/calls")" 1 "by no later run either"
is "$(whole)" whole "until a person says that it is right"
fault flags '*' 0 0x20000
run expunge_as night keys rotate
is "$(grep -c C_Login "$T/calls")" 0 "one that would lock the token is not tried at all"
mend

fault before C_DestroyObject 1 0
run expunge_as night keys rotate
rc_is 1 "a token that says it has destroyed a key, and has not"
err_like 'says that it has destroyed key expunge/.*, and still holds it' "is found out"
is "$(sql clinic "SELECT state FROM expunge.key_change ORDER BY changed_at DESC LIMIT 1")" journalled "and the change is not called done"
is "$(whole)" whole "it is gone on with when the token does what it says"

# ---------------------------------------------------------------------------- in the middle of a change
half() { # a change that has its new root, and the old one still
	fault before C_DestroyObject 0 0x32
	expunge_as night keys rotate 2>/dev/null || true
	mend
}
half
is "$(record | wc -l)/$(token_objects)" 2/3 "a change that stopped half way: both roots are there"
mv "$D/tokens" "$T/away"
run expunge_as night keys rotate
rc_is 5 "the token goes meanwhile"
mv "$T/away" "$D/tokens"
is "$(record | wc -l)/$(token_objects)" 2/3 "nothing is lost"
is "$(whole)" whole "and the change is gone on with when it is back"

half
retired=$(record | sort -t. -k2,2n | head -n 1)
name=expunge/$(sql clinic 'SELECT id FROM expunge.instance')/2/${retired##*/}
head -c 32 /dev/urandom >"$T/aes"
softhsm2-util --import "$T/aes" --aes --token expunge --pin "$PIN" --label "$name" --id 02 >/dev/null
run expunge_as night keys rotate
rc_is 1 "a key of the retired root that was brought in"
err_like 'a copy may be elsewhere' "keeps the change from being called done"
err_like 'hint: find the copy and destroy it' "and a person is told what to do"
is "$(sql clinic "SELECT state FROM expunge.key_change ORDER BY changed_at DESC LIMIT 1")" journalled "nothing is certified before"
token remove-foreign "$name"
is "$(whole)" whole "then it is gone on with"

# root writes everywhere: then CKR_TOKEN_WRITE_PROTECTED above has to do
if [ "$(id -u)" -ne 0 ]; then
	chmod -R a-w "$D/tokens"
	run expunge_as night keys rotate
	rc_is 1 "a token's directory that is read-only"
	chmod -R u+w "$D/tokens"
	is "$(whole)" whole "and writable again"
fi

# killed where only the token knows what was done: a key without a record, a record without a key, neither
while read -r when call; do
	fault "$when" "$call" 1 0
	{ expunge_as night keys rotate >/dev/null 2>&1; } 2>/dev/null || true
	ok "$when at $call: it has come to that" grep -qx "$call" "$T/calls"
	is "$(whole)" whole "the next run ends well, and leaves nothing on the token"
done <<'KILLS'
killed C_GenerateKey
killed C_Encrypt
killed C_DestroyObject
KILLS

# ---------------------------------------------------------------------------- every call
: >"$T/calls"
expunge_as night keys rotate >/dev/null
calls=$(wc -l <"$T/calls")
note "$calls calls in a change of the root: $(sort "$T/calls" | uniq -c | sort -rn | awk '{ printf "%s %s, ", $2, $1 }')"
ok "a change of the root makes calls" test "$calls" -gt 100
: "${SEED:=$RANDOM}"
note "SEED=$SEED"
codes=(0x5 0x30 0x31 0x32 0xb3 0x101 0x80000001)
whens=(before after kill killed)
bad=
walked=0
for n in $(seq 1 "$calls" | if [ "${PKCS11_WALK:-}" = all ]; then cat; else shuf -n 16 --random-source=<(yes "$SEED") | sort -n; fi); do
	when=${whens[(n + SEED) % 4]} code=${codes[(n / 4 + SEED) % 7]}
	fault "$when" '*' "$n" "$code"
	{ expunge_as night keys rotate >/dev/null 2>&1; } 2>/dev/null || true
	end=$(whole)
	walked=$((walked + 1))
	[ "$end" = whole ] || bad+="$when $n $code ($(sed -n "${n}p" "$T/calls")): $end"$'\n'
done
is "$bad" "" "whichever of them fails, or is the last of a killed run, the next run ends well ($walked of them)"

done_testing

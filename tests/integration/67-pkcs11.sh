#!/usr/bin/env bash
# A root share on a PKCS#11 token (SoftHSM): what a token does, a night, an adoption, and bad days that a person can bring
# about with it: another PIN, a token that is away, a key that is missing, brought in from elsewhere, or there twice.
. "$(dirname "$0")/../lib.sh"
. "$ROOT/tests/integration/sessions.bash"
. "$ROOT/tests/integration/tokens.bash"
softhsm >/dev/null || skip_all "there is no SoftHSM"
build_probe leaf_probe

fresh_db clinic
install clinic
set_option wait_seconds 30
make_token clinic
D=$T/clinic
share=$D/shares/2a
module=$(softhsm)
leaf() { "$T/leaf_probe" "$CONF" "host=$PGHOST port=$PGPORT dbname=clinic" "$@"; }
says() { grep -qE "$2" <<<"$1"; }
status() { { expunge_as night keys status --json || [ $? -eq 3 ]; } | jq -r "$1"; }
line() { sql clinic "SELECT note FROM expunge.certificate WHERE request_id = '$1'" | sed -n "s/^$2: //p"; }
record() { find "$share" -name 'root.*'; }
key() { # the name that the key of the record has on the token
	printf 'expunge/%s/2/%s' "$(sql clinic 'SELECT id FROM expunge.instance')" "$(record | sed 's|.*/||')"
}
token() { python3 "$ROOT/tests/integration/token.py" "$module" expunge "$PIN" "$@"; }
holds() { token count "$1"; } # how many keys on the token have this name
good_end() { # good_end WHAT: after a repair
	run expunge_as night keys rotate
	rc_is 0 "$1"
	is "$(status .root)/$(status '.places | length')/$(record | wc -l)/$(token_objects)" "present/0/1/2" "and all is as it was: one record, one key and the mark"
	run expunge_as night drill
	rc_is 0 "what should open opens, and the past does not"
}

# ---------------------------------------------------------------------------- init
ok "init with a share in files and a share on a token" with_token_keys
is "$(status .drivers)/$(status .root)/$(status '.places | length')" "file, pkcs11/present/0" "status shows both"
is "$(token_objects)/$(holds "$(key)")" 2/1 "the token has its mark and the key of the first root"
is "$(stat -c '%a %s' "$(record)")" "600 264" "and the directory the record that it has sealed"
is "$(token attributes "$(key)")" \
	"token private sensitive always-sensitive never-extractable local not-extractable" "a key that cannot leave the token"
nok "nor be read there" token value "$(key)"
expunge_as postgres init 2>/dev/null
is "$(status .epoch)/$(token_objects)" 1/2 "init again changes nothing"
run expunge_as night check
out_like '^ok +root shares: epoch 1, 2 shares' "check looks at the root"
out_unlike 'all 2 shares are on the device' "and does not count the sealed record among what a disk gives away"
run expunge_as night drill
rc_is 0 "what should open opens"

# ---------------------------------------------------------------------------- a night
run expunge_as night backup
rc_is 0 "a backup"
cp -a "$(record)" "$T/kept"
old=$(key)
a=$(scheduled clinic 1 43)
run expunge_as night nightly
rc_is 0 "a night with a patient who was backed up"
is "$(leaf 1 43)/$(leaf 1 40)" "shredded/living" "shreds the leaf"
is "$(holds "$old")/$(holds "$(key)")/$(token_objects)" 0/1/2 "the old root's key is gone from the token"
ok "the certificate says how the shares went" says "$(line "$a" keys)" 'epoch 1 -> 2; root shares destroyed 2/2 \(file:[a-z0-9]+, pkcs11\)$'
ok "and what a token's maker may still have is out of its scope" says "$(line "$a" out-of-scope)" 'copies of its keys that a hardware token'
run "$EXPUNGE" certificate verify "$D"/certificates/*.note
rc_is 0 "it is good"

# a copy of the sealed record comes back, and the other share with it: nothing opens it any more
cp -a "$T/kept" "$share/root.1.${old##*.}"
run expunge_as night keys status
is "$(status .root)" present "a copy of the old record is put back: the present root is not touched by it"
run expunge_as night drill --negative
rc_is 1 "the drill"
err_like 'root\.1\.[0-9a-f]* is there again' "names it"
run token open "$old" "$T/kept"
rc_is 1 "and the token has no key that opens it"
good_end "the next change of the root removes it"

# under another name, and beside a record that lives
cp -a "$(record)" "$share/.copy~"
good_end "copies under other names go with their record"
is "$(find "$share" -name '.copy~')" "" "whatever they are called"

# ---------------------------------------------------------------------------- PIN
cp "$D/pin" "$T/pin"
echo 99999999 >"$D/pin"
run expunge_as night keys rotate
rc_is 1 "a wrong PIN"
err_like 'token expunge: logging in: the PIN is wrong' "is refused by the token"
err_like 'put the right PIN into file .*/pin, then remove .*/expunge-pin-refused' "with what to do"
err_unlike '99999999' "and without the PIN"
run expunge_as night keys rotate
rc_is 1 "the next run"
err_like 'not tried: the PIN was refused before' "does not try it again, so that the token does not lock itself"
cp "$T/pin" "$D/pin"
run expunge_as night keys rotate
err_like 'not tried' "nor any, until a person says so"
run expunge_as night keys status
rc_is 3 "which keys status says, too"
out_like 'not tried: the PIN was refused before' "with the reason"
is "$(status .epoch)/$(token_objects)" 4/2 "nothing is lost"
rm "$share/expunge-pin-refused"
good_end "the right PIN, and the person's word"

chmod 640 "$D/pin"
run expunge_as night keys rotate
rc_is 1 "a PIN that others can read"
err_like 'PIN of a token: reading secret file .*: group or others may use it \(mode 0640\)' "is not used"
chmod 600 "$D/pin"
: >"$D/pin"
run expunge_as night keys rotate
err_like 'holds none' "nor is an empty one tried"
cp "$T/pin" "$D/pin"
good_end "made good"

# the credential that systemd gives
cp "$CONF" "$T/conf"
sed -i "s|pin_file = \"[^\"]*\"|pin_credential = \"token-pin\"|" "$CONF"
run expunge_as night keys rotate
rc_is 1 "a credential, and no systemd"
err_like 'there is no CREDENTIALS_DIRECTORY' "is told apart"
err_like 'LoadCredential=token-pin' "with what to do"
mkdir -m 0700 "$T/credentials"
cp "$T/pin" "$T/credentials/token-pin"
chmod 0440 "$T/credentials/token-pin" # as an access list looks
export CREDENTIALS_DIRECTORY=$T/credentials
good_end "a credential, which the drills get, too"
unset CREDENTIALS_DIRECTORY
cp "$T/conf" "$CONF"

# ---------------------------------------------------------------------------- the token is away
mv "$D/tokens" "$T/away"
for command in "keys rotate" nightly backup drill; do
	# shellcheck disable=SC2086 # words
	run expunge_as night $command
	nok "$command without the token does not end well" test "$RC" = 0
	err_like 'token expunge: ' "and names it"
done
mkdir "$D/tokens"
run expunge_as night keys rotate
rc_is 1 "another token in its place"
err_like 'there is none of this label' "is not taken for it"
is "$(status .root | cut -d: -f1)" unavailable "nor is the root called destroyed"
softhsm2-util --init-token --free --label expunge --so-pin 12345678 --pin "$PIN" >/dev/null
run expunge_as night keys rotate
err_like 'token expunge is not marked as one of share 2' "nor is an empty one of the same label"
is "$(status .root | cut -d: -f1)" unavailable "nor then"
rm -r "$D/tokens"
mv "$T/away" "$D/tokens"
good_end "with the token back"

# which token is meant
softhsm2-util --init-token --free --label expunge --so-pin 12345678 --pin "$PIN" >/dev/null
run expunge_as night keys rotate
rc_is 1 "two tokens of one label"
err_like 'there are several of this label' "are not chosen from"
err_like 'hint: name under keys.shares the serial number' "and what to do is said"
for serial in $(softhsm2-util --show-slots | sed -n 's/^ *Serial number: *\([0-9a-f]\)/\1/p'); do
	sed "s|label = \"expunge\"|serial = \"$serial\"|" "$T/conf" >"$CONF"
	if [ "$(status .root)" = present ]; then good_end "by its serial number it is found"; else other=$serial; fi
done
cp "$T/conf" "$CONF"
softhsm2-util --delete-token --serial "$other" >/dev/null
sed -i "s|pin_file = \"[^\"]*\"|pin_file = \"$share/pin\"|" "$CONF"
run expunge_as night keys status
rc_is 2 "a PIN beside the share that it opens"
err_like 'holds the PIN of a token' "is refused"
cp "$T/conf" "$CONF"

# ---------------------------------------------------------------------------- keys of the token
before=$(find "$D/tokens" -name '*.object' | sort)
run expunge_as night keys rotate
new=$(comm -13 <(printf '%s\n' "$before") <(find "$D/tokens" -name '*.object' | sort))
cp -a "$new" "$T/object"
rm "$new"
run expunge_as night keys rotate
rc_is 1 "a key that is not on the token any more"
err_like 'does not hold the key that its record is sealed under' "is told"
is "$(status .root | cut -d: -f1)" "not whole" "and is not called destroyed"
cp -a "$T/object" "$new"
good_end "brought back from the token's own backup"

head -c 32 /dev/urandom >"$T/aes"
softhsm2-util --import "$T/aes" --aes --token expunge --pin "$PIN" --label "$(key)" --id 01 >/dev/null
run expunge_as night keys rotate
rc_is 1 "a key of the same name that was brought in"
err_like "key expunge/.* can be taken out of the token, or was brought into it" "is refused"
is "$(token_objects)" 3 "nothing is destroyed, for it may be a copy of something"
token remove-foreign "$(key)"
good_end "without it"

token copy "$(key)"
run expunge_as night keys rotate
rc_is 1 "two keys of one root"
err_like 'holds 2 keys' "are refused"
token remove-one "$(key)"
good_end "until one is destroyed"

# ---------------------------------------------------------------------------- a second token as a replica; moving to it
softhsm2-util --init-token --free --label second --so-pin 12345678 --pin "$PIN" >/dev/null
cp "$CONF" "$T/conf"
one=$(token_of "$module" expunge "$D/pin") two=$(token_of "$module" second "$D/pin")
sed -i -e "s|replicas = \[\"$share\"\]|replicas = [\"$share\", \"$D/shares/2b\"]|" -e "s|tokens = (.*|tokens = ( $one, $two ); } );|" "$CONF"
run expunge_as night keys mark "$D/shares/2b"
rc_is 0 "another token for the same share"
out_like '1 records of the root written' "gets the share from the first"
is "$(status '.places | length')" 0 "and is a replica of it"
cp -p "$D"/shares/2b/root.* "$share/"
sed -i -e "s|, \"$D/shares/2b\"\]|]|" -e "s|tokens = (.*|tokens = ( $two ); } );|" "$CONF"
is "$(status .root)/$(status '.places | length')" "present/0" "the second takes the place of the first"
run expunge_as night keys rotate
rc_is 0 "and the next root is on it alone"
is "$(python3 "$ROOT/tests/integration/token.py" "$module" second "$PIN" count "$(key)")/$(holds "$(key)")" 1/0 "not on the first"
softhsm2-util --delete-token --token expunge >/dev/null
is "$(status .root)/$(status '.places | length')" "present/0" "which is not needed any more"
run expunge_as night drill
rc_is 0 "what should open opens"

# ---------------------------------------------------------------------------- restored from before
mkrole ada expunge_operator expunge_job
ok "a backup" expunge_as night backup
sql postgres "CREATE DATABASE before TEMPLATE clinic STRATEGY wal_log"
approve clinic "$(file_request clinic 1 48)"
ok "a night after it" expunge_as night nightly
sql postgres "ALTER DATABASE clinic RENAME TO lost" "ALTER DATABASE before RENAME TO clinic"
run expunge_as night nightly
rc_is 5 "a database that was restored from before"
run expunge_as ada restore --adopt
rc_is 0 "is adopted"
is "$(sql clinic "SELECT count(*) FROM app.patient WHERE id = 48")/$(status .root)" 0/present "with what the token opens"
run expunge_as night keys rotate
rc_is 0 "and goes on"

done_testing

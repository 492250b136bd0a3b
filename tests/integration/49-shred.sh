#!/usr/bin/env bash
# An erasure takes the patient's leaf key with it: by one change of the root for the whole night, before the certificate,
# which says so; and what happens when that change fails, is killed, or the configuration has lost the key tree.
. "$(dirname "$0")/../lib.sh"
. "$ROOT/tests/integration/sessions.bash"
build_probe leaf_probe

fresh_db clinic
install clinic
set_option wait_seconds 30
with_keys 2>/dev/null
leaf() { "$T/leaf_probe" "$CONF" "host=$PGHOST port=$PGPORT dbname=clinic" "$@"; }
certificate_of() { sql clinic "SELECT note FROM expunge.certificate WHERE request_id = '$1'"; }
says() { grep -qE "$2" <<<"$1"; }
line() { certificate_of "$1" | sed -n "s/^$2: //p"; }

is "$(leaf 1 43 40 41 | sort | uniq -c | awk '{ print $1, $2 }')" "3 living" "three patients have leaf keys, as after a backup"
leaf 2 243 >/dev/null

# ---------------------------------------------------------------------------- a night
a=$(scheduled clinic 1 43)
scheduled clinic 2 243 >/dev/null
c=$(scheduled clinic 1 47)
check_value=$(sql clinic "SELECT encode(kcv, 'hex') FROM expunge.key_leaf WHERE tenant = '1' AND name = '43'")
run expunge_as night nightly
rc_is 0 "a night with two patients who were backed up, and one who was not"
is "$(leaf 1 43)/$(leaf 2 243)/$(leaf 1 40)" "shredded/shredded/living" "shreds the leaves of the two"
is "$(sql clinic "SELECT epoch FROM expunge.key_tree")" 2 "by one change of the root"
is "$(find "$T/clinic/shares" -name 'root.1.*' | wc -l)" 0 "whose predecessor is gone"
ok "the certificate says which key went, and how" says "$(line "$a" keys)" \
	"^destroyed 1 fingerprint $check_value; epoch 1 -> 2; root shares destroyed 2/2 \\(file:[a-z0-9]+, file:[a-z0-9]+\\)\$"
is "$(line "$a" level)" keys-destroyed "and how far the erasure goes"
ok "and that it was tried" says "$(line "$a" verification)" 'negative-drill pass; positive-drill pass'
is "$(line "$c" keys)/$(line "$c" level)" "none/vacuumed" "that of the patient who had no leaf says none"
run "$EXPUNGE" certificate verify "$T"/clinic/certificates/*.note
rc_is 0 "all are good"
is "$(sql clinic "SELECT count(*) FROM expunge.key_leaf WHERE name IN ('43', '243')")" 0 "no tombstone names a patient"

# ---------------------------------------------------------------------------- it fails
d=$(scheduled clinic 1 40)
mv "$T/clinic/there" "$T/away"
run expunge_as night nightly
rc_is 3 "a destination that is not there"
err_like 'leaf keys are not shredded' "is told"
is "$(request_state clinic "$d")" removed "and nothing is certified"
is "$(certificate_of "$d")" "" "not even a little"
run expunge_as night nightly
rc_is 3 "nor in the next night"
mv "$T/away" "$T/clinic/there"
run expunge_as night nightly
rc_is 0 "with it back"
is "$(leaf 1 40)/$(request_state clinic "$d")" shredded/certified "the change is gone on with, and the certificate follows"
is "$(sql clinic "SELECT count(*) FROM expunge.certificate WHERE request_id = '$d'")" 1 "once"

leaf 1 46 >/dev/null
d=$(scheduled clinic 1 46)
mv "$T/clinic/shares/2a" "$T/away"
run expunge_as night nightly
rc_is 3 "a place that is not there"
mv "$T/away" "$T/clinic/shares/2a"
run expunge_as postgres init
rc_is 0 "init leaves the change to the next night"
run expunge_as night nightly
is "$RC/$(leaf 1 46)/$(request_state clinic "$d")" 0/shredded/certified "which goes on with it"

# ---------------------------------------------------------------------------- the configuration has lost the tree
e=$(scheduled clinic 1 41)
cp "$CONF" "$T/conf"
sed -i '/^keys : {/,/^};/d' "$CONF"
run expunge_as night nightly
rc_is 5 "without keys.shares nothing is erased in a database that has a key tree"
err_like 'put keys.shares back' "the remedy is named"
is "$(request_state clinic "$e")" scheduled "the request waits"
cp "$T/conf" "$CONF"
run expunge_as night nightly
is "$(leaf 1 41)/$(request_state clinic "$e")" shredded/certified "until it is back"

# ---------------------------------------------------------------------------- a share more
mkdir -m 0700 "$T/clinic/shares/3a"
sed -i "s#^\( *shares = .*\) );#\1, { replicas = [\"$T/clinic/shares/3a\"]; } );#" "$CONF"
marker=$T/clinic/shares/3a/expunge-root-share
(umask 077 && sed '/^sha256:/d; s/^share: .*/share: 3/; s/^replica: .*/replica: 1/' "$T/clinic/shares/1a/expunge-root-share" >"$marker")
printf 'sha256: %s\n' "$(sha256sum <"$marker" | cut -d' ' -f1)" >>"$marker"
for subject in 48 50; do
	leaf 1 "$subject" >/dev/null
	f=$(scheduled clinic 1 "$subject")
	run expunge_as night nightly
	line "$f" keys | grep -o 'destroyed ./.' >>"$T/shares"
done
is "$(paste -sd' ' "$T/shares")" "destroyed 2/2 destroyed 3/3" "a certificate counts the shares of the root that went"

# ---------------------------------------------------------------------------- a restored database that has gone on
run expunge_as night backup --tenant 2
rc_is 0 "a backup"
sql postgres 'CREATE DATABASE fork TEMPLATE clinic STRATEGY wal_log'
leaf 3 440 >/dev/null
run expunge_as night backup --tenant 3
rc_is 0 "and another, whose leaf keys the journal has"
before=$(sql clinic 'SELECT key_seq FROM expunge.key_tree')
sql postgres 'ALTER DATABASE clinic RENAME TO newer' 'ALTER DATABASE fork RENAME TO clinic'
for subject in 441 442 443 444 445 446 447 448; do leaf 3 "$subject" >/dev/null; done
ok "a copy of before that goes on is not behind by its numbers" test "$(sql clinic 'SELECT key_seq FROM expunge.key_tree')" -gt "$before"
run expunge_as night keys rotate
rc_is 5 "no root is changed in it"
err_like 'leaf keys that the database has not|another copy of this database' "for the journal is of another history"
run expunge_as night backup --tenant 2
rc_is 5 "and nothing is backed up"

done_testing

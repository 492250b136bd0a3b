#!/usr/bin/env bash
# Bad days for an adoption: places that are away, older or altered, histories that do not fit, and what stands in the way of
# erasing again. Each is refused by name, with nothing changed, or ends as it must.
. "$(dirname "$0")/../lib.sh"

fresh_db clinic
install clinic
sql postgres "CREATE DATABASE bare TEMPLATE clinic STRATEGY wal_log" # before there was a key tree
with_keys 2>/dev/null
mkrole ada expunge_operator expunge_job
sed -i 's/tenant_share_percent = 50/tenant_share_percent = 100/' "$CONF"

# ---------------------------------------------------------------------------- the history

snapshot() { cp -a "$T/clinic" "$T/$1"; } # what is outside the database
store() { sql postgres "CREATE DATABASE \"$1\" TEMPLATE clinic STRATEGY wal_log"; } # the database
leaves() { sql clinic 'SELECT id, tenant, kind, name, name_hash, incarnation, kcv FROM expunge.key_leaf ORDER BY id' | md5sum; }
roots() { find "$T/clinic/shares" -name 'root.*' | wc -l; }

ok "a backup" expunge_as night backup --tenant 1
store before
snapshot early
for patient in 1 3; do approve clinic "$(file_request clinic 1 "$patient")"; done
ok "two patients are erased" expunge_as night nightly
snapshot mid
sql clinic "INSERT INTO app.patient (practice_id, given_name, family_name, born) VALUES (1, 'Late', 'Arrival', '2001-02-03')"
ok "another arrives, and is backed up" expunge_as night backup --tenant 1
snapshot late
all=$(leaves)
certificates=$(sql clinic "SELECT md5(string_agg(note, '' ORDER BY serial)) FROM expunge.certificate")
# a change of the root that is disturbed after its root was written
sql clinic "CREATE FUNCTION disturb() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''disturbed''; END'" \
	"CREATE TRIGGER disturb BEFORE UPDATE ON expunge.key_tree FOR EACH ROW WHEN (NEW.epoch <> OLD.epoch) EXECUTE FUNCTION disturb()"
nok "a change of the root fails" expunge_as night keys rotate
is "$(roots)" 8 "and has left its root"
snapshot changing
sql postgres 'ALTER DATABASE clinic RENAME TO "primary"'

# the same epoch by another change of the root
sql postgres 'CREATE DATABASE clinic TEMPLATE before STRATEGY wal_log'
rm -rf "$T/clinic"
cp -a "$T/early" "$T/clinic"
approve clinic "$(file_request clinic 1 5)"
ok "a copy of the database runs with places of its own" expunge_as night nightly
snapshot other
store twin

# day DATABASE DIRECTORY: this copy was restored, and these are the places
day() {
	sql postgres 'SET client_min_messages = warning' 'DROP DATABASE IF EXISTS clinic WITH (FORCE)' "CREATE DATABASE clinic TEMPLATE \"$1\" STRATEGY wal_log"
	rm -rf "$T/clinic"
	cp -a "$T/$2" "$T/clinic"
}
adopt() { run expunge_as ada restore --adopt; }
journal() { printf '%s/clinic/%s/keys/%s' "$T" "$1" "$(sql clinic 'SELECT id FROM expunge.instance')"; }
head_of() { find "$(journal "$1")" -name '*.journal' | sort | tail -n 1; }
patients() { sql clinic 'SELECT count(*) FROM app.patient WHERE id IN (1, 3)'; }

# untouched NAME: keys, certificates, patients and roots are as they were, and nothing else runs
untouched() {
	is "$(leaves) $(sql clinic 'SELECT count(*) FROM expunge.certificate') $(patients)" "$untouched" "$1: nothing is changed"
	run expunge_as night nightly
	is "$([ "$RC" = 0 ] || echo no)" no "$1: and no night runs"
}
before() { untouched="$(leaves) $(sql clinic 'SELECT count(*) FROM expunge.certificate') $(patients)"; }

# is_whole NAME: the adoption has ended as it should
is_whole() {
	rc_is 0 "$1: it is adopted"
	is "$(leaves)" "$all" "$1: every leaf is there"
	is "$(patients)/$(sql clinic "SELECT md5(string_agg(note, '' ORDER BY serial)) FROM expunge.certificate")" "0/$certificates" "$1: both are gone, with the certificates that they had"
	is "$(roots)/$(sql clinic 'SELECT count(*) FROM expunge.adoption WHERE ended_at IS NULL')" 4/0 "$1: one root is left, and no adoption"
	run expunge_as night nightly
	rc_is 0 "$1: the next night runs"
	ok "$1: journals agree" cmp <(sed -n 's/^\(key-seq\|epoch\|serial\): //p' "$(head_of here)") <(sed -n 's/^\(key-seq\|epoch\|serial\): //p' "$(head_of there)")
}

# ---------------------------------------------------------------------------- places

day before late
before
mv "$T/clinic/shares/1a" "$T/clinic/shares/1b" "$T"
adopt
rc_is 1 "a share is away: not adopted"
err_like 'shares/1a' "and named"
untouched "a share is away"
mv "$T/1a" "$T/1b" "$T/clinic/shares"
adopt
is_whole "the share is back"

day before late
before
mv "$T/clinic/there" "$T/there"
adopt
rc_is 1 "a destination is away: not adopted"
err_like 'clinic/there' "and named"
untouched "a destination is away"
mv "$T/there" "$T/clinic/there"
adopt
is_whole "the destination is back"

for place in here there; do
	day before late
	rm -rf "$T/clinic/$place"
	cp -a "$T/mid/$place" "$T/clinic/$place"
	adopt
	is_whole "the journal in $place is an older one"
done

day before late
rm "$T/clinic/state/anchor"
adopt
is_whole "the anchor is lost"

day before late
before
rm -r "$T/clinic/state/anchor" "$T/clinic/there/keys" # and an empty disk is mounted
adopt
rc_is 1 "an empty disk"
err_like 'is its disk mounted' "is taken for one that is not mounted"
ok "a person says that it is new" expunge_as ada keys mark "$T/clinic/there"
adopt
rc_is 5 "anchor and one journal are lost: whether the other is the newest cannot be known"
err_like 'clinic/there' "which one is named"
untouched "anchor and one journal are lost"
sed -i 's|, { name = "there"; [^}]*}||' "$CONF"
adopt
rc_is 0 "with that destination given up it is adopted"
is "$(leaves)" "$all" "with every leaf"

day before late
before
for place in here there; do rm -rf "$T/clinic/$place" && cp -a "$T/mid/$place" "$T/clinic/$place"; done
adopt
rc_is 5 "the anchor is ahead of both journals"
err_like 'anchor has come to' "and says so"
untouched "the anchor is ahead"

day before late
before
sed -i 's/^key-seq: ./key-seq: 9/' "$T/clinic/state/anchor"
adopt
is "$([ "$RC" != 0 ] || echo adopted)" "" "an altered anchor"
err_like 'anchor' "is named"
untouched "an altered anchor"

# ---------------------------------------------------------------------------- journals

# spoil NAME COMMAND...: of the journal in `here`; then that one is moved away, and the other one counts
spoil() {
	day before late
	before
	"${@:2}"
	adopt
	is "$([ "$RC" != 0 ] || echo adopted)" "" "$1: not adopted"
	err_like 'key journal .*clinic/here' "$1: the journal is named"
	untouched "$1"
	rm "$(journal here)"/*.journal
	adopt
	is_whole "$1, and moved away"
}
flip() { # a byte in a row
	local at
	at=$(grep -abo -m 1 '^leaf ' "$1" | cut -d: -f1)
	"$ROOT/tests/alter.sh" "$1" $((at + 5))
}
spoil "a byte is another" eval 'flip "$(grep -l "^leaf" "$(journal here)"/*.journal | sort | tail -n 1)"'
spoil "a segment between is missing" eval 'rm "$(find "$(journal here)" -name "*.journal" | sort | tail -n 3 | head -n 1)"'
spoil "the last segment is cut short" eval 'truncate -s -100 "$(head_of here)"'
spoil "a segment of another history" eval 'other=$(find "$T/other/here/keys" -name "*.journal" | sort | tail -n 1); cp "$other" "$(journal here)/"'

day before mid
before
rm -rf "$T/clinic/there"
cp -a "$T/other/there" "$T/clinic/there"
adopt
rc_is 5 "two journals came to the same epoch by two changes"
err_like 'by two changes of the root' "and that is said"
untouched "two journals of two histories"

# ---------------------------------------------------------------------------- the database

day twin mid
untouched="$(leaves) 1 2"
adopt
is "$([ "$RC" != 0 ] || echo adopted)" "" "a database that has issued another certificate of this serial"
err_like 'certificate 1 of this database is another one' "is refused"
is "$(leaves) $(sql clinic 'SELECT count(*) FROM expunge.certificate') $(patients)" "$untouched" "and left as it was"

day bare late
adopt
is_whole "a database from before there was a key tree"

day before changing
adopt
is_whole "a change that the journal never saw"

day before late
expunge_as oscar freeze on --reason 'case 7' >/dev/null
before
adopt
rc_is 5 "frozen: not adopted"
untouched "frozen"
expunge_as oscar freeze off >/dev/null
adopt
is_whole "not frozen any more"

# ---------------------------------------------------------------------------- erasing again

day before late
expunge_as oscar hold place --tenant 1 --subject 3 --kind complaint --reason 'case 7' --review "$(date -d '+1 year' +%F)" >/dev/null
hold=$(sql clinic 'SELECT id FROM expunge.hold')
adopt
rc_is 3 "one of them is held: the adoption does not end"
err_like 'is not carried out again' "and says for whom not"
is "$(patients)" 1 "the other one is gone"
run expunge_as night nightly
rc_is 5 "nothing else runs"
expunge_as oscar hold release "$hold" >/dev/null
adopt
is_whole "the hold is released"

day before late
sed -i 's/subjects_per_run = 50/subjects_per_run = 1/' "$CONF"
adopt
is "$RC $(patients)" "5 2" "more than a run may erase: refused"
err_like 'cap' "by the cap"
expunge_as ruth cap raise --reason 'restored' >/dev/null
adopt
is_whole "a person has raised the cap for one run"

day before late
sql clinic "SET session_replication_role = replica" "UPDATE app.patient SET created_at = created_at + interval '1 day', family_name = 'Namesake' WHERE id = 3"
adopt
rc_is 0 "the key of an erased one was given to somebody else"
err_like '1 rows have the key of an erased one and were born at another time' "that is told"
is "$(sql clinic 'SELECT id, family_name FROM app.patient WHERE id IN (1, 3)')" '3|Namesake' "and that one stays"
done_testing

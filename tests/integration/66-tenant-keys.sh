#!/usr/bin/env bash
# A whole tenant's keys go by one change of the root: its archives open for nobody, in the database as in one that is restored
# from before, and everybody else's are as they were.
. "$(dirname "$0")/../lib.sh"
build_probe tenant_probe

fresh_db clinic
install clinic
ok "a key tree" with_keys
mkrole ada expunge_operator expunge_job
restored() { sql "$1" 'SELECT count(*) FROM app.patient'; }
target() { sql postgres "CREATE DATABASE $1"; pg_dump --schema-only --schema app --schema audit clinic | psql -Xq -d "$1" >/dev/null; }
# of the tenant itself and of its patients: how many live, how many have a name, and which they are
leaves() { sql clinic "SELECT count(*), count(name), md5(string_agg(kcv::text, '' ORDER BY id)) FROM expunge.key_leaf
	WHERE tenant = '$1' AND kind <> 'generation' AND shredded_epoch IS NULL"; }

ok "a backup" expunge_as night backup
ok "another" expunge_as night backup --full
sql postgres 'CREATE DATABASE before TEMPLATE clinic STRATEGY wal_log'
others=$(leaves 2)

run "$T/tenant_probe" "$CONF" "host=$PGHOST port=$PGPORT dbname=clinic" 1
rc_is 0 "a tenant's keys go"
is "$(leaves 1)/$(leaves 2)" "0|0|/$others" "all of its own, and no other's"
is "$(sql clinic "SELECT count(*) FROM expunge.key_page WHERE tenant = '1'")" 0 "with the rows that held them"
is "$(sql clinic "SELECT state FROM expunge.key_change ORDER BY epoch DESC LIMIT 1")" "done" "the change is done"
run expunge_as night drill
rc_is 0 "what should open opens, and the past does not"
run expunge_as night backup --verify
rc_is 0 "every archive that counts is good"
target back
run expunge_as night restore --tenant 1 --into dbname=back
is "$((RC > 0))/$(restored back)" 1/0 "no archive of the tenant opens any more"
run expunge_as night backup
rc_is 3 "a backup that still sees its rows"
err_like 'shredded as a whole' "says that nothing of it is sealed"
is "$(leaves 1)/$(leaves 2)" "0|0|/$others" "makes no key for it, and goes on with the others"
ok "a night" expunge_as night nightly
is "$(sql clinic "SELECT count(*) FROM expunge.archive WHERE tenant = '1' AND state <> 'expired'")" 0 "takes its archives away"

# ---------------------------------------------------------------------------- restored from before
sql postgres 'ALTER DATABASE clinic RENAME TO present' 'ALTER DATABASE before RENAME TO clinic'
is "$(sql clinic "SELECT count(*) > 0 FROM expunge.key_leaf WHERE tenant = '1' AND name IS NOT NULL")" t "a database that was restored has the rows of its keys again"
run expunge_as night backup
rc_is 5 "nothing is sealed there"
run expunge_as ada restore --adopt
rc_is 0 "adopted"
is "$(leaves 1)/$(leaves 2)" "0|0|/$others" "it has none of them, and every other"
run expunge_as night backup
rc_is 3 "a backup there"
err_like 'shredded as a whole' "seals nothing of the tenant either"
run expunge_as night drill
rc_is 0 "and the drills pass"
done_testing

#!/usr/bin/env bash
# Tables whose rows hang on one patient by one chain of keys are sealed by joining them to their owners, without a set of their keys:
# every row once, under whom it belongs to, also where a reference leads to nobody.
. "$(dirname "$0")/../lib.sh"

mkrole app_owner
sql postgres 'CREATE DATABASE ward'
psql -XAtq -v ON_ERROR_STOP=1 -v practices=3 -v patients=7 -v tenth=0 -d ward -f "$ROOT/tests/bench/erase-schema.sql" >/dev/null
install ward "$ROOT/tests/bench/erase-map.conf"
with_keys 2>/dev/null
# what constraints do not let happen, and a disabled trigger does: orphans, and patients of no practice
sql ward "SET session_replication_role = replica" \
	"INSERT INTO app.patient VALUES (100, 99, 'of no practice')" \
	"INSERT INTO app.note VALUES (1000, 100, 'of a patient of no practice'), (1001, 101, 'of no patient')" \
	"INSERT INTO app.invoice VALUES (1000, 101, 1)" \
	"INSERT INTO app.line VALUES (1000, 1000, 'of the invoice of no patient', 1), (1001, 1001, 'of no invoice', 2)" \
	"UPDATE app.note SET body = repeat(md5(body), 150000) WHERE id = 1"
tables='practice patient appointment note invoice line'
all() { for table in $tables; do sql "$1" "SELECT '$table', count(*), md5(string_agg(t::text, ',' ORDER BY t::text)) FROM app.$table t"; done; }
run expunge_as night backup
rc_is 0 "a backup"
is "$(sql ward "SELECT sum(n_rows) FROM expunge.archive")" "$(for table in $tables; do sql ward "SELECT count(*) FROM app.$table"; done | awk '{ n += $1 } END { print n }')" "has every row once"
is "$(sql ward "SELECT n_rows FROM expunge.archive WHERE tenant = '@nobody'")" 6 "six of them belong to nobody"
sql postgres 'CREATE DATABASE back'
pg_dump --schema app --section=pre-data ward | psql -Xq -v ON_ERROR_STOP=1 -d back >/dev/null
for tenant in 1 2 3 @nobody; do
	run expunge_as night restore --tenant "$tenant" --into dbname=back
	rc_is 0 "restored: $tenant"
done
is "$(all back)" "$(all ward)" "what comes back is what was there"
# a note that is larger than any buffer would come before its patient
sql postgres 'CREATE DATABASE whole'
pg_dump --schema app --schema-only ward | psql -Xq -v ON_ERROR_STOP=1 -d whole >/dev/null
run expunge_as night restore --tenant 1 --into dbname=whole
rc_is 0 "where foreign keys are in place, rows wait for what they refer to"
is "$(sql whole 'SELECT count(*), max(length(body)) FROM app.note')" "140|4800000" "and all of them are there"

# whose row it is: each patient's own go with the patient, and with nobody else
sql ward "SET session_replication_role = replica" "UPDATE app.invoice SET patient_id = 8 WHERE id = 1" "UPDATE app.patient SET practice_id = 3 WHERE id = 7"
ok "another, after an invoice went to another practice's patient, and a patient to another practice" expunge_as night backup
sql back "TRUNCATE app.practice, app.patient, app.appointment, app.note, app.invoice, app.line"
ok "the practice that lost both" expunge_as night restore --tenant 1 --into dbname=back
is "$(sql back 'SELECT count(*) FROM app.patient')/$(sql back 'SELECT count(*) FROM app.invoice WHERE id = 1')/$(sql back 'SELECT count(*) FROM app.line WHERE invoice_id = 1')" 6/0/0 "has neither"
for tenant in 2 3 @nobody; do ok "and $tenant" expunge_as night restore --tenant "$tenant" --into dbname=back; done
is "$(all back)" "$(all ward)" "the others have"
done_testing

#!/usr/bin/env bash
# Expunge on a database that somebody else wrote: GNUmed's demonstration database, as Debian ships it.
#
# Kirk is erased, two patients leave a tombstone, ten go in one night, McCoy is staff and stays. Then maps that
# lack one thing each: all must be refused, or found out by a rehearsal. Every part has a fresh copy of
# the database and a server of its own.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/clusters.bash"

begin=$SECONDS

# compare_rows: fills $T/gone and $T/new with what differs between $T/before and now
compare_rows() {
	rows "$T/after"
	LC_ALL=C comm -23 <(LC_ALL=C sort "$T/before") <(LC_ALL=C sort "$T/after") >"$T/gone"
	LC_ALL=C comm -13 <(LC_ALL=C sort "$T/before") <(LC_ALL=C sort "$T/after") >"$T/new"
}

# per_table FILE: "table rows", sorted
per_table() {
	cut -f1 "$1" | LC_ALL=C sort | uniq -c | awk '{ print $2, $1 }'
}

# ddl: the commands that changed the schema since the cluster was made, one a line
ddl() {
	sed -nE 's/^.*LOG:  (statement|execute [^:]*): //p' "$EXPUNGE_TEST_LOG"
}

# definitions: what rules, triggers, tables and columns are, and which transaction last wrote that
definitions() {
	local catalogue
	for catalogue in pg_class pg_attribute pg_trigger pg_rewrite pg_constraint pg_proc; do
		sql "$db" "SELECT '$catalogue', tableoid, ctid, xmin FROM $catalogue ORDER BY ctid"
	done
}

# ask SUBJECT: a request, filed by the application and identified; prints its id
ask() {
	local id
	id=$(file_request "$db" the-practice "$1")
	expunge_as oscar request identify "$id" >/dev/null
	printf '%s\n' "$id"
}

plan_hash() {
	sql "$db" "SELECT hash FROM expunge.plan WHERE request_id = '$1'"
}

# ---------------------------------------------------------------------------- Kirk

# A copy of all key sets that a run drops, so that they can be looked up after the certificate.
keep_keys() {
	sql "$db" 'SET default_transaction_read_only = off' \
		'CREATE TABLE expunge.kept_key (LIKE expunge.key_set)' \
		"CREATE FUNCTION expunge.keep_keys() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
		\$\$ BEGIN INSERT INTO expunge.kept_key SELECT * FROM gone; RETURN NULL; END \$\$" \
		'CREATE TRIGGER keep_keys AFTER DELETE ON expunge.key_set REFERENCING OLD TABLE AS gone
		FOR EACH STATEMENT EXECUTE FUNCTION expunge.keep_keys()'
}

# "table rows" of those whose saved key is still there; GNUmed's keys have one column each
left_over() {
	psql -XAtq -v ON_ERROR_STOP=1 -U postgres -d "$db" <<-'SQL'
		SELECT format('SELECT %L, count(*) FROM ONLY %s x JOIN expunge.kept_key k ON x.%I::text = k.key[1]
		               WHERE k.table_id = %s AND k.via = 0 HAVING count(*) > 0',
		              m.name, m.name, coalesce(a.attname, 'pk_audit'), m.id)
		FROM expunge.mapped_table m
		LEFT JOIN pg_index i ON i.indrelid = m.name::regclass AND i.indisprimary
		LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
		WHERE m.id IN (SELECT table_id FROM expunge.kept_key) \gexec
	SQL
}

kirk() {
	local id hash note started comment="free text in dem.message_inbox.comment names the subject without a key: 1 rows"
	local markers=(SC937-0176-CEC Shatner "James Tiberius")

	cluster kirk "$gnumed_map"
	is "$(sql "$db" "SELECT rolsuper FROM pg_roles WHERE rolname = 'gm-dbo'")" f "gm-dbo is no superuser"
	is "$(grep -cE '(rule|trigger) = ".*"' "$gnumed_map")" 2 "the map disables two things"
	is "$(grep -cE 'rule = ".*"' "$gnumed_map")" 1 "one of them is a rule"
	run expunge_as night map check
	rc_is 0 "the map fits the schema"
	out_like '^265 tables, 0 errors' "and classifies every table"
	has_trace "$db" "the dump holds Kirk before" "${markers[@]}"

	id=$(ask 12)
	run expunge_as night request plan "$id"
	rc_is 0 "Kirk is planned"
	is "$(grep -c '^rows: ' "$T/out")" 28 "the plan names 28 live tables"
	is "$(sed -nE 's/^rows: ([^ ]+) delete ([0-9]+) .*/\1 \2/p' "$T/out" | LC_ALL=C sort)" \
		"$(awk '!/^#|^audit/ { print $1, $2 }' "$here/kirk.rows")" "with the rows that were counted by hand"
	out_like "^out-of-scope: $comment\$" "it freezes the message that names him without a key"
	hash=$(plan_hash "$id")

	definitions >"$T/defined"
	rows "$T/before"
	run expunge_as night erase --rehearse --request "$id"
	rc_is 0 "the rehearsal exits with 0"
	out_like 'everything would go through' "and goes through"
	out_like '^dem.message_inbox.comment: 1 rows$' "it lists the message that names him without a key"
	compare_rows
	is "$(cat "$T/gone" "$T/new")" "" "the rehearsal changes no row"
	is "$(definitions | cmp - "$T/defined" 2>&1)" "" "and no definition"

	run expunge_as oscar request decide "$id" --accept --plan "$hash"
	rc_is 1 "an operator cannot approve"
	run expunge_as ruth request decide "$id" --accept --plan "$hash"
	rc_is 0 "the approver can"
	keep_keys
	: >"$EXPUNGE_TEST_LOG"
	started=$(date +%s%N)
	run expunge_as night nightly
	rc_is 0 "the night carries it out"
	note "nightly took $((($(date +%s%N) - started) / 1000000)) ms"
	is "$(request_state "$db" "$id")" certified "the request is certified"

	compare_rows
	is "$(cat "$T/new")" "" "no row was added or changed"
	is "$(wc -l <"$T/gone")" 112 "112 rows have gone"
	is "$(per_table "$T/gone")" "$(awk '!/^#/ && $2 > 0 { print $1, $2 }' "$here/kirk.rows")" \
		"from the tables where they were counted by hand"
	is "$(sql "$db" 'SELECT count(*) FROM expunge.kept_key WHERE via = 0')" 176 \
		"176 keys were saved: 61 live, 51 audit, 64 created"
	is "$(left_over)" "" "no saved key is found in live or audit tables"
	is "$(sql "$db" 'SELECT count(*) FROM expunge.key_set')" 0 "the key sets are gone"
	no_trace "$db" "the dump holds no trace of Kirk" "${markers[@]}"

	is "$(ddl)" 'ALTER TABLE dem.identity DISABLE RULE "r_del_identity"
ALTER TABLE dem.names DISABLE TRIGGER "tr_protect_active_name_of_person"
ALTER TABLE dem.identity ENABLE RULE "r_del_identity"
ALTER TABLE dem.names ENABLE TRIGGER "tr_protect_active_name_of_person"' "one rule and one trigger, off and on again, were all the DDL"
	is "$(sql "$db" "SELECT ev_enabled FROM pg_rewrite WHERE rulename = 'r_del_identity' AND ev_class = 'dem.identity'::regclass")" O \
		"the rule is enabled"
	is "$(sql "$db" "SELECT tgenabled FROM pg_trigger WHERE tgname = 'tr_protect_active_name_of_person'")" O "the trigger is enabled"
	is "$(sql "$db" "SELECT count(*) FROM pg_trigger WHERE tgenabled <> 'O'")" 0 "as all others are"
	is "$(sql "$db" 'SHOW default_transaction_read_only')" on "the database is read-only by default"

	note=$(echo "$T"/kirk/certificates/*.note)
	run cat "$note"
	out_like '^outcome: completed$' "the certificate says completed"
	out_like '^level: vacuumed$' "and vacuumed"
	is "$(sed -nE 's/^live: ([^ ]+) before ([0-9]+) removed \2 masked 0 retained 0 arrived-later 0 after 0( created ([0-9]+))?$/\1 \2 \4/p' "$note" |
		awk '{ print $1, $2, $3 + 0 }')" "$(grep -v '^#' "$here/kirk.rows")" "and counts each table's rows, 64 created ones among them"
	out_like "^out-of-scope: $comment\$" "and the message that it leaves"
	out_unlike 'Kirk|Shatner|SC937' "and does not name him"
	run "$ROOT/doc/verify.sh" "$T/kirk/certificates/issuer.pem" expunge.example.org "$note"
	rc_is 0 "openssl verifies it"
	run "$EXPUNGE" certificate verify --key "$T/kirk/certificates/issuer.pem" "$note"
	rc_is 0 "so does certificate verify"
	sed 's/^live: dem.names before 3 removed 3 /live: dem.names before 2 removed 2 /' "$note" >"$T/altered.note"
	run "$ROOT/doc/verify.sh" "$T/kirk/certificates/issuer.pem" expunge.example.org "$T/altered.note"
	rc_is 1 "but no altered one"

	id=$(ask 12)
	run expunge_as night request plan "$id"
	out_like '^blocker: there is no such subject' "a second request for him finds nobody"
}

# ---------------------------------------------------------------------------- tombstones

tombstones() {
	local spock testwoman id

	cluster tombstone "$here/tombstone.conf"
	spock=$(ask 9) testwoman=$(ask 13)
	definitions >"$T/defined"
	rows "$T/before"
	for id in "$spock" "$testwoman"; do
		run expunge_as night erase --rehearse --request "$id"
		rc_is 0 "a tombstone is rehearsed"
		out_like 'everything would go through' "and would go through"
		expunge_as night request plan "$id" >/dev/null
		expunge_as ruth request decide "$id" --accept --plan "$(plan_hash "$id")" >/dev/null
	done
	run expunge_as night nightly
	rc_is 0 "the night makes both tombstones"
	is "$(request_state "$db" "$spock") $(request_state "$db" "$testwoman")" "certified certified" "both are certified"

	compare_rows
	is "$(per_table "$T/gone")" 'audit.log_encounter 2
audit.log_episode 2
audit.log_identity 7
clin.encounter 1
clin.episode 1
clin.lab_request 1
clin.patient 1
dem.identity 2
dem.names 3' "what was theirs has gone"
	is "$(per_table "$T/new")" 'dem.identity 2
dem.names 3' "what took its place are the masked rows; nothing else changed"
	is "$(sql "$db" 'SELECT pk, deleted, num_nulls(gender, dob, fk_marital_status, cob, deceased, title, tob,
		emergency_contact, fk_emergency_contact, comment, fk_primary_provider), dob_is_estimated
		FROM dem.identity WHERE pk IN (9, 13) ORDER BY pk')" '9|t|11|f
13|t|11|f' "identities are masked"
	is "$(sql "$db" 'SELECT id, id_identity, active, lastnames, firstnames, preferred, comment
		FROM dem.names WHERE id_identity IN (9, 13) ORDER BY id')" '10|9|t|erased-10|erased||
11|9|f|erased-11|erased||
17|13|t|erased-17|erased||' "names are masked, each with a placeholder of its own"

	is "$(ddl)" "" "no DDL was executed"
	is "$(definitions | cmp - "$T/defined" 2>&1)" "" "and no definition written, not even and back"
	run grep -h '^live: dem\.' "$T"/tombstone/certificates/*.note
	is "$(LC_ALL=C sort <<<"$OUT")" 'live: dem.identity before 1 removed 0 masked 1 retained 0 arrived-later 0 after 0
live: dem.identity before 1 removed 0 masked 1 retained 0 arrived-later 0 after 0
live: dem.names before 1 removed 0 masked 1 retained 0 arrived-later 0 after 0
live: dem.names before 2 removed 0 masked 2 retained 0 arrived-later 0 after 0' "the certificates count masked rows"
	run "$ROOT/doc/verify.sh" "$T/tombstone/certificates/issuer.pem" expunge.example.org "$T"/tombstone/certificates/*.note
	rc_is 0 "openssl verifies both"

	# Staff are refused a tombstone, too: the practice's own row would refer to nobody.
	id=$(ask 8)
	run expunge_as night request plan "$id"
	out_like '^blocker: dem\.staff rows 1 ' "a tombstone of McCoy is blocked by dem.staff"
}

# ---------------------------------------------------------------------------- many at once

# Everybody who is not staff, in batches of several patients.
many() {
	local id subject

	cluster many "$gnumed_map"
	rows "$T/before"
	for subject in 1 2 3 4 5 6 7 9 12 13; do
		id=$(file_request "$db" the-practice "$subject")
		approve "$db" "$id"
	done
	run expunge_as night nightly
	rc_is 5 "more than half of a practice in one night is refused"
	run expunge_as dora cap raise --reason "tests/gnumed/check.sh"
	rc_is 0 "unless somebody raises the cap"
	run expunge_as night nightly
	rc_is 0 "then the night goes through"
	is "$(sql "$db" 'SELECT state, count(*) FROM expunge.request GROUP BY 1')" 'certified|10' "ten patients are certified"
	compare_rows
	is "$(cat "$T/new")" "" "no row was added or changed"
	is "$(wc -l <"$T/gone")" 167 "167 rows have gone"
	is "$(sql "$db" 'SELECT string_agg(pk::text, chr(32) ORDER BY pk) FROM dem.identity')" '8 10 11 14' "the staff are left"
}

# ---------------------------------------------------------------------------- McCoy

mccoy() {
	local id

	cluster mccoy "$gnumed_map"
	rows "$T/before"
	id=$(ask 8)
	run expunge_as night request plan "$id"
	rc_is 0 "McCoy is planned"
	out_like '^blocker: dem\.staff rows 1 refer to dem\.identity$' "the plan names what is in the way: he is staff"
	run expunge_as ruth request decide "$id" --accept --plan "$(plan_hash "$id")"
	rc_is 5 "which cannot be approved"
	err_like 'has blockers' "and the refusal says that there are blockers"
	run expunge_as ruth request show "$id"
	out_like 'dem\.staff rows 1 refer to dem\.identity' "which request show names"
	run expunge_as night erase --rehearse --request "$id"
	rc_is 3 "the rehearsal fails"
	out_like '^blocker: dem\.staff rows 1 refer to dem\.identity$' "for the same reason"
	run expunge_as night nightly
	is "$(sql "$db" 'SELECT count(*) FROM expunge.certificate')" 0 "a night certifies nothing"
	compare_rows
	is "$(cat "$T/gone" "$T/new")" "" "and changes nothing"
}

# ---------------------------------------------------------------------------- maps that lack something

# with_map NAME SED-SCRIPT: $MAP is gnumed.conf changed so, $CONF a configuration that names it
with_map() {
	MAP=$T/mccoy/$1.conf
	sed -zE "$2" "$gnumed_map" >"$MAP"
	sed "s|^map = .*|map = \"$MAP\";|" "$T/mccoy/expunge.conf" >"$T/mccoy/with-$1.conf"
	CONF=$T/mccoy/with-$1.conf
	nok "$1: the map differs" cmp -s "$MAP" "$gnumed_map"
}

# refused NAME SED-SCRIPT FINDING TABLE: such a map is refused by map check and by the night
refused() {
	with_map "$1" "$2"
	run expunge_as night map check
	rc_is 2 "$1: map check refuses it"
	out_like "error: .*$4.*\\[$3\\]" "$1: and names $4"
	run expunge_as night nightly
	rc_is 5 "$1: the night refuses it"
}

# found NAME SED-SCRIPT TEXT: what a look at map and schema cannot see is found by the rehearsal of Kirk
found() {
	with_map "$1" "$2"
	run expunge_as night erase --rehearse --request "$kirks"
	rc_is 3 "$1: the rehearsal fails"
	out_like "$3" "$1: and says why"
}

lacking() {
	local kirks
	kirks=$(ask 12)
	refused rule 's/\{ table = "dem.identity"; rule[^}]*\},\s*//' delete-rule dem.identity
	refused trigger 's/,\s*\{ table = "dem.names"; trigger[^}]*\}//' delete-trigger dem.names
	refused table 's/\{ table = "dem.address_type";[^}]*\},\s*//' unclassified-table dem.address_type
	refused cascade 's/(\{ table = "dem.staff"[^}]*) acknowledge = [^]]*\];/\1/' cascade dem.staff
	found search-path 's/search_path = [^]]*\];//' 'clin.substance_intake'
	found deferred 's/ constraints = "immediate";//' 'deferred to the commit'
	found protected 's/,\s*\{ table = "dem.names"; trigger[^}]*\}//
		s/"tr_d_n_assert_unique_named_identity"/"tr_protect_active_name_of_person", &/' 'dem.names'
	found order 's/(\{ table = "bill.bill";[^}]*) before = [^]]*\];/\1/' 'bill'
	found creates 's/"clin.clin_narrative", ("audit.log_substance_intake")/\1/' 'clin.clin_narrative'
	# shellcheck disable=SC2034
	CONF=$T/mccoy/expunge.conf
	compare_rows
	is "$(cat "$T/gone" "$T/new")" "" "none of these maps changed a row"
}

bootstrap
note "the database took $((SECONDS - begin)) s"
kirk
tombstones
many
mccoy
lacking
note "all took $((SECONDS - begin)) s"
done_testing

#!/usr/bin/env bash
# Keys of every kind: one patient goes, the neighbours with look-alike keys stay.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/shapes.bash"

# keys NAME TYPE ERASED OTHER... : a patient table with keys of that type, a child by foreign key, a
# grandchild by the child's composite key, and a table without any foreign key
keys() {
	local name=$1 type=$2 erased=$3 key said schema wanted
	shift 2
	schema="CREATE TABLE app.patient (id $type PRIMARY KEY, name text);
		CREATE TABLE app.visit (patient $type REFERENCES app.patient, day int, said text, PRIMARY KEY (patient, day));
		CREATE UNIQUE INDEX ON app.visit (day, patient);
		CREATE TABLE app.detail (patient $type, day int, n int, said text, PRIMARY KEY (n, day, patient),
			FOREIGN KEY (day, patient) REFERENCES app.visit (day, patient) ON DELETE RESTRICT);
		CREATE TABLE app.loose (n int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, who $type, said text);"
	for key; do
		said=neighbour
		[ "$key" != "$erased" ] || said=$MARK
		key=${key//\'/\'\'}
		schema+="INSERT INTO app.patient VALUES ('$key', '$said');
			INSERT INTO app.visit SELECT '$key', d, '$said' FROM generate_series(1, 2) d;
			INSERT INTO app.detail SELECT '$key', d, n, '$said' FROM generate_series(1, 2) d, generate_series(1, 2) n;
			INSERT INTO app.loose (who, said) VALUES ('$key', '$said');"
	done
	shape "keys_$name" "$schema" '
		{ table = "app.patient"; action = "delete"; },
		{ table = "app.visit"; owner = "patient -> app.patient"; action = "delete"; },
		{ table = "app.detail"; owner = "(patient, day) -> app.visit"; action = "delete"; },
		{ table = "app.loose"; owner = "who -> app.patient"; action = "delete"; }'
	wanted=$(rows | grep "$MARK" | sed 's/^/-/')
	erased "$erased" "$wanted" "$type keys: $name"
	certificate 'app.detail 4 4 0 0 0 0
app.loose 1 1 0 0 0 0
app.patient 1 1 0 0 0 0
app.visit 2 2 0 0 0 0' "... counted"
}

keys uuid uuid 0eab6d2e-3c8f-4a43-9e43-9c3a8f6f3c01 0eab6d2e-3c8f-4a43-9e43-9c3a8f6f3c02 \
	0eab6d2e-3c8f-4a43-9e43-9c3a8f6f3c00 ffab6d2e-3c8f-4a43-9e43-9c3a8f6f3c00
keys bigint bigint 9007199254740993 9007199254740992 9007199254740994 3
keys numeric numeric 12.50 12.5001 12.49 125
keys hostile text "a',{\"b\\,}" "a',{\"b\\,} " 'a,b' "a''" '{}' 'NULL' '' '\N' 'ß{"é",}'
keys unicode text 'Zoë "漢字" ☃' 'Zoë "漢字" ☃ ' 'Zoe "漢字" ☃' "Z"
keys varchar 'varchar(8)' "O'Br,{}" "O'Br,{" "O'Br" "x"
keys char 'char(6)' "ab" "abc" "a" "b"
keys collate 'text COLLATE "de-x-icu"' "Ärger" "Arger" "arger" "Z"
keys domain app.code "X-1" "X-10" "X-2"
keys timestamp timestamptz '2020-02-29 12:00:00.000001+00' '2020-02-29 12:00:00+00' '2020-02-29 12:00:00.000002+00'

# --- equality that is not that of the bytes: the same key is written differently by who refers to it
alike() { # alike NAME TYPE-OF-KEY TYPE-OF-REFERENCE KEY REFERENCE OTHER-KEY [FOREIGN-KEY]
	shape "alike_$1" "CREATE COLLATION app.ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
		CREATE TABLE app.patient (id $2 PRIMARY KEY, name text);
		CREATE TABLE app.household (id int PRIMARY KEY, head $3, said text);
		CREATE TABLE app.visit (id int PRIMARY KEY, patient $3, said text, house int REFERENCES app.household);
		CREATE TABLE app.round (id int PRIMARY KEY, who ${3%% *}[] ${3#"${3%% *}"}, said text);
		INSERT INTO app.patient VALUES ('$4', '$MARK'), ('$6', 'o');
		INSERT INTO app.household VALUES (1, '$5', '$MARK'), (2, '$6', 'o');
		INSERT INTO app.visit VALUES (1, '$5', '$MARK', 1), (2, '$6', 'o', 2), (3, '$6', 'o', NULL);
		INSERT INTO app.round VALUES (1, ARRAY['$5']::${3%% *}[], '$MARK'), (2, ARRAY['$6', '$6']::${3%% *}[], 'o'), (3, ARRAY['$6', '$5', NULL]::${3%% *}[], 'o');
		${7:+ALTER TABLE app.visit ADD FOREIGN KEY (patient) REFERENCES app.patient;}" '
		{ table = "app.patient"; action = "delete"; },
		{ table = "app.visit"; owner = "patient -> app.patient"; action = "delete"; },
		{ table = "app.household"; owner = [ "head -> app.patient", "id <- app.visit(house)" ]; action = "delete"; },
		{ table = "app.round"; owner = "any(who) -> app.patient"; action = "delete"; }'
	refused "$4" '^contested: app.round rows 1 ' "$1: an array names two"
	run expunge_as postgres request withdraw "$ID"
	as_owner 'DELETE FROM app.round WHERE id = 3'
	erased "$4" "$(rows | sed -n "/$MARK/s/^/-/p")" "$1: $2 keys, $3 references"
}
alike citext public.citext public.citext Anne ANNE Bob yes
alike citext_text public.citext text Anne anne Bob
alike text_citext text public.citext anne ANNE Bob
alike insensitive 'text COLLATE app.ci' 'text COLLATE app.ci' Anne ANNE Bob yes
alike collations 'text COLLATE "C"' 'text COLLATE "de-x-icu"' Anne Anne Bob yes
alike scale numeric numeric 12.50 12.5 12.55 yes
alike wide bigint int 17 17 18 yes
as_owner "INSERT INTO app.patient VALUES (9007199254740993, '$MARK')"
erased 9007199254740993 "-app.patient: (9007199254740993,$MARK)" "... a key that no reference could hold"
alike narrow int bigint 17 17 18 yes
alike number_text bigint text 17 17 9007199254740993
alike text_number text bigint 17 17 18
as_owner "INSERT INTO app.patient VALUES ('no number', '$MARK')"
erased 'no number' "-app.patient: (\"no number\",$MARK)" "... a key that no reference could hold"
alike domain text app.code X-17 X-17 X-18 yes
alike uuid_text uuid text 0eab6d2e-3c8f-4a43-9e43-9c3a8f6f3c01 0eab6d2e-3c8f-4a43-9e43-9c3a8f6f3c01 ffab6d2e-3c8f-4a43-9e43-9c3a8f6f3c01
done_testing

#!/usr/bin/env bash
# Keys of every kind: one patient goes, the neighbours with look-alike keys stay.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/shapes.bash"

# keys NAME TYPE ERASED OTHER... : a patient table with keys of that type, a child by foreign key, a
# grandchild by the child's composite key, and a table without any foreign key
keys() {
	local name=$1 type=$2 erased=$3 key schema before='' wanted
	shift 2
	schema="CREATE TABLE app.patient (id $type PRIMARY KEY, name text);
		CREATE TABLE app.visit (patient $type REFERENCES app.patient, day int, said text, PRIMARY KEY (patient, day));
		CREATE TABLE app.detail (patient $type, day int, n int, said text, PRIMARY KEY (n, day, patient),
			FOREIGN KEY (day, patient) REFERENCES app.visit (day, patient) ON DELETE RESTRICT);
		CREATE TABLE app.loose (n int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, who $type, said text);"
	schema=${schema/CREATE TABLE app.detail/CREATE UNIQUE INDEX ON app.visit (day, patient); CREATE TABLE app.detail}
	for key; do
		local said=neighbour
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
done_testing

#!/usr/bin/env bash
# Every file of sql/query is a statement that a real server can prepare, with as many parameters as its header says.
. "$(dirname "$0")/../lib.sh"
fresh_db clinic
install clinic

for file in "$ROOT"/sql/query/*.sql; do
	name=$(basename "$file" .sql)
	said=$(sed -n 's/^-- params: *//p' "$file")
	if [ "$said" = none ]; then want=0; else want=$(tr -cd , <<<"$said" | wc -c); want=$((want + 1)); fi
	{
		printf 'SET search_path = pg_catalog, pg_temp;\nPREPARE q AS\n'
		cat "$file"
		printf ';\nSELECT cardinality(parameter_types) FROM pg_prepared_statements;\n'
	} >"$T/query.sql"
	run psql -XAtq -v ON_ERROR_STOP=1 -d clinic -f "$T/query.sql"
	if [ "$RC" -eq 0 ]; then is "$OUT" "$want" "$name"; else rc_is 0 "$name"; fi
done
done_testing

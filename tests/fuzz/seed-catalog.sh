#!/usr/bin/env bash
# Writes seeds/catalog/sample anew: what a server answers to the queries that read the schema of the
# sample application, in the form of fuzz.h. To be run when one of these queries changes.
. "$(dirname "$0")/../lib.sh"

fresh_db clinic
for query in tables columns parents indexes fks triggers rules; do
	PGOPTIONS='-c search_path=pg_catalog' psql -XAtq -F $'\t' -P null='\N' -v ON_ERROR_STOP=1 -U postgres -d clinic \
		-f "$ROOT/sql/query/catalog_$query.sql"
	printf '\n'
done >"$T/sample"
cp "$T/sample" "$ROOT/tests/fuzz/seeds/catalog/sample"

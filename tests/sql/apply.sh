#!/usr/bin/env bash
# Applies sql/ to a database with psql alone, in the way `expunge init` does: as a superuser and in
# one transaction the roles, each file of sql/schema that expunge.migration does not list yet, and
# every file of sql/api; then the rows of instance, freeze and counter that init makes.
#
#   apply.sh DB [ZONE [CALENDAR [UNDO_DAYS]]]
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
db=$1 zone=${2:-Europe/London} calendar=${3:-england-wales} undo=${4:-7}

ask() {
	psql -XAtq -v ON_ERROR_STOP=1 -d "$db" -c "$1" </dev/null
}

done=
if [ "$(ask "SELECT pg_catalog.to_regclass('expunge.migration') IS NOT NULL")" = t ]; then
	done=$(ask 'SELECT number FROM expunge.migration')
fi

{
	printf 'BEGIN;\nSET LOCAL search_path = pg_catalog;\nSET LOCAL client_min_messages = warning;\n'
	cat "$root/sql/schema/000_roles.sql"
	for file in "$root"/sql/schema/[0-9]*.sql; do
		name=${file##*/}
		number=$((10#${name%%_*}))
		if [ "$number" -eq 0 ] || grep -qx "$number" <<<"$done"; then
			continue
		fi
		cat "$file"
		printf "INSERT INTO expunge.migration (number, name, sha256) VALUES (%d, '%s', '%s');\n" \
			"$number" "$name" "$(sha256sum <"$file" | cut -d' ' -f1)"
	done
	cat "$root"/sql/api/*.sql
	cat <<-SQL
		INSERT INTO expunge.instance (system_identifier, database_name, zone, calendar, undo_days)
		SELECT c.system_identifier, current_database(), '$zone', '$calendar', $undo FROM pg_control_system() c
		ON CONFLICT (one) DO UPDATE SET zone = excluded.zone, calendar = excluded.calendar, undo_days = excluded.undo_days;
		INSERT INTO expunge.certificate_counter DEFAULT VALUES ON CONFLICT DO NOTHING;
		COMMIT;
	SQL
} | psql -XAtq -v ON_ERROR_STOP=1 -v VERBOSITY=terse -d "$db" -f - >/dev/null

# large.bash: backups and restores of MIB (500) of text, against what one would otherwise do; part of run.sh. Every side writes two
# copies, syncs both, and reads both back from the disk, by their hash.
# shellcheck shell=bash

# written DB MIB: ten practices with so much text in all, 15 kB in 43 rows a patient
written() {
	local patients=$(($2 * 70 / 10))
	read -ra libraries < <(pkg-config --libs libpq libconfig libcrypto jansson libzstd)
	"${CC:-cc}" -std=gnu11 -O2 -D_GNU_SOURCE -I"$ROOT" -I"$ROOT/lib" -o "$T/archive" "$ROOT/tests/bench/archive.c" "$(dirname "$EXPUNGE")/libexpunge.a" "${libraries[@]}"
	"${CC:-cc}" -O1 -o "$T/maxrss" "$ROOT/tests/bench/maxrss.c"
	practices "$1" 10 "$patients"
	cat /usr/share/common-licenses/* "$ROOT"/*.md "$ROOT"/doc/*.md | LC_ALL=C tr -cd '\11\12\40-\176' >"$T/words"
	sql "$1" 'DROP INDEX app.note_patient_id_idx' 'TRUNCATE app.note'
	"$T/archive" notes "$T/words" $((10 * patients)) 20 | psql -Xq -v ON_ERROR_STOP=1 -d "$1" -c 'COPY app.note FROM STDIN'
	sql "$1" 'CREATE INDEX ON app.note (patient_id)' 'VACUUM ANALYZE' 'CHECKPOINT'
	say "bench large_database $(calc "$(sql "$1" "SELECT pg_database_size('$1')") / 1048576" 0) MiB"
	say "bench large_patients $((10 * patients)) patients"
}

# two NAME: standard input as two files, synced, and read back from the disk
two() {
	local sum file
	sum=$(tee "$T/$1.1" "$T/$1.2" | sha256sum)
	for file in "$T/$1.1" "$T/$1.2"; do
		sync "$file"
		dd if="$file" iflag=nocache count=0 status=none
		[ "$(sha256sum <"$file")" = "$sum" ] || { echo "$file is not what was written" >&2; exit 1; }
	done
}
dump_custom() { pg_dump -Fc --schema app large | two custom; }
dump_piped() { pg_dump --schema app large | zstd -q | openssl enc -aes-256-ctr -K "$(printf '%064d' 7)" -iv "$(printf '%032d' 7)" | two piped; }
ours() { "$T/maxrss" "$T/rss" "$EXPUNGE" -c "$CONF" -U night backup --full; }
middle() { sort -n | sed -n 2p; }

# an empty database with the schema as far as it stands before the rows
target() {
	sql postgres "DROP DATABASE IF EXISTS $1" "CREATE DATABASE $1"
	pg_restore --section=pre-data -d "$1" "$T/schema"
}
# two practices at a time, as pg_restore -j2 has two tables
restore_ours() {
	seq 1 10 | xargs -P 2 -I{} "$EXPUNGE" -c "$CONF" -U night restore --tenant {} --into "dbname=back host=$PGHOST port=$PGPORT user=postgres"
	pg_restore -j2 --section=post-data -d back "$T/schema"
}
restore_theirs() { pg_restore -j2 --section=data --section=post-data -d back "$T/custom.1"; }

large() {
	local first ours custom piped best theirs
	written large "${MIB:-500}"
	with_keys 2>/dev/null
	first=$(seconds ours)
	custom=$(for _ in 1 2 3; do seconds dump_custom; done | middle)
	piped=$(for _ in 1 2 3; do seconds dump_piped; done | middle)
	ours=$(for _ in 1 2 3; do seconds ours; done | middle)
	best=$(printf '%s\n' "$custom" "$piped" | sort -n | head -n 1)
	say "bench large_first $first s"
	say "bench large_backup $ours s"
	say "bench large_pg_dump $custom s"
	say "bench large_pipe $piped s"
	say "bench large_memory $(calc "$(cat "$T/rss") / 1024" 1) MiB"
	say "bench large_room $(calc "$(sql large "SELECT sum(size) FROM (SELECT size FROM expunge.archive ORDER BY created_at DESC, finished_at DESC LIMIT 11) a") / 1048576" 1) MiB"
	say "bench large_pg_dump_room $(calc "$(stat -c %s "$T/custom.1") / 1048576" 1) MiB"
	say "bench large_pipe_room $(calc "$(stat -c %s "$T/piped.1") / 1048576" 1) MiB"
	ratio backup_vs_best "$ours" "$best"
	ratio backup_size "$(sql large "SELECT sum(size) FROM (SELECT size FROM expunge.archive ORDER BY created_at DESC, finished_at DESC LIMIT 11) a")" "$(stat -c %s "$T/custom.1")"
	next_backups large
	pg_dump -Fc --schema app -f "$T/schema" --schema-only large
	theirs=$(for _ in 1 2 3; do target back; seconds restore_theirs; done | middle)
	ours=$(for _ in 1 2 3; do target back; seconds restore_ours; done | middle)
	say "bench large_restore $ours s"
	say "bench large_pg_restore $theirs s"
	ratio restore_vs_pg_restore "$ours" "$theirs"
}

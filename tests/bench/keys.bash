# keys.bash: the key tree at size; part of run.sh.
# shellcheck shell=bash

# filled DB LEAVES...: a database with a key tree, and a tenant t1, t2, ... of so many leaves each, in the key journals as bases.
# Indexes of the leaves are made behind them.
filled() {
	local db=$1 n=0 leaves
	shift
	practices "$db" 1 1
	with_keys 2>/dev/null
	[ -z "${EARLIER:-}" ] || sql postgres "CREATE DATABASE $EARLIER TEMPLATE $db"
	sql "$db" "CREATE TABLE public.indexes AS SELECT i.indexname, i.indexdef FROM pg_indexes i
		WHERE i.schemaname = 'expunge' AND i.tablename = 'key_leaf' AND i.indexname <> 'key_leaf_pkey'"
	sql "$db" 'CREATE TABLE public.steps (state text, at timestamptz)' 'GRANT INSERT ON public.steps TO PUBLIC' \
		"CREATE FUNCTION public.step() RETURNS trigger LANGUAGE plpgsql AS
			'BEGIN INSERT INTO public.steps VALUES (NEW.state, clock_timestamp()); RETURN NULL; END'" \
		'CREATE TRIGGER step AFTER UPDATE ON expunge.key_change FOR EACH ROW EXECUTE FUNCTION public.step()'
	psql -XAtq -v ON_ERROR_STOP=1 -d "$db" -c "SELECT format('DROP INDEX expunge.%I;', indexname) FROM public.indexes" | psql -Xq -v ON_ERROR_STOP=1 -d "$db"
	for leaves; do
		n=$((n + 1))
		keys_bench "$db" fill "t$n" "$leaves"
	done
	psql -XAtq -v ON_ERROR_STOP=1 -d "$db" -c "SELECT indexdef || ';' FROM public.indexes" | PGOPTIONS='-c maintenance_work_mem=1GB' psql -Xq -v ON_ERROR_STOP=1 -d "$db"
	sql "$db" 'VACUUM ANALYZE expunge.key_leaf' 'VACUUM ANALYZE expunge.key_page' 'CHECKPOINT'
	keys_bench "$db" journal
}
keys_bench() {
	local db=$1
	shift
	"$T/keys" "$CONF" "host=$PGHOST port=$PGPORT dbname=$db" "$@"
}
# told NAME SECONDS PAGES WAL JOURNAL
told() {
	say "bench $1 $2 s"
	say "bench $1_pages $3 pages"
	say "bench $1_wal $(calc "$4 / 1048576" 1) MiB"
	say "bench $1_journals $(calc "$5 / 1048576" 1) MiB"
}

build_keys_bench() {
	read -ra libraries < <(pkg-config --libs libpq libconfig libcrypto jansson libzstd)
	"${CC:-cc}" -std=gnu11 -O2 -D_GNU_SOURCE -I"$ROOT/lib" -DEXPUNGE="\"$EXPUNGE\"" -o "$T/keys" "$ROOT/tests/bench/keys.c" \
		"$(dirname "$EXPUNGE")/libexpunge.a" "${libraries[@]}"
}

# 1,000 leaves by chance of one tenant's 100,000, 1,000,000 and 10,000,000 (LEAVES), each time a change of the root with its
# journals and drills; medians of three.
shred() {
	local n seconds=() line
	for n in ${LEAVES:-100000 1000000 10000000}; do
		filled "k$n" "$n"
		keys_bench "k$n" shred t1 1 >/dev/null
		line=$(for _ in 1 2 3; do keys_bench "k$n" shred t1 1000; done | sort -n | sed -n 2p)
		# shellcheck disable=SC2086 # words
		told "shred_1000_of_$n" ${line% *}
		seconds+=("${line%% *}")
		sql postgres "DROP DATABASE k$n"
	done
	ratio shred_10m_vs_100k "${seconds[-1]}" "${seconds[0]}"
}

# Whole tenants, of 100 leaves and of 100,000; medians of three. Until their keys are gone, and until their rows are, too.
tenant() {
	local n name line seconds=() gone=()
	filled tenants 100 100 100 100000 100000 100000 100
	keys_bench tenants gone t7 >/dev/null
	for n in 0 3; do
		line=$(for i in 1 2 3; do keys_bench tenants gone "t$((n + i))"; done | sort -n | sed -n 2p)
		name=shred_tenant_$([ "$n" -eq 0 ] && echo 100 || echo 100k)
		# shellcheck disable=SC2086 # words
		told "$name" ${line% *}
		say "bench ${name}_gone ${line##* } s"
		seconds+=("${line%% *}") gone+=("${line##* }")
	done
	ratio shred_tenant_100k_vs_100 "${gone[1]}" "${gone[0]}"
	ratio shred_tenant_100k_vs_100_swept "${seconds[1]}" "${seconds[0]}"
}

# All leaves of a tenant, by name from the database as a restore does, against nothing but the AES-GCM of their pages; by
# processor time.
open_leaves() {
	local n wall cpu pages raw
	filled leaves 200000
	read -r n wall cpu pages raw < <(for _ in 1 2 3; do keys_bench leaves open t1; done | sort -k 3n | sed -n 2p)
	say "bench open_leaves $(calc "$n / $cpu" 0) 1/s"
	say "bench open_leaves_with_server $(calc "$n / $wall" 0) 1/s"
	say "bench open_pages_raw $(calc "$pages / $raw" 0) 1/s"
	ratio open_leaf_vs_page_decryption "$(calc "$cpu / $n * 1e6" 3)" "$(calc "$raw / $pages * 1e6" 3)"
}

# A database that was restored from before all of its 1,000,000 leaves (ADOPTED) were made takes them over from the journals.
adopt() {
	local n=${ADOPTED:-1000000}
	EARLIER=earlier filled adopted "$n"
	mkrole ada expunge_operator expunge_job
	sql postgres 'ALTER DATABASE adopted RENAME TO lost' 'ALTER DATABASE earlier RENAME TO adopted'
	"${CC:-cc}" -O1 -o "$T/maxrss" "$ROOT/tests/bench/maxrss.c"
	say "bench adopt_$n $(seconds "$T/maxrss" "$T/rss" "$EXPUNGE" -c "$CONF" -U ada restore --adopt) s"
	say "bench adopt_${n}_memory $(calc "$(cat "$T/rss") / 1024" 1) MiB"
	say "bench adopt_${n}_journal $(calc "$(du -sk "${CONF%/*}/here/keys" | cut -f 1) / 1024" 1) MiB"
	[ "$(sql adopted 'SELECT count(*) FROM expunge.key_leaf')" -ge "$n" ] || { echo "leaves are missing" >&2; exit 1; }
}

# accounts.bash: closing accounts, and purging them; part of run.sh.
# shellcheck shell=bash

# purging DB PRACTICES PATIENTS: practices, and what purges one of them without the commands and clocks around it
purging() {
	. "$ROOT/tests/integration/purge.bash"
	build_probe purge_probe >/dev/null
	"${CC:-cc}" -O1 -o "$T/maxrss" "$ROOT/tests/bench/maxrss.c"
	DB=$1
	practices "$@"
	sql "$1" 'VACUUM ANALYZE'
}
cascade() { seconds sql whole 'BEGIN' "DELETE FROM app.patient WHERE practice_id = $1" "DELETE FROM app.practice WHERE id = $1" 'COMMIT'; }

# A whole practice of four: its rows removed in chunks, with ledger, footprint and control sample, against one DELETE that cascades,
# for others as large, the one before it and the other one after it. The recount, VACUUM and the plan are told apart. PURGE_PATIENTS=23256
# is a million rows.
purge() {
	local n=${PURGE_PATIENTS:-23256} ours before after
	purging whole 4 "$n"
	say "bench purge_plan $(seconds claimed 1) s"
	sql whole 'VACUUM ANALYZE' 'CHECKPOINT'
	before=$(cascade 2)
	sql whole 'CHECKPOINT'
	ours=$(seconds "$T/maxrss" "$T/rss" "$T/purge_probe" "$CONF" "host=$PGHOST port=$PGPORT dbname=whole" remove \
		"$(sql whole 'SELECT id FROM expunge.closure')")
	sql whole 'CHECKPOINT'
	after=$(cascade 4)
	say "bench purge_rows $(sql whole 'SELECT sum(n_rows) FROM expunge.closure_chunk')"
	say "bench purge_cascade $before, $after s"
	say "bench purge_remove $ours s"
	say "bench purge_memory $(calc "$(cat "$T/rss") / 1024" 1) MiB"
	say "bench purge_recount $(seconds probe recount "$(sql whole 'SELECT id FROM expunge.closure')") s"
	[ "$(sql whole 'SELECT state FROM expunge.closure')" = removed ] || { echo "rows are left" >&2; exit 1; }
	ratio purge_vs_cascade "$ours" "(($before + $after) / 2)"
}

# The latency of the application's reads and writes on the same tables while a practice of 215,001 rows is purged slowly: the median of
# three comparisons. After each the purge is killed, as a night's end would end it, and the next one goes on with it.
purge_foreground() {
	local night before during pid id
	purging fg 11 5000
	claimed 11
	id=$ID
	sql fg 'VACUUM ANALYZE' 'CHECKPOINT'
	echo 'batch : { rows_per_second = 2500; };' >>"$CONF"
	for night in 0 1 2; do
		load "warm$night" 3
		load "before$night" 20
		"$T/purge_probe" "$CONF" "host=$PGHOST port=$PGPORT dbname=fg" remove "$id" >"$T/purge.out" 2>&1 &
		pid=$!
		sleep 1
		load "during$night" 20
		if ! kill -0 "$pid" 2>/dev/null; then cat "$T/purge.out" >&2; exit 1; fi
		kill "$pid"
		wait "$pid" || true
		before=$(p95 "before$night") during=$(p95 "during$night")
		echo "$(calc "$during / $before" 4) $before $during" >>"$T/nights"
	done
	read -r _ before during < <(sort -n "$T/nights" | sed -n 2p)
	say "bench purge_foreground_rows $(sql fg 'SELECT sum(n_rows) FROM expunge.closure_chunk')"
	say "bench purge_foreground_p95_alone $before ms"
	say "bench purge_foreground_p95_purging $during ms"
	ratio purge_foreground_p95 "$during" "$before"
}

# A practice of three comes back from dormancy: its archive opened, its rows loaded under the foreign keys that there are, and every row
# compared before the COMMIT, against pg_restore of the same rows into the same tables, with two jobs, triggers and foreign keys off and
# nothing compared. Sealing it away is told apart. DORMANT_PATIENTS=23256 is a million rows.
reactivate() {
	local n=${DORMANT_PATIENTS:-5000} ours theirs rows
	"${CC:-cc}" -O1 -o "$T/maxrss" "$ROOT/tests/bench/maxrss.c"
	practices asleep 3 "$n"
	with_keys >"$T/out" 2>&1
	printf 'closure : { rules = ( { trigger = "cancellation"; anchor = "paid-until"; days = 45; meaning = "not-before"; within_days = 7; } ); };
		stores = ( { name = "physical backups"; kind = "physical-backup"; retention_days = 35; } );\n' >>"$CONF"
	expunge_as postgres init >"$T/out" 2>&1
	sql postgres 'CREATE DATABASE alone TEMPLATE asleep'
	sql alone 'DELETE FROM app.patient WHERE practice_id <> 2' 'DELETE FROM app.practice WHERE id <> 2'
	pg_dump -U postgres -Fc -a -n app -d alone -f "$T/alone.dump"
	sql postgres 'DROP DATABASE alone'
	sql asleep "INSERT INTO expunge.closure (tenant, trigger, source, anchor, zone, days, meaning, within_days, purge_on, not_before, complete_on, complete_by, state)
		SELECT '2', 'cancellation', 'command', current_date - 20, 'Europe/London', 45, 'not-before', 7, k.*, 'cooling-off'
		FROM expunge.closure_clock(current_date - 20, 'Europe/London', 45, 'not-before', 7) k" 'VACUUM ANALYZE' 'CHECKPOINT'
	say "bench dormant_seal $(seconds expunge_as night nightly) s"
	rows=$(sql asleep "SELECT n_rows FROM expunge.dormancy WHERE phase = 'dormant'")
	sql asleep 'VACUUM ANALYZE' 'CHECKPOINT'
	ours=$(seconds "$T/maxrss" "$T/rss" "$EXPUNGE" -c "$CONF" -U oscar account reactivate 2 --reason bench)
	[ "$(sql asleep 'SELECT phase FROM expunge.dormancy')" = awake ] || { cat "$T/out" >&2; exit 1; }
	sql asleep 'DELETE FROM app.patient WHERE practice_id = 2' 'DELETE FROM app.practice WHERE id = 2' 'VACUUM ANALYZE' 'CHECKPOINT'
	theirs=$(seconds pg_restore -U postgres -a -j 2 --disable-triggers -d asleep "$T/alone.dump")
	say "bench reactivate_rows $rows"
	say "bench reactivate_memory $(calc "$(cat "$T/rss") / 1024" 1) MiB"
	say "bench reactivate $ours s"
	say "bench pg_restore $theirs s"
	ratio reactivate_vs_pg_restore "$ours" "$theirs"
}

# subscribers DB N: so many accounts and subscriptions, none of them ended
subscribers() {
	sed 's|^tables *= (|&\n  { table = "app.subscription"; owner = "practice -> app.practice"; action = "tenant"; },|' "$ROOT/tests/bench/erase-map.conf" >"$T/$1.map"
	sql postgres "CREATE DATABASE $1"
	mkrole app_owner
	psql -XAtq -v ON_ERROR_STOP=1 -v practices=1 -v patients=1 -v tenth=1 -d "$1" -f "$ROOT/tests/bench/erase-schema.sql" >/dev/null
	sql "$1" "INSERT INTO app.practice SELECT g, 'practice ' || g FROM generate_series(2, $2) g" \
		"CREATE TABLE app.subscription (practice integer PRIMARY KEY REFERENCES app.practice, status text, paid_until date)" \
		"INSERT INTO app.subscription SELECT id, 'active', current_date + 20 FROM app.practice" \
		'ALTER TABLE app.subscription OWNER TO app_owner'
	install "$1" "$T/$1.map"
	printf 'closure : {\nopened_per_run = 1000000;\nrules = ( { trigger = "cancellation"; anchor = "paid-until"; days = 45; meaning = "not-before"; within_days = 7; } );
		subscriptions = ( { table = "app.subscription"; tenant = "practice"; status = "status"; paid_until = "paid_until";
		open = ["active"]; closed = ["cancelled"]; } );\n};\n' >>"$CONF"
	expunge_as postgres init >"$T/out" 2>&1 || { cat "$T/out" >&2; exit 1; }
	sql "$1" 'VACUUM ANALYZE'
}

# The nightly look at all accounts, of whom one of a hundred has ended since, and once more when they are closing.
lifecycle() {
	local n first second took=()
	"${CC:-cc}" -O1 -o "$T/maxrss" "$ROOT/tests/bench/maxrss.c"
	for n in 100000 1000000; do
		subscribers "l$n" "$n"
		sql "l$n" "UPDATE app.subscription SET status = 'cancelled', paid_until = current_date - 10 WHERE practice % 100 = 7"
		first=$(seconds "$T/maxrss" "$T/rss" "$EXPUNGE" -c "$CONF" -U night lifecycle)
		[ "$(sql "l$n" "SELECT count(*) FROM expunge.closure")" -eq $((n / 100)) ] || { cat "$T/out" >&2; exit 1; }
		sql "l$n" 'VACUUM ANALYZE'
		second=$(seconds "$EXPUNGE" -c "$CONF" -U night lifecycle)
		say "bench lifecycle_${n}_closing $first s"
		say "bench lifecycle_${n} $second s"
		say "bench lifecycle_${n}_memory $(calc "$(cat "$T/rss") / 1024" 1) MiB"
		took+=("$first" "$second")
		sql postgres "DROP DATABASE l$n"
	done
	ratio lifecycle_closing_1m_vs_100k "${took[2]}" "${took[0]}"
	ratio lifecycle_1m_vs_100k "${took[3]}" "${took[1]}"
}

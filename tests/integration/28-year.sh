#!/usr/bin/env bash
# A year in minutes: practices leave, come back at each hour of days 44, 45 and 46, are told or cannot be reached, are held, approved or
# not, while nights are missed, killed at a statement, and run under a clock that has jumped; over both changes of the clocks and a
# 29th of February. After each night what must never be is looked for, by SQL that shares nothing with the product (year.sql); and at the
# end each rule is broken by hand, to see that it is noticed.
#
# The program and the server are the real ones. Their time is what tests/fake/clock.c tells both of them: nothing in either knows of it.
# Nights on which no account is in its last week are run by `lifecycle` and `notify`; every other one is a whole `nightly`.
#
# YEAR_TENANTS=1000 YEAR_NIGHTS=365 is the long run (make check-year). SEED repeats one. The last line says "violations N".
# shellcheck disable=SC2034 # for lib.sh
cluster_options=' ' # of its own: its clock is moved
. "$(dirname "$0")/../lib.sh"
fake=$(dirname "$EXPUNGE")/tests/fake/clock.so
[ -e "$fake" ] || skip_all "no $fake: make units builds it"
! grep -qa __asan_init "$EXPUNGE" || skip_all "the build is sanitized"
tenants=${YEAR_TENANTS:-30} nights=${YEAR_NIGHTS:-62} share=${YEAR_SHARE:-95} first=${YEAR_FIRST:-2027-09-13}
SEED=${SEED:-$RANDOM}
RANDOM=$SEED
note "SEED=$SEED tenants=$tenants nights=$nights from $first"
interpose=$(dirname "$EXPUNGE")/tests/crash/interpose.so

# ---------------------------------------------------------------- the clock
cp "$fake" "$PGHOST/clock.so" # where the server's user can read it
chmod 755 "$PGHOST/clock.so"
fake=$PGHOST/clock.so
export CLOCK_LIBRARY=$fake EXPUNGE_TEST_CLOCK=$PGHOST/clock
now=0
clock() { # clock SECONDS: since 1970, for the server and for expunge; both go on from there
	now=$1
	printf '%+019d\n' $((now - $(date +%s))) 1<>"$EXPUNGE_TEST_CLOCK" # written over: it is mapped
}
faked=(TEST_CLOCK="$EXPUNGE_TEST_CLOCK")
at() { # at ROLE COMMAND...: expunge at the server's time; its code is in $RC
	RC=0
	env "LD_PRELOAD=$fake" "${faked[@]}" "$EXPUNGE" -c "$CONF" -U "$@" >"$T/out" 2>"$T/err" </dev/null || RC=$?
}
clock "$(date -d "$first 12:00 UTC" +%s)"
chmod 644 "$EXPUNGE_TEST_CLOCK"
cluster_restart fast

# ---------------------------------------------------------------- the practices
export PGOPTIONS='-c default_transaction_read_only=off -c client_min_messages=error'
mkrole app_owner
sql postgres 'CREATE DATABASE year'
ask() { sql year "$@"; }
cat >"$T/map.conf" <<-'MAP'
	tenant  : { table = "app.practice"; key = "id"; };
	subject : { table = "app.patient"; key = "id"; tenant = "practice_id"; birth = [ "created_at" ]; };
	session : { login = "app_owner"; read_write = true; constraints = "immediate"; };
	tables = (
	  { table = "app.patient"; action = "delete"; created = "created_at"; columns = ( { column = "name"; identifying = true; } ); },
	  { table = "app.visit"; owner = "patient_id -> app.patient"; action = "delete"; created = "created_at"; },
	  { table = "app.note"; owner = "visit_id -> app.visit"; action = "delete"; created = "created_at"; },
	  { table = "app.staff"; owner = "practice_id -> app.practice"; action = "tenant"; },
	  { table = "app.practice"; action = "tenant"; },
	  { table = "year.tenant"; action = "none"; reason = "of the test"; },
	  { table = "year.agenda"; action = "none"; reason = "of the test"; },
	  { table = "year.log"; action = "none"; reason = "of the test"; },
	  { table = "year.promise"; action = "none"; reason = "of the test"; },
	  { table = "year.gone"; action = "none"; reason = "of the test"; },
	  { table = "year.digest"; action = "none"; reason = "of the test"; }
	);
MAP
chmod 0600 "$T/map.conf"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
python3 "$ROOT/tests/integration/year_mail.py" "$port" >"$T/mail.log" 2>&1 &
mail_pid=$!
year_ends() { # leave takes the exit code from the last command
	local code=$?
	set +e
	kill "$mail_pid" 2>"$T/null"
	(exit "$code")
	leave
}
trap year_ends EXIT

by_the_clock() { # by_the_clock COMMAND...: whatever it starts lives in the year
	(
		export LD_PRELOAD=$fake "${faked[@]}"
		"$@"
	) 2>"$T/init.log" || { cat "$T/init.log" >&2; exit 1; }
}
set_up() { # what install and with_keys do
	configure "$T/year" year "$T/map.conf"
	sed -i 's/tenants_per_run = 10/tenants_per_run = 100/' "$CONF"
	cat >>"$CONF" <<-CONF
		closure : {
		  rules = ( { trigger = "cancellation"; anchor = "paid-until"; days = 45; meaning = "not-before"; within_days = 7; } );
		  pause_seconds = 0;
		};
		mail : { server = "smtp://127.0.0.1:$port"; tls = "off"; from = "privacy@software.example"; timeout_seconds = 20; };
		notices : { directory = "$ROOT/etc/notices"; };
	CONF
	with_keys
}
by_the_clock set_up
CONF=$T/year/expunge.conf
mkrole clinic_app expunge_intake
mkrole oscar expunge_operator
mkrole dora expunge_dpo
mkrole night expunge_job
mkrole watch expunge_monitor
people=(ruth rob)
for person in "${people[@]}"; do mkrole "$person" expunge_approver; done
psql -XAtq -v ON_ERROR_STOP=1 -v seed="$SEED" -v tenants="$tenants" -v share="$share" -v first="$first" -v span=$((nights - 56)) -d year -f "$ROOT/tests/integration/year.sql" >"$T/year.log"
by_the_clock expunge_as postgres init

# ---------------------------------------------------------------- days and nights
violations=0 whole=0 light=0 missed=0 killed=0 jumped=0 refused=0 late=0
chance() { [ $((RANDOM % 1000)) -lt "$1" ]; } # of a thousand
violation() { # violation TENANT RULE DETAIL
	# each is told once
	[ -z "${told["$1 $2"]:-}" ] || return 0
	told["$1 $2"]=1
	violations=$((violations + 1))
	printf '# VIOLATION %s of practice %s on %s: %s\n' "$2" "$1" "$(date -u -d "@$now" '+%F %H:%M')" "$3"
	[ -n "$1" ] || return 0
	ask "SELECT at, what, who, outcome, detail FROM (SELECT at, what, who::text, outcome, detail FROM year.log WHERE tenant = '$1'
		UNION ALL SELECT at, kind, actor::text, '', detail FROM expunge.event WHERE tenant = '$1') h ORDER BY 1" | tail -n 60 | diag
}
declare -A told=()

# by_day UNTIL: what people do until then, each at their hour
by_day() {
	local second login
	while IFS='|' read -r second login; do
		clock "$second"
		sql -U "$login" year 'SELECT year.act()' >"$T/null"
	done < <(ask "SELECT extract(epoch FROM max(at))::bigint + 1, login FROM year.agenda WHERE NOT done AND at < to_timestamp($1) GROUP BY date_trunc('hour', at), login ORDER BY 1, 2")
	# what came up meanwhile, for today
	while IFS='|' read -r second login; do
		clock "$second"
		sql -U "$login" year 'SELECT year.act()' >"$T/null"
	done < <(ask "SELECT extract(epoch FROM greatest(max(at), to_timestamp($now)))::bigint + 1, login FROM year.agenda WHERE NOT done AND at < to_timestamp($1) GROUP BY login ORDER BY 1, 2")
	if [ "$(ask "SELECT count(*) FROM expunge.closure_plan p JOIN expunge.closure c ON c.id = p.closure_id WHERE c.state IN ('cooling-off', 'due')")" != 0 ]; then
		for i in "${!people[@]}"; do sql -U "${people[i]}" year "SELECT year.approve($((i + 1)))" >"$T/null"; done
	fi
}

# one_night: as cron would, until it comes to its end
one_night() {
	local try
	for ((try = 0; try < 4; try++)); do
		if [ "$try" = 0 ] && [ -e "$interpose" ] && chance 250; then
			rm -f "$T/counter"
			RC=0
			(env "LD_PRELOAD=$interpose:$fake" "${faked[@]}" CRASH_PROGRAM="${EXPUNGE##*/}" CRASH_ROOT="$T/year/" CRASH_COUNTER="$T/counter" CRASH_TRACE=/dev/null CRASH_DO=kill CRASH_WHEN=sent \
				CRASH_AT=$((1 + RANDOM % 500)) "$EXPUNGE" -c "$CONF" -U night nightly >"$T/out" 2>"$T/err" </dev/null || exit $?) 2>"$T/null" || RC=$?
			[ "$RC" != 137 ] || killed=$((killed + 1))
		else
			at night nightly
		fi
		case $RC in
		0 | 3) return 0 ;;
		5) refused=$((refused + 1)) && return 0 ;;
		137 | 1 | 4) sleep 0.3 ;; # killed; or the server has not found that out yet
		*) break ;;
		esac
	done
	violation '' night "exit code $RC: $(grep -v ' info ' "$T/err" | tail -n 3)"
}

# a clock that has jumped: nothing is to be done by it
jumped_night() {
	local before
	before=$(ask "SELECT count(*) FROM expunge.closure WHERE claimed_at IS NOT NULL")
	jumped=$((jumped + 1))
	if chance 500; then # the host's alone
		RC=0
		printf '%+019d\n' $((now - $(date +%s) + ((RANDOM % 2) * 2 - 1) * (7200 + RANDOM * 200))) >"$T/host"
		env "LD_PRELOAD=$fake" TEST_CLOCK="$T/host" "$EXPUNGE" -c "$CONF" -U night nightly >"$T/out" 2>"$T/err" </dev/null || RC=$?
	else # both
		clock $((now + 86400 * (41 + RANDOM % 400)))
		at night nightly
		clock "$1"
		at night nightly # which stands before a run of the future
		[ "$RC" = 5 ] || violation '' clock "behind the last run: exit code $RC"
		at oscar clock accept --reason "it had jumped"
		RC=5
	fi
	[ "$RC" = 5 ] || violation '' clock "a clock that jumped: exit code $RC: $(tail -n 1 "$T/err")"
	[ "$before" = "$(ask "SELECT count(*) FROM expunge.closure WHERE claimed_at IS NOT NULL")" ] || violation '' clock "claimed under a clock that had jumped"
}

look() {
	local tenant rule detail n
	ask "SELECT * FROM year.violations() ORDER BY 1, 2" >"$T/found"
	while IFS='|' read -r tenant rule detail; do violation "$tenant" "$rule" "$detail"; done <"$T/found"
	n=$(ask "SELECT count(*) FROM year.late")
	[ "$n" -gt "$late" ] && late=$n
	if [ "$n" != 0 ]; then
		at watch status
		[ "$RC" = 3 ] || violation "$(ask "SELECT min(tenant) FROM year.late")" late-and-green "$n are past their last day, and status exits with $RC"
	fi
}

backed_up() {
	at night backup
	[ "$RC" = 0 ] || violation '' backup "exit code $RC: $(tail -n 1 "$T/err")"
	at night drill
	[ "$RC" = 0 ] || violation '' drill "exit code $RC: $(tail -n 1 "$T/err")"
}

midnight=$(date -d "$first 00:00 UTC" +%s)
hours=(-30 30 150 270) # minutes after midnight (UTC), of which the first is the day before: an hour off would show
for ((n = 1; n <= nights; n++)); do
	midnight=$((midnight + 86400))
	minutes=${hours[RANDOM % 4]}
	case $(date -u -d "@$midnight" +%m-%d) in 10-31 | 11-0? | 03-2[5-9] | 03-3? | 04-0[1-3]) chance 250 || minutes=${hours[0]} ;; esac
	when=$((midnight + minutes * 60))
	by_day "$when"
	clock "$when"
	if chance 300; then ask 'SELECT year.work()' >"$T/null"; fi
	if [ $((n % 6)) = 1 ] && { [ "$n" = 1 ] || [ "$whole" -gt 0 ] || [ "$n" -gt 36 ]; }; then backed_up; fi
	if chance 40; then
		missed=$((missed + 1))
		continue
	fi
	if chance 20; then jumped_night "$when"; fi
	if [ "$(ask "SELECT count(*) FROM expunge.closure WHERE state IN ('due', 'claimed', 'removed', 'shredded') OR (state IN ('cancelled', 'cooling-off') AND purge_on - current_date <= 8)")" = 0 ]; then
		light=$((light + 1))
		at night lifecycle
		[ "$RC" = 0 ] || [ "$RC" = 3 ] || violation '' lifecycle "exit code $RC: $(tail -n 1 "$T/err")"
		at night notify
	else
		whole=$((whole + 1))
		one_night
	fi
	look
	[ "${FAIL_FAST:-}" != 1 ] || [ "$violations" = 0 ] || break
done

at night backup --verify
[ "$RC" = 0 ] || violation '' verify "an archive of a live practice does not open: exit code $RC: $(tail -n 1 "$T/err")"
at night drill
[ "$RC" = 0 ] || violation '' drill "exit code $RC: $(tail -n 1 "$T/err")"

# ---------------------------------------------------------------- what the year was
note "nights: $whole whole, $light by lifecycle, $missed missed, $killed killed, $refused refused, $jumped under a clock that had jumped"
note "practices: $(ask "SELECT count(DISTINCT tenant) FROM year.promise") left, $(ask "SELECT count(*) FROM year.log WHERE what = 'come back' AND outcome = 'ok'") came back ($(ask "SELECT count(DISTINCT floor(extract(epoch FROM l.at - (p.first_day - 2)::timestamp AT TIME ZONE p.zone) / 3600)) FROM year.log l JOIN year.promise p USING (tenant) WHERE l.what = 'come back' AND l.at >= (p.first_day - 2)::timestamp AT TIME ZONE p.zone AND l.at < (p.first_day + 1)::timestamp AT TIME ZONE p.zone") of 72 hours), $(ask "SELECT count(*) FROM year.log WHERE what = 'come back' AND outcome = 'EX415'") too late, $(ask "SELECT count(*) FROM year.gone") gone, $(ask "SELECT count(*) FROM expunge.certificate") certificates, at most $late late at once"
note "notices: $(ask "SELECT string_agg(state || ' ' || n, ', ' ORDER BY state) FROM (SELECT state, count(*) n FROM expunge.outbox GROUP BY 1) x")"
ok "practices left, came back, and went" test "$(ask "SELECT count(*) FROM year.gone")" -gt 2 -a "$(ask "SELECT count(*) FROM year.log WHERE what = 'come back' AND outcome = 'ok'")" -gt 0
# that each rule can be seen to be broken
while IFS='|' read -r rule breaking; do
	is "$(ask "SELECT year.notices('$rule', \$\$ $breaking \$\$)")" t "$rule would be noticed"
done <<'BREAK'
nobody-left|DELETE FROM year.promise
too-early|UPDATE year.promise SET first_day = first_day + 30
claimed-early|UPDATE expunge.closure SET claimed_at = not_before - interval '1 second' WHERE claimed_at IS NOT NULL
came-back|INSERT INTO year.log (tenant, what, outcome) SELECT tenant, 'come back', 'ok' FROM year.gone
not-let-back|UPDATE year.log SET outcome = 'EX415' WHERE what = 'come back'
approvers|DELETE FROM year.log WHERE what = 'approve' AND who = 'rob'
notices|UPDATE expunge.outbox SET state = 'given-up'; UPDATE year.gone SET at = now(); DELETE FROM year.log WHERE what = 'tell'
held|INSERT INTO year.log (at, tenant, what, outcome) SELECT claimed_at - interval '1 hour', tenant, 'hold', 'ok' FROM expunge.closure WHERE claimed_at IS NOT NULL
export|DELETE FROM year.log WHERE what = 'waive'
rows-changed|UPDATE app.note SET body = 'x' WHERE id = (SELECT max(id) FROM app.note)
rows-changed|DELETE FROM app.note WHERE id = (SELECT max(id) FROM app.note)
rows-left|INSERT INTO app.practice SELECT tenant::bigint, 'x' FROM year.gone
keys-left|UPDATE expunge.key_leaf SET tenant = (SELECT min(tenant) FROM expunge.closure WHERE state = 'certified') WHERE shredded_epoch IS NULL
archives-left|UPDATE expunge.archive SET tenant = (SELECT min(tenant) FROM expunge.closure WHERE state = 'certified')
no-certificate|DELETE FROM expunge.certificate
keys-of-others|UPDATE expunge.key_leaf SET tenant = (SELECT max(tenant) FROM year.digest d WHERE NOT EXISTS (SELECT FROM year.gone g WHERE g.tenant = d.tenant)) WHERE shredded_epoch IS NOT NULL
BREAK
is "violations $violations" "violations 0" "nothing that must never be (SEED=$SEED)"
note "violations $violations"
done_testing

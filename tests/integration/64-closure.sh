#!/usr/bin/env bash
# Closure: after nights of backups, arrivals and erasures, with changes of the root that were killed, abandoned and gone on
# with, an attacker (tests/closure/attacker.py) who has kept every row of keys ever written, committed or not, and is given all
# that the places of the root hold in the end, recovers every living leaf key and no shredded one. Against a program that
# changes the root alone it recovers every one: an attacker who did not would prove nothing.
#
#   make check-closure       at length; or CLOSURE_TENANTS=n, CLOSURE_PATIENTS=n (each), CLOSURE_NIGHTS=n, CLOSURE_ERASURES=n
#                            (each night), CLOSURE_BRUTE=1 (every key on every page), CLOSURE_SEED=n
# shellcheck disable=SC2034 # for lib.sh
cluster_options=--tcp # one of its own: its log is read from the first to the last byte
. "$(dirname "$0")/../lib.sh"
. "$ROOT/tests/integration/sessions.bash"
. "$ROOT/tests/closure/history.bash"
tenants=${CLOSURE_TENANTS:-3} patients=${CLOSURE_PATIENTS:-61} nights=${CLOSURE_NIGHTS:-6} erasures=${CLOSURE_ERASURES:-3}
seed=${CLOSURE_SEED:-$RANDOM}
note "CLOSURE_SEED=$seed"
brute=${CLOSURE_BRUTE:+--brute}
prepare_cluster

play() { # play DB: a history, and all that was kept of it
	begin_history "$1" "$tenants" "$patients"
	live "$1" "$tenants" "$nights" "$erasures" "$seed"
	keep_all "$1"
	kept=(--dump history="$T/$1/seen.sql" --journal "$T/$1/here" --journal "$T/$1/there" --archives "$T/$1/here")
	for dump in "$T/$1"/dumps/*.sql; do kept+=(--dump dump="$dump"); done
	dead=$(grep -c '^dead' "$T/$1/targets") living=$(grep -c '^live' "$T/$1/targets")
}

play clinic
attack clinic "${kept[@]}" ${brute:+"$brute"}
note "$OUT"
rc_is 0 "an attacker tries all that was ever written"
is "$(tail -n 1 <<<"$OUT")" "recovered 0 of $dead shredded, $living of $living living" "and finds every living leaf key, and no shredded one"
out_like "^frames: opened 0 of [1-9][0-9]* shredded, ([1-9][0-9]*) of \\1 living; unread archives: 0\$" "nor opens a frame of a shredded one"
out_like '^scraped alone: [1-9][0-9]* pages, opened [1-9]' "although there are pages of transactions that were rolled back, and some open"
is "$(sql clinic "SELECT count(*) > 0 FROM expunge.key_change WHERE state = 'abandoned'")" t "and an attempt was abandoned"
is "$(sql clinic "SELECT max(level) > 0 FROM expunge.key_page WHERE tenant <> ''")" t "and trees have grown"
attack clinic
is "$(tail -n 1 <<<"$OUT")" "recovered 0 of $dead shredded, $living of $living living" "data directory and log alone give all that lives, too"

build_rotating_root_only
EXPUNGE=$T/root-only
play weak
attack weak "${kept[@]}"
note "$OUT"
is "$(tail -n 1 <<<"$OUT")" "recovered $dead of $dead shredded, $living of $living living" "where only the root changes, it recovers every shredded leaf key"
out_like "^frames: opened ([1-9][0-9]*) of \\1 shredded, ([1-9][0-9]*) of \\2 living; unread archives: 0\$" "and opens all of their frames"
attack weak
is "$(tail -n 1 <<<"$OUT")" "recovered $dead of $dead shredded, $living of $living living" "... with data directory and log alone"
done_testing

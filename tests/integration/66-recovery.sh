#!/usr/bin/env bash
# No living key is ever lost: after each of some nights with arrivals, backups and erasures, the server is restored (a) from
# last night's base backup, (b) from that and the archived log up to just before tonight's change of the root, on a new
# timeline, (c) from the oldest base backup, so that journals and root are all there is of what came since; and with that a
# share's replica, a destination or the host is lost. Nothing runs in it; adopted, it has every leaf of the first server, each of
# which an attacker's program, not ours, opens with what the restored server has; whoever was erased is gone, and nobody else.
#
#   make check-recovery      at length; or RECOVERY_TENANTS=n, RECOVERY_PATIENTS=n (each), RECOVERY_NIGHTS=n, RECOVERY_SEED=n
# shellcheck disable=SC2034 # for lib.sh
cluster_options=--tcp # one of its own: it archives its log
. "$(dirname "$0")/../lib.sh"
. "$ROOT/tests/closure/history.bash"
. "$ROOT/tests/recovery/restores.bash"
tenants=${RECOVERY_TENANTS:-2} patients=${RECOVERY_PATIENTS:-35} nights=${RECOVERY_NIGHTS:-2} seed=${RECOVERY_SEED:-$RANDOM}
note "RECOVERY_SEED=$seed"
trap 'leave_restored; leave' EXIT

watch_keys() { :; } # what the attacker would need and this test does not

# ---------------------------------------------------------------------------- what is compared

# what both servers must have alike
leaves() { sql clinic "SELECT id, tenant, kind, name, name_hash, incarnation, kcv, made_epoch, shredded_epoch FROM expunge.key_leaf ORDER BY id"; }
# the journal is written before an archive gets its name: the next backup looks whether it got it
archives() { sql clinic 'SELECT id, tenant, generation, sha256, size, n_frames, n_rows, n_withheld, destinations FROM expunge.archive ORDER BY id'; }
certificates() {
	sql clinic 'SELECT serial, id, stage, request_id, md5(note) FROM expunge.certificate ORDER BY serial' \
		'SELECT last FROM expunge.certificate_counter' 'SELECT request_id, name, until FROM expunge.request_store ORDER BY request_id, name'
}
targets() {
	sql clinic "SELECT CASE WHEN shredded_epoch IS NULL THEN 'live' ELSE 'dead' END, id, encode(kcv, 'hex') FROM expunge.key_leaf" | tr '|' ' '
}
everybody() { sql clinic 'SELECT id FROM app.patient ORDER BY id'; }
numbers() { sql clinic "SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = 'app' AND last_value IS NOT NULL ORDER BY 1"; }

# keep_truth: what the first server has now
keep_truth() {
	local what
	for what in leaves archives certificates targets numbers; do "$what" >"$T/$what"; done
	comm -13 <(everybody | sort) <(sql clinic 'SELECT patient FROM expunge.test_asked' | sort) >"$T/erased"
	living=$(grep -c '^live' "$T/targets") dead=$(grep -c '^dead' "$T/targets")
}

# attack_pages ARGUMENT...: what opens with the roots in the restored server's places, and these sources of pages
attack_pages() {
	python3 "$ROOT/tests/closure/attacker.py" --instance "$instance" --targets "$T/targets" --roots "$T/restored/shares" "$@" | tail -n 1
}

# ---------------------------------------------------------------------------- one restore

# same FILE NAME: what the restored server has is what the first one had
same() { is "$(diff "$T/$1" <(restored "$1") | head -n 10)" "" "$2"; }

behind() { # behind NAME: nothing runs
	local job
	for job in nightly backup "keys rotate" "restore --tenant 1 --into dbname=postgres"; do
		# shellcheck disable=SC2086 # several words
		run restored expunge_as night $job
		is "$RC $(grep -c 'restore --adopt' "$T/err")" "5 1" "$1: $job refuses, and says what to do"
	done
}

adopted() { # adopted NAME LOSS
	local n place dump=$T/pages.sql wanted="recovered 0 of $dead shredded, $living of $living living" journals=()
	same leaves "$1: every leaf is there, each with its name and its key"
	restored pg_dump -t expunge.key_page -f "$dump" clinic
	is "$(attack_pages --dump "d=$dump")" "$wanted" "$1: somebody else opens $living leaves with what is there now, and no shredded one"
	for place in here there; do [ ! -d "$T/restored/$place" ] || journals+=(--journal "$T/restored/$place"); done
	is "$(attack_pages "${journals[@]}")" "$wanted" "$1: or with the journal alone"
	same archives "$1: the catalogue"
	same certificates "$1: certificates, their counter, and what they wait for"
	is "$(join "$T/numbers" <(restored numbers) -t '|' | awk -F '|' '$3 < $2')" "" "$1: no number is given twice"
	is "$(comm -3 <(restored everybody | sort) <(sort "$T/before" | comm -23 - "$T/erased"))" "" "$1: the erased are gone, and nobody else"
	is "$(restored sql clinic 'SELECT count(*) FROM expunge.adoption WHERE ended_at IS NULL')/$(restored sql clinic "SELECT (SELECT count(*) FROM expunge.key_set) + (SELECT count(*) FROM expunge.plan p JOIN expunge.request r ON r.id = p.request_id AND r.state = 'certified')")" \
		0/0 "$1: the adoption has ended, and nothing of the erased is kept"
	run restored expunge_as night drill
	rc_is 0 "$1: the drill passes"
	n=$(restored sql clinic "SELECT count(*) FROM expunge.archive WHERE state = 'complete'")
	run restored expunge_as night backup --verify
	if [ "$2" = disk ]; then
		is "$RC $OUT" "3 $n good, $n bad" "$1: every archive opens, and what the disk had is told"
	else
		rc_is 0 "$1: every archive opens"
	fi
}

# go_on NAME: life in the restored server: a backup, an erasure, its certificate has the next serial
go_on() {
	local serial
	serial=$(restored sql clinic 'SELECT last FROM expunge.certificate_counter')
	run restored expunge_as night backup
	rc_is 0 "$1: a backup"
	restored file_some clinic 1 "$seed go on"
	run restored expunge_as night nightly
	rc_is 0 "$1: a night"
	restored approve_planned clinic
	run restored expunge_as night nightly
	rc_is 0 "$1: and an erasure"
	run restored expunge_as night backup # an empty disk has had its directory since the one before
	is "$RC $(restored sql clinic "SELECT count(*) FROM expunge.archive WHERE state = 'naming'")" "0 0" "$1: no archive is between any more"
	ok "$1: with the serials that follow" test "$(restored sql clinic "SELECT min(serial) FROM expunge.certificate WHERE serial > $serial")" = "$((serial + 1))"
}

# try_restore NAME LOSS BASE [POINT]
try_restore() {
	local name="night $night, $1, $2 lost" began=$SECONDS
	restore_server "${@:3}"
	lose "$2"
	restored everybody >"$T/before"
	behind "$name"
	run restored expunge_as ada restore --adopt
	rc_is 0 "$name: it is adopted"
	if [ "$RC" = 0 ]; then
		adopted "$name" "$2"
		if [ $(((night + ${#1}) % 3)) = 0 ]; then go_on "$name"; fi
	fi
	stop_restored
	note "$name: $((SECONDS - began)) s"
}

# ---------------------------------------------------------------------------- the nights

archive_wal
begin_history clinic "$tenants" "$patients"
cat >>"$CONF" <<'CONF'
stores = ( { name = "nightly base backups"; kind = "physical-backup"; retention_days = 35; },
	{ name = "archived log"; kind = "wal-archive"; retention_days = 35; } );
CONF
mkrole ada expunge_operator expunge_job
instance=$(sql clinic 'SELECT id FROM expunge.instance')
losses=(nothing replica destination replicas disk host)
run expunge_as night backup
rc_is 0 "a backup"
file_some clinic 2 "$seed"
run expunge_as night nightly
rc_is 0 "requests are planned"
base_backup first
cp -a "$T/bases/first" "$T/bases/last"
for ((night = 1; night <= nights; night++)); do
	arrive clinic "$night" "$tenants"
	run expunge_as night backup
	rc_is 0 "night $night: a backup"
	approve_planned clinic
	file_some clinic 2 "$seed $night"
	sql clinic "SELECT pg_create_restore_point('before night $night')" >/dev/null
	run expunge_as night nightly
	rc_is 0 "night $night: erased, the root changed"
	is "$(sql clinic 'SELECT epoch FROM expunge.key_tree')/$(sql clinic 'SELECT count(*) FROM expunge.certificate')" \
		"$((night + 1))/$((2 * night))" "night $night: two patients, one change of the root"
	sql clinic "SELECT race.make(300000 + $night, 1, NULL)" >/dev/null
	run expunge_as night backup --tenant 1 # later than the change
	rc_is 0 "night $night: a backup in the morning"
	log_is_kept
	keep_truth
	try_restore "last night's base backup" "${losses[night % 6]}" last
	try_restore "up to before tonight's change" "${losses[(night + 2) % 6]}" last "before night $night"
	if [ "$night" -gt 1 ]; then try_restore "the first base backup" "${losses[(night + 4) % 6]}" first; fi
	rm -rf -- "$T/bases/last"
	base_backup last
done
done_testing

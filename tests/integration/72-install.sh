#!/usr/bin/env bash
# An installation by `make install`, as a package would be made and unpacked, run by a user without rights under the
# very command lines of the systemd unit and of the cron file; installed again, and taken away.
# shellcheck disable=SC2034 # for lib.sh
cluster_options=--tcp # that user cannot reach the socket of the other tests' cluster
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/sessions.bash"
chmod 0711 "$T" # that user has to get at its files
D=$T/host

# The places are compiled in: a build directory of its own, or the program that the other tests are running would be
# linked again under them.
mkdir "$T/build"
(cd "$(dirname "$EXPUNGE")" && cp -a gen jobs lib libexpunge.a layers.ok "$T/build")

install_it() {
	make -s -C "$ROOT" install B="$T/build" DESTDIR="$T/package" PREFIX="$D/usr" SYSCONFDIR="$D/etc/expunge" \
		MANDIR="$D/usr/share/man"
}
unpack() { # where it was meant to be, without what is elsewhere on a host
	mkdir -p "$D"
	cp -a "$T/package$D/." "$D/"
}

# ---- what is installed
ok "make install into a DESTDIR" install_it
unpack
is "$(cd "$T/package" && find . -type f | sed "s|^\.$D|HOST|" | grep -v '^HOST/usr/share/doc' | sort)" "./etc/cron.d/expunge
./lib/systemd/system/expunge-backup.service
./lib/systemd/system/expunge-backup.timer
./lib/systemd/system/expunge-notify.service
./lib/systemd/system/expunge-notify.timer
./lib/systemd/system/expunge.service
./lib/systemd/system/expunge.timer
./usr/lib/sysusers.d/expunge.conf
HOST/etc/expunge/expunge.conf
HOST/etc/expunge/maps/gnumed.conf
HOST/etc/expunge/maps/sample.conf
HOST/etc/expunge/notices/approval-wanted.html
HOST/etc/expunge/notices/approval-wanted.txt
HOST/etc/expunge/notices/cancelled.html
HOST/etc/expunge/notices/cancelled.txt
HOST/etc/expunge/notices/days-1.html
HOST/etc/expunge/notices/days-1.txt
HOST/etc/expunge/notices/days-14.html
HOST/etc/expunge/notices/days-14.txt
HOST/etc/expunge/notices/days-30.html
HOST/etc/expunge/notices/days-30.txt
HOST/etc/expunge/notices/days-7.html
HOST/etc/expunge/notices/days-7.txt
HOST/etc/expunge/notices/done.html
HOST/etc/expunge/notices/done.txt
HOST/etc/expunge/notices/ends.html
HOST/etc/expunge/notices/ends.txt
HOST/etc/expunge/notices/failure.html
HOST/etc/expunge/notices/failure.txt
HOST/etc/expunge/notices/purge-paused.html
HOST/etc/expunge/notices/purge-paused.txt
HOST/etc/expunge/notices/reactivated.html
HOST/etc/expunge/notices/reactivated.txt
HOST/etc/expunge/notices/support-override.html
HOST/etc/expunge/notices/support-override.txt
HOST/usr/bin/expunge
HOST/usr/share/bash-completion/completions/expunge
HOST/usr/share/man/man1/expunge.1" "these files and no others are installed"
is "$(find "$T/package" -perm /022 ! -type l)" "" "nobody else may write to any of them"
is "$(find "$T/package" -type f -perm /111)" "$T/package$D/usr/bin/expunge" "one of them is a program"
unit=$T/package/lib/systemd/system/expunge.service
hourly=$T/package/lib/systemd/system/expunge-backup.service
notices=$T/package/lib/systemd/system/expunge-notify.service
cron=$T/package/etc/cron.d/expunge
nok "no path of another prefix is left in unit and cron file" grep -E '[ =]/(usr/bin/expunge|etc/expunge/)' "$unit" "$cron"

# ---- manual and completion
if command -v man >/dev/null; then
	MANROFFSEQ='' run man --warnings -l "$D/usr/share/man/man1/expunge.1"
	is "$RC $ERR" "0 " "the manual is shown without a warning"
	out_like '^NAME' "and is one"
else
	skip "the manual is shown without a warning" "no man here"
fi
# shellcheck disable=SC2016 # for the other shell
run env -i PATH="$PATH" bash --norc --noprofile -euc '. "$1"; complete -p expunge
	COMP_WORDS=(expunge certificate ex) COMP_CWORD=2 COMP_LINE="expunge certificate ex" COMP_POINT=22
	f=$(complete -p expunge | sed -n "s/.*-F \([^ ]*\) .*/\1/p"); "$f" expunge ex certificate; echo "${COMPREPLY[@]}"' \
	bash "$D/usr/share/bash-completion/completions/expunge"
is "$RC $ERR" "0 " "the completion loads in a bare bash"
out_like '^export ?$' "and completes"

# ---- the user, its directories and configuration; a password file, since cron and systemd know no PGPASSFILE
user=$(id -un)
as_user=(env)
if [ "$(id -u)" -eq 0 ]; then
	user=nobody
	as_user=(setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all)
fi
fresh_db clinic
mkrole app_owner
command install -d -m 0700 "$D/etc/expunge/keys"
command install -d -m 0755 "$D/var/lib/expunge"
command install -m 0600 "$PGPASSFILE" "$D/etc/expunge/pgpass"
sed -e "s|conninfo = .*|conninfo = \"host=127.0.0.1 port=$PGPORT dbname=clinic user=expunge sslmode=disable passfile=$D/etc/expunge/pgpass\";|" \
	-e "s|\"/etc/expunge/maps/practice.conf\"|\"$D/etc/expunge/maps/sample.conf\"|" \
	-e "s|#directory = \"/etc/expunge/notices\"|directory = \"$D/etc/expunge/notices\"|" -e "s|\"/var/lib/expunge|\"$D/var/lib/expunge|" -e "s|\"/etc/expunge/issuer.pem\"|\"$D/etc/expunge/keys/issuer.pem\"|" \
	-e 's|#undo_days = .*|undo_days = 0;|' -i "$D/etc/expunge/expunge.conf"
[ "$(id -u)" -ne 0 ] || chown -R "$user" "$D/etc/expunge/keys" "$D/etc/expunge/pgpass" "$D/var/lib/expunge"
[ "$(id -u)" -ne 0 ] || chgrp "$(id -g "$user")" "$D/etc/expunge/expunge.conf"
expunge_user() { # as it is called by hand
	(cd / && "${as_user[@]}" "$D/usr/bin/expunge" -c "$D/etc/expunge/expunge.conf" "$@")
}
mkrole expunge
run expunge_user -U postgres init
rc_is 0 "init as that user"
mkrole expunge expunge_job
mkrole ruth expunge_approver
mkrole oscar expunge_operator expunge_intake
mkrole clinic_app expunge_intake
sql clinic "INSERT INTO expunge.tenant_login (login, tenant) VALUES ('clinic_app', '1'), ('oscar', '1')"
approved() { # approved PATIENT: a request, by hand
	local id
	id=$(file_request clinic 1 "$1")
	expunge_user -U oscar request identify "$id" >/dev/null 2>&1
	expunge_user request plan "$id" >/dev/null 2>&1
	expunge_user -U ruth request decide "$id" --accept --plan "$(sql clinic "SELECT hash FROM expunge.plan WHERE request_id = '$id'")" >/dev/null
	printf '%s\n' "$id"
}
run expunge_user check
rc_is 0 "check is content"

# ---- the systemd unit
id=$(approved 42)
is "$(sed -n 's/^ExecStart=//p' "$unit")" "$D/usr/bin/expunge -c $D/etc/expunge/expunge.conf nightly" "the unit's command names what is installed"
# as the service manager starts it: its environment, umask, limits and directory
systemd_run() { # systemd_run UNIT
	local command
	IFS=' ' read -ra command <<<"$(sed -n 's/^ExecStart=//p' "$1")"
	(cd / && umask "$(sed -n 's/^UMask=//p' "$1")" && ulimit -c 0 && "${as_user[@]}" env -i LANG=C.UTF-8 USER="$user" LOGNAME="$user" \
		HOME="$D/var/lib/expunge" SHELL=/usr/sbin/nologin PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin "${command[@]}")
}
run systemd_run "$unit"
is "$RC $(request_state clinic "$id")" "0 certified" "under it a patient is erased"
is "$(find "$D/var/lib/expunge/certificates" -name '*.note' | wc -l)" 1 "and has a certificate"
is "$(find "$D/var/lib/expunge" -name '*.note' ! -perm 0644) $(find "$D/var/lib/expunge/ledger" -type f -perm /077)" " " \
	"certificates are open to read, the ledger is closed"
for line in NoNewPrivileges=yes ProtectSystem=strict ProtectHome=yes PrivateTmp=yes CapabilityBoundingSet= LimitCORE=0 UMask=0077 \
	'RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6' SystemCallFilter=@system-service StateDirectory=expunge User=expunge; do
	ok "the units say $line" grep -qxF "$line" "$unit"
	grep -qxF "$line" "$hourly" || verdict false "so does the hourly one: $line"
	grep -qxF "$line" "$notices" || verdict false "so does that of the notices: $line"
done
if command -v systemd-analyze >/dev/null; then
	mkdir "$T/units"
	for name in expunge expunge-backup expunge-notify; do
		sed -e "s/^User=.*/User=daemon/; /^Group=/d; /^Documentation=man/d" "${unit%/*}/$name.service" >"$T/units/$name.service"
		sed '/^Documentation=man/d' "${unit%/*}/$name.timer" >"$T/units/$name.timer"
		run systemd-analyze verify --man=no "$T/units/$name.service" "$T/units/$name.timer"
		is "$RC $(grep expunge "$T/err" || true)" "0 " "systemd finds no fault in unit and timer of $name"
		run systemd-analyze security --offline=yes --threshold=25 "$T/units/$name.service"
		rc_is 0 "nor too much that the unit may do"
		run systemd-analyze calendar "$(sed -n 's/^OnCalendar=//p' "$T/units/$name.timer")"
		rc_is 0 "the timer's time is one"
	done
else
	skip "systemd finds no fault in unit and timer" "no systemd-analyze here"
fi

# ---- the cron file
id=$(approved 43)
is "$(grep -E '^[0-9*]' "$cron" | awk '{ print $1, $2, $6 }' | paste -sd /)" "15 2 expunge/45 * expunge/25 * expunge" "cron has a line for the night and two for each hour, for the user expunge"
cron_run() { # cron_run LINE: cron's environment is the file's settings and these
	local shell path entry
	entry=$(grep -E '^[0-9*]' "$cron" | sed -n "$1p" | sed -E 's/^([^ ]+ +){6}//')
	shell=$(sed -n 's/^SHELL=//p' "$cron") path=$(sed -n 's/^PATH=//p' "$cron")
	(cd "$D/var/lib/expunge" && "${as_user[@]}" env -i HOME="$D/var/lib/expunge" LOGNAME="$user" SHELL="$shell" PATH="$path" "$shell" -c "$entry")
}
run cron_run 1
if [ -d /run/systemd/system ]; then
	is "$RC $OUT$ERR" "0 " "where systemd runs, cron's line does nothing"
else
	is "$RC $(request_state clinic "$id")" "0 certified" "under cron's line a patient is erased"
fi
mv "$D/usr/bin/expunge" "$D/usr/bin/expunge.away"
run cron_run 1
is "$RC $OUT$ERR" "0 " "when the program is gone and the file has stayed, cron's line is quiet"
mv "$D/usr/bin/expunge.away" "$D/usr/bin/expunge"

# ---- backups each hour, as soon as a key tree is declared
run systemd_run "$hourly"
is "$RC $OUT$ERR" "0 " "without a key tree the hourly unit does nothing, and says nothing"
run cron_run 2
is "$RC $OUT$ERR" "0 " "nor does cron's hourly line"
run systemd_run "$notices"
is "$RC $OUT$ERR" "0 " "without notices their unit says nothing"
run cron_run 3
is "$RC $OUT$ERR" "0 " "nor does cron's line for them"
for place in 1a 1b 2a 2b here there; do command install -d -m 0700 "$D/var/kept/$place"; done
[ "$(id -u)" -ne 0 ] || chown -R "$user" "$D/var/kept"
sed -i '/^keys : {/,/^};/d; /^archives : {/,/^};/d' "$D/etc/expunge/expunge.conf"
cat >>"$D/etc/expunge/expunge.conf" <<-CONF
	keys : {
	  shares = ( { replicas = ["$D/var/kept/1a", "$D/var/kept/1b"]; }, { replicas = ["$D/var/kept/2a", "$D/var/kept/2b"]; } );
	  anchor = "$D/var/lib/expunge/anchor";
	};
	archives : {
	  destinations = ( { name = "here"; directory = "$D/var/kept/here"; }, { name = "there"; directory = "$D/var/kept/there"; } );
	  key = "$D/etc/expunge/keys/archives.pem";
	};
CONF
expunge_user -U postgres init 2>"$T/init.log" || cat "$T/init.log"
archives() { find "$D/var/kept/here" -name '*.archive' | wc -l; }
run systemd_run "$hourly"
is "$RC $(archives)" "0 4" "with one, under the hourly unit each practice has an archive, and so have the rows of nobody"
is "$(find "$D/var/kept/here" "$D/var/kept/there" -type f -perm /077)" "" "which is closed to others"
run cron_run 2
if [ -d /run/systemd/system ]; then
	is "$RC $OUT$ERR" "0 " "where systemd runs, cron's hourly line does nothing"
else
	is "$RC $(archives)" "0 8" "under cron's line another one"
fi
run expunge_user status
out_like '^backup +last success' "status knows when backups were last taken"

# ---- installed again over what the operator has changed, and taken away
sed -i "s|^processor = .*|processor = \"Changed Ltd\";|" "$D/etc/expunge/expunge.conf"
printf '# changed\n' >>"$D/etc/expunge/maps/sample.conf"
cp -a "$D/etc" "$T/etc.before"
rm -rf "$T/package"
mkdir -p "$T/package$D"
cp -a "$D/." "$T/package$D/"
ok "make install again" install_it
ok "leaves configuration, map and keys alone" diff -r "$T/etc.before" "$T/package$D/etc"
find "$T/package$D/etc" "$T/package$D/var" -type f | sort >"$T/before"
ok "make uninstall" make -s -C "$ROOT" uninstall DESTDIR="$T/package" PREFIX="$D/usr" SYSCONFDIR="$D/etc/expunge" MANDIR="$D/usr/share/man"
find "$T/package" -type f | sort >"$T/after"
ok "takes away what install brought, but no configuration, key, ledger or certificate" cmp "$T/before" "$T/after"
done_testing

#!/usr/bin/env bash
# An installation by `make install`, as a package would be made and unpacked, run by a user without rights under the
# very command lines of the systemd unit and of the cron file; installed again, and taken away.
# shellcheck disable=SC2034 # for lib.sh
cluster_options=--tcp # that user cannot reach the socket of the other tests' cluster
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/sessions.bash"
chmod 0711 "$T" # that user has to get at its files
D=$T/host

install_it() {
	make -s -C "$ROOT" install B="$(dirname "$EXPUNGE")" DESTDIR="$T/package" PREFIX="$D/usr" SYSCONFDIR="$D/etc/expunge" \
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
./lib/systemd/system/expunge.service
./lib/systemd/system/expunge.timer
./usr/lib/sysusers.d/expunge.conf
HOST/etc/expunge/expunge.conf
HOST/etc/expunge/maps/gnumed.conf
HOST/etc/expunge/maps/sample.conf
HOST/usr/bin/expunge
HOST/usr/share/bash-completion/completions/expunge
HOST/usr/share/man/man1/expunge.1" "these files and no others are installed"
is "$(find "$T/package" -perm /022 ! -type l)" "" "nobody else may write to any of them"
is "$(find "$T/package" -type f -perm /111)" "$T/package$D/usr/bin/expunge" "one of them is a program"
unit=$T/package/lib/systemd/system/expunge.service
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
	-e "s|\"/var/lib/expunge|\"$D/var/lib/expunge|" -e "s|\"/etc/expunge/issuer.pem\"|\"$D/etc/expunge/keys/issuer.pem\"|" \
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
IFS=' ' read -ra command <<<"$(sed -n 's/^ExecStart=//p' "$unit")"
is "${command[*]}" "$D/usr/bin/expunge -c $D/etc/expunge/expunge.conf nightly" "the unit's command names what is installed"
# as the service manager starts it: its environment, umask, limits and directory
systemd_run() {
	(cd / && umask "$(sed -n 's/^UMask=//p' "$unit")" && ulimit -c 0 && "${as_user[@]}" env -i LANG=C.UTF-8 USER="$user" LOGNAME="$user" \
		HOME="$D/var/lib/expunge" SHELL=/usr/sbin/nologin PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin "${command[@]}")
}
run systemd_run
is "$RC $(request_state clinic "$id")" "0 certified" "under it a patient is erased"
is "$(find "$D/var/lib/expunge/certificates" -name '*.note' | wc -l)" 1 "and has a certificate"
is "$(find "$D/var/lib/expunge" -name '*.note' ! -perm 0644) $(find "$D/var/lib/expunge/ledger" -type f -perm /077)" " " \
	"certificates are open to read, the ledger is closed"
for line in NoNewPrivileges=yes ProtectSystem=strict ProtectHome=yes PrivateTmp=yes CapabilityBoundingSet= LimitCORE=0 UMask=0077 \
	'RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6' SystemCallFilter=@system-service StateDirectory=expunge User=expunge; do
	ok "the unit says $line" grep -qxF "$line" "$unit"
done
if command -v systemd-analyze >/dev/null; then
	mkdir "$T/units"
	sed -e "s/^User=.*/User=daemon/; /^Group=/d; /^Documentation=man/d" "$unit" >"$T/units/expunge.service"
	sed '/^Documentation=man/d' "${unit%.service}.timer" >"$T/units/expunge.timer"
	run systemd-analyze verify --man=no "$T/units/expunge.service" "$T/units/expunge.timer"
	is "$RC $(grep expunge "$T/err" || true)" "0 " "systemd finds no fault in unit and timer"
	run systemd-analyze security --offline=yes --threshold=25 "$T/units/expunge.service"
	rc_is 0 "nor too much that the unit may do"
	run systemd-analyze calendar "$(sed -n 's/^OnCalendar=//p' "$T/units/expunge.timer")"
	rc_is 0 "the timer's time is one"
else
	skip "systemd finds no fault in unit and timer" "no systemd-analyze here"
fi

# ---- the cron file
id=$(approved 43)
line=$(grep -E '^[0-9*]' "$cron")
is "$(wc -l <<<"$line") $(awk '{ print $6 }' <<<"$line")" "1 expunge" "cron has one line, for the user expunge"
entry=$(sed -E 's/^([^ ]+ +){6}//' <<<"$line")
cron_run() { # cron's environment is the file's settings and these
	local shell path
	shell=$(sed -n 's/^SHELL=//p' "$cron") path=$(sed -n 's/^PATH=//p' "$cron")
	(cd "$D/var/lib/expunge" && "${as_user[@]}" env -i HOME="$D/var/lib/expunge" LOGNAME="$user" SHELL="$shell" PATH="$path" "$shell" -c "$entry")
}
run cron_run
if [ -d /run/systemd/system ]; then
	is "$RC $OUT$ERR" "0 " "where systemd runs, cron's line does nothing"
else
	is "$RC $(request_state clinic "$id")" "0 certified" "under cron's line a patient is erased"
fi
mv "$D/usr/bin/expunge" "$D/usr/bin/expunge.away"
run cron_run
is "$RC $OUT$ERR" "0 " "when the program is gone and the file has stayed, cron's line is quiet"
mv "$D/usr/bin/expunge.away" "$D/usr/bin/expunge"

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

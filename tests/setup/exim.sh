#!/usr/bin/env bash
# A mail server for the tests: prints the path of Debian's exim4. It is unpacked and not installed: installed it would take
# the place of whatever mail server this machine has, and start. Kept in the cache of whoever runs the tests.
set -euo pipefail

cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/expunge-tests
exim=$cache/exim4/usr/sbin/exim4

if [ -x /usr/sbin/exim4 ]; then
	exim=/usr/sbin/exim4
elif [ ! -x "$exim" ]; then
	mkdir -p "$cache"
	work=$(mktemp -d "$cache/unpack.XXXXXX")
	trap 'rm -rf -- "$work"' EXIT
	cd "$work"
	apt-get download -qq exim4-daemon-light >log 2>&1 || { cat log >&2; exit 1; }
	dpkg-deb -x exim4-daemon-light_*.deb unpacked
	chmod 0755 unpacked/usr/sbin/exim4 # it runs as whoever starts it
	rm -rf -- "$cache/exim4"
	mv unpacked "$cache/exim4"
fi
printf '%s\n' "$exim"

#!/bin/sh
# Fails the build on an include that points upward, on a library header outside its one file of
# lib/svc, and on calls that this code base does without.
set -eu
fail=0
say() { echo "$1" >&2; fail=1; }

rank() {
	case "$1" in
	base) echo 0 ;; sys) echo 1 ;; svc) echo 2 ;; map) echo 3 ;; keys) echo 4 ;; archive) echo 5 ;;
	evidence) echo 6 ;; erasure) echo 7 ;; account) echo 8 ;; support) echo 9 ;; jobs) echo 10 ;;
	*) echo unknown ;;
	esac
}

for f in lib/*/*.[ch] jobs/*.[ch]; do
	[ -e "$f" ] || continue
	case "$f" in lib/*) layer=${f#lib/}; layer=${layer%%/*} ;; *) layer='jobs' ;; esac
	own=$(rank "$layer")
	[ "$own" = unknown ] && { say "$f: $layer is not a layer of the architecture"; continue; }
	# shellcheck disable=SC2013 # names of layers hold no blanks
	for inc in $(sed -n 's/^#include "\([a-z]*\)\/.*/\1/p' "$f" | sort -u); do
		other=$(rank "$inc")
		[ "$other" = unknown ] && { say "$f: includes from unknown layer $inc"; continue; }
		[ "$other" -gt "$own" ] && say "$f: layer $layer includes upward from $inc"
	done
	library=$(grep -nE '#include [<"](libpq-fe|svc/db_private|postgres_ext|libconfig|openssl/|jansson|curl/|zstd|p11-kit/|dlfcn|svc/token_private)' "$f" || true)
	if [ -n "$library" ]; then
		case "$f $library" in
		"lib/svc/db"*libpq-fe*|"lib/svc/db"*db_private*|"lib/svc/config.c "*libconfig*|"lib/svc/crypt.c "*openssl*|"lib/svc/listing.c "*jansson*|"lib/svc/compress.c "*zstd*|"lib/svc/mail.c "*curl*|"lib/svc/token"*) ;;
		*) say "$f: a library header outside its file of lib/svc: $library" ;;
		esac
	fi
	banned=$(grep -nE '(^|[^a-z_>.])(strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atol|atoll|system|popen|tmpnam|mktemp|alloca|strncpy|strncat|asprintf|malloc|realloc|calloc|strdup|strndup)\(' "$f" || true)
	[ -n "$banned" ] && [ "$f" != lib/base/mem.c ] && say "$f: banned call: $banned"
	if [ "$layer" != jobs ]; then
		exits=$(grep -nE '(^|[^a-z_])(exit|abort)\(' "$f" || true)
		[ -n "$exits" ] && say "$f: library code never exits: $exits"
		if [ "$layer" != sys ]; then
			logs=$(grep -nE '#include "sys/log.h"|(^|[^a-z_])log_(error|warning|info|debug|err)\(' "$f" || true)
			[ -n "$logs" ] && say "$f: library code never logs: $logs"
		fi
	fi
done
exit $fail

#!/usr/bin/env bash
# archive.sh [DIRECTORY]: sealed archives of 256 MiB of made-up notes (COPY text), sealed and read again, against zstd
# and openssl in a pipe on the same bytes. DIRECTORY is a build (default: build). Needs no server; prints
#   bench NAME VALUE UNIT
#   ratio NAME VALUE
# in the words of README.md. Best of three each. WORDS=FILE is where the notes' words come from.
set -euo pipefail
cd "$(dirname "$0")/../.."

build=${1:-build}
work=$(mktemp -d "$([ -w /dev/shm ] && echo /dev/shm || echo "${TMPDIR:-/tmp}")/expunge-bench.XXXXXX")
trap 'rm -rf -- "$work"' EXIT
read -ra libraries < <(pkg-config --libs libpq libconfig libcrypto jansson libzstd libcurl)
"${CC:-cc}" -std=gnu11 -O2 -D_GNU_SOURCE -I. -Ilib -o "$work/archive" tests/bench/archive.c "$build/libexpunge.a" "${libraries[@]}"
words=${WORDS:-$work/words}
if [ -z "${WORDS:-}" ]; then
	cat /usr/share/common-licenses/* README.md CHANGELOG doc/*.md >"$words"
fi
"$work/archive" make "$words" 256 >"$work/text"
size=$(stat -c %s "$work/text")
key=$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n')
iv=00000000000000000000000000000000

best() { sort -n | tail -n 1; }
calc() { awk "BEGIN { printf \"%.${2:-2}f\\n\", $1 }"; }

# archive NAME ROWS: so many rows an owner
archive() {
	for _ in 1 2 3; do "$work/archive" run "$work/text" "$work/sealed" "$2"; done >"$work/runs"
	sealed=$(cut -d ' ' -f 2 "$work/runs" | best)
	opened=$(cut -d ' ' -f 3 "$work/runs" | best)
	printf 'bench archive_%s_seal %s MB/s\n' "$1" "$sealed"
	printf 'bench archive_%s_read %s MB/s\n' "$1" "$opened"
	printf 'bench archive_%s_room %s of the text\n' "$1" "$(calc "$(tail -n 1 "$work/runs" | cut -d ' ' -f 5) / $size")"
}

# pipe LEVEL: MB/s of both ways
pipe() {
	local from
	for _ in 1 2 3; do
		from=$EPOCHREALTIME
		zstd -q "-$1" -c "$work/text" | openssl enc -aes-256-ctr -K "$key" -iv "$iv" >"$work/piped"
		calc "$size / 1e6 / ($EPOCHREALTIME - $from)" 1 >>"$work/in.$1"
		from=$EPOCHREALTIME
		openssl enc -d -aes-256-ctr -K "$key" -iv "$iv" -in "$work/piped" | zstd -qdc >/dev/null
		calc "$size / 1e6 / ($EPOCHREALTIME - $from)" 1 >>"$work/out.$1"
	done
	piped_in=$(best <"$work/in.$1") piped_out=$(best <"$work/out.$1")
	printf 'bench pipe_%s_in %s MB/s\n' "$1" "$piped_in"
	printf 'bench pipe_%s_out %s MB/s\n' "$1" "$piped_out"
	printf 'bench pipe_%s_room %s of the text\n' "$1" "$(calc "$(stat -c %s "$work/piped") / $size")"
}

pipe 3
pipe 1
archive table 4      # one table of a patient a frame
archive patient 40   # all tables of a patient a frame
printf 'ratio archive_patient_vs_pipe_seal %s\n' "$(calc "$piped_in / $sealed")"
printf 'ratio archive_patient_vs_pipe_read %s\n' "$(calc "$piped_out / $opened")"
archive tenant 1000000000 # a tenant's own rows
printf 'ratio archive_tenant_vs_pipe_seal %s\n' "$(calc "$piped_in / $sealed")"
printf 'ratio archive_tenant_vs_pipe_read %s\n' "$(calc "$piped_out / $opened")"

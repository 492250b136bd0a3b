#!/usr/bin/env bash
# tests/alter.sh FILE OFFSET: inverts the byte at OFFSET, so that it is certainly another one.
set -euo pipefail
byte=$(od -An -tu1 -j "$2" -N 1 "$1")
# shellcheck disable=SC2059 # the format is the byte
printf "\\$(printf %03o $((255 - byte)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none

#!/usr/bin/env bash
# What linters say of the C files and scripts; the compilers have spoken before: tests/lint/run.sh DIRECTORY
#
# DIRECTORY is a build, for its generated headers. Each tool's exceptions are explained where they stand:
# .clang-tidy, .clang-format with tests/lint/format.sh, tests/lint/cppcheck.suppressions, and comments in
# the source. Exit 1 if any of them has something to say. ONLY=tidy|cppcheck|format|shell runs one.
set -euo pipefail
cd "$(dirname "$0")/../.."

directory=$1
read -ra includes < <(pkg-config --cflags libpq libconfig libcrypto jansson libzstd libcurl p11-kit-1)
flags=(-D_GNU_SOURCE -I. -Ilib "-I$directory/gen" "${includes[@]}")
c_files=(lib/*/*.[ch] jobs/*.[ch] tests/*/*.[ch])

# One file a process: with two, version 14 takes every va_list for uninitialized. Unit tests are left out:
# hostile texts on purpose, and functions that hide those of libc.
lint_tidy() {
	local file rc=0
	for file in lib/*/*.c jobs/*.c tests/fuzz/*.c; do
		clang-tidy --quiet "$file" -- -std=gnu11 "${flags[@]}" -DEXPUNGE_VERSION='"0"' -DEXPUNGE_COMMIT='"0"' \
			-DEXPUNGE_CONF='"/etc/expunge.conf"' -DFUZZ_TARGET=fuzz_parse 2>/dev/null || rc=1
	done
	return "$rc"
}

lint_cppcheck() {
	cppcheck --quiet --std=c11 --enable=warning,performance,portability,style --inline-suppr --error-exitcode=1 \
		--suppressions-list=tests/lint/cppcheck.suppressions \
		--template='{file}:{line}: {message} [{id}]' "${flags[@]}" lib jobs
}

lint_format() {
	tests/lint/format.sh "${c_files[@]}"
}

# Every script, whatever its name: by its first line, or by shellcheck's own for those that are sourced.
lint_shell() {
	local file rc=0 scripts=()
	mapfile -t scripts < <(git ls-files | while IFS= read -r file; do
		if [ -f "$file" ] && head -n 20 "$file" | grep -aqE '^#!.*[ /](ba)?sh|^# shellcheck shell='; then
			printf '%s\n' "$file"
		fi
	done)
	for file in "${scripts[@]}"; do
		if head -n 1 "$file" | grep -qE '^#! ?/bin/sh'; then
			sh -n "$file" || rc=1
		else
			bash -n "$file" || rc=1
		fi
	done
	# SC2016: what stands in single quotes here is SQL and awk, with a $1 of their own
	shellcheck -x -P SCRIPTDIR -e SC2016 "${scripts[@]}" || rc=1
	return "$rc"
}

rc=0
for tool in ${ONLY:-shell format cppcheck tidy}; do
	failed=0
	case $tool in
	shell) lint_shell || failed=1 ;;
	format) lint_format || failed=1 ;;
	cppcheck) lint_cppcheck || failed=1 ;;
	tidy) lint_tidy || failed=1 ;;
	*) failed=1 ;;
	esac
	if [ "$failed" -eq 0 ]; then
		echo "ok   lint $tool"
	else
		echo "FAIL lint $tool"
		rc=1
	fi
done
exit "$rc"

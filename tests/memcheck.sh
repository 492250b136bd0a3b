#!/usr/bin/env bash
# Runs programs of unit tests under valgrind: tests/memcheck.sh PROGRAM...
# Of the longest loops every 61st case runs. One line each; what valgrind or a test has to say of one that fails. Exit 1 if any does.
set -euo pipefail
cd "$(dirname "$0")/.."

log=$(mktemp)
trap 'rm -f "$log"' EXIT
rc=0
for program in "$@"; do
	case ${program##*/} in
	test_command)
		echo "skip memcheck test_command: valgrind 3.19 does not know pidfd_open; the sanitizers watch it"
		continue
		;;
	esac
	# a test is a child of its program: errors there end it with 99, and the program counts a failure
	if EXPUNGE_TEST_STRIDE=61 CK_TIMEOUT_MULTIPLIER=100 valgrind --quiet --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite \
		--suppressions=tests/valgrind.suppressions "$program" >"$log" 2>&1 </dev/null && ! grep -q '^==[0-9]*==' "$log"; then
		printf 'ok   memcheck %s\n' "${program##*/}"
	else
		printf 'FAIL memcheck %s\n' "${program##*/}"
		tail -n 60 "$log" | sed 's/^/     | /'
		rc=1
	fi
done
exit "$rc"

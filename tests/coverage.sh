#!/usr/bin/env bash
# Runs tests on a build with --coverage and judges lib/: tests/coverage.sh DIRECTORY TEST...
#
# DIRECTORY is what `make coverage` built. Prints lines and branches of each file, leaves what was not
# reached in DIRECTORY/coverage.txt, and fails below LINES and BRANCHES per cent, or when a test fails.
#
# What no test can reach is marked in the source, with its reason:
#     /* LCOV_EXCL_LINE: reason */, or LCOV_EXCL_START: reason ... LCOV_EXCL_STOP around several lines, or
#     GCOVR_EXCL_BR_LINE: reason, for the branches of a line only.
# Reasons that are good: memory ran out; OpenSSL failed at what cannot fail; a fault of the machine for
# which there is no switch. A marker without a reason fails.
set -euo pipefail
cd "$(dirname "$0")/.."

directory=$1
shift
lines=${LINES_MIN:-95} branches=${BRANCHES_MIN:-85}

if grep -rnE 'LCOV_EXCL_(LINE|START)|GCOVR_EXCL' lib | grep -vE '_(LINE|START): [a-z]|(LCOV|GCOVR)_EXCL_STOP'; then
	echo "coverage: an exception without its reason" >&2
	exit 1
fi

# The program runs as several users, under umask 077: counters that any of them can write.
find "$directory" -name '*.gcda' -delete
find "$directory" -name '*.gcno' | sed 's/gcno$/gcda/' | while IFS= read -r counters; do
	: >"$counters"
	chmod 0666 "$counters"
done
chmod -R a+rX "$directory"

rc=0
GCOV_ERROR_FILE=/dev/null EXPUNGE=$directory/expunge tests/run "$@" || rc=$?

# A child that ends inside fork() leaves counts that do not add up, and gcov then reports -1.
report() {
	gcovr -r . --object-directory "$directory" --filter 'lib/' --gcov-ignore-parse-errors "$@" "$directory" 2>/dev/null
}
report --txt "$directory/coverage.txt"
report --branches | awk 'NR > 4'
report --print-summary --txt "$directory/coverage.txt"
report --fail-under-line "$lines" --fail-under-branch "$branches" --txt "$directory/coverage.txt" >/dev/null || {
	echo "coverage: below $lines % of lines or $branches % of branches; see $directory/coverage.txt" >&2
	rc=1
}
exit "$rc"

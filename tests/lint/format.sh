#!/usr/bin/env bash
# Holds C files against .clang-format: tests/lint/format.sh [--fix] FILE...
#
# Line for line: a line that clang-format writes with other blanks is wrong. The author's choice is, where
# lines are broken; whether the rest of a condition stands four blanks in, apart from what depends on it,
# or a tab; how a text in several pieces, the branches of ?: and comments behind lines are aligned.
# --fix puts the blanks right.
set -euo pipefail

fix=no rc=0
if [ "${1:-}" = --fix ]; then
	fix=yes
	shift
fi
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT

# paste of two files with equal numbers of lines: the second's line, but the first's where that may be so
choose() {
	awk '
		function bare(line) {
			sub(/[ \t]*\\$/, "\\", line)
			sub(/[ \t]*\/\*.*\*\/$/, "", line)
			return line
		}
		function outdented(line) { # four blanks instead of the last tab
			sub(/    /, "\t", line)
			return line
		}
		NR == FNR { own[FNR] = $0; next }
		{
			line = bare(own[FNR])
			if (own[FNR] ~ /^[ \t]*["?:]/ || line == bare($0) || (line ~ /^\t*    [^ \t]/ && outdented(line) == bare($0)))
				print own[FNR]
			else
				print
		}' "$1" "$2"
}

for file in "$@"; do
	clang-format "$file" >"$work/formatted"
	# of lines that differ in blanks only, those of clang-format; of all others the author's
	diff -w --old-line-format='' --new-line-format='%L' --unchanged-line-format='%L' \
		"$work/formatted" "$file" >"$work/merged" || true
	choose "$file" "$work/merged" >"$work/wanted"
	if cmp -s "$work/wanted" "$file"; then
		continue
	fi
	if [ "$fix" = yes ]; then
		cat "$work/wanted" >"$file"
	else
		rc=1
		diff -u --label "$file" --label "$file, as .clang-format has it" "$file" "$work/wanted" || true
	fi
done
exit "$rc"

#!/usr/bin/env bash
# run.sh [NAME...]: breaks the program in one place at a time and demands that the named test notices.
#
# Each entry of `mutations` beside this script:
#
#   == NAME: FILE: TEST
#   what is broken, in words
#   -a line of FILE, as it stands there (one or more)
#   +what it becomes (none or more)
#
# The lines taken away must stand in FILE exactly once. TEST is an integration test or a unit program. Each
# mutation is built in a private copy of the checkout, after the tests passed there unbroken; an entry that does not apply or does not build is a
# failure too, so that the list keeps step with the program. With SAMPLE=n, n of them by SEED.
#
# One line each, "caught NAME by TEST", and last "N mutations, N caught, N not".
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
copy=$(mktemp -d "${TMPDIR:-/tmp}/expunge-mutation.XXXXXX")
trap 'rm -rf -- "$copy"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
list=$root/tests/mutation/mutations
jobs=$(nproc)

# apply NAME TREE: replaces the lines of one entry; fails unless they stand there exactly once
apply() {
	perl -e '
		my ($list, $name, $tree) = @ARGV;
		my ($file, $old, $new, $inside) = ("", "", "", 0);
		open(my $in, "<", $list) or die "$list: $!\n";
		while (my $line = <$in>) {
			if ($line =~ /^== ([^:]+): ([^:]+): /) { $inside = $1 eq $name; $file = $2 if $inside; next }
			next unless $inside;
			$old .= substr($line, 1) if $line =~ /^-/;
			$new .= substr($line, 1) if $line =~ /^\+/;
		}
		die "no mutation $name\n" if $file eq "" || $old eq "";
		local $/;
		open(my $from, "<", "$tree/$file") or die "$tree/$file: $!\n";
		my $text = <$from>;
		my $at = index($text, $old);
		die "$file does not hold the lines\n" if $at < 0;
		die "$file holds the lines more than once\n" if index($text, $old, $at + 1) >= 0;
		substr($text, $at, length($old)) = $new;
		open(my $to, ">", "$tree/$file") or die "$tree/$file: $!\n";
		print $to $text;
		close($to) or die "$tree/$file: $!\n";' "$list" "$1" "$2"
}

field() { # field NAME NUMBER
	awk -v name="$1" -v n="$2" 'index($0, "== " name ": ") == 1 { split($0, f, ": "); print f[n] }' "$list"
}

# passes TEST: whether the test passes against what the copy has built; one that is skipped does not
passes() {
	case $1 in
	*.sh) FAIL_FAST=1 EXPUNGE=$copy/build/expunge "$copy/tests/run" "$copy/$1" ;;
	*) "$copy/tests/run" "$copy/build/$1" ;;
	esac >"$copy/test.log" 2>&1 && ! grep -q ' skipped$' "$copy/test.log"
}

build() { # build [TEST]: the program, and what this test needs besides
	local more=()
	case ${1:-} in
	tests/unit/*) more=("build/$1") ;;
	*pkcs11*) more=(build/tests/fake/pkcs11.so) ;;
	*24-notify*) more=(build/tests/fake/passwd.so) ;;
	*28-year*) more=(build/tests/fake/clock.so build/tests/crash/interpose.so) ;;
	*race*) more=(build/tests/race/race build/tests/race/leaves build/tests/race/gate.so) ;;
	esac
	if ! make -s -C "$copy" B=build -j"$jobs" all "${more[@]}" >"$copy/build.log" 2>&1; then
		tail -n 5 "$copy/build.log" | sed 's/^/    /'
		return 1
	fi
}

one() { # one NAME: says what became of it; 0 when it was caught
	local name=$1 file test rc=0
	file=$(field "$name" 2)
	test=$(field "$name" 3)
	cp -p "$copy/$file" "$copy/kept"
	if ! apply "$name" "$copy"; then
		printf 'STALE  %s: the list must follow the program\n' "$name"
		rc=1
	elif ! build "$test"; then
		printf 'STALE  %s: it does not build\n' "$name"
		rc=1
	elif passes "$test"; then
		printf 'MISSED %s: %s passes\n' "$name" "$test"
		rc=1
	else
		printf 'caught %s by %s: %s\n' "$name" "$test" "$(sed -n 's/^ *| not ok [0-9]* - //p' "$copy/test.log" | head -n 1)"
	fi
	cp "$copy/kept" "$copy/$file" # a new time, so that it is built again
	return $rc
}

mapfile -t names < <(if [ $# -gt 0 ]; then printf '%s\n' "$@"; else sed -n 's/^== \([^:]*\): .*/\1/p' "$list"; fi)
if [ -n "${SAMPLE:-}" ]; then
	SEED=${SEED:-$RANDOM}
	echo "SEED=$SEED"
	mapfile -t names < <(printf '%s\n' "${names[@]}" | awk -v seed="$SEED" 'BEGIN { srand(seed) } { print rand(), $0 }' | sort | head -n "$SAMPLE" | cut -d' ' -f2-)
fi
(cd "$root" && tar cf - --exclude=./build --exclude=./.git .) | tar xf - -C "$copy"
build ''
# a test that fails by itself notices nothing
for test in $(for name in "${names[@]}"; do field "$name" 3; done | sort -u); do
	build "$test"
	if ! passes "$test"; then
		tail -n 20 "$copy/test.log"
		echo "$test fails with nothing broken"
		exit 1
	fi
done
caught=0
for name in "${names[@]}"; do
	if one "$name"; then caught=$((caught + 1)); fi
done
printf '%d mutations, %d caught, %d not\n' "${#names[@]}" "$caught" "$((${#names[@]} - caught))"
[ "$caught" -eq "${#names[@]}" ]

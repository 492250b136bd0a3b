#!/usr/bin/env bash
# The tests of the database layer that run with a fake libpq (tests/unit/test_db_fake.c), with a server: what the fake
# says is what a server says.
. "$(dirname "$0")/../lib.sh"
program=$(dirname "$EXPUNGE")/tests/fake/test_db_real
[ -x "$program" ] || skip_all "no $program: make units builds it"
run "$program"
rc_is 0 "$(tail -n 1 "$T/out")"
out_like '^100%: Checks: 2[0-9], Failures: 0, Errors: 0$' "all of them"
done_testing

#!/usr/bin/env bash
# A seeded sample of the crash harness (make crash): a night, an installation and an adoption, stopped and disturbed at
# some of their operations. SEED=n repeats it; CRASH_SAMPLE=n takes more.
export ONLY=${CRASH_ONLY:-nightly,init,adopt} SAMPLE=${CRASH_SAMPLE:-8}
. "$(dirname "$0")/../crash/run.sh"

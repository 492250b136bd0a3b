/*
 * attest: certificates for requests whose removal was verified: signed, numbered and stored in one
 * transaction, written to files only after its COMMIT is confirmed.
 */
#ifndef EXPUNGE_ERASURE_ATTEST_H
#define EXPUNGE_ERASURE_ATTEST_H

#include "erasure/run.h"

/* Counts once more, signs, commits and publishes, a batch after the other. */
int attest_recounted(struct run *run, struct err *err);

#endif

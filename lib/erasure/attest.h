/*
 * attest: certificates for requests whose removal was verified: signed, numbered and stored in one
 * transaction, written to files only after its COMMIT is confirmed.
 */
#ifndef EXPUNGE_ERASURE_ATTEST_H
#define EXPUNGE_ERASURE_ATTEST_H

#include "erasure/run.h"

/* Counts once more, signs and commits; then publishes. */
int attest_recounted(struct run *run, struct err *err);
/* Writes certificates that are committed but not yet in certificate_directory: NNNNNNNN-<id>.note and
 * its SSHSIG sidecar .note.sig. A failure is counted and told, and the next run tries again. */
int attest_publish(struct run *run, struct err *err);

#endif

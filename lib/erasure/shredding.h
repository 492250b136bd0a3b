/*
 * shredding: the leaf keys of erased subjects go, and with them those of backups that have expired, all of a night by one
 * change of the root, after the recount and before the certificates; then the expired backups' files. Where no archive was
 * ever taken there are none, and nothing is done.
 */
#ifndef EXPUNGE_ERASURE_SHREDDING_H
#define EXPUNGE_ERASURE_SHREDDING_H

#include "erasure/run.h"

/* Before the first delete: refuses (ERR_REFUSED) if the database has a key tree that the configuration does not declare. */
int shredding_check(struct run *run, struct err *err);
/* Shreds; what failed is told, leaves its requests without a certificate, and is gone on with by the next run. */
int shredding_carry_out(struct run *run, struct err *err);

#endif

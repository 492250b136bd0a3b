/*
 * shredding: the leaf keys of erased subjects go, with them those of backups that have expired, and of tenants whose accounts
 * are removed all that there are, everything of a night by one change of the root, after the recount and before the
 * certificates; then the expired backups' files. Where no archive was ever taken there are none, and nothing is done.
 */
#ifndef EXPUNGE_ERASURE_SHREDDING_H
#define EXPUNGE_ERASURE_SHREDDING_H

#include <stdbool.h>

#include "erasure/run.h"

/* Before the first delete: refuses (ERR_REFUSED) a database that was restored or is a copy, and one that has a key tree that
 * the configuration does not declare. */
int shredding_enter(struct run *run, struct err *err);
/* Shreds; what failed is told, leaves its requests without a certificate, and is gone on with by the next run. */
int shredding_carry_out(struct run *run, struct err *err);
/* Certificates into the journals, and the ledger beside them: a serial that has left is given to no other certificate,
 * whatever copy of the database is restored. *ret_serial: those up to it may become files; 0 after a failure, which was told;
 * INT64_MAX where there are no journals. */
int shredding_journal(struct run *run, int64_t *ret_serial, struct err *err);

#endif

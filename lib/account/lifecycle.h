/*
 * lifecycle: what a night does for accounts that are closing: compares them with the application's subscriptions, moves them
 * on as days pass, queues their notices, and says what a person must look at. It removes nothing.
 */
#ifndef EXPUNGE_ACCOUNT_LIFECYCLE_H
#define EXPUNGE_ACCOUNT_LIFECYCLE_H

#include "erasure/run.h"

struct lifecycle {
	int64_t n_changed;  /* accounts that closed, came back, or moved on */
	int64_t n_disagree; /* with the application */
	int64_t n_failed, n_late;
};

/* One account that cannot be judged never stops the rest: it is told, and counted. -1: it could not be gone on with at all. */
int lifecycle_carry_out(struct run *run, struct lifecycle *ret, struct err *err);
/* The same in a transaction that is rolled back. */
int lifecycle_try(struct run *run, struct lifecycle *ret, struct err *err);

#endif

/*
 * finals: the final certificate of an erasure, when the last store that its interim certificate waits for has ended. It
 * repeats what the interim certificate says, which is signed and is the only thing that still knows it.
 */
#ifndef EXPUNGE_ERASURE_FINALS_H
#define EXPUNGE_ERASURE_FINALS_H

#include "erasure/run.h"

/* Ages the stores, then signs and commits what is due, a batch after the other; *ret_n: how many; none after a failed drill.
 * An interim certificate that is not what we signed is told, counted as failed, and never in the way of others. */
int finals_issue(struct run *run, int64_t *ret_n, struct err *err);

#endif

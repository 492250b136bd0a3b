/*
 * drilling: both drills of the key tree each night, whether or not anything was shredded, in a process of their own that
 * has no database. What is found out goes into the register of events. After one that failed nothing is certified.
 */
#ifndef EXPUNGE_ERASURE_DRILLING_H
#define EXPUNGE_ERASURE_DRILLING_H

#include "erasure/run.h"

/* A failure is told, counted, and left in run->drill_failed. Without a key tree there is nothing to drill. */
int drilling_carry_out(struct run *run, struct err *err);

#endif

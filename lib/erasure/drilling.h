/*
 * drilling: both drills of the key tree each night, whether or not anything was shredded, in a process of their own that
 * has no database. What is found out goes into the register of events. After one that failed nothing is certified.
 */
#ifndef EXPUNGE_ERASURE_DRILLING_H
#define EXPUNGE_ERASURE_DRILLING_H

#include "erasure/run.h"

/* *ret_passed: they passed, or there is no key tree. A failure is told and counted. */
int drilling_carry_out(struct run *run, bool *ret_passed, struct err *err);

#endif

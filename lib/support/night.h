/*
 * night: what a night has to do for support mode: sessions that were left open are closed, and test subjects whose time is
 * over are erased by the ordinary path, under the consent that their session had, or put into quarantine.
 */
#ifndef EXPUNGE_SUPPORT_NIGHT_H
#define EXPUNGE_SUPPORT_NIGHT_H

#include "erasure/run.h"

/* Before the run begins, so that it takes what is approved here: notes what has ended by itself, and plans and approves the erasure of
 * test subjects that nobody has used. One that fails is told, counted, and in nobody's way. */
int support_prepare(struct run *run, struct err *err);
/* After the removal: what turned out to be used only then goes into quarantine. */
int support_settle(struct run *run, struct err *err);

#endif

/*
 * erase: carries out approved requests: claim, plan again under lock, compare with what was
 * approved, ledger, remove, prove, commit. One transaction a batch; a canary of one goes first.
 */
#ifndef EXPUNGE_ERASURE_ERASE_H
#define EXPUNGE_ERASURE_ERASE_H

#include "erasure/run.h"
#include "erasure/tally.h"

/* All requests that are due. 0: went through, see the run's counters; -1: the run cannot go on. */
int erase_due(struct run *run, struct err *err);

/* The whole removal of one request, whatever its state, in a transaction that is rolled back: finds
 * what no plan can (triggers, rules, constraints). Fills tallies, plan, and `residue`: text columns
 * of the whole database that name the subject in rows which stay. */
int erase_rehearse(struct run *run, const char *request, struct tallies *tallies, struct plans *plans,
	struct str *residue, struct err *err);

#endif

/*
 * closing: the purge of accounts that are due. Plans them, claims what nothing stands in the way of, the smallest first, and
 * carries each to its certificate; one that fails never stops the rest. The claim is the point of no return, and nothing is
 * removed before it has committed.
 */
#ifndef EXPUNGE_ACCOUNT_CLOSING_H
#define EXPUNGE_ACCOUNT_CLOSING_H

#include "erasure/run.h"

struct closing {
	int64_t n_planned, n_claimed, n_removed, n_certified, n_waiting;
};

/* Before the keys are shredded: plans, claims, removes and recounts, or goes on where a run broke off. What a
 * safeguard refuses is told, and run->refused set. */
int closing_remove(struct run *run, struct closing *ret, struct err *err);
/* After that: certificates of accounts whose keys are gone. */
int closing_attest(struct run *run, struct closing *ret, struct err *err);
/* A person asks for the plan of one account, now. */
int closing_plan(struct run *run, const char *tenant, struct err *err);

#endif

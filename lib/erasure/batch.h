/*
 * batch: the requests of one removing transaction: claimed, planned again under lock, and left out one
 * by one where they are not what was approved, or are under a hold.
 */
#ifndef EXPUNGE_ERASURE_BATCH_H
#define EXPUNGE_ERASURE_BATCH_H

#include "erasure/run.h"
#include "map/plan.h"

/* Requests of one transaction. `ids` shrinks as requests turn out not to be fit. */
struct batch {
	struct db_result *claimed; /* rows of request_claim */
	const char **ids;
	int *rows; /* row of `claimed` for each id */
	size_t n, n_chosen; /* left, and before any was dropped */
	int round;
	bool test; /* all are of test subjects, or none is */
	char id[37]; /* in the ledger */
	bool in_ledger;
};

enum claim_column { C_ID, C_TENANT, C_SUBJECT, C_APPROVED, C_HASH, C_DOCUMENT, C_N_ROWS, C_ROUND, C_KIND };

void batch_release(struct batch *batch);
/* "{id,id}" of what is left. */
void batch_id_array(const struct batch *batch, struct str *array);
/* Claims at most `limit` due requests, at least one if there is any; n 0: nothing is due. */
int batch_claim(struct run *run, struct batch *batch, size_t limit, struct err *err);
/* Requests of these that a doubtful hold keeps. A hold was meant for somebody: until a person has corrected or released
 * it, one whose subject is nobody's key in its tenant keeps that tenant, and one whose tenant there is not keeps
 * everybody. */
int batch_find_doubtful(struct run *run, const char *requests, struct db_result **ret, struct err *err);
/* After the removal of a request: why a hold stops what is still to be done outside the database; NULL for none. */
int batch_find_late_hold(struct run *run, const char *request, const char **ret, struct err *err);
/* Collects their rows under lock and keeps those whose plan is the approved one and who are not held;
 * the others are blocked with a reason. */
int batch_plan_again(struct run *run, struct batch *batch, struct plans *plans, struct err *err);

#endif

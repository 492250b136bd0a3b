/*
 * draft: makes a request's plan and stores it for approval, or shows it for a dry run.
 */
#ifndef EXPUNGE_ERASURE_DRAFT_H
#define EXPUNGE_ERASURE_DRAFT_H

#include "erasure/run.h"

struct draft {
	struct str document;
	char hash[72];
	struct str obstacles; /* lines; empty when nothing is in the way */
	int64_t n_rows, n_arrived;
};

/* Plans one request. store: keeps the plan (nothing else changes); otherwise all is rolled back.
 * A subject that is not there, or is under contest, is an obstacle and no error. */
int draft_plan(struct run *run, const char *request, bool store, struct draft *ret, struct err *err);
void draft_release(struct draft *draft);
/* Plans anew every request that waits for an approval. */
int draft_all(struct run *run, struct err *err);

/* Searches every text column of the database for the subject's identifying values in rows that the
 * plan does not take: lines "schema.table.column: n rows". In the transaction in which the request
 * was collected. */
int draft_residue(struct run *run, const char *request, struct str *lines, struct err *err);

#endif

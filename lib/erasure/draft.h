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
/* Plans several requests of which nothing was collected before, at once, and keeps the plans; *ret_kept lists the
 * requests whose plan was kept: the others were decided meanwhile. An error of one is an error of all: the caller then
 * plans them one by one. */
int draft_many(struct run *run, const char *const *requests, size_t n, struct draft *ret, struct db_result **ret_kept,
	struct err *err);
void draft_release(struct draft *draft);
/* Plans anew every request that waits for an approval. */
int draft_all(struct run *run, struct err *err);

/* Searches every text column of the database for the subject's identifying values in rows that the
 * plan does not take: lines "schema.table.column: n rows". In the transaction in which the request
 * was collected. */
int draft_residue(struct run *run, const char *request, struct str *lines, struct err *err);

#endif

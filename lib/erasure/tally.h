/* tally: what happened to how many rows, per request and table, counted by the statements themselves. */
#ifndef EXPUNGE_ERASURE_TALLY_H
#define EXPUNGE_ERASURE_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/finder.h"
#include "map/plan.h"

struct tally {
	int64_t planned;  /* rows of the key set, or log rows there were before */
	int64_t arrived;  /* of planned: created after the request was received */
	int64_t removed, masked, retained;
	int64_t created;  /* made by the removal itself and removed again */
};

struct tallies {
	char (*requests)[37];
	size_t n_requests;
	struct finder finder; /* of requests */
	size_t n_tables; /* as many as the map has */
	bool by_cascade; /* rows that follow (map/follow.h) are left to the foreign keys that delete them with their owners */
	struct tally *cells; /* [request * n_tables + table] */
	bool planned; /* tallies_plan was called */
};

void tallies_make(struct tallies *ret, const char *const *ids, size_t n, size_t n_tables);
void tallies_release(struct tallies *tallies);
/* NULL for a request that is not of the batch. */
struct tally *tally_of(struct tallies *tallies, const char *request, int table);
/* Fills planned and arrived. */
void tallies_plan(struct tallies *tallies, const struct plans *plans);
/* Adds the counts of every table that had rows to expunge.tally, in one statement; again: of a removal
 * after a first one, whose rows had all arrived later. */
int tallies_store(const struct tallies *tallies, const struct program *program, struct db *db, bool again,
	struct err *err);

#endif

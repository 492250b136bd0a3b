/*
 * plan: exactly which rows of which tables an erasure takes, as a document with a hash. The same
 * object serves dry run, approval and run.
 *
 * The document (doc/plan.md) has one line a fact. Its `rows:` lines carry, per table, action, count
 * and a hash of the sorted keys salted with the request's random id; the run composes them again
 * under lock and compares, and `files:` lines too. An update of a planned row changes nothing in them, a new row does. Log
 * tables follow the table they log and are named without a count.
 */
#ifndef EXPUNGE_MAP_PLAN_H
#define EXPUNGE_MAP_PLAN_H

#include "base/finder.h"
#include "map/collect.h"

struct plan_table {
	int table; /* index into map->tables */
	int64_t n, n_arrived; /* n_arrived of n were created after the request was received */
	char hash[72];        /* "" for a table without a key: rows are counted */
};

/* Files outside the database that planned rows name. */
struct plan_files {
	char *kind;
	int64_t n, n_missing; /* n_missing of n are not there */
	char hash[72];        /* of their paths, salted */
};

struct plan {
	char request[37];
	struct plan_table *tables; /* in order of table name */
	size_t n_tables;
	int64_t n_rows, n_arrived; /* without log tables */
	struct plan_files *files;
	size_t n_files;
	char birth[72];       /* of the subjects' declared birth columns, salted; "" when the map declares none */
	struct str obstacles; /* lines "blocker: ..." and "contested: ...", empty when there are none */
};

struct plans {
	struct plan *items;
	size_t n;
	struct finder finder; /* of their requests */
};

/* What was collected for these requests in this round, but for the files, which are looked at where they lie. Looks for contested rows (owner paths that
 * name another subject) and, with `blockers`, for rows outside the plan that refer to planned ones. */
int plan_read(const struct program *program, struct db *db, const char *const *ids, size_t n, int round,
	bool blockers, struct plans *ret, struct err *err);
void plans_release(struct plans *plans);
/* NULL for a request that is not among them. */
struct plan *plan_of(const struct plans *plans, const char *request);
/* The lines that a run must find again. */
void plan_rows_text(const struct plan *plan, const struct program *program, struct str *text);
/* The same lines out of a stored document. */
void plan_rows_of_document(const char *document, struct str *text);
/* The whole document; out_of_scope: complete lines "out-of-scope: ...", frozen by the hash. */
void plan_document(const struct plan *plan, const struct program *program, const char *out_of_scope, struct str *text);
/* "{id,id}" for a parameter of type uuid[]. */
void plan_id_array(struct str *array, const char *const *ids, size_t n);

#endif

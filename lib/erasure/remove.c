#include "erasure/remove.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "erasure/footprint.h"
#include "erasure/sql.h"
#include "map/collect.h"
#include "map/follow.h"
#include "query.h"

/* Rounds after the planned one in which rows made by the removal itself are taken. */
#define CREATED_ROUNDS 3

enum step_kind { STEP_DELETE, STEP_UPDATE, STEP_UNLINK };

struct step {
	enum step_kind kind;
	const int *tables; /* of a group; one table but for STEP_DELETE */
	size_t n_tables;
	char *sql;
};

struct steps {
	struct step *items;
	size_t n;
};

struct removal {
	const struct program *program;
	struct db *db;
	const char *requests;
	int round;
	struct tallies *tallies;
	int64_t *total; /* per map table: rows deleted, or updated where rows stay */
	int64_t *created; /* per map table: of them rows that the removal itself made */
	bool *set;        /* per map table: there was something to set in rows that stay */
};

static void
steps_release(struct steps *steps)
{
	for (size_t i = 0; i < steps->n; i++)
		free(steps->items[i].sql);
	free(steps->items);
	*steps = (struct steps){ 0 };
}

static void
add_step(struct steps *steps, enum step_kind kind, const int *tables, size_t n, struct str *sql)
{
	*MEM_PUSH(steps->items, steps->n) = (struct step){ kind, tables, n, str_take(sql) };
}

static bool
has_own_delete(const struct program *program, int table)
{
	return program->tables[table].owned && program->tables[table].removed;
}

static bool
is_left_to_cascade(const struct removal *removal, int table)
{
	return removal->program->tables[table].follows && removal->tallies->by_cascade && follow_cascades(removal->program, table);
}

static void
compose_delete(struct steps *steps, const struct removal *removal, const int *table)
{
	struct str sql = STR_INIT;

	if (is_left_to_cascade(removal, *table))
		return;
	if (removal->program->tables[*table].follows)
		sql_follow_delete(&sql, removal->program, *table);
	else
		sql_delete_group(&sql, removal->program, table, 1);
	add_step(steps, STEP_DELETE, table, 1, &sql);
}

/* The steps for one group of the removal order; only_created: of a later round. */
static void
compose_group(struct steps *steps, const struct removal *removal, const int *tables, size_t n, bool only_created)
{
	const struct program *program = removal->program;
	struct str sql = STR_INIT;
	size_t deleted = 0;

	for (size_t i = 0; i < n; i++) {
		const struct program_table *pt = &program->tables[tables[i]];

		if (pt->owned && pt->updated && !only_created && sql_update(&sql, program, tables[i]))
			add_step(steps, STEP_UPDATE, &tables[i], 1, &sql);
		deleted += has_own_delete(program, tables[i]) && (!only_created || pt->created) ? 1 : 0;
	}
	/* a cycle goes in one statement: its foreign keys are checked when that ends */
	if (deleted == n && n > 1) {
		sql_delete_group(&sql, program, tables, n);
		add_step(steps, STEP_DELETE, tables, n, &sql);
	} else {
		for (size_t i = 0; i < n; i++) {
			if (!has_own_delete(program, tables[i]) || (only_created && !program->tables[tables[i]].created))
				continue;
			compose_delete(steps, removal, &tables[i]);
		}
	}
	for (size_t i = 0; i < n; i++) {
		const struct map_table *t = &program->map->tables[tables[i]];

		for (size_t c = 0; c < t->n_columns; c++) {
			if (!program->tables[tables[i]].owned || !program_lo_goes(program, tables[i], (int)c))
				continue;
			sql_unlink(&sql, program, tables[i], c);
			add_step(steps, STEP_UNLINK, &tables[i], 1, &sql);
		}
	}
}

/* Adds one answer row to the tallies. */
static int
count_row(struct removal *removal, const struct step *step, const struct db_result *res, int row, struct err *err)
{
	int table = step->tables[db_get_int(res, row, 0)];
	const char *request = db_get(res, row, 1);
	int64_t n = db_get_int(res, row, 2);
	struct tally *tally;

	if (request == NULL) {
		if (step->kind != STEP_UNLINK)
			removal->total[table] += n;
		removal->set[table] = removal->set[table] || step->kind == STEP_UPDATE;
		return 0;
	}
	tally = tally_of(removal->tallies, request, table);
	if (tally == NULL)
		return err_set(err, ERR_FAILED, "removing from %s: a row of request %s, which is not of this batch",
			removal->program->map->tables[table].name, request);
	switch (step->kind) {
	case STEP_UPDATE:
		if (removal->program->map->tables[table].action == MAP_RETAIN)
			tally->retained += n;
		else
			tally->masked += n;
		break;
	case STEP_DELETE:
		tally->removed += n;
		break;
	case STEP_UNLINK:
		break;
	}
	return 0;
}

static int
receive(struct removal *removal, const struct step *step, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	const char *name = removal->program->map->tables[step->tables[0]].name;

	if (db_receive(removal->db, DB_MANY, &res, NULL, err) != 0)
		return err_prefix(err, "removing from %s", name);
	for (int i = 0; i < db_rows(res); i++)
		if (count_row(removal, step, res, i, err) != 0)
			return -1;
	return 0;
}

static int
run_steps(struct removal *removal, const struct steps *steps, int round, struct err *err)
{
	char number[16];
	int failed = 0;
	struct err unused;

	if (steps->n == 0)
		return 0;
	(void)snprintf(number, sizeof(number), "%d", round);
	if (db_pipeline_begin(removal->db, err) != 0)
		return -1;
	for (size_t i = 0; i < steps->n && failed == 0; i++)
		failed = db_send(removal->db, steps->items[i].sql, 2, DB_PARAMS(removal->requests, number), err);
	for (size_t i = 0; i < steps->n && failed == 0; i++)
		failed = receive(removal, &steps->items[i], err);
	if (failed != 0) {
		(void)db_pipeline_end(removal->db, &unused);
		return -1;
	}
	return db_pipeline_end(removal->db, err);
}

/* Collects once more in a table, after those of its owners whose turn is still to come: a row that was
 * created there may own one here. */
static int
collect_again(struct removal *removal, bool *waiting, int table, struct err *err)
{
	const struct map_table *t = &removal->program->map->tables[table];
	int64_t rows;

	if (!waiting[table])
		return 0;
	waiting[table] = false;
	for (size_t p = 0; p < t->n_paths; p++)
		if (collect_again(removal, waiting, t->paths[p].target, err) != 0)
			return -1;
	return collect_table(removal->program, removal->db, COLLECT_LOCKED, table, removal->requests, removal->round + 1,
		&rows, err);
}

/* The tables of order->tables from i on in which rows may have been created; the first n of them are collected. */
static int
collect_turn(struct removal *removal, size_t i, size_t n, struct err *err)
{
	const struct map_order *order = &removal->program->remove;
	bool *waiting = mem_zero(removal->program->map->n_tables, sizeof(*waiting));
	int failed = 0;

	for (size_t j = i; j < order->n; j++)
		waiting[order->tables[j]] = removal->program->tables[order->tables[j]].created;
	for (size_t j = i; j < i + n && failed == 0; j++)
		failed = collect_again(removal, waiting, order->tables[j], err);
	free(waiting);
	return failed;
}

/* The planned rows, group after group; a table in which rows were created meanwhile is collected
 * once more just before its own turn. */
static int
remove_planned(struct removal *removal, struct err *err)
{
	const struct map_order *order = &removal->program->remove;
	CLEANUP(steps_release) struct steps steps = { 0 };

	for (size_t i = 0; i < order->n;) {
		size_t n = 1;
		bool created = false;

		while (i + n < order->n && order->group[i + n] == order->group[i])
			n++;
		for (size_t j = i; j < i + n; j++)
			created = created || removal->program->tables[order->tables[j]].created;
		if (created) {
			if (run_steps(removal, &steps, removal->round, err) != 0)
				return -1;
			steps_release(&steps);
			if (collect_turn(removal, i, n, err) != 0)
				return -1;
		}
		compose_group(&steps, removal, &order->tables[i], n, false);
		i += n;
	}
	return run_steps(removal, &steps, removal->round, err);
}

/* What was deferred to the commit happens now, where its rows are still collected and counted, and where a
 * rehearsal finds what it refuses. */
static int
fire_deferred(struct removal *removal, struct err *err)
{
	if (db_command(removal->db, "SET CONSTRAINTS ALL IMMEDIATE", 0, NULL, NULL, err) != 0)
		return err_prefix(err, "checking what was deferred to the commit");
	return 0;
}

/* Rows that the removal created after their table's turn, until there are none. Log tables come last
 * in the order, so that they see every copy. */
static int
remove_created(struct removal *removal, struct err *err)
{
	const struct map_order *order = &removal->program->remove;

	for (int r = 2; r <= CREATED_ROUNDS + 1; r++) {
		CLEANUP(steps_release) struct steps steps = { 0 };
		int64_t rows;

		if (fire_deferred(removal, err) != 0 ||
		    collect_created(removal->program, removal->db, removal->requests, removal->round + r, &rows, err) != 0)
			return -1;
		if (rows == 0)
			return 0;
		for (size_t i = 0; i < order->n; i++)
			compose_group(&steps, removal, &order->tables[i], 1, true);
		if (run_steps(removal, &steps, removal->round + r, err) != 0)
			return -1;
	}
	return err_set(err, ERR_FAILED, "removing rows creates new ones without end (%d rounds)", CREATED_ROUNDS);
}

/* Rows that follow: as many as were counted before. What a foreign key deletes, the footprint counts. */
static int
compare_following(struct removal *removal, struct err *err)
{
	const struct program *program = removal->program;

	for (size_t r = 0; r < removal->tallies->n_requests; r++)
		for (size_t t = 0; t < program->map->n_tables; t++) {
			struct tally *tally = &removal->tallies->cells[r * removal->tallies->n_tables + t];

			if (!program->tables[t].follows)
				continue;
			if (is_left_to_cascade(removal, (int)t)) {
				tally->removed = tally->planned;
				removal->total[t] += tally->planned;
			}
			if (tally->removed == tally->planned)
				continue;
			(void)err_set(err, ERR_RETRY, "%s: %lld rows counted, %lld deleted", program->map->tables[t].name,
				(long long)tally->planned, (long long)tally->removed);
			return err_hint(err, "somebody writes there meanwhile, or row-level security keeps rows from the statement");
		}
	return 0;
}

/* What was collected of a request's rows in a table against what the statements say they did. */
static int
compare_count(struct removal *removal, const char *request, int table, int64_t planned, int64_t created, struct err *err)
{
	const struct map_table *t = &removal->program->map->tables[table];
	struct tally *tally = tally_of(removal->tallies, request, table);
	int64_t done;

	if (tally == NULL)
		return err_set(err, ERR_FAILED, "the key set names request %s, which is not of this batch", request);
	/* rows that stay as they are, by law: nothing was to be set in them */
	if (t->action == MAP_RETAIN && !removal->set[table])
		tally->retained = planned;
	if (t->action == MAP_SHARED && tally->removed < planned)
		tally->retained = planned - tally->removed;
	done = tally->removed + tally->masked + tally->retained;
	if (done != planned + created) {
		(void)err_set(err, ERR_FAILED, "%s of request %s: %lld rows planned, %lld done", t->name, request,
			(long long)(planned + created), (long long)done);
		return err_hint(err, "a rule, a trigger or a row-level security policy changed what the statement did; "
			"expunge map check lists them");
	}
	tally->created = created;
	tally->removed -= created;
	removal->created[table] += created;
	return 0;
}

/* Where no removal can create rows, what was collected is what was planned, and need not be counted again. */
static int
compare_planned(struct removal *removal, struct err *err)
{
	const struct tallies *tallies = removal->tallies;

	for (size_t r = 0; r < tallies->n_requests; r++)
		for (size_t t = 0; t < tallies->n_tables; t++)
			if (compare_count(removal, tallies->requests[r], (int)t, tallies->cells[r * tallies->n_tables + t].planned, 0,
				    err) != 0)
				return -1;
	return 0;
}

/* The planned and the created rounds. */
static int
compare_counts(struct removal *removal, struct err *err)
{
	const struct program *program = removal->program;
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	bool counted = !removal->tallies->planned;
	char number[16];

	for (size_t t = 0; t < program->map->n_tables; t++)
		counted = counted || program->tables[t].created;
	if (!counted)
		return compare_planned(removal, err);
	(void)snprintf(number, sizeof(number), "%d", removal->round);
	if (db_query(removal->db, &QUERY_KEY_SET_COUNTS, DB_PARAMS(removal->requests, number), &res, err) != 0)
		return -1;
	for (int i = 0; i < db_rows(res); i++) {
		int table = program_table_by_id(program, (int)db_get_int(res, i, 1));

		if (table < 0)
			return err_set(err, ERR_FAILED, "the key set of request %s names an unknown table", db_get_text(res, i, 0));
		if (compare_count(removal, db_get_text(res, i, 0), table, db_get_int(res, i, 2), db_get_int(res, i, 3), err) != 0)
			return -1;
	}
	return 0;
}

/* Where a row lay says nothing after this transaction, and the place may be another row's next time. */
static int
forget_keyless(struct removal *removal, struct err *err)
{
	CLEANUP(str_release) struct str tables = STR_INIT;

	for (size_t i = 0; i < removal->program->map->n_tables; i++)
		if (removal->program->tables[i].owned && removal->program->tables[i].keyless)
			str_addf(&tables, "%s%d", tables.len == 0 ? "{" : ",", removal->program->tables[i].id);
	if (tables.len == 0)
		return 0;
	str_add(&tables, "}");
	return db_query(removal->db, &QUERY_KEY_SET_FORGET_PLACES, DB_PARAMS(removal->requests, tables.s), NULL, err);
}

int
remove_rows(const struct program *program, struct db *db, const char *requests, int round, struct tallies *tallies,
	struct err *err)
{
	size_t n = program->map->n_tables;
	struct removal removal = {
		.program = program,
		.db = db,
		.requests = requests,
		.round = round,
		.tallies = tallies,
		.total = mem_zero(n, sizeof(int64_t)),
		.created = mem_zero(n, sizeof(int64_t)),
		.set = mem_zero(n, sizeof(bool)),
	};
	struct footprint footprint = { 0 };
	int failed;

	failed = footprint_take(&footprint, program->catalog, db, err) != 0 ||
		remove_planned(&removal, err) != 0 ||
		remove_created(&removal, err) != 0 ||
		compare_counts(&removal, err) != 0 ||
		compare_following(&removal, err) != 0 ||
		footprint_compare(&footprint, program, db, removal.total, removal.created, err) != 0 ||
		forget_keyless(&removal, err) != 0;
	footprint_release(&footprint);
	free(removal.total);
	free(removal.created);
	free(removal.set);
	return failed ? -1 : 0;
}

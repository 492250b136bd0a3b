#include "erasure/purge.h"

#include <stdio.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "erasure/pace.h"
#include "erasure/purge_private.h"
#include "erasure/workers.h"
#include "query.h"
#include "sys/clock.h"
#include "sys/tasks.h"

/* One table that is emptied, by all workers of the run. */
struct emptying {
	struct purge_removal *removal;
	int table;
	int64_t limit; /* of roots in a chunk */
	bool skip_locked; /* roots that somebody has locked are another worker's */
	bool one;         /* one chunk and no more */
	bool stopped, ended;
	int64_t roots;    /* of the last chunk */
};

/* Whether to go on. */
static bool
may_go_on(struct emptying *emptying, const struct run *run)
{
	bool go_on;

	tasks_lock();
	if (!emptying->ended && run_stop_asked(run))
		emptying->stopped = emptying->ended = true;
	go_on = !emptying->ended;
	tasks_unlock();
	return go_on;
}

static void
note_chunk(struct emptying *emptying, struct run *run, const struct purge_chunk *chunk, bool failed)
{
	int64_t done;

	tasks_lock();
	emptying->ended = emptying->ended || emptying->one || failed;
	emptying->roots = chunk->roots;
	done = emptying->removal->done += failed ? 0 : chunk->rows;
	tasks_unlock();
	if (failed)
		return;
	run->n_rows += chunk->rows;
	run_progress(run, done, 0);
}

/* So many roots that the next chunk has nearly as many rows as it may, and takes no longer than it should. */
static int64_t
next_limit(const struct run *run, const struct purge_chunk *chunk, int64_t ms)
{
	int64_t limit = chunk->limit;

	if (chunk->roots > 0 && chunk->rows > 0)
		limit = chunk->roots * chunk->max_rows / chunk->rows * 9 / 10;
	if (ms > config_int(run->config, SET_BATCH_SECONDS) * 1000 && limit > chunk->roots / 2)
		limit = chunk->roots / 2;
	return limit < 1 ? 1 : limit;
}

/* Chunk after chunk with roots of one table, until there are none left. */
static int
empty_some(struct run *run, void *ctx, struct err *err)
{
	struct emptying *emptying = ctx;
	struct purge purge = *emptying->removal->purge;
	struct purge_removal removal = *emptying->removal;
	struct purge_chunk chunk = { .table = emptying->table, .limit = emptying->limit, .skip_locked = emptying->skip_locked,
		.max_rows = pace_rows(run, config_int(run->config, SET_BATCH_ROWS)) };

	purge.run = run;
	removal.purge = &purge;
	while (may_go_on(emptying, run)) {
		int64_t start = clock_ms();
		int failed = purge_chunk(&removal, &chunk, err);

		note_chunk(emptying, run, &chunk, failed != 0);
		if (failed != 0)
			return -1;
		if (chunk.roots == 0)
			return 0;
		chunk.limit = next_limit(run, &chunk, clock_ms() - start);
		pace_wait(run, chunk.rows, start);
	}
	return 0;
}

/* A first chunk; where there is more, by all workers, of whom each passes over what another one has locked; and last by one, who
 * waits for whatever is locked. */
static int
empty_table(struct purge_removal *removal, int table, int64_t limit, bool *ret_stopped, struct err *err)
{
	const struct emptying all = { .removal = removal, .table = table, .limit = limit };
	struct emptying first = all, many = all, rest = all;
	struct run *run = removal->purge->run;

	first.one = many.skip_locked = true;
	if (empty_some(run, &first, err) != 0)
		return -1;
	*ret_stopped = first.stopped;
	if (first.stopped || first.roots == 0)
		return 0;
	/* what is kept is kept by one */
	if (first.roots == limit && removal->keep == NULL && workers_run(run, WORKERS_MAX, empty_some, &many, err) != 0)
		return -1;
	rest.ended = rest.stopped = many.stopped;
	if (empty_some(run, &rest, err) != 0)
		return -1;
	*ret_stopped = rest.stopped;
	return 0;
}

/* The tenant's row, and what is left: rows that are reached through nothing else. */
static int
take_last(struct purge_removal *removal, struct err *err)
{
	struct run *run = removal->purge->run;
	struct purge_chunk chunk = { .table = removal->purge->tenant, .limit = 2, .max_rows = INT64_MAX, .last = true };

	if (purge_chunk(removal, &chunk, err) != 0)
		return -1;
	removal->done += chunk.rows;
	run->n_rows += chunk.rows;
	if (chunk.roots == 1)
		return 0;
	(void)err_set(err, ERR_REFUSED, "%s has no row of tenant %s: nothing was removed",
		removal->purge->map->tables[removal->purge->tenant].name, removal->tenant);
	return err_hint(err, "if the application has removed it by itself, look whose rows are left (expunge map explain)");
}

/* Whether the tenant's own rows are to be looked for in this table by themselves. */
static bool
is_own_table(const struct purge *purge, int table)
{
	return table != purge->tenant && purge->program->tables[table].owned && !purge->program->tables[table].log &&
		purge->run->map->tables[table].action == MAP_TENANT;
}

/* Each chunk once more, by what is saved of it: rows that came after it and refer to what is gone. */
static int
sweep(struct purge_removal *removal, struct err *err)
{
	struct run *run = removal->purge->run;
	CLEANUP(db_result_freep) struct db_result *chunks = NULL;

	if (db_query(run->db, &QUERY_PURGE_CHUNKS, DB_PARAMS(removal->closure, "false"), &chunks, err) != 0)
		return -1;
	for (int i = 0; i < db_rows(chunks); i++) {
		struct purge_chunk chunk = { .round = (int)db_get_int(chunks, i, 1), .max_rows = INT64_MAX };

		(void)snprintf(chunk.id, sizeof(chunk.id), "%s", db_get_text(chunks, i, 0));
		if (purge_chunk(removal, &chunk, err) != 0)
			return -1;
		run->n_rows += chunk.rows;
	}
	if (db_begin(run->db, err) != 0)
		return -1;
	if (purge_read_again(removal, err) == 0 && db_query(run->db, &QUERY_PURGE_REMOVED, DB_PARAMS(removal->closure), NULL, err) == 0 &&
	    db_commit(run->db, err) == 0)
		return 0;
	db_rollback(run->db);
	return -1;
}

int
purge_take_all(struct purge_removal *removal, bool *ret_stopped, struct err *err)
{
	const struct purge *purge = removal->purge;
	const struct map_order *order = &purge->program->remove;
	const struct config *config = purge->run->config;

	if (empty_table(removal, purge->map->subject, config_int(config, SET_BATCH_SUBJECTS), ret_stopped, err) != 0)
		return -1;
	for (size_t i = 0; i < order->n && !*ret_stopped; i++)
		if (is_own_table(purge, order->tables[i]) &&
		    empty_table(removal, order->tables[i], config_int(config, SET_BATCH_ROWS), ret_stopped, err) != 0)
			return -1;
	if (*ret_stopped)
		return 0;
	if (!removal->is_swept)
		return take_last(removal, err);
	/* what is kept has no key set that would tell what refers to it; the account's own recount does */
	if (removal->keep != NULL)
		return 0;
	return purge_tell_dormant(removal, err) != 0 ? -1 : sweep(removal, err);
}

/* Before the first chunk: the tenant is there, once. An account that the application has taken away by itself is no reason to
 * look for rows that bear its name. */
static int
find_tenant(const struct purge_removal *removal, struct err *err)
{
	const struct purge *purge = removal->purge;
	const struct cat_table *cat = program_cat(purge->program, purge->tenant);
	CLEANUP(free_text) char *sql = mem_printf("SELECT count(*) FROM %s t WHERE t.%s::text COLLATE pg_catalog.\"C\" = $1", cat->quoted,
		cat->columns[catalog_column(cat, purge->map->tenant_key)].quoted);
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (db_text(purge->run->db, DB_ONE, sql, 1, DB_PARAMS(removal->tenant), &res, err) != 0)
		return -1;
	if (db_get_int(res, 0, 0) == 1)
		return 0;
	(void)err_set(err, ERR_REFUSED, "%s has %s rows of tenant %s, not one: nothing was removed",
		purge->map->tables[purge->tenant].name, db_get_text(res, 0, 0), removal->tenant);
	return err_hint(err, "if the application has removed it by itself, look whose rows are left (expunge map explain)");
}

int
purge_remove(const struct purge *purge, const char *closure, bool *ret_stopped, struct err *err)
{
	struct purge_removal removal = { .purge = purge, .closure = closure };
	struct db *db = purge->run->db;
	bool removed = false;
	int failed;

	*ret_stopped = false;
	if (db_begin(db, err) != 0)
		return -1;
	failed = purge_read_claimed(purge, closure, &removal.claimed, &removed, err);
	db_rollback(db);
	if (failed == 0 && !removed) {
		removal.tenant = db_get_text(removal.claimed, 0, P_TENANT);
		removal.is_swept = db_get_bool(removal.claimed, 0, P_IS_SWEPT);
		failed = !removal.is_swept && find_tenant(&removal, err) != 0 ? -1 : purge_take_all(&removal, ret_stopped, err);
	}
	db_result_free(removal.claimed);
	return failed;
}

/* purge_recount: proves that a claimed account's rows are gone. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "erasure/documents.h"
#include "erasure/purge_private.h"
#include "map/documents.h"
#include "map/tenant_rows.h"
#include "query.h"
#include "sys/clock.h"

#define WAIT_PAUSE_US 250000
/* Rows whose keys are looked for at once, about. */
#define ROWS_AT_ONCE 200000

static int
wait_for_older(struct run *run, const char *closure, bool *ret_waiting, struct err *err)
{
	int64_t until = clock_ms() + config_int(run->config, SET_VERIFY_WAIT_SECONDS) * 1000;

	if (db_query(run->db, &QUERY_PURGE_NOTE_OPEN, DB_PARAMS(closure), NULL, err) != 0)
		return -1;
	for (;;) {
		CLEANUP(db_result_freep) struct db_result *res = NULL;
		bool settled;

		if (db_query(run->db, &QUERY_PURGE_WAITING, DB_PARAMS(closure), &res, err) != 0)
			return -1;
		settled = db_get_bool(res, 0, 1);
		*ret_waiting = db_get(res, 0, 0) != NULL || !settled;
		if (!*ret_waiting)
			return 0;
		/* a transaction that ended for its session may live on as a prepared one */
		if (db_get(res, 0, 0) == NULL) {
			if (db_query(run->db, &QUERY_PURGE_SETTLE, DB_PARAMS(closure), NULL, err) != 0)
				return -1;
			continue;
		}
		if (clock_ms() >= until || run_stop_asked(run)) {
			run_note(run, NOTE_WARNING, "account %s: its recount waits for a transaction older than the removal (%s); the next run goes on",
				closure, db_get_text(res, 0, 0));
			return 0;
		}
		(void)usleep(WAIT_PAUSE_US);
	}
}

static int
wait_for_horizon(struct run *run, const char *closure, char *horizon, size_t size, struct err *err)
{
	int64_t until = clock_ms() + config_int(run->config, SET_VERIFY_WAIT_SECONDS) * 1000;

	for (;;) {
		CLEANUP(db_result_freep) struct db_result *res = NULL;

		if (db_query(run->db, &QUERY_PURGE_HORIZON, DB_PARAMS(closure), &res, err) != 0)
			return -1;
		(void)snprintf(horizon, size, "%s", db_get_text(res, 0, 0));
		if (db_get_bool(res, 0, 1) || clock_ms() >= until || run_stop_asked(run))
			return 0;
		(void)usleep(WAIT_PAUSE_US);
	}
}

/* Chunk by chunk: a directory that cannot be used stops it, and the next run goes on. */
static int
remove_files(const struct purge *purge, const char *closure, struct err *err)
{
	const struct run view = purge_view(purge);
	CLEANUP(db_result_freep) struct db_result *chunks = NULL;

	if (db_query(view.db, &QUERY_PURGE_CHUNKS, DB_PARAMS(closure, "true"), &chunks, err) != 0)
		return -1;
	for (int i = 0; i < db_rows(chunks); i++) {
		const char *chunk = db_get_text(chunks, i, 0);

		if (guard_freeze(view.db, view.config, err) != 0 || documents_remove_set(&view, chunk, err) != 0 ||
		    db_query(view.db, &QUERY_PURGE_FILES_GONE, DB_PARAMS(chunk), NULL, err) != 0)
			return -1;
	}
	return 0;
}

static void
add_left(struct recount *recount, const char *name, int64_t rows)
{
	struct left_over *left;

	for (size_t i = 0; i < recount->n_left; i++)
		if (strcmp(recount->left[i].name, name) == 0) {
			/* the same rows, by two ways perhaps */
			recount->left[i].rows = rows > recount->left[i].rows ? rows : recount->left[i].rows;
			return;
		}
	left = MEM_PUSH(recount->left, recount->n_left);
	*left = (struct left_over){ .table = -1, .rows = rows };
	(void)snprintf(left->name, sizeof(left->name), "%s", name);
}

/* By whose they are: every row that the data map gives this tenant, its own included. */
static int
count_owned(const struct purge *purge, const char *tenant, struct recount *ret, struct err *err)
{
	for (size_t i = 0; i < purge->map->n_tables; i++) {
		CLEANUP(db_result_freep) struct db_result *res = NULL;
		CLEANUP(str_release) struct str sql = STR_INIT;

		if (!purge->program->tables[i].owned || purge->map->tables[i].action == MAP_SHARED)
			continue;
		str_add(&sql, "SELECT count(*) FROM ");
		sql_from(&sql, purge->program, (int)i, "t");
		str_add(&sql, " WHERE ");
		if (!sql_of_tenant(&sql, purge->run->program, (int)i, "t", tenant))
			return err_set(err, ERR_FAILED, "%s: the data map does not say whose its rows are", purge->map->tables[i].name);
		if (db_text(purge->run->recount, DB_ONE, sql.s, 0, NULL, &res, err) != 0)
			return -1;
		if (db_get_int(res, 0, 0) > 0)
			add_left(ret, purge->map->tables[i].name, db_get_int(res, 0, 0));
	}
	return 0;
}

/* By what was saved of them: their keys, and whatever refers to one of these, in any table. */
static int
count_saved(const struct purge *purge, const char *closure, struct recount *ret, struct err *err)
{
	const struct run view = purge_view(purge);
	CLEANUP(db_result_freep) struct db_result *chunks = NULL;

	if (db_query(view.recount, &QUERY_PURGE_CHUNKS, DB_PARAMS(closure, "false"), &chunks, err) != 0)
		return -1;
	for (int i = 0; i < db_rows(chunks);) {
		CLEANUP(recount_release) struct recount some = { 0 };
		CLEANUP(str_release) struct str sets = STR_INIT;

		for (int64_t rows = 0; i < db_rows(chunks) && (rows == 0 || rows + db_get_int(chunks, i, 2) <= ROWS_AT_ONCE); i++) {
			rows += db_get_int(chunks, i, 2);
			array_add(&sets, db_get_text(chunks, i, 0));
		}
		if (verify_recount(&view, view.recount, array_end(&sets), &some, err) != 0 ||
		    documents_recount(&view, view.recount, sets.s, &some, err) != 0)
			return -1;
		for (size_t k = 0; k < some.n_left; k++)
			add_left(ret, some.left[k].name, some.left[k].rows);
	}
	return 0;
}

int
purge_count(const struct purge *purge, const char *closure, const char *tenant, struct recount *ret, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *now = NULL;

	if (db_query(purge->run->recount, &QUERY_AS_OF, NULL, &now, err) != 0)
		return -1;
	(void)snprintf(ret->as_of, sizeof(ret->as_of), "%s", db_get_text(now, 0, 0));
	(void)snprintf(ret->lsn, sizeof(ret->lsn), "%s", db_get_text(now, 0, 1));
	return count_owned(purge, tenant, ret, err) != 0 ? -1 : count_saved(purge, closure, ret, err);
}

static int
refuse_left(const struct purge *purge, const char *closure, const char *tenant, const struct recount *recount, struct err *err)
{
	CLEANUP(str_release) struct str names = STR_INIT;

	for (size_t i = 0; i < recount->n_left; i++)
		str_addf(&names, "%s%s %" PRId64, i == 0 ? "" : ", ", recount->left[i].name, recount->left[i].rows);
	if (db_query(purge->run->db, &QUERY_PURGE_AGAIN, DB_PARAMS(closure), NULL, err) != 0)
		return -1;
	(void)err_set(err, ERR_FAILED, "account of tenant %s: rows left: %s", tenant, names.s);
	return err_hint(err, "the next run removes them; if there are more each time, the application still writes for this tenant");
}

static int
vacuum(const struct purge *purge, const char *closure, bool *ret_clean, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *touched = NULL;
	struct run view = purge_view(purge);
	char via[16], behind[16];

	(void)snprintf(via, sizeof(via), "%d", PROGRAM_VIA_LO);
	(void)snprintf(behind, sizeof(behind), "%d", PROGRAM_VIA_DOCUMENT);
	if (db_query(view.recount, &QUERY_PURGE_TABLES, DB_PARAMS(closure, via, behind), &touched, err) != 0 ||
	    verify_vacuum(&view, touched, ret_clean, err) != 0)
		return -1;
	if (!*ret_clean)
		run_note(purge->run, NOTE_WARNING, "account %s: some tables could not be vacuumed (not their owner, or locked): "
			"its certificate says level logical", closure);
	return 0;
}

int
purge_recount(const struct purge *purge, const char *closure, bool *ret_waiting, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *claimed = NULL;
	CLEANUP(db_result_freep) struct db_result *closed = NULL;
	CLEANUP(recount_release) struct recount recount = { 0 };
	struct run *run = purge->run;
	const char *tenant;
	char horizon[24];
	bool removed = false, clean = false;

	*ret_waiting = false;
	if (purge_read_claimed(purge, closure, &claimed, &removed, err) != 0)
		return -1;
	tenant = db_get_text(claimed, 0, P_TENANT);
	if (!removed)
		return err_set(err, ERR_FAILED, "account of tenant %s: its removal has not come to its end", tenant);
	if (wait_for_older(run, closure, ret_waiting, err) != 0)
		return -1;
	if (*ret_waiting)
		return 0;
	if (remove_files(purge, closure, err) != 0 || purge_count(purge, closure, tenant, &recount, err) != 0)
		return -1;
	if (recount.n_left > 0)
		return refuse_left(purge, closure, tenant, &recount, err);
	if (wait_for_horizon(run, closure, horizon, sizeof(horizon), err) != 0 || vacuum(purge, closure, &clean, err) != 0)
		return -1;
	if (db_query(run->db, &QUERY_PURGE_RECOUNTED,
		    DB_PARAMS(closure, recount.as_of, recount.lsn, clean ? "true" : "false", horizon), &closed, err) != 0)
		return -1;
	return db_get_int(closed, 0, 0) == 1 ? 0 : err_set(err, ERR_RETRY, "closure %.40s was recounted by another run", closure);
}

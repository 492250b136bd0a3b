#include "erasure/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "erasure/documents.h"
#include "erasure/pace.h"
#include "erasure/workers.h"
#include "keys/keys.h"
#include "map/documents.h"
#include "map/plan.h"
#include "query.h"
#include "sys/clock.h"
#include "sys/tasks.h"

#define WAIT_PAUSE_US 250000

int
verify_note_open(struct run *run, struct err *err)
{
	return db_query(run->db, &QUERY_REMOVED_NOTE_OPEN, NULL, NULL, err);
}

/* A transaction that ended for its session may live on as a prepared one. */
static int
settle(struct run *run, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *ended = NULL;
	CLEANUP(str_release) struct str array = STR_INIT;

	if (db_query(run->db, &QUERY_REMOVED_SETTLING, NULL, &ended, err) != 0)
		return -1;
	if (db_rows(ended) == 0)
		return 0;
	for (int i = 0; i < db_rows(ended); i++)
		str_addf(&array, "%s%s", i == 0 ? "{" : ",", db_get_text(ended, i, 0));
	str_add(&array, "}");
	return db_query(run->db, &QUERY_REMOVED_SETTLE, DB_PARAMS(array.s), NULL, err);
}

/* Waits until no removed request waits for an older transaction, or the time is over. */
static int
wait_for_older(struct run *run, struct err *err)
{
	int64_t until = clock_ms() + config_int(run->config, SET_VERIFY_WAIT_SECONDS) * 1000;

	for (;;) {
		CLEANUP(db_result_freep) struct db_result *res = NULL;

		if (settle(run, err) != 0 || db_query(run->recount, &QUERY_REMOVED_WAITING, NULL, &res, err) != 0)
			return -1;
		run->n_waiting = db_get_int(res, 0, 0);
		if (run->n_waiting == 0)
			return 0;
		if (clock_ms() >= until || run_stop_asked(run)) {
			run_note(run, NOTE_WARNING, "%lld requests wait for transactions older than their removal "
				"(the oldest: %s); the next run goes on", (long long)run->n_waiting, db_get_text(res, 0, 1));
			return 0;
		}
		(void)usleep(WAIT_PAUSE_US);
	}
}

/* The request of the nth line of what is left fails, with all its lines in the reason; told at its first line. */
static int
note_left_over(struct run *run, const struct recount *recount, size_t nth, struct err *err)
{
	const char *request = recount->left[nth].request;
	CLEANUP(str_release) struct str reason = STR_INIT;
	CLEANUP(str_release) struct str one = STR_INIT;

	for (size_t i = 0; i < recount->n_left; i++) {
		if (strcmp(recount->left[i].request, request) != 0)
			continue;
		if (i < nth)
			return 0;
		str_addf(&reason, "%s%s %lld", reason.len == 0 ? "rows left: " : ", ", recount->left[i].name,
			(long long)recount->left[i].rows);
	}
	run->n_failed++;
	run_note(run, NOTE_ERROR, "request %s: %s", request, reason.s);
	run_skip(run, request);
	plan_id_array(&one, &request, 1);
	return db_query(run->db, &QUERY_REQUEST_SET_STATE, DB_PARAMS(one.s, "failed", reason.s, "removed"), NULL, err);
}

int
verify_note_left(struct run *run, const struct recount *recount, struct err *err)
{
	for (size_t i = 0; i < recount->n_left; i++)
		if (note_left_over(run, recount, i, err) != 0)
			return -1;
	return 0;
}

bool
verify_at_signing(const struct run *run)
{
	return run->map->n_externals == 0 && !documents_are_named(run->map) && !keys_declared(run->config);
}

/* The oldest transaction that somebody may still look behind, read before the vacuum: dead rows of
 * younger ones stay whatever VACUUM says. Waits a while for it to pass the removals. */
static int
wait_for_horizon(struct run *run, char *horizon, size_t size, struct err *err)
{
	int64_t until = clock_ms() + config_int(run->config, SET_VERIFY_WAIT_SECONDS) * 1000;

	for (;;) {
		CLEANUP(db_result_freep) struct db_result *res = NULL;

		if (db_query(run->db, &QUERY_REMOVED_HORIZON, NULL, &res, err) != 0)
			return -1;
		(void)snprintf(horizon, size, "%s", db_get_text(res, 0, 0));
		if (db_get_bool(res, 0, 1) || clock_ms() >= until || run_stop_asked(run))
			return 0;
		(void)usleep(WAIT_PAUSE_US);
	}
}

/* Index entries too, however few; and FREEZE, because without it a page that somebody has pinned is
 * passed over without a word, and its dead rows with it. */
#define VACUUM "VACUUM "
#define VACUUM_ALL "FREEZE, INDEX_CLEANUP ON, SKIP_LOCKED"

/* One table; a page that stays pinned for longer than verify.wait_seconds ends it, and the level is logical. */
static int
vacuum_one(struct run *run, const char *sql, bool *ret_in_time, struct err *err)
{
	CLEANUP(free_text) char *limit =
		mem_printf("SET statement_timeout = '%llds'", (long long)config_int(run->config, SET_VERIFY_WAIT_SECONDS));
	CLEANUP(free_text) char *usual =
		mem_printf("SET statement_timeout = '%lldms'", (long long)config_int(run->config, SET_DATABASE_STATEMENT_TIMEOUT_MS));
	struct err why = { 0 };

	if (db_command(run->db, limit, 0, NULL, NULL, err) != 0 ||
	    (config_int(run->config, SET_BATCH_ROWS_PER_SECOND) > 0 &&
		    db_command(run->db, "SET vacuum_cost_delay = '2ms'", 0, NULL, NULL, err) != 0))
		return -1;
	if (db_command(run->db, sql, 0, NULL, NULL, &why) != 0) {
		if (strcmp(why.sqlstate, "57014") != 0) {
			*err = why;
			return -1;
		}
		*ret_in_time = false;
	}
	return db_command(run->db, usual, 0, NULL, NULL, err);
}

int
verify_vacuum(struct run *run, const struct db_result *touched, bool *ret_clean, struct err *err)
{
	bool large_objects = false, in_time = true;

	(void)db_take_warnings(run->db);
	for (int i = 0; i < db_rows(touched); i++) {
		int table = map_table(run->map, db_get_text(touched, i, 0));
		CLEANUP(free_text) char *sql = NULL;

		if (table < 0)
			continue;
		large_objects = large_objects || db_get_bool(touched, i, 1);
		sql = mem_printf(VACUUM "(ANALYZE, %s) %s", VACUUM_ALL, program_cat(run->program, table)->quoted);
		if (vacuum_one(run, sql, &in_time, err) != 0)
			return -1;
	}
	if (large_objects &&
	    (vacuum_one(run, VACUUM "(" VACUUM_ALL ") pg_catalog.pg_largeobject", &in_time, err) != 0 ||
		    vacuum_one(run, VACUUM "(" VACUUM_ALL ") pg_catalog.pg_largeobject_metadata", &in_time, err) != 0))
		return -1;
	*ret_clean = db_take_warnings(run->db) == 0 && in_time;
	return 0;
}

/* Vacuums every table that removed requests have touched. *ret_clean: nothing was skipped. */
static int
vacuum(struct run *run, int *ret_tables, bool *ret_clean, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *touched = NULL;
	char via[16], behind[16];

	(void)snprintf(via, sizeof(via), "%d", PROGRAM_VIA_LO);
	(void)snprintf(behind, sizeof(behind), "%d", PROGRAM_VIA_DOCUMENT);
	if (db_query(run->recount, &QUERY_REMOVED_TABLES, DB_PARAMS(via, behind), &touched, err) != 0)
		return -1;
	*ret_tables = db_rows(touched);
	return verify_vacuum(run, touched, ret_clean, err);
}

/* Requests of one recount, when there are that many. */
#define CHUNK 500
/* Requests listed, and vacuumed after, at once, however many there are. */
#define PAGE 5000
#define PAGE_TEXT "5000"

/* What the workers of one run share: removed requests, each recounted by one of them. */
struct to_recount {
	const struct db_result *requests; /* removed_ready */
	const char *skip;                 /* of them, those whose files could not be removed */
	int next;
	char as_of[21], lsn[24]; /* of the earliest recount */
};

/* The next requests as uuid[] text; false when there are none left. *ret_rows: how many rows they had. */
static bool
take_chunk(const struct run *run, struct to_recount *list, struct str *array, int64_t *ret_rows)
{
	int64_t most = pace_rows(run, INT64_MAX);
	int n = 0;

	*ret_rows = 0;
	tasks_lock();
	for (; list->next < db_rows(list->requests) && n < CHUNK; list->next++) {
		int64_t rows = db_get_int(list->requests, list->next, 1);

		if (strstr(list->skip, db_get_text(list->requests, list->next, 0)) != NULL)
			continue;
		if (n > 0 && *ret_rows + rows > most)
			break;
		*ret_rows += rows;
		array_add(array, db_get_text(list->requests, list->next, 0));
		n++;
	}
	tasks_unlock();
	(void)array_end(array);
	return n > 0;
}

static void
keep_first(struct to_recount *list, const struct recount *recount)
{
	tasks_lock();
	if (list->as_of[0] == '\0' || strcmp(recount->as_of, list->as_of) < 0) {
		(void)memcpy(list->as_of, recount->as_of, sizeof(list->as_of));
		(void)memcpy(list->lsn, recount->lsn, sizeof(list->lsn));
	}
	tasks_unlock();
}

static int
recount_chunks(struct run *run, void *ctx, struct err *err)
{
	struct to_recount *list = ctx;

	for (;;) {
		CLEANUP(recount_release) struct recount recount = { 0 };
		CLEANUP(str_release) struct str array = STR_INIT;
		int64_t start = clock_ms(), rows;

		if (!take_chunk(run, list, &array, &rows))
			return 0;
		if (verify_recount(run, run->recount, array.s, &recount, err) != 0 ||
		    documents_recount(run, run->recount, array.s, &recount, err) != 0)
			return -1;
		if (verify_note_left(run, &recount, err) != 0)
			return -1;
		keep_first(list, &recount);
		pace_wait(run, rows, start);
	}
}

/* uuid[] text of a page, but for what is left alone; *ret_n: how many. */
static const char *
page_array(const struct run *run, const struct db_result *removed, struct str *array, int *ret_n)
{
	*ret_n = 0;
	for (int i = 0; i < db_rows(removed); i++)
		if (strstr(run->skip, db_get_text(removed, i, 0)) == NULL) {
			array_add(array, db_get_text(removed, i, 0));
			++*ret_n;
		}
	return array_end(array);
}

/* After the vacuum: every key is looked for in indexes that dead rows have left. */
static int
recount_page(struct run *run, const struct db_result *removed, struct to_recount *list, struct err *err)
{
	CLEANUP(free_text) char *skip = mem_copy(run->skip);

	list->requests = removed;
	list->skip = skip;
	return workers_run(run, (db_rows(removed) + CHUNK - 1) / CHUNK, recount_chunks, list, err);
}

/* One page of removed requests: their files are removed, then their tables vacuumed, then they are recounted. */
static int
verify_page(struct run *run, const struct db_result *removed, struct err *err)
{
	CLEANUP(str_release) struct str all = STR_INIT;
	CLEANUP(str_release) struct str array = STR_INIT;
	struct to_recount list = { 0 };
	bool now = !verify_at_signing(run);
	char horizon[24];
	bool clean = false;
	int64_t start;
	int tables, n;

	(void)page_array(run, removed, &all, &n);
	if (documents_remove(run, all.s, err) != 0)
		return -1;
	(void)page_array(run, removed, &array, &n);
	if (n == 0)
		return 0;
	start = clock_ms();
	if (wait_for_horizon(run, horizon, sizeof(horizon), err) != 0 || vacuum(run, &tables, &clean, err) != 0)
		return -1;
	run_note(run, NOTE_INFO, "tables vacuumed: %d, in %lld ms", tables, (long long)(clock_ms() - start));
	if (!clean)
		run_note(run, NOTE_WARNING, "some tables could not be vacuumed (not their owner, or locked): "
			"certificates of this run say level logical");
	if (now && recount_page(run, removed, &list, err) != 0)
		return -1;
	run->n_recounted += n;
	return db_query(run->db, &QUERY_REMOVED_RECOUNTED,
		DB_PARAMS(array.s, now ? list.as_of : NULL, now ? list.lsn : NULL, clean ? "true" : "false", horizon), NULL, err);
}

/* A recount by a map that leaves out what the removal took would find nothing, and prove nothing. Such requests wait
 * until their tables stand in the map as they did. */
static int
set_unmapped_aside(struct run *run, struct err *err)
{
	CLEANUP(str_release) struct str gone = STR_INIT;
	CLEANUP(str_release) struct str stay = STR_INIT;
	CLEANUP(str_release) struct str all = STR_INIT;
	CLEANUP(db_result_freep) struct db_result *odd = NULL;

	for (size_t i = 0; i < run->map->n_tables; i++) {
		if (run->program->tables[i].removed)
			array_add(&gone, run->map->tables[i].name);
		if (run->program->tables[i].updated || run->map->tables[i].action == MAP_SHARED)
			array_add(&stay, run->map->tables[i].name);
	}
	for (size_t i = 0; i < run->catalog->n_tables; i++)
		array_add(&all, run->catalog->tables[i].full);
	if (db_query(run->db, &QUERY_REMOVED_UNMAPPED, DB_PARAMS(array_end(&gone), array_end(&stay), array_end(&all)), &odd,
		    err) != 0)
		return -1;
	for (int i = 0; i < db_rows(odd); i++) {
		run->n_failed++;
		run->refused = true;
		run_note(run, NOTE_ERROR, "request %s: %s is not in the data map as it was at the removal: no recount, no certificate",
			db_get_text(odd, i, 0), db_get_text(odd, i, 1));
		run_skip(run, db_get_text(odd, i, 0));
	}
	return 0;
}

int
verify_removed(struct run *run, struct err *err)
{
	char after[40] = "-infinity", id[37] = "00000000-0000-0000-0000-000000000000";
	int n;

	if (db_query(run->db, &QUERY_REMOVED_AGAIN, NULL, NULL, err) != 0 || set_unmapped_aside(run, err) != 0 ||
	    verify_note_open(run, err) != 0 || wait_for_older(run, err) != 0)
		return -1;
	do {
		CLEANUP(db_result_freep) struct db_result *removed = NULL;

		if (db_query(run->recount, &QUERY_REMOVED_READY, DB_PARAMS(PAGE_TEXT, after, id, run->skip), &removed, err) != 0)
			return -1;
		n = db_rows(removed);
		if (n == 0)
			break;
		(void)snprintf(id, sizeof(id), "%s", db_get_text(removed, n - 1, 0));
		(void)snprintf(after, sizeof(after), "%s", db_get_text(removed, n - 1, 2));
		if (verify_page(run, removed, err) != 0)
			return -1;
	} while (n == PAGE && !run_stop_asked(run));
	return 0;
}

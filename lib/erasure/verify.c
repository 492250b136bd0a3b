#include "erasure/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "erasure/sql.h"
#include "map/plan.h"
#include "query.h"
#include "sys/clock.h"

#define WAIT_PAUSE_US 250000

/* One count: SQL that answers (request, rows), and whose table it speaks of. */
struct count {
	char *sql;
	int table; /* -1: see cat */
	int cat;
};

struct counts {
	struct count *items;
	size_t n;
};

static void
counts_release(struct counts *counts)
{
	for (size_t i = 0; i < counts->n; i++)
		free(counts->items[i].sql);
	free(counts->items);
	*counts = (struct counts){ 0 };
}

static void
add_count(struct counts *counts, int table, int cat, struct str *sql)
{
	*MEM_PUSH(counts->items, counts->n) = (struct count){ str_take(sql), table, cat };
}

/* Rows whose own key was saved. */
static void
count_by_key(struct counts *counts, const struct program *program, int table)
{
	const struct cat_table *cat = program_cat(program, table);
	const struct program_via *key = &program->tables[table].vias[0];
	struct str sql = STR_INIT;

	str_add(&sql, "SELECT k.request_id, count(*) FROM ");
	sql_from(&sql, program, table, "x");
	str_add(&sql, " JOIN expunge.key_set k ON (");
	for (size_t i = 0; i < key->n; i++)
		str_addf(&sql, "%sx.%s", i > 0 ? ", " : "", cat->columns[key->columns[i]].quoted);
	str_add(&sql, ") = (");
	for (size_t i = 0; i < key->n; i++) {
		str_addf(&sql, "%sk.key[%zu]::", i > 0 ? ", " : "", i + 1);
		sql_type(&sql, cat->columns[key->columns[i]].type);
	}
	str_addf(&sql, ") WHERE k.request_id = ANY($1) AND k.table_id = %d AND k.via = 0 GROUP BY 1",
		program->tables[table].id);
	add_count(counts, table, program->map->tables[table].cat, &sql);
}

/* Shared rows that nothing refers to any more. */
static void
count_unshared(struct counts *counts, const struct program *program, int table)
{
	struct str sql = STR_INIT;

	str_add(&sql, "SELECT k.request_id, count(*) FROM expunge.key_set k JOIN ");
	sql_from(&sql, program, table, "t");
	str_add(&sql, " ON ");
	sql_match(&sql, program, table, 0, "t", "k");
	str_addf(&sql, " WHERE k.request_id = ANY($1) AND k.table_id = %d AND k.via = 0", program->tables[table].id);
	sql_last_owner(&sql, program, table);
	str_add(&sql, " GROUP BY 1");
	add_count(counts, table, program->map->tables[table].cat, &sql);
}

/* Rows of any table that still hold a saved key in these columns. */
static void
count_by_reference(struct counts *counts, const struct program *program, int table, int cat_index, const int *columns,
	int target, const int *target_columns, size_t n, const char *condition)
{
	const struct cat_table *cat = &program->catalog->tables[cat_index];
	struct str sql = STR_INIT;

	str_addf(&sql, "SELECT k.request_id, count(*) FROM expunge.key_set k JOIN %s%s x ON ",
		cat->kind == 'p' ? "" : "ONLY ", cat->quoted);
	sql_refers(&sql, program, cat, columns, target, target_columns, n, "x", "k");
	str_addf(&sql, " WHERE k.request_id = ANY($1) AND k.table_id = %d AND k.via = %d%s GROUP BY 1",
		program->tables[target].id, program_via(program, target, target_columns, n), condition);
	add_count(counts, table, cat_index, &sql);
}

static void
count_by_array(struct counts *counts, const struct program *program, int table, const struct map_path *path,
	const char *condition)
{
	const struct cat_column *column = &program_cat(program, table)->columns[path->columns[0]];
	CLEANUP(free_text) char *array = mem_printf("x.%s", column->quoted);
	struct str sql = STR_INIT;

	str_add(&sql, "SELECT k.request_id, count(*) FROM expunge.key_set k JOIN ");
	sql_from(&sql, program, table, "x");
	str_add(&sql, " ON ");
	sql_in_array(&sql, column, &program_cat(program, path->target)->columns[path->target_columns[0]], array, "k.key[1]");
	str_addf(&sql, " WHERE k.request_id = ANY($1) AND k.table_id = %d AND k.via = %d%s GROUP BY 1",
		program->tables[path->target].id,
		program_via(program, path->target, path->target_columns, path->n_columns), condition);
	add_count(counts, table, program->map->tables[table].cat, &sql);
}

/* A reference from here to a removed row must be gone, whether the row went or stayed. */
static void
count_by_paths(struct counts *counts, const struct program *program, int table)
{
	const struct map_table *t = &program->map->tables[table];

	for (size_t p = 0; p < t->n_paths; p++) {
		const struct map_path *path = &t->paths[p];
		CLEANUP(str_release) struct str condition = STR_INIT;

		if (path->kind == MAP_REVERSE || (!program->tables[path->target].removed && !program->tables[table].removed))
			continue;
		sql_when(&condition, program, table, path, "x");
		if (program->tables[table].log && path->target != t->log_table)
			sql_orphan(&condition, program, table, "x");
		if (path->kind == MAP_ARRAY) {
			count_by_array(counts, program, table, path, str_cstr(&condition));
			continue;
		}
		count_by_reference(counts, program, table, t->cat, path->columns, path->target, path->target_columns,
			path->n_columns, str_cstr(&condition));
	}
}

/* Masked columns of rows that stay must hold their mask. */
static void
count_unmasked(struct counts *counts, const struct program *program, int table)
{
	const struct map_table *t = &program->map->tables[table];
	const struct cat_table *cat = program_cat(program, table);
	CLEANUP(str_release) struct str any = STR_INIT;
	struct str sql = STR_INIT;

	for (size_t i = 0; i < t->n_columns; i++) {
		const struct map_column *c = &t->columns[i];

		if (c->mask == NULL || strcmp(c->mask, "keep") == 0 || cat->columns[c->column].generated)
			continue;
		str_addf(&any, "%sx.%s", any.len > 0 ? " OR " : "", cat->columns[c->column].quoted);
		if (strcmp(c->mask, "null") == 0) {
			str_add(&any, " IS NOT NULL");
			continue;
		}
		str_add(&any, " IS DISTINCT FROM replace(");
		sql_literal(&any, strcmp(c->mask, "empty") == 0 ? "" : c->mask);
		str_addf(&any, ", '{key}', array_to_string(k.key, '-'))::%s", cat->columns[c->column].type);
	}
	if (any.len == 0)
		return;
	str_add(&sql, "SELECT k.request_id, count(*) FROM expunge.key_set k JOIN ");
	sql_from(&sql, program, table, "x");
	str_add(&sql, " ON ");
	sql_match(&sql, program, table, 0, "x", "k");
	str_addf(&sql, " WHERE k.request_id = ANY($1) AND k.table_id = %d AND k.via = 0 AND (%s) GROUP BY 1",
		program->tables[table].id, any.s);
	add_count(counts, table, t->cat, &sql);
}

static void
count_large_objects(struct counts *counts, const struct program *program, int table)
{
	const struct map_table *t = &program->map->tables[table];

	for (size_t c = 0; c < t->n_columns; c++) {
		struct str sql = STR_INIT;

		/* a shared row may have kept its object */
		if (!program_lo_goes(program, table, (int)c) || t->action == MAP_SHARED)
			continue;
		str_addf(&sql, "SELECT k.request_id, count(*) FROM expunge.key_set k JOIN pg_catalog.pg_largeobject_metadata m"
			" ON m.oid = k.key[1]::oid WHERE k.request_id = ANY($1) AND k.table_id = %d AND k.via = %zu",
			program->tables[table].id, PROGRAM_VIA_LO + c);
		sql_lo_unheld(&sql, program);
		str_add(&sql, " GROUP BY 1");
		add_count(counts, table, t->cat, &sql);
	}
}

/* Every count there is to make, from the map and, independent of it, from the catalogue's foreign keys. */
static void
compose(struct counts *counts, const struct program *program)
{
	const struct map *map = program->map;

	for (size_t i = 0; i < map->n_tables; i++) {
		const struct program_table *pt = &program->tables[i];

		if (!pt->owned)
			continue;
		if (pt->removed && !pt->keyless && map->tables[i].action != MAP_SHARED)
			count_by_key(counts, program, (int)i);
		if (map->tables[i].action == MAP_SHARED && !pt->keyless)
			count_unshared(counts, program, (int)i);
		count_by_paths(counts, program, (int)i);
		if (pt->updated && !pt->keyless)
			count_unmasked(counts, program, (int)i);
		count_large_objects(counts, program, (int)i);
	}
	for (size_t f = 0; f < program->catalog->n_fks; f++) {
		const struct cat_fk *fk = &program->catalog->fks[f];
		int target = program_owned(program, fk->target);

		if (target >= 0 && map->tables[target].action == MAP_DELETE)
			count_by_reference(counts, program, program_owned(program, fk->table), fk->table, fk->columns, target,
				fk->target_columns, fk->n_columns, "");
	}
}

static int
receive_count(const struct program *program, struct db *db, const struct count *count, struct recount *ret,
	struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	const char *name = program->catalog->tables[count->cat].full;

	if (db_receive(db, DB_MANY, &res, NULL, err) != 0)
		return err_prefix(err, "recounting %s", name);
	for (int i = 0; i < db_rows(res); i++) {
		struct left_over *left = MEM_PUSH(ret->left, ret->n_left);

		(void)snprintf(left->request, sizeof(left->request), "%s", db_get_text(res, i, 0));
		(void)snprintf(left->name, sizeof(left->name), "%s", name);
		left->table = count->table;
		left->rows = db_get_int(res, i, 1);
	}
	return 0;
}

int
verify_recount(const struct run *run, struct db *db, const char *requests, struct recount *ret, struct err *err)
{
	CLEANUP(counts_release) struct counts counts = { 0 };
	CLEANUP(db_result_freep) struct db_result *now = NULL;
	struct err unused;
	int failed = 0;

	compose(&counts, run->program);
	if (db_query(db, &QUERY_AS_OF, NULL, &now, err) != 0)
		return -1;
	(void)snprintf(ret->as_of, sizeof(ret->as_of), "%s", db_get_text(now, 0, 0));
	(void)snprintf(ret->lsn, sizeof(ret->lsn), "%s", db_get_text(now, 0, 1));
	if (db_pipeline_begin(db, err) != 0)
		return -1;
	for (size_t i = 0; i < counts.n && failed == 0; i++)
		failed = db_send(db, counts.items[i].sql, 1, DB_PARAMS(requests), err);
	for (size_t i = 0; i < counts.n && failed == 0; i++)
		failed = receive_count(run->program, db, &counts.items[i], ret, err);
	if (failed != 0) {
		(void)db_pipeline_end(db, &unused);
		return -1;
	}
	return db_pipeline_end(db, err);
}

void
recount_release(struct recount *recount)
{
	free(recount->left);
	*recount = (struct recount){ 0 };
}

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

static int
note_left_over(struct run *run, const struct recount *recount, const char *request, struct err *err)
{
	CLEANUP(str_release) struct str reason = STR_INIT;
	CLEANUP(str_release) struct str one = STR_INIT;

	for (size_t i = 0; i < recount->n_left; i++)
		if (strcmp(recount->left[i].request, request) == 0)
			str_addf(&reason, "%s%s %lld", reason.len == 0 ? "rows left: " : ", ", recount->left[i].name,
				(long long)recount->left[i].rows);
	if (reason.len == 0)
		return 0;
	run->n_failed++;
	run_note(run, NOTE_ERROR, "request %s: %s", request, reason.s);
	run_skip(run, request);
	plan_id_array(&one, &request, 1);
	return db_query(run->db, &QUERY_REQUEST_SET_STATE, DB_PARAMS(one.s, "failed", reason.s, "removed"), NULL, err);
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

	if (db_command(run->db, limit, 0, NULL, NULL, err) != 0)
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

/* Vacuums every table that the map removes from, those of large objects too. *ret_clean: nothing
 * was skipped. */
static int
vacuum(struct run *run, bool *ret_clean, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *touched = NULL;
	bool large_objects = false, in_time = true;
	char via[16];

	(void)snprintf(via, sizeof(via), "%d", PROGRAM_VIA_LO);
	if (db_query(run->recount, &QUERY_REMOVED_TABLES, DB_PARAMS(via), &touched, err) != 0)
		return -1;
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

int
verify_removed(struct run *run, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *removed = NULL;
	CLEANUP(recount_release) struct recount recount = { 0 };
	CLEANUP(str_release) struct str array = STR_INIT;
	char horizon[24];
	bool clean = false;

	if (db_query(run->db, &QUERY_REMOVED_AGAIN, NULL, NULL, err) != 0 || verify_note_open(run, err) != 0 ||
	    wait_for_older(run, err) != 0)
		return -1;
	if (db_query(run->recount, &QUERY_REMOVED_READY, NULL, &removed, err) != 0)
		return -1;
	if (db_rows(removed) == 0)
		return 0;
	for (int i = 0; i < db_rows(removed); i++)
		str_addf(&array, "%s%s", i == 0 ? "{" : ",", db_get_text(removed, i, 0));
	str_add(&array, "}");
	if (verify_recount(run, run->recount, array.s, &recount, err) != 0)
		return -1;
	for (int i = 0; i < db_rows(removed); i++)
		if (note_left_over(run, &recount, db_get_text(removed, i, 0), err) != 0)
			return -1;
	if (wait_for_horizon(run, horizon, sizeof(horizon), err) != 0 || vacuum(run, &clean, err) != 0)
		return -1;
	if (!clean)
		run_note(run, NOTE_WARNING, "some tables could not be vacuumed (not their owner, or locked): "
			"certificates of this run say level logical");
	return db_query(run->db, &QUERY_REMOVED_RECOUNTED,
		DB_PARAMS(array.s, recount.as_of, recount.lsn, clean ? "true" : "false", horizon), NULL, err);
}

/* dormancy_wake: what an account's archives have of it goes back into the live database, and is compared before the COMMIT. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account/dormancy_private.h"
#include "archive/fill.h"
#include "archive/loading.h"
#include "archive/numbered.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "erasure/sql.h"
#include "map/tenant_rows.h"
#include "query.h"

#define OBJECTS "pg_temp.expunge_objects"
#define PROGRESS_ROWS 1000

/* columns of dormancy_archives, dormancy_taken and footprint */
enum { A_ID, A_HASH, A_GENERATION, A_DESTINATIONS, A_SIZE, A_IS_COMPLETE };
enum { T_NUMBER, T_FIRST, T_LAST };
enum { F_OID, F_INSERTED, F_UPDATED, F_DELETED };

/* A sum of digests: of the same rows, in whatever order, it is the same. */
struct rowsum {
	uint64_t words[SHA256_SIZE / sizeof(uint64_t)];
	int64_t rows;
};

/* Which rows of an archive left the database, in the order of their places. */
struct range {
	int64_t number, first, last;
};

struct source {
	struct archive_copy copy;
	struct range *ranges;
	size_t n_ranges;
	uint32_t *numbers; /* of the waking's tables, in this archive; UINT32_MAX: not in it */
};

struct waking {
	struct dormancy *dormancy;
	const char *closure, *tenant;
	struct db *db;
	struct dormancy_keys keys;
	struct source *sources;
	size_t n_sources;
	struct archive_table *tables; /* of all of them, by name; names and columns are the archives' */
	struct rowsum *sums;          /* what was put into each */
	size_t n_tables;
	struct loading loading;
	int64_t n_rows;   /* put so far */
	int64_t n_loaded; /* of them, rows of tables */
	/* of the table and the source whose rows are coming */
	size_t table;
	const struct source *source;
	size_t at; /* in its ranges */
};

static void
waking_release(struct waking *waking)
{
	for (size_t i = 0; i < waking->n_sources; i++) {
		archive_copy_close(&waking->sources[i].copy);
		free(waking->sources[i].ranges);
		free(waking->sources[i].numbers);
	}
	free(waking->sources);
	free(waking->tables);
	free(waking->sums);
	loading_release(&waking->loading);
	dormancy_release_keys(&waking->keys);
}

/* ---- what there is to load ----------------------------------------------------------------------- */

static int
take_range(void *ctx, const struct db_result *row, struct err *err)
{
	struct source *source = ctx;

	(void)err;
	*MEM_PUSH(source->ranges, source->n_ranges) =
		(struct range){ db_get_int(row, 0, T_NUMBER), db_get_int(row, 0, T_FIRST), db_get_int(row, 0, T_LAST) };
	return 0;
}

static int
open_source(struct waking *waking, const struct db_result *archives, int row, struct err *err)
{
	struct dormancy *d = waking->dormancy;
	struct source *source = &waking->sources[row];
	const struct archive_copy_name name = { .id = db_get_text(archives, row, A_ID), .hash = db_get_text(archives, row, A_HASH),
		.destinations = db_get_text(archives, row, A_DESTINATIONS), .size = (uint64_t)db_get_int(archives, row, A_SIZE) };

	if (!db_get_bool(archives, row, A_IS_COMPLETE))
		return err_set(err, ERR_FAILED, "archive %.16s has expired", name.id);
	return db_each(waking->db, QUERY_DORMANCY_TAKEN.sql, 1, DB_PARAMS(name.id), take_range, source, err) != 0 ? -1
		: dormancy_open_archive(d, &waking->keys, &name, db_get_int(archives, row, A_GENERATION), &source->copy, err);
}

static int
open_sources(struct waking *waking, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *archives = NULL;
	CLEANUP(db_result_freep) struct db_result *lost = NULL;

	if (dormancy_take_keys(waking->dormancy, waking->tenant, &waking->keys, err) != 0 ||
	    db_query(waking->db, &QUERY_DORMANCY_ARCHIVES_LOST, DB_PARAMS(waking->closure), &lost, err) != 0 ||
	    db_query(waking->db, &QUERY_DORMANCY_ARCHIVES, DB_PARAMS(waking->closure), &archives, err) != 0)
		return -1;
	if (db_get_int(lost, 0, 0) > 0) {
		(void)err_set(err, ERR_FAILED, "%s of its archives are not in the catalogue", db_get_text(lost, 0, 0));
		return err_hint(err, "restore --adopt brings the catalogue to where the key journals end");
	}
	waking->sources = mem_zero((size_t)db_rows(archives) + 1, sizeof(*waking->sources));
	for (int i = 0; i < db_rows(archives); i++) {
		waking->sources[i].copy = (struct archive_copy)ARCHIVE_COPY_INIT;
		waking->n_sources++;
		if (open_source(waking, archives, i, err) != 0)
			return -1;
	}
	return 0;
}

static size_t
table_number(struct waking *waking, const struct archive_table *table)
{
	for (size_t i = 0; i < waking->n_tables; i++)
		if (strcmp(waking->tables[i].name, table->name) == 0)
			return i;
	*MEM_PUSH(waking->tables, waking->n_tables) = *table;
	return waking->n_tables - 1;
}

/* Every table of every archive, once. */
static void
join_tables(struct waking *waking)
{
	for (size_t s = 0; s < waking->n_sources; s++)
		for (size_t i = 0; i < archive_tables(waking->sources[s].copy.archive); i++)
			(void)table_number(waking, archive_table(waking->sources[s].copy.archive, i));
	waking->sums = mem_zero(waking->n_tables + 1, sizeof(*waking->sums));
	for (size_t s = 0; s < waking->n_sources; s++) {
		struct source *source = &waking->sources[s];

		source->numbers = mem_zero(waking->n_tables + 1, sizeof(*source->numbers));
		for (size_t i = 0; i < waking->n_tables; i++)
			source->numbers[i] = UINT32_MAX;
		for (size_t i = 0; i < archive_tables(source->copy.archive); i++)
			source->numbers[table_number(waking, archive_table(source->copy.archive, i))] = (uint32_t)i;
	}
}

static bool
is_objects(const struct waking *waking, size_t table)
{
	return strcmp(waking->tables[table].name, FILL_LO) == 0;
}

static int
look(struct waking *waking, struct err *err)
{
	join_tables(waking);
	if (loading_begin(&waking->loading, waking->db, waking->n_tables, err) != 0)
		return -1;
	for (size_t i = 0; i < waking->n_tables; i++)
		if (!is_objects(waking, i) && strcmp(waking->tables[i].name, FILL_DOCUMENTS) != 0 &&
		    loading_fit(&waking->loading, (uint32_t)i, &waking->tables[i], err) != 0)
			return -1;
	return loading_prepare(&waking->loading, true, err);
}

/* ---- sums ---------------------------------------------------------------------------------------- */

static int
add_to_sum(const struct waking *waking, size_t table, const char *row, size_t n, struct rowsum *sum, struct err *err)
{
	uint64_t words[SHA256_SIZE / sizeof(uint64_t)];
	uint8_t digest[SHA256_SIZE];

	if (dormancy_digest(waking->dormancy, waking->tables[table].name, row, n, digest, err) != 0)
		return -1;
	(void)memcpy(words, digest, sizeof(words));
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		sum->words[i] += words[i];
	sum->rows++;
	return 0;
}

static int
compare_sums(const struct waking *waking, size_t table, const struct rowsum *there, struct err *err)
{
	if (memcmp(&waking->sums[table], there, sizeof(*there)) == 0)
		return 0;
	(void)err_set(err, ERR_FAILED, "%s: %" PRId64 " rows were loaded, and %" PRId64 " are there that are not all the same: nothing was loaded",
		waking->tables[table].name, waking->sums[table].rows, there->rows);
	return err_hint(err, "something in the database writes them otherwise than they were: a trigger, a generated or a changed column");
}

/* ---- rows in ------------------------------------------------------------------------------------- */

/* Rows come in the order of their places, and so do the ranges. */
static bool
is_taken(struct waking *waking, uint32_t number, int64_t place)
{
	const struct source *source = waking->source;

	while (waking->at < source->n_ranges && (source->ranges[waking->at].number < (int64_t)number ||
		(source->ranges[waking->at].number == (int64_t)number && source->ranges[waking->at].last < place)))
		waking->at++;
	return waking->at < source->n_ranges && source->ranges[waking->at].number == (int64_t)number && source->ranges[waking->at].first <= place;
}

static int
put_row(void *ctx, uint32_t number, int64_t place, const char *row, size_t n, struct err *err)
{
	struct waking *waking = ctx;

	if (!is_taken(waking, number, place))
		return 0;
	if (++waking->n_rows % PROGRESS_ROWS == 0)
		run_progress(waking->dormancy->run, waking->n_rows, 0);
	return add_to_sum(waking, waking->table, row, n, &waking->sums[waking->table], err) != 0 ? -1
		: db_copy_in_put(waking->db, row, n, err);
}

static int64_t
count_ranges(const struct source *source, uint32_t number)
{
	int64_t n = 0;

	for (size_t i = 0; i < source->n_ranges; i++)
		if (source->ranges[i].number == (int64_t)number)
			n += source->ranges[i].last - source->ranges[i].first + 1;
	return n;
}

/* One archive's rows of a table; the COPY is under way. */
static int
put_source(struct waking *waking, size_t table, const struct source *source, struct err *err)
{
	uint32_t number = source->numbers[table];
	int64_t before = waking->sums[table].rows, wanted;
	struct archive_tally tally;

	if (number == UINT32_MAX)
		return 0;
	wanted = count_ranges(source, number);
	if (wanted == 0)
		return 0;
	waking->table = table;
	waking->source = source;
	waking->at = 0;
	if (numbered_read(source->copy.archive, number, &waking->keys.leaves, put_row, waking, &tally, err) != 0)
		return -1;
	if (waking->sums[table].rows - before == wanted)
		return 0;
	return err_set(err, ERR_FAILED, "%s: %" PRId64 " rows of %" PRId64 " are in its archive, and %" PRIu64 " frames do not open: nothing was loaded",
		waking->tables[table].name, waking->sums[table].rows - before, wanted, tally.withheld);
}

/* From the first archive on, as long as they have the same columns. */
static bool
same_columns(const struct archive_table *a, const struct archive_table *b)
{
	if (a->n_columns != b->n_columns)
		return false;
	for (size_t c = 0; c < a->n_columns; c++)
		if (strcmp(a->columns[c].name, b->columns[c].name) != 0)
			return false;
	return true;
}

static int
copy_in(struct waking *waking, size_t table, const char *begin, struct err *err)
{
	int64_t rows = 0;

	if (db_copy_in_begin(waking->db, begin, err) != 0)
		return -1;
	for (size_t s = 0; s < waking->n_sources; s++) {
		const struct source *source = &waking->sources[s];

		if (source->numbers[table] != UINT32_MAX &&
		    !same_columns(&waking->tables[table], archive_table(source->copy.archive, source->numbers[table])))
			return err_set(err, ERR_FAILED, "%s has other columns in one of its archives than in another", waking->tables[table].name);
		if (put_source(waking, table, source, err) != 0)
			return -1;
	}
	if (db_copy_in_end(waking->db, &rows, err) != 0)
		return err_prefix(err, "loading %s", waking->tables[table].name);
	return rows == waking->sums[table].rows ? 0 : err_set(err, ERR_FAILED, "loading %s: %" PRId64 " rows arrived of %" PRId64,
		waking->tables[table].name, rows, waking->sums[table].rows);
}

static int
load_table(struct waking *waking, size_t table, struct err *err)
{
	const struct archive_table *from = &waking->tables[table];
	const struct cat_table *cat = &waking->loading.catalog->tables[waking->loading.tables[table]];
	CLEANUP(str_release) struct str sql = STR_INIT;

	str_addf(&sql, "COPY %s (", cat->quoted);
	for (size_t c = 0; c < from->n_columns; c++)
		str_addf(&sql, "%s%s", c == 0 ? "" : ", ", cat->columns[catalog_column(cat, from->columns[c].name)].quoted);
	str_add(&sql, ") FROM STDIN");
	return copy_in(waking, table, sql.s, err);
}

/* What one COPY TO gives. */
struct summing {
	const struct waking *waking;
	size_t table;
	struct rowsum sum;
};

static int
sum_row(void *ctx, const char *row, size_t n, struct err *err)
{
	struct summing *summing = ctx;

	return add_to_sum(summing->waking, summing->table, row, n, &summing->sum, err);
}

static int
compare_rows(const struct waking *waking, size_t table, const char *sql, struct err *err)
{
	struct summing summing = { .waking = waking, .table = table };

	if (db_copy_out(waking->db, sql, sum_row, &summing, NULL, err) != 0)
		return err_prefix(err, "comparing %s", waking->tables[table].name);
	return compare_sums(waking, table, &summing.sum, err);
}

/* One that another account's row held has stayed, and is what it was; the others are made again under their numbers. */
static int
load_objects(struct waking *waking, size_t table, struct err *err)
{
	CLEANUP(str_release) struct str sql = STR_INIT;
	struct db *db = waking->db;

	if (db_script(db, "making room for large objects", "CREATE TEMPORARY TABLE expunge_objects (loid oid, start bigint, data bytea) ON COMMIT DROP",
		    err) != 0 ||
	    copy_in(waking, table, "COPY " OBJECTS " FROM STDIN", err) != 0 ||
	    db_text(db, DB_MANY, "SELECT lo_put(m.loid, t.start, t.data) FROM (SELECT lo_create(n.loid) AS loid FROM (SELECT DISTINCT o.loid FROM " OBJECTS
		    " o WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata h WHERE h.oid = o.loid)) n) m JOIN " OBJECTS
		    " t ON t.loid = m.loid", 0, NULL, NULL, err) != 0)
		return err_prefix(err, "large objects");
	str_add(&sql, "COPY (");
	dormancy_add_objects(&sql, "SELECT DISTINCT o.loid FROM " OBJECTS " o");
	str_add(&sql, ") TO STDOUT");
	return compare_rows(waking, table, sql.s, err);
}

static int
load_tables(struct waking *waking, struct err *err)
{
	for (size_t i = 0; i < waking->n_tables; i++) {
		size_t table = waking->loading.order[i];

		if (waking->loading.tables[table] >= 0 ? load_table(waking, table, err) != 0
						       : is_objects(waking, table) && load_objects(waking, table, err) != 0)
			return -1;
	}
	return 0;
}

/* ---- the same as before -------------------------------------------------------------------------- */

/* Of what this transaction wrote: rows that are this account's, as the data map says. */
static int
compare_table(struct waking *waking, size_t table, struct err *err)
{
	const struct program *program = waking->dormancy->run->program;
	const struct cat_table *cat = &waking->loading.catalog->tables[waking->loading.tables[table]];
	int mapped = map_table(program->map, waking->tables[table].name);
	CLEANUP(str_release) struct str sql = STR_INIT;
	CLEANUP(str_release) struct str whose = STR_INIT;

	str_add(&sql, "COPY (SELECT ");
	dormancy_add_columns(&sql, &waking->tables[table], cat);
	str_addf(&sql, " FROM %s%s t WHERE t.xmin = pg_current_xact_id()::xid", cat->kind == 'p' ? "" : "ONLY ", cat->quoted);
	if (mapped >= 0 && sql_of_tenant(&whose, program, mapped, "t", waking->tenant))
		str_addf(&sql, " AND (%s)", whose.s);
	str_add(&sql, ") TO STDOUT");
	return compare_rows(waking, table, sql.s, err);
}

static int
compare_all(struct waking *waking, struct err *err)
{
	for (size_t i = 0; i < waking->n_tables; i++)
		if (waking->loading.tables[i] >= 0 && compare_table(waking, i, err) != 0)
			return -1;
	return 0;
}

/* What the server counts of a table, with its partitions. */
static int64_t
counted(const struct catalog *catalog, const struct db_result *counts, int cat, int column)
{
	int64_t n = 0;

	for (int i = 0; i < db_rows(counts); i++)
		for (size_t t = 0; t < catalog->n_tables; t++)
			if (catalog->tables[t].oid == db_get_int(counts, i, F_OID) && ((int)t == cat || catalog->tables[t].root == cat))
				n += db_get_int(counts, i, column);
	return n;
}

static int64_t
put_into(const struct waking *waking, int cat)
{
	for (size_t i = 0; i < waking->n_tables; i++)
		if (waking->loading.tables[i] == cat)
			return waking->sums[i].rows;
	return 0;
}

/* Nothing was written but what was loaded. */
static int
compare_footprint(const struct waking *waking, const struct db_result *before, struct err *err)
{
	const struct catalog *catalog = waking->loading.catalog;
	CLEANUP(db_result_freep) struct db_result *after = NULL;

	if (db_query(waking->db, &QUERY_FOOTPRINT, NULL, &after, err) != 0)
		return -1;
	for (int cat = 0; cat < (int)catalog->n_tables; cat++) {
		int64_t got[3];

		if (catalog->tables[cat].root >= 0)
			continue;
		for (int k = 0; k < 3; k++)
			got[k] = counted(catalog, after, cat, F_INSERTED + k) - counted(catalog, before, cat, F_INSERTED + k);
		if (got[0] != put_into(waking, cat) || got[1] != 0 || got[2] != 0)
			return err_set(err, ERR_FAILED, "%s: the server counts %" PRId64 " inserted, %" PRId64 " updated, %" PRId64 " deleted, and %" PRId64
				" rows were to be loaded: nothing was", catalog->tables[cat].full, got[0], got[1], got[2], put_into(waking, cat));
	}
	return 0;
}

/* ---- one account --------------------------------------------------------------------------------- */

/* Everything between BEGIN and COMMIT. */
static int
load_all(struct waking *waking, int64_t n_rows, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *before = NULL;
	struct db *db = waking->db;

	if (db_query(db, &QUERY_FOOTPRINT, NULL, &before, err) != 0 || loading_put_aside(&waking->loading, err) != 0 ||
	    db_command(db, "SET CONSTRAINTS ALL DEFERRED", 0, NULL, NULL, err) != 0 || load_tables(waking, err) != 0 ||
	    db_command(db, "SET CONSTRAINTS ALL IMMEDIATE", 0, NULL, NULL, err) != 0 || loading_put_back(&waking->loading, err) != 0 ||
	    compare_all(waking, err) != 0 || compare_footprint(waking, before, err) != 0)
		return -1;
	for (size_t i = 0; i < waking->n_tables; i++)
		waking->n_loaded += waking->loading.tables[i] >= 0 ? waking->sums[i].rows : 0;
	if (waking->n_loaded != n_rows)
		return err_set(err, ERR_FAILED, "%" PRId64 " rows had left, and %" PRId64 " were to be loaded: nothing was", n_rows, waking->n_loaded);
	return db_query(db, &QUERY_DORMANCY_AWAKE, DB_PARAMS(waking->closure), NULL, err);
}

/* Whoever else wakes it has done so when its row can be locked. */
static int
wake_one(struct waking *waking, bool *ret_done, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *phase = NULL;
	struct db *db = waking->db;

	if (open_sources(waking, err) != 0 || look(waking, err) != 0 || db_begin(db, err) != 0)
		return -1;
	if (db_query(db, &QUERY_DORMANCY_WAKE, DB_PARAMS(waking->closure), &phase, err) != 0)
		return -1;
	if (db_rows(phase) == 0 || !db_get_bool(phase, 0, 0)) {
		db_rollback(db);
		return 0;
	}
	if (load_all(waking, db_get_int(phase, 0, 1), err) != 0 || db_commit(db, err) != 0)
		return -1;
	*ret_done = true;
	return 0;
}

static int
wake(struct dormancy *dormancy, const char *closure, const char *tenant, struct dormancy_done *done, struct err *err)
{
	CLEANUP(waking_release) struct waking waking = { .dormancy = dormancy, .closure = closure, .tenant = tenant, .db = dormancy->run->db };
	bool woken = false;

	if (wake_one(&waking, &woken, err) != 0)
		return -1;
	if (!woken)
		return 0;
	done->n_woken++;
	done->n_rows += waking.n_loaded;
	run_note(dormancy->run, NOTE_INFO, "account %s: awake, %" PRId64 " rows are loaded and compared with its archives", tenant, waking.n_loaded);
	return 0;
}

int
dormancy_wake(struct run *run, const char *tenant, struct dormancy_done *ret, struct err *err)
{
	CLEANUP(dormancy_release) struct dormancy dormancy = { .run = run };
	CLEANUP(db_result_freep) struct db_result *accounts = NULL;
	struct err why = { 0 };

	if (db_query(run->db, &QUERY_DORMANCY_WAKING, DB_PARAMS(tenant), &accounts, err) != 0)
		return -1;
	if (db_rows(accounts) == 0)
		return 0;
	if (dormancy_open(&dormancy, run, &why) != 0)
		return dormancy_keep_problem(&dormancy, db_get_text(accounts, 0, 0), db_get_text(accounts, 0, 1), &why, err);
	for (int i = 0; i < db_rows(accounts) && !run_stop_asked(run); i++) {
		why = (struct err){ 0 };
		if (wake(&dormancy, db_get_text(accounts, i, 0), db_get_text(accounts, i, 1), ret, &why) != 0 &&
		    dormancy_keep_problem(&dormancy, db_get_text(accounts, i, 0), db_get_text(accounts, i, 1), &why, err) != 0)
			return -1;
	}
	return 0;
}

#include "erasure/documents.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "erasure/batch.h"
#include "map/documents.h"
#include "query.h"
#include "svc/crypt.h"

/* Requests whose files are removed after one look at who names them. */
#define AT_ONCE 50

/* columns of document_set */
enum { D_REQUEST, D_KIND, D_PATH, D_TABLE, D_TABLE_ID, D_VIA };

static int
read_set(struct db *db, const char *requests, const char *round, struct db_result **ret, struct err *err)
{
	char via[16];

	(void)snprintf(via, sizeof(via), "%d", PROGRAM_VIA_DOCUMENT);
	return db_query(db, &QUERY_DOCUMENT_SET, DB_PARAMS(requests, round, via), ret, err);
}

/* The same value in both rows. */
static bool
is_same(const struct db_result *set, int one, int other, int column)
{
	return strcmp(db_get_text(set, one, column), db_get_text(set, other, column)) == 0;
}

/* The row before is of the same file: another table, or another of its columns, names it too. */
static bool
is_again(const struct db_result *set, int row)
{
	return row > 0 && is_same(set, row, row - 1, D_PATH) && is_same(set, row, row - 1, D_KIND) && is_same(set, row, row - 1, D_REQUEST);
}

static int
look(struct documents *documents, const struct db_result *set, int row, enum beneath_verdict *ret, struct err *err)
{
	struct beneath *beneath;

	return documents_find(documents, db_get_text(set, row, D_KIND), &beneath, err) != 0 ? -1
		: beneath_look(beneath, db_get_text(set, row, D_PATH), ret, err);
}

/* ---- plan --------------------------------------------------------------------------------------- */

/* What cannot be taken, table by table. */
struct unfit {
	const char **tables; /* of the result */
	int64_t *n;
	size_t n_tables;
};

static void
unfit_release(struct unfit *unfit)
{
	free(unfit->tables);
	free(unfit->n);
	*unfit = (struct unfit){ 0 };
}

static void
add_unfit(struct unfit *unfit, const char *table)
{
	for (size_t i = 0; i < unfit->n_tables; i++)
		if (strcmp(unfit->tables[i], table) == 0) {
			unfit->n[i]++;
			return;
		}
	unfit->n = mem_grow(unfit->n, unfit->n_tables, sizeof(*unfit->n));
	unfit->n[unfit->n_tables] = 1;
	*MEM_PUSH(unfit->tables, unfit->n_tables) = table;
}

/* The files of one request and kind, from `row` on; *row behind them. */
static int
plan_kind(struct documents *documents, const struct db_result *set, int *row, struct plan *plan, struct unfit *unfit, struct err *err)
{
	struct plan_files *files = MEM_PUSH(plan->files, plan->n_files);
	CLEANUP(str_release) struct str paths = STR_INIT;
	enum beneath_verdict verdict = BENEATH_UNFIT;
	int first = *row;

	files->kind = mem_copy(db_get_text(set, first, D_KIND));
	str_addf(&paths, "%s\n%s", plan->request, files->kind);
	for (; *row < db_rows(set) && is_same(set, *row, first, D_REQUEST) && is_same(set, *row, first, D_KIND); ++*row) {
		if (*row == first || !is_again(set, *row)) {
			if (look(documents, set, *row, &verdict, err) != 0)
				return -1;
			files->n++;
			files->n_missing += verdict == BENEATH_MISSING;
			str_addf(&paths, "\n%s", db_get_text(set, *row, D_PATH));
		}
		if (verdict == BENEATH_UNFIT)
			add_unfit(unfit, db_get_text(set, *row, D_TABLE));
	}
	return crypt_sha256_text(paths.s, paths.len, files->hash, err);
}

int
documents_plan(const struct run *run, const char *requests, int round, struct plans *plans, struct err *err)
{
	CLEANUP(documents_release) struct documents documents = { 0 };
	CLEANUP(db_result_freep) struct db_result *set = NULL;
	char number[16];

	(void)snprintf(number, sizeof(number), "%d", round);
	if (read_set(run->db, requests, number, &set, err) != 0)
		return -1;
	documents_init(&documents, run->config, run->instance.id);
	for (int row = 0; row < db_rows(set);) {
		struct plan *plan = plan_of(plans, db_get_text(set, row, D_REQUEST));
		CLEANUP(unfit_release) struct unfit unfit = { 0 };

		if (plan == NULL) {
			row++;
			continue;
		}
		if (plan_kind(&documents, set, &row, plan, &unfit, err) != 0)
			return -1;
		for (size_t i = 0; i < unfit.n_tables; i++)
			str_addf(&plan->obstacles, "blocker: %s files %" PRId64 " are no regular files in the directory of %s\n",
				unfit.tables[i], unfit.n[i], plan->files[plan->n_files - 1].kind);
	}
	return 0;
}

/* ---- tally -------------------------------------------------------------------------------------- */

/* The number under which tallies know files of a kind, given at first sight like a table's. */
static int
number_of(struct db *db, const char *kind, struct str *numbers, struct err *err)
{
	CLEANUP(free_text) char *name = mem_printf(DOCUMENTS_CLASS "%s", kind);
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (db_query(db, &QUERY_MAPPED_TABLE_NUMBER, DB_PARAMS(name), &res, err) != 0)
		return -1;
	array_add(numbers, db_get_text(res, 0, 0));
	return 0;
}

int
documents_tally(const struct run *run, const struct plans *plans, const char *const *ids, size_t n, bool again, struct err *err)
{
	CLEANUP(str_release) struct str requests = STR_INIT;
	CLEANUP(str_release) struct str kinds = STR_INIT;
	CLEANUP(str_release) struct str classes = STR_INIT;
	CLEANUP(str_release) struct str counts = STR_INIT;
	CLEANUP(str_release) struct str zeros = STR_INIT;
	const char *removed, *none;

	for (size_t i = 0; i < n; i++) {
		const struct plan *plan = plan_of(plans, ids[i]);

		for (size_t f = 0; plan != NULL && f < plan->n_files; f++) {
			const struct plan_files *files = &plan->files[f];

			if (files->n == files->n_missing)
				continue;
			array_add(&requests, ids[i]);
			array_add(&classes, "");
			array_add_int(&counts, files->n - files->n_missing);
			array_add_int(&zeros, 0);
			if (number_of(run->db, files->kind, &kinds, err) != 0)
				return -1;
		}
	}
	if (requests.len == 0)
		return 0;
	removed = array_end(&counts);
	none = array_end(&zeros);
	return db_query(run->db, &QUERY_TALLY_ADD, DB_PARAMS(array_end(&requests), array_end(&kinds), array_end(&classes), removed, none,
		removed, none, none, none, again ? "true" : "false"), NULL, err);
}

/* ---- removal ------------------------------------------------------------------------------------ */

/* Files of some requests that rows of a table name again. */
struct named_by {
	const char *table;
	struct db_result *found; /* request, number */
};

struct named {
	struct named_by *items;
	size_t n;
};

static void
named_release(struct named *named)
{
	for (size_t i = 0; i < named->n; i++)
		db_result_free(named->items[i].found);
	free(named->items);
	*named = (struct named){ 0 };
}

/* A name that was given again since the removal is another file's. Asked for several requests at once, for each answer may
 * take a look at every row. */
static int
find_named(const struct run *run, const char *requests, struct named *ret, struct err *err)
{
	for (size_t i = 0; i < run->map->n_tables; i++) {
		const struct map_table *t = &run->map->tables[i];

		for (size_t c = 0; c < t->n_columns; c++) {
			CLEANUP(db_result_freep) struct db_result *res = NULL;
			CLEANUP(str_release) struct str sql = STR_INIT;

			if (t->columns[c].documents == NULL)
				continue;
			sql_document_named(&sql, run->program, (int)i, c);
			if (db_text(run->db, DB_MANY, sql.s, 1, DB_PARAMS(requests), &res, err) != 0)
				return -1;
			*MEM_PUSH(ret->items, ret->n) = (struct named_by){ t->name, TAKE_PTR(res) };
		}
	}
	return 0;
}

/* One request under way; why it cannot go on: names of tables and kinds and counts, never a path. */
struct filed {
	struct documents documents;
	const struct named *named;
	const char *request;
	struct db_result *set;
	char reason[1000];
};

/* Whether the map still says of this column what it said at the removal: who else names a file is asked of the map. */
static bool
is_mapped(const struct run *run, const struct db_result *set, int row)
{
	int table = program_table_by_id(run->program, (int)db_get_int(set, row, D_TABLE_ID));

	if (table < 0)
		return catalog_table(run->catalog, db_get_text(set, row, D_TABLE)) < 0;
	for (size_t c = 0; c < run->map->tables[table].n_columns; c++) {
		const char *kind = run->map->tables[table].columns[c].documents;

		if (kind != NULL && strcmp(kind, db_get_text(set, row, D_KIND)) == 0 &&
		    program_document_via(run->program, table, c) == db_get_int(set, row, D_VIA))
			return true;
	}
	return false;
}

static void
check_named(struct filed *filed)
{
	const struct named *named = filed->named;

	for (size_t i = 0; i < named->n; i++) {
		const struct db_result *found = named->items[i].found;

		for (int row = 0; row < db_rows(found) && filed->reason[0] == '\0'; row++)
			if (strcmp(db_get_text(found, row, 0), filed->request) == 0)
				(void)snprintf(filed->reason, sizeof(filed->reason), "rows of %s name %s of the files again", named->items[i].table,
					db_get_text(found, row, 1));
	}
}

/* Which files they are, and that it is still known who else may name them. */
static int
read_filed(const struct run *run, struct filed *filed, struct err *err)
{
	CLEANUP(str_release) struct str one = STR_INIT;

	plan_id_array(&one, &filed->request, 1);
	if (read_set(run->db, one.s, NULL, &filed->set, err) != 0)
		return -1;
	for (int row = 0; row < db_rows(filed->set) && filed->reason[0] == '\0'; row++)
		if (!is_mapped(run, filed->set, row))
			(void)snprintf(filed->reason, sizeof(filed->reason), "%s does not name documents %s in the data map as it did at the "
				"removal; put its line back until the certificate", db_get_text(filed->set, row, D_TABLE),
				db_get_text(filed->set, row, D_KIND));
	check_named(filed);
	return 0;
}

/* All that must hold before the first file goes. */
static int
check_filed(struct run *run, struct filed *filed, struct err *err)
{
	const char *held = NULL;

	if (batch_find_late_hold(run, filed->request, &held, err) != 0)
		return -1;
	if (held != NULL)
		(void)snprintf(filed->reason, sizeof(filed->reason), "%s", held);
	return read_filed(run, filed, err);
}

/* A directory that cannot be used is this request's reason, and no error of the run. */
static int
unlink_files(struct filed *filed, struct err *err)
{
	struct beneath *beneath = NULL;
	int64_t n_unfit = 0;

	for (int row = 0; row < db_rows(filed->set); row++) {
		enum beneath_verdict verdict;

		if (is_again(filed->set, row))
			continue;
		if (documents_find(&filed->documents, db_get_text(filed->set, row, D_KIND), &beneath, err) != 0 ||
		    beneath_unlink(beneath, db_get_text(filed->set, row, D_PATH), &verdict, err) != 0)
			return -1;
		n_unfit += verdict == BENEATH_UNFIT;
	}
	for (size_t i = 0; i < filed->documents.n; i++)
		if (beneath_sync(filed->documents.items[i].beneath, err) != 0)
			return -1;
	if (n_unfit == 0)
		return 0;
	return err_set(err, ERR_FAILED, "%" PRId64 " are no regular files in their directory", n_unfit);
}

/* Everything of one request between BEGIN and COMMIT. */
static int
remove_one(struct run *run, struct filed *filed, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *claimed = NULL;
	CLEANUP(free_text) char *told = NULL;
	struct err why = { 0 };

	if (guard_freeze(run->db, run->config, err) != 0 ||
	    db_query(run->db, &QUERY_DOCUMENT_CLAIM, DB_PARAMS(filed->request), &claimed, err) != 0)
		return -1;
	if (db_rows(claimed) == 0) {
		run_skip(run, filed->request);
		return 0;
	}
	if (check_filed(run, filed, err) != 0)
		return -1;
	if (filed->reason[0] == '\0' && unlink_files(filed, &why) != 0)
		(void)snprintf(filed->reason, sizeof(filed->reason), "%s", why.msg);
	if (filed->reason[0] != '\0') {
		told = mem_printf("document files were not removed: %s", filed->reason);
		run->n_failed++;
		run_note(run, NOTE_ERROR, "request %s: %s", filed->request, told);
		run_skip(run, filed->request);
	}
	return db_query(run->db, &QUERY_EXTERNAL_REASON, DB_PARAMS(filed->request, told), NULL, err);
}

static int
remove_files_of(struct run *run, const char *request, const struct named *named, struct err *err)
{
	struct filed filed = { .request = request, .named = named };
	int failed;

	documents_init(&filed.documents, run->config, run->instance.id);
	if (db_begin(run->db, err) != 0)
		return -1;
	failed = remove_one(run, &filed, err) != 0 || db_commit(run->db, err) != 0;
	if (failed)
		db_rollback(run->db);
	db_result_free(filed.set);
	documents_release(&filed.documents);
	return failed ? -1 : 0;
}

/* Those from..to of the list. */
static int
remove_some(struct run *run, const struct db_result *wanted, int from, int to, struct err *err)
{
	CLEANUP(named_release) struct named named = { 0 };
	CLEANUP(str_release) struct str requests = STR_INIT;

	for (int i = from; i < to; i++)
		array_add(&requests, db_get_text(wanted, i, 0));
	if (find_named(run, array_end(&requests), &named, err) != 0)
		return -1;
	for (int i = from; i < to; i++) {
		const char *request = db_get_text(wanted, i, 0);

		/* asked to stop: the next run takes the rest, and nothing of it is recounted by this one */
		if (run_stop_asked(run))
			run_skip(run, request);
		else if (remove_files_of(run, request, &named, err) != 0)
			return -1;
	}
	return 0;
}

int
documents_remove(struct run *run, const char *requests, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *wanted = NULL;
	char via[16];
	int n;

	(void)snprintf(via, sizeof(via), "%d", PROGRAM_VIA_DOCUMENT);
	if (db_query(run->db, &QUERY_DOCUMENT_WANTED, DB_PARAMS(requests, via), &wanted, err) != 0)
		return -1;
	n = db_rows(wanted);
	for (int i = 0; i < n; i += AT_ONCE)
		if (remove_some(run, wanted, i, n - i > AT_ONCE ? i + AT_ONCE : n, err) != 0)
			return -1;
	return 0;
}

int
documents_remove_set(const struct run *run, const char *set, struct err *err)
{
	CLEANUP(named_release) struct named named = { 0 };
	CLEANUP(free_text) char *sets = mem_printf("{%s}", set);
	struct filed filed = { .named = &named, .request = set };
	int failed;

	documents_init(&filed.documents, run->config, run->instance.id);
	failed = find_named(run, sets, &named, err) != 0 || read_filed(run, &filed, err) != 0;
	if (!failed && filed.reason[0] != '\0')
		failed = err_set(err, ERR_FAILED, "%s", filed.reason);
	failed = failed || unlink_files(&filed, err) != 0;
	db_result_free(filed.set);
	documents_release(&filed.documents);
	return failed ? err_prefix(err, "document files were not removed") : 0;
}

/* ---- recount ------------------------------------------------------------------------------------ */

int
documents_recount(const struct run *run, struct db *db, const char *requests, struct recount *ret, struct err *err)
{
	CLEANUP(documents_release) struct documents documents = { 0 };
	CLEANUP(db_result_freep) struct db_result *set = NULL;
	struct left_over *left = NULL;

	if (read_set(db, requests, NULL, &set, err) != 0)
		return -1;
	documents_init(&documents, run->config, run->instance.id);
	for (int row = 0; row < db_rows(set); row++) {
		enum beneath_verdict verdict;

		if (row > 0 && (!is_same(set, row, row - 1, D_REQUEST) || !is_same(set, row, row - 1, D_KIND)))
			left = NULL;
		if (is_again(set, row))
			continue;
		if (look(&documents, set, row, &verdict, err) != 0)
			return err_prefix(err, "recounting");
		if (verdict == BENEATH_MISSING)
			continue;
		if (left == NULL) {
			left = MEM_PUSH(ret->left, ret->n_left);
			(void)snprintf(left->request, sizeof(left->request), "%s", db_get_text(set, row, D_REQUEST));
			(void)snprintf(left->name, sizeof(left->name), DOCUMENTS_CLASS "%s", db_get_text(set, row, D_KIND));
			left->table = -1;
		}
		left->rows++;
	}
	return 0;
}

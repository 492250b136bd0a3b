/* purge_chunk: one transaction of the removal of a whole account. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "erasure/control.h"
#include "erasure/documents.h"
#include "erasure/purge_private.h"
#include "erasure/remove.h"
#include "erasure/session.h"
#include "erasure/sql.h"
#include "map/collect.h"
#include "map/documents.h"
#include "query.h"
#include "svc/crypt.h"

#define RETRIES 5
#define RETRY_PAUSE_US 200000

/* ---- whether it may go --------------------------------------------------------------------------- */

static bool
names_line(const char *document, const char *key, const char *value)
{
	CLEANUP(free_text) char *line = mem_printf("\n%s: %s\n", key, value);

	return strstr(document, line) != NULL;
}

int
purge_check_holds(const struct purge *purge, const char *tenant, struct err *err)
{
	const struct run *run = purge->run;
	CLEANUP(db_result_freep) struct db_result *held = NULL;
	CLEANUP(db_result_freep) struct db_result *doubtful = NULL;
	CLEANUP(str_release) struct str sql = STR_INIT;

	str_add(&sql, "SELECT count(*) FROM expunge.hold h WHERE h.released_at IS NULL AND NOT ");
	sql_is_tenant(&sql, run->program, "h.tenant");
	str_add(&sql, " AND NOT EXISTS (SELECT FROM expunge.closure c WHERE c.tenant = h.tenant AND c.claimed_at IS NOT NULL)");
	if (db_query(run->db, &QUERY_PURGE_HELD, DB_PARAMS(tenant), &held, err) != 0 ||
	    db_text(run->db, DB_ONE, sql.s, 0, NULL, &doubtful, err) != 0)
		return -1;
	if (db_get_int(held, 0, 0) > 0) {
		(void)err_set(err, ERR_REFUSED, "account of tenant %s: %s holds are on it", tenant, db_get_text(held, 0, 0));
		return err_hint(err, "expunge hold list; what is there stays until they are released, and then the purge goes on");
	}
	if (db_get_int(doubtful, 0, 0) > 0) {
		(void)err_set(err, ERR_REFUSED, "account of tenant %s: a hold names no known tenant", tenant);
		return err_hint(err, "correct or release it (expunge hold list): it was meant for somebody");
	}
	return 0;
}

int
purge_read_claimed(const struct purge *purge, const char *closure, struct db_result **ret, bool *ret_removed, struct err *err)
{
	const struct run *run = purge->run;
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	const char *document;
	char hash[72];

	if (db_query(run->db, &QUERY_PURGE_CLAIMED, DB_PARAMS(closure), &res, err) != 0)
		return -1;
	if (db_rows(res) == 0)
		return err_set(err, ERR_REFUSED, "there is no closure %.40s", closure);
	*ret_removed = db_get_bool(res, 0, P_IS_REMOVED);
	if (strcmp(db_get_text(res, 0, P_STATE), "claimed") != 0)
		return err_set(err, ERR_REFUSED, "closure %.40s is %s, not claimed: nothing was removed", closure, db_get_text(res, 0, P_STATE));
	document = db_get_text(res, 0, P_DOCUMENT);
	if (crypt_sha256_text(document, strlen(document), hash, err) != 0)
		return -1;
	if (strcmp(hash, db_get_text(res, 0, P_CLAIMED_PLAN)) != 0)
		return err_set(err, ERR_REFUSED, "closure %.40s: its plan is not the one that was approved", closure);
	if (!names_line(document, "map", run->map->hash) || !names_line(document, "schema", run->program->schema_hash) ||
	    !names_line(document, "closure", closure)) {
		(void)err_set(err, ERR_REFUSED, "closure %.40s: map or schema changed since its plan was approved", closure);
		return err_hint(err, "bring them back as they were; what is gone by now was taken by the approved ones");
	}
	*ret = TAKE_PTR(res);
	return 0;
}

int
purge_read_again(const struct purge_removal *removal, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *now = NULL;
	bool removed = false;

	if (guard_freeze(removal->purge->run->db, removal->purge->run->config, err) != 0)
		return -1;
	if (removal->keep != NULL)
		return removal->keep->again(removal->keep->ctx, err) != 0 ? -1 : purge_check_holds(removal->purge, removal->tenant, err);
	if (purge_read_claimed(removal->purge, removal->closure, &now, &removed, err) != 0)
		return -1;
	if (removed || strcmp(db_get_text(now, 0, P_TENANT), removal->tenant) != 0)
		return err_set(err, ERR_REFUSED, "closure %.40s was removed by another run", removal->closure);
	return purge_check_holds(removal->purge, removal->tenant, err);
}

/* ---- one chunk ----------------------------------------------------------------------------------- */

/* Roots, what hangs on them, and nothing of anybody else's. */
static int
collect_chunk(const struct purge_removal *removal, struct purge_chunk *chunk, const char *sets, struct purge_counts *counts,
	struct err *err)
{
	const struct purge *purge = removal->purge;
	CLEANUP(str_release) struct str foreign = STR_INIT;

	if (chunk->round == 0 &&
	    purge_pick(purge, chunk->id, chunk->table, removal->tenant, chunk->limit,
		    chunk->skip_locked ? PURGE_SKIP_LOCKED : PURGE_LOCK, &chunk->roots, err) != 0)
		return -1;
	if (chunk->round == 0 && chunk->roots == 0)
		return 0;
	if (collect_subjects(purge->program, purge->run->db, COLLECT_LOCKED, sets, chunk->round, err) != 0 ||
	    purge_count_rows(purge, sets, chunk->round, counts, err) != 0 ||
	    purge_find_foreign(purge, chunk->id, removal->tenant, &foreign, err) != 0)
		return -1;
	for (size_t i = 0; i < purge->map->n_tables; i++)
		chunk->rows += counts->all[i];
	chunk->subjects = counts->all[purge->map->subject];
	chunk->roots = chunk->round > 0 ? chunk->rows : chunk->roots;
	chunk->too_big = chunk->round == 0 && chunk->rows > chunk->max_rows && chunk->roots > 1;
	if (foreign.len == 0)
		return 0;
	(void)err_set(err, ERR_REFUSED, "account of tenant %s: %.*s: nothing of this chunk was removed", removal->tenant,
		(int)strcspn(foreign.s, "\n"), foreign.s);
	return err_hint(err, "untie the two accounts in the application; then the purge goes on");
}

int
purge_chunk_subjects(const struct purge_removal *removal, const struct purge_chunk *chunk, struct db_result **ret, struct err *err)
{
	const struct purge *purge = removal->purge;
	CLEANUP(str_release) struct str sql = STR_INIT;
	const struct map *map = purge->map;

	str_add(&sql, "SELECT gen_random_uuid(), array_to_string(k.key, chr(31)), ");
	sql_birth(&sql, purge->program, "t");
	str_add(&sql, " FROM expunge.key_set k JOIN ");
	sql_from(&sql, purge->program, map->subject, "t");
	str_add(&sql, " ON ");
	sql_match(&sql, purge->program, map->subject, 0, "t", "k");
	str_addf(&sql, " WHERE k.request_id = $1::uuid AND k.table_id = %d AND k.via = 0", purge->program->tables[map->subject].id);
	return db_text(purge->run->db, DB_MANY, sql.s, 1, DB_PARAMS(chunk->id), ret, err);
}

/* What a restored database must lose again: its subjects one by one, and the account as a whole. */
static int
write_ledger(const struct purge_removal *removal, struct purge_chunk *chunk, struct err *err)
{
	const struct purge *purge = removal->purge;
	const struct run *run = purge->run;
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	const struct map *map = purge->map;

	if (purge_chunk_subjects(removal, chunk, &res, err) != 0)
		return -1;
	ledger_forget(run->ledger);
	if (ledger_intent(run->ledger, removal->closure, removal->tenant, map->tables[purge->tenant].name, removal->tenant, "", err) != 0)
		return -1;
	for (int i = 0; i < db_rows(res); i++)
		if (ledger_intent(run->ledger, db_get_text(res, i, 0), removal->tenant, map->tables[map->subject].name,
			    db_get_text(res, i, 1), db_get_text(res, i, 2), err) != 0)
			return -1;
	chunk->in_ledger = true;
	return ledger_write(run->ledger, chunk->id, err);
}

/* Files are taken away after the COMMIT; what cannot be taken is found before it. */
static int
plan_files(const struct purge *purge, const struct purge_chunk *chunk, const char *sets, struct plans *ret, struct err *err)
{
	const struct run view = purge_view(purge);
	CLEANUP(str_release) struct str lines = STR_INIT;

	ret->items = mem_zero(1, sizeof(*ret->items));
	ret->n = 1;
	(void)snprintf(ret->items[0].request, sizeof(ret->items[0].request), "%s", chunk->id);
	finder_make(&ret->finder, ret->items[0].request, 1, sizeof(struct plan));
	if (documents_plan(&view, sets, chunk->round, ret, err) != 0 || purge_find_blockers(purge, chunk->id, &lines, err) != 0)
		return -1;
	str_add(&lines, str_cstr(&ret->items[0].obstacles));
	if (lines.len == 0)
		return 0;
	return err_set(err, ERR_REFUSED, "%.*s: nothing of this chunk was removed", (int)strcspn(lines.s, "\n"), lines.s);
}

/* Columns of purge_tally_add. */
struct tally_columns {
	struct str numbers, classes, before, arrived, removed, created;
};

static void
tally_columns_release(struct tally_columns *columns)
{
	str_release(&columns->numbers);
	str_release(&columns->classes);
	str_release(&columns->before);
	str_release(&columns->arrived);
	str_release(&columns->removed);
	str_release(&columns->created);
}

/* What there was in the first round was there before; what a later one finds has come since. */
static void
add_tally(struct tally_columns *columns, const struct purge_chunk *chunk, const char *number, const char *class, int64_t counted,
	int64_t removed, int64_t created)
{
	array_add(&columns->numbers, number);
	array_add(&columns->classes, class);
	array_add_int(&columns->before, chunk->round == 0 ? counted : 0);
	array_add_int(&columns->arrived, chunk->round == 0 ? 0 : counted);
	array_add_int(&columns->removed, removed);
	array_add_int(&columns->created, created);
}

static int
add_tallies(const struct purge_removal *removal, const struct purge_chunk *chunk, const struct purge_counts *counts,
	const struct tallies *tallies, const struct plans *plans, struct err *err)
{
	const struct purge *purge = removal->purge;
	CLEANUP(tally_columns_release) struct tally_columns columns = { 0 };

	for (size_t t = 0; t < tallies->n_tables; t++) {
		const struct tally *tally = &tallies->cells[t];
		char number[16];

		if (tally->removed + tally->created == 0)
			continue;
		(void)snprintf(number, sizeof(number), "%d", purge->program->tables[t].id);
		/* shared rows that another account has, too, stay */
		add_tally(&columns, chunk, number, purge->map->tables[t].class, counts->all[t] - tally->retained, tally->removed, tally->created);
	}
	for (size_t f = 0; f < plans->items[0].n_files; f++) {
		const struct plan_files *files = &plans->items[0].files[f];
		CLEANUP(free_text) char *name = mem_printf(DOCUMENTS_CLASS "%s", files->kind);
		CLEANUP(db_result_freep) struct db_result *number = NULL;
		int64_t n = files->n - files->n_missing;

		if (n == 0)
			continue;
		if (db_query(purge->run->db, &QUERY_MAPPED_TABLE_NUMBER, DB_PARAMS(name), &number, err) != 0)
			return -1;
		add_tally(&columns, chunk, db_get_text(number, 0, 0), "", n, n, 0);
	}
	return db_query(purge->run->db, &QUERY_PURGE_TALLY_ADD,
		DB_PARAMS(removal->closure, array_end(&columns.numbers), array_end(&columns.classes), array_end(&columns.before),
			array_end(&columns.arrived), array_end(&columns.removed), array_end(&columns.created)), NULL, err);
}

/* Rules and triggers as declared, the removal, everything back, the neighbours unharmed. */
static int
carry_out(const struct purge_removal *removal, const char *sets, int round, struct control *control, struct tallies *tallies,
	struct err *err)
{
	const struct purge *purge = removal->purge;
	struct db *db = purge->run->db;
	char state[72];

	if (session_prepare(db, purge->map, state, err) != 0 || remove_rows(purge->program, db, sets, round, tallies, err) != 0 ||
	    session_restore(db, purge->map, state, err) != 0)
		return -1;
	return control_compare(control, purge->program, db, err);
}

/* The chunk's row, and with the last one the account's. */
static int
record(const struct purge_removal *removal, const struct purge_chunk *chunk, const struct control *control, struct err *err)
{
	struct db *db = removal->purge->run->db;
	char subjects[24], rows[24], via[16];

	(void)snprintf(subjects, sizeof(subjects), "%" PRId64, chunk->subjects);
	(void)snprintf(rows, sizeof(rows), "%" PRId64, chunk->rows);
	(void)snprintf(via, sizeof(via), "%d", PROGRAM_VIA_DOCUMENT);
	if (db_query(db, &QUERY_PURGE_CHUNK_ADD,
		    DB_PARAMS(chunk->id, removal->closure, subjects, rows, via, control->n_subjects > 0 ? "true" : "false",
			    chunk->last ? "true" : "false"), NULL, err) != 0)
		return -1;
	return chunk->last ? db_query(db, &QUERY_PURGE_REMOVED, DB_PARAMS(removal->closure), NULL, err) : 0;
}

/* Everything of a chunk between BEGIN and COMMIT. */
static int
run_chunk(const struct purge_removal *removal, struct purge_chunk *chunk, struct err *err)
{
	const struct purge *purge = removal->purge;
	struct run view = purge_view(purge);
	CLEANUP(free_text) char *sets = mem_printf("{%s}", chunk->id);
	CLEANUP(control_release) struct control control = { 0 };
	CLEANUP(tallies_release) struct tallies tallies = { 0 };
	CLEANUP(plans_release) struct plans plans = { 0 };
	CLEANUP(purge_counts_release) struct purge_counts counts = { 0 };
	const char *const ids[] = { chunk->id };

	purge_counts_make(&counts, purge);
	if (purge_read_again(removal, err) != 0 || run_lock_schema(&view, err) != 0 || run_check_schema(&view, view.db, err) != 0 ||
	    collect_chunk(removal, chunk, sets, &counts, err) != 0)
		return -1;
	if (chunk->roots == 0 || chunk->too_big)
		return 0;
	tallies_make(&tallies, ids, 1, purge->map->n_tables);
	tallies.by_cascade = chunk->by_cascade;
	for (size_t i = 0; i < purge->map->n_tables; i++)
		tallies.cells[i].planned = counts.following[i];
	if (plan_files(purge, chunk, sets, &plans, err) != 0 ||
	    control_take(&control, purge->program, view.db, sets, removal->tenant,
		    (int)config_int(view.config, SET_VERIFY_CONTROL_SUBJECTS), err) != 0 ||
	    (removal->keep != NULL ? removal->keep->take(removal->keep->ctx, removal, chunk, err) : write_ledger(removal, chunk, err)) != 0 ||
	    carry_out(removal, sets, chunk->round, &control, &tallies, err) != 0 ||
	    run_check_schema(&view, view.db, err) != 0)
		return -1;
	if (removal->keep != NULL)
		return removal->keep->record(removal->keep->ctx, removal, chunk, &tallies, control.n_subjects > 0, err);
	if (add_tallies(removal, chunk, &counts, &tallies, &plans, err) != 0)
		return -1;
	return record(removal, chunk, &control, err);
}

/* A COMMIT whose answer was lost: the chunk's row says whether it happened. */
static int
find_out(const struct purge_removal *removal, const struct purge_chunk *chunk, bool *ret_done, struct err *err)
{
	struct db *db = removal->purge->run->db;
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	/* of one that was there before, nothing says so: the next run looks */
	if (chunk->round > 0)
		return 0;
	if (db_reopen(db, err) != 0 || db_query(db, &QUERY_PURGE_CHUNK_FIND, DB_PARAMS(chunk->id), &res, err) != 0)
		return -1;
	*ret_done = db_get_bool(res, 0, 0);
	return 0;
}

static int
try_chunk(const struct purge_removal *removal, struct purge_chunk *chunk, struct err *err)
{
	struct run *run = removal->purge->run;
	struct err unused = { 0 };
	bool done = false;

	chunk->roots = chunk->rows = chunk->subjects = 0;
	chunk->too_big = chunk->in_ledger = false;
	if ((chunk->round == 0 && crypt_uuid(chunk->id, err) != 0) || db_begin(run->db, err) != 0)
		return -1;
	if (run_chunk(removal, chunk, err) == 0 && (chunk->roots == 0 || chunk->too_big || db_commit(run->db, err) == 0))
		done = true;
	else if (err->code == ERR_UNKNOWN && find_out(removal, chunk, &done, &unused) != 0)
		*err = unused;
	if (!done || chunk->roots == 0 || chunk->too_big)
		db_rollback(run->db);
	if (chunk->in_ledger && (done || err->code != ERR_UNKNOWN))
		(void)ledger_end(run->ledger, chunk->id, done, &unused);
	if (done)
		err_clear(err);
	return done ? 0 : -1;
}

int
purge_chunk(const struct purge_removal *removal, struct purge_chunk *chunk, struct err *err)
{
	for (int attempt = 1;;) {
		/* what a foreign key should have deleted and did not is deleted by hand; so is what came after its owner had gone */
		chunk->by_cascade = attempt == 1 && chunk->round == 0;
		if (try_chunk(removal, chunk, err) == 0) {
			if (!chunk->too_big)
				return 0;
			chunk->limit = chunk->roots * chunk->max_rows / chunk->rows;
			chunk->limit = chunk->limit < 1 ? 1 : chunk->limit;
			continue;
		}
		if (err->code != ERR_RETRY || attempt == RETRIES)
			return -1;
		(void)usleep((useconds_t)(RETRY_PAUSE_US * attempt++));
	}
}

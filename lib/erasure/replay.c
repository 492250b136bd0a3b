#include "erasure/replay.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "erasure/sql.h"
#include "query.h"

/* An intent of the ledger. */
struct intent {
	char request[37], batch[37], row[65], birth[65], time[21];
	bool done, abandoned;
};

/* How a batch ended. */
struct ending {
	char batch[37];
	bool done;
};

struct intents {
	struct intent *items;
	size_t n;
	struct ending *endings;
	size_t n_endings;
};

static void
intents_release(struct intents *intents)
{
	free(intents->items);
	free(intents->endings);
}

/* ---- what the ledger knows ---------------------------------------------------------------------- */

static int
add_entry(void *ctx, const struct ledger_entry *entry, struct err *err)
{
	struct intents *intents = ctx;
	struct intent *intent;
	struct ending *ending;

	(void)err;
	if (entry->what != LEDGER_INTENT) {
		ending = MEM_PUSH(intents->endings, intents->n_endings);
		(void)snprintf(ending->batch, sizeof(ending->batch), "%s", entry->batch);
		ending->done = entry->what == LEDGER_DONE;
		return 0;
	}
	intent = MEM_PUSH(intents->items, intents->n);
	*intent = (struct intent){ .done = false };
	(void)snprintf(intent->request, sizeof(intent->request), "%s", entry->request);
	(void)snprintf(intent->batch, sizeof(intent->batch), "%s", entry->batch);
	(void)snprintf(intent->row, sizeof(intent->row), "%s", entry->row);
	(void)snprintf(intent->birth, sizeof(intent->birth), "%s", entry->birth);
	(void)snprintf(intent->time, sizeof(intent->time), "%s", entry->time);
	return 0;
}

static int
by_batch(const void *a, const void *b)
{
	return strcmp(((const struct ending *)a)->batch, ((const struct ending *)b)->batch);
}

static int
by_row(const void *a, const void *b)
{
	return strcmp(((const struct intent *)a)->row, ((const struct intent *)b)->row);
}

/* A batch that neither ended nor was abandoned was killed, or lost its connection, around its COMMIT. */
static void
settle(struct intents *intents)
{
	qsort(intents->endings, intents->n_endings, sizeof(*intents->endings), by_batch);
	for (size_t i = 0; i < intents->n; i++) {
		struct ending key;
		const struct ending *ending;

		(void)snprintf(key.batch, sizeof(key.batch), "%s", intents->items[i].batch);
		ending = bsearch(&key, intents->endings, intents->n_endings, sizeof(key), by_batch);
		intents->items[i].done = ending != NULL && ending->done;
		intents->items[i].abandoned = ending != NULL && !ending->done;
	}
}

static bool
is_wanted(const struct db_result *wanted, const char *request)
{
	int low = 0, high = db_rows(wanted);

	while (low < high) {
		int middle = low + (high - low) / 2, order = strcmp(db_get_text(wanted, middle, 0), request);

		if (order == 0)
			return true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

/* Only what the database does not know is left, by row. */
static int
keep_unknown(struct run *run, struct intents *intents, struct err *err)
{
	CLEANUP(str_release) struct str requests = STR_INIT;
	CLEANUP(str_release) struct str done = STR_INIT;
	CLEANUP(db_result_freep) struct db_result *wanted = NULL;
	size_t kept = 0;

	if (intents->n == 0)
		return 0;
	settle(intents);
	for (size_t i = 0; i < intents->n; i++)
		if (!intents->items[i].abandoned) {
			array_add(&requests, intents->items[i].request);
			array_add(&done, intents->items[i].done ? "true" : "false");
		}
	if (db_query(run->db, &QUERY_REPLAY_WANTED, DB_PARAMS(array_end(&requests), array_end(&done)), &wanted, err) != 0)
		return -1;
	for (size_t i = 0; i < intents->n; i++)
		if (!intents->items[i].abandoned && is_wanted(wanted, intents->items[i].request))
			intents->items[kept++] = intents->items[i];
	intents->n = kept;
	qsort(intents->items, intents->n, sizeof(*intents->items), by_row);
	return 0;
}

/* ---- who is there again ------------------------------------------------------------------------- */

struct looking {
	struct run *run;
	const struct intents *intents;
	struct replay_result *result;
	struct str requests, tenants, subjects, received; /* that came back */
};

static void
looking_release(struct looking *looking)
{
	str_release(&looking->requests);
	str_release(&looking->tenants);
	str_release(&looking->subjects);
	str_release(&looking->received);
}

/* columns: tenant, key of the row, birth, subject */
static int
look_at(void *ctx, const struct db_result *subject, struct err *err)
{
	struct looking *looking = ctx;
	const struct run *run = looking->run;
	const struct intent *found;
	struct intent key;
	char born[65];

	if (ledger_row_hashes(run->ledger, db_get_text(subject, 0, 0), run->map->tables[run->map->subject].name, db_get_text(subject, 0, 1),
		    db_get_text(subject, 0, 2), key.row, born, err) != 0)
		return -1;
	found = bsearch(&key, looking->intents->items, looking->intents->n, sizeof(key), by_row);
	if (found == NULL)
		return 0;
	if (strcmp(found->birth, born) != 0) {
		looking->result->strangers++;
		return 0;
	}
	looking->result->back++;
	array_add(&looking->requests, found->request);
	array_add(&looking->tenants, db_get_text(subject, 0, 0));
	array_add(&looking->subjects, db_get_text(subject, 0, 3));
	array_add(&looking->received, found->time);
	return 0;
}

static void
compose_subjects(struct str *sql, const struct program *program)
{
	const struct map *map = program->map;
	const struct cat_table *cat = program_cat(program, map->subject);

	if (map->subject_tenant_column >= 0)
		str_addf(sql, "SELECT t.%s::text", cat->columns[map->subject_tenant_column].quoted);
	else {
		str_add(sql, "SELECT ");
		sql_literal(sql, map->tenant_constant == NULL ? "" : map->tenant_constant);
	}
	str_add(sql, ", array_to_string(");
	sql_key(sql, program, map->subject, 0, "t");
	str_add(sql, ", chr(31)), ");
	sql_birth(sql, program, "t");
	str_addf(sql, ", t.%s::text FROM ", cat->columns[map->subject_key_column].quoted);
	sql_from(sql, program, map->subject, "t");
}

static int
look(struct run *run, struct looking *looking, struct err *err)
{
	CLEANUP(intents_release) struct intents intents = { 0 };
	CLEANUP(str_release) struct str sql = STR_INIT;
	int64_t entries;

	looking->intents = &intents;
	if (ledger_each(run->ledger, add_entry, &intents, &entries, err) != 0 || keep_unknown(run, &intents, err) != 0)
		return -1;
	looking->result->unknown = (int64_t)intents.n;
	if (intents.n > 0) {
		compose_subjects(&sql, run->program);
		if (db_each(run->db, sql.s, 0, NULL, look_at, looking, err) != 0)
			return -1;
	}
	looking->intents = NULL;
	return 0;
}

int
replay_find(struct run *run, struct replay_result *ret, struct err *err)
{
	CLEANUP(looking_release) struct looking looking = { .run = run, .result = ret };

	*ret = (struct replay_result){ 0 };
	return look(run, &looking, err);
}

int
replay_file(struct run *run, struct db *person, struct replay_result *ret, struct err *err)
{
	CLEANUP(looking_release) struct looking looking = { .run = run, .result = ret };
	CLEANUP(db_result_freep) struct db_result *filed = NULL;

	*ret = (struct replay_result){ 0 };
	if (look(run, &looking, err) != 0)
		return -1;
	if (ret->strangers > 0)
		run_note(run, NOTE_WARNING, "%" PRId64 " rows have the key of an erased one and were born at another time: they are left alone",
			ret->strangers);
	if (ret->back == 0)
		return 0;
	if (db_begin(person, err) != 0)
		return -1;
	if (db_query(person, &QUERY_REPLAY_FILE,
		    DB_PARAMS(array_end(&looking.requests), array_end(&looking.tenants), array_end(&looking.subjects),
			    array_end(&looking.received)), &filed, err) == 0 && db_commit(person, err) == 0) {
		ret->filed = db_get_int(filed, 0, 0);
		return 0;
	}
	db_rollback(person);
	return -1;
}

/* ---- the end ------------------------------------------------------------------------------------ */

static int
end_all(struct run *run, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *removed = NULL;
	CLEANUP(str_release) struct str requests = STR_INIT;
	CLEANUP(str_release) struct str hashes = STR_INIT;
	char hash[80];

	if (db_query(run->db, &QUERY_REPLAY_REMOVED, NULL, &removed, err) != 0)
		return -1;
	for (int i = 0; i < db_rows(removed); i++) {
		if (ledger_subject_hash(run->ledger, db_get_text(removed, i, 1), db_get_text(removed, i, 2), hash, err) != 0)
			return -1;
		array_add(&requests, db_get_text(removed, i, 0));
		array_add(&hashes, hash);
	}
	if (db_rows(removed) == 0)
		return 0;
	(void)array_end(&requests);
	return db_query(run->db, &QUERY_CERTIFIED_FORGET, DB_PARAMS(requests.s), NULL, err) != 0 ? -1
	     : db_query(run->db, &QUERY_REPLAY_ENDED, DB_PARAMS(requests.s, array_end(&hashes)), NULL, err);
}

int
replay_end(struct run *run, struct err *err)
{
	if (db_begin(run->db, err) != 0)
		return -1;
	if (end_all(run, err) == 0 && db_commit(run->db, err) == 0)
		return 0;
	db_rollback(run->db);
	return -1;
}

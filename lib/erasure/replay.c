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
	size_t order; /* in the ledger */
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
	*intent = (struct intent){ .order = intents->n };
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

/* A number that was given again stands in several: of each who bore it the first one counts, the erasure itself, and not
 * what has carried it out again after an earlier restore. */
static int
by_row(const void *a, const void *b)
{
	const struct intent *one = a, *other = b;
	int by_key = strcmp(one->row, other->row), by_birth = strcmp(one->birth, other->birth);
	int by_time = strcmp(one->time, other->time);

	if (by_key != 0 || by_birth != 0 || by_time != 0)
		return by_key != 0 ? by_key : by_birth != 0 ? by_birth : by_time;
	return one->order < other->order ? -1 : one->order > other->order;
}

/* A batch that neither ended nor was abandoned was killed, or lost its connection, around its COMMIT. */
static void
settle(struct intents *intents)
{
	if (intents->n_endings == 0)
		return;
	qsort(intents->endings, intents->n_endings, sizeof(*intents->endings), by_batch);
	for (size_t i = 0; i < intents->n; i++) {
		struct ending key = { .done = false };
		const struct ending *ending;

		(void)snprintf(key.batch, sizeof(key.batch), "%s", intents->items[i].batch);
		ending = bsearch(&key, intents->endings, intents->n_endings, sizeof(key), by_batch);
		intents->items[i].done = ending != NULL && ending->done;
		intents->items[i].abandoned = ending != NULL && !ending->done;
	}
}

/* Whether a text is among rows in the order of bytes. */
static bool
has_text(const struct db_result *rows, const char *text)
{
	int low = 0, high = db_rows(rows);

	while (low < high) {
		int middle = low + (high - low) / 2, order = strcmp(db_get_text(rows, middle, 0), text);

		if (order == 0)
			return true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

/* The same entry in several copies. */
static void
drop_doubles(struct intents *intents)
{
	size_t kept = 0;

	for (size_t i = 0; i < intents->n; i++) {
		const struct intent *last = kept == 0 ? NULL : &intents->items[kept - 1], *item = &intents->items[i];

		if (last == NULL || strcmp(last->row, item->row) != 0 || strcmp(last->birth, item->birth) != 0 ||
		    strcmp(last->request, item->request) != 0 || strcmp(last->batch, item->batch) != 0)
			intents->items[kept++] = *item;
	}
	intents->n = kept;
}

/* Only what the database does not know is left, by row. */
static int
keep_unknown(struct run *run, struct intents *intents, struct replay_result *result, struct err *err)
{
	CLEANUP(str_release) struct str requests = STR_INIT;
	CLEANUP(str_release) struct str done = STR_INIT;
	CLEANUP(db_result_freep) struct db_result *wanted = NULL;
	CLEANUP(db_result_freep) struct db_result *missing = NULL;
	size_t kept = 0;

	settle(intents);
	for (size_t i = 0; i < intents->n; i++)
		if (!intents->items[i].abandoned) {
			array_add(&requests, intents->items[i].request);
			array_add(&done, intents->items[i].done ? "true" : "false");
		}
	if (db_query(run->db, &QUERY_REPLAY_WANTED, DB_PARAMS(array_end(&requests), array_end(&done)), &wanted, err) != 0 ||
	    db_query(run->db, &QUERY_REPLAY_MISSING, DB_PARAMS(requests.s), &missing, err) != 0)
		return -1;
	result->missing = db_get_int(missing, 0, 0);
	for (size_t i = 0; i < intents->n; i++)
		if (!intents->items[i].abandoned && has_text(wanted, intents->items[i].request))
			intents->items[kept++] = intents->items[i];
	intents->n = kept;
	if (kept > 0)
		qsort(intents->items, intents->n, sizeof(*intents->items), by_row);
	drop_doubles(intents);
	return 0;
}

/* ---- who is there again ------------------------------------------------------------------------- */

struct back {
	const struct intent *intent;
	char *tenant, *subject;
	bool is_mixed; /* merged, here, with somebody who was not erased */
};

struct looking {
	struct run *run;
	const struct keys *keys;
	struct intents intents;
	struct replay_result *result;
	struct back *items; /* that came back */
	size_t n;
};

static void
looking_release(struct looking *looking)
{
	for (size_t i = 0; i < looking->n; i++) {
		free(looking->items[i].tenant);
		free(looking->items[i].subject);
	}
	free(looking->items);
	intents_release(&looking->intents);
}

/* The first intent that does not come before a row and a birth. */
static const struct intent *
first_from(const struct intents *intents, const struct intent *key)
{
	size_t low = 0, high = intents->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (by_row(&intents->items[middle], key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < intents->n ? &intents->items[low] : NULL;
}

static bool
is_of_row(const struct intent *intent, const struct intent *key)
{
	return intent != NULL && strcmp(intent->row, key->row) == 0;
}

/* columns: tenant, key of the row, birth, subject */
static int
look_at(void *ctx, const struct db_result *subject, struct err *err)
{
	struct looking *looking = ctx;
	const struct run *run = looking->run;
	const struct intent *found;
	struct intent key = { .order = 0 };

	if (ledger_row_hashes(run->ledger, db_get_text(subject, 0, 0), run->map->tables[run->map->subject].name, db_get_text(subject, 0, 1),
		    db_get_text(subject, 0, 2), key.row, key.birth, err) != 0)
		return -1;
	found = first_from(&looking->intents, &key);
	if (is_of_row(found, &key) && strcmp(found->birth, key.birth) == 0) {
		*MEM_PUSH(looking->items, looking->n) = (struct back){ .intent = found, .tenant = mem_copy(db_get_text(subject, 0, 0)),
			.subject = mem_copy(db_get_text(subject, 0, 3)) };
		return 0;
	}
	key.birth[0] = '\0';
	looking->result->strangers += is_of_row(first_from(&looking->intents, &key), &key);
	return 0;
}

static void
compose_subjects(struct str *sql, const struct program *program)
{
	const struct map *map = program->map;
	const struct cat_table *cat = program_cat(program, map->subject);

	str_add(sql, "SELECT ");
	sql_tenant(sql, program, "t");
	str_add(sql, ", array_to_string(");
	sql_key(sql, program, map->subject, 0, "t");
	str_add(sql, ", chr(31)), ");
	sql_birth(sql, program, "t");
	str_addf(sql, ", t.%s::text FROM ", cat->columns[map->subject_key_column].quoted);
	sql_from(sql, program, map->subject, "t");
}

/* Who of those that are back ($1) is merged, directly or through others, with a row that is none of them. */
static void
compose_mixed(struct str *sql, const struct program *program)
{
	const struct map *map = program->map;
	const struct cat_table *cat = program_cat(program, map->subject);
	const char *key = cat->columns[map->subject_key_column].quoted, *merged = cat->columns[map->subject_merged_column].quoted;

	str_addf(sql, "WITH RECURSIVE pair AS MATERIALIZED (SELECT s.%s::text AS a, t.%s::text AS b FROM ", key, key);
	sql_from(sql, program, map->subject, "s");
	str_add(sql, " JOIN ");
	sql_from(sql, program, map->subject, "t");
	str_addf(sql, " ON t.%s = s.%s), edge AS (SELECT a, b FROM pair UNION ALL SELECT b, a FROM pair),"
		" reach(root, at) AS (SELECT x, x FROM unnest($1::text[]) x UNION SELECT r.root, e.b FROM reach r JOIN edge e ON e.a = r.at)"
		" SELECT DISTINCT r.root COLLATE \"C\" FROM reach r WHERE NOT EXISTS (SELECT FROM unnest($1::text[]) x WHERE x = r.at)"
		" ORDER BY 1", key, merged);
}

/* The copy may have them merged although they were told apart since: erasing the one would take the other along. */
static int
find_mixed(struct looking *looking, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *mixed = NULL;
	CLEANUP(str_release) struct str sql = STR_INIT;
	CLEANUP(str_release) struct str subjects = STR_INIT;

	looking->result->back = (int64_t)looking->n;
	if (looking->n == 0 || looking->run->map->subject_merged_column < 0)
		return 0;
	for (size_t i = 0; i < looking->n; i++)
		array_add(&subjects, looking->items[i].subject);
	compose_mixed(&sql, looking->run->program);
	if (db_text(looking->run->db, DB_MANY, sql.s, 1, DB_PARAMS(array_end(&subjects)), &mixed, err) != 0)
		return -1;
	for (size_t i = 0; i < looking->n; i++) {
		looking->items[i].is_mixed = has_text(mixed, looking->items[i].subject);
		looking->result->mixed += looking->items[i].is_mixed;
	}
	return 0;
}

/* Of other hosts, or of this one before it was lost. */
static int
read_copies(struct looking *looking, struct err *err)
{
	for (size_t i = 0; i < looking->keys->n_journals; i++) {
		CLEANUP(free_text) char *directory = journal_directory(&looking->keys->journals[i]);

		if (ledger_each_copy(looking->run->ledger, directory, add_entry, &looking->intents, err) != 0)
			return -1;
	}
	return 0;
}

static int
look(struct looking *looking, struct err *err)
{
	CLEANUP(str_release) struct str sql = STR_INIT;
	int64_t entries;

	*looking->result = (struct replay_result){ 0 };
	if (ledger_each(looking->run->ledger, add_entry, &looking->intents, &entries, err) != 0 ||
	    read_copies(looking, err) != 0 || keep_unknown(looking->run, &looking->intents, looking->result, err) != 0)
		return -1;
	looking->result->unknown = (int64_t)looking->intents.n;
	if (looking->intents.n == 0)
		return 0;
	compose_subjects(&sql, looking->run->program);
	return db_each(looking->run->db, sql.s, 0, NULL, look_at, looking, err) != 0 ? -1 : find_mixed(looking, err);
}

int
replay_find(struct run *run, const struct keys *keys, struct replay_result *ret, struct err *err)
{
	CLEANUP(looking_release) struct looking looking = { .run = run, .keys = keys, .result = ret };

	return look(&looking, err);
}

static void
tell(const struct looking *looking)
{
	if (looking->result->strangers > 0)
		run_note(looking->run, NOTE_WARNING,
			"%" PRId64 " rows have the key of an erased one and were born at another time: they are left alone", looking->result->strangers);
	for (size_t i = 0; i < looking->n; i++)
		if (looking->items[i].is_mixed)
			run_note(looking->run, NOTE_ERROR, "request %s of tenant %s is not carried out again: its subject is merged in this database "
				"with one that was not erased; if they are not the same person, tell them apart", looking->items[i].intent->request,
				looking->items[i].tenant);
}

static int
file(const struct looking *looking, int64_t *ret_filed, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *filed = NULL;
	CLEANUP(str_release) struct str requests = STR_INIT;
	CLEANUP(str_release) struct str tenants = STR_INIT;
	CLEANUP(str_release) struct str subjects = STR_INIT;
	CLEANUP(str_release) struct str received = STR_INIT;
	struct db *db = looking->run->db;

	for (size_t i = 0; i < looking->n; i++)
		if (!looking->items[i].is_mixed) {
			array_add(&requests, looking->items[i].intent->request);
			array_add(&tenants, looking->items[i].tenant);
			array_add(&subjects, looking->items[i].subject);
			array_add(&received, looking->items[i].intent->time);
		}
	if (db_begin(db, err) != 0)
		return -1;
	if (db_query(db, &QUERY_REPLAY_FILE, DB_PARAMS(array_end(&requests), array_end(&tenants), array_end(&subjects),
		    array_end(&received)), &filed, err) == 0 && db_commit(db, err) == 0) {
		*ret_filed = db_get_int(filed, 0, 0);
		return 0;
	}
	db_rollback(db);
	return -1;
}

int
replay_file(struct run *run, const struct keys *keys, struct replay_result *ret, struct err *err)
{
	CLEANUP(looking_release) struct looking looking = { .run = run, .keys = keys, .result = ret };

	if (look(&looking, err) != 0)
		return -1;
	tell(&looking);
	return ret->missing > 0 || ret->back == ret->mixed ? 0 : file(&looking, &ret->filed, err);
}

/* ---- keys of who is not there ------------------------------------------------------------------- */

int
replay_retire(struct run *run, int64_t *ret_n, struct err *err)
{
	const struct program *program = run->program;
	const struct map *map = program->map;
	CLEANUP(str_release) struct str sql = STR_INIT;

	str_add(&sql, "UPDATE expunge.key_leaf l SET retired = true WHERE l.kind = 'subject' AND l.shredded_epoch IS NULL AND NOT l.retired"
		" AND NOT EXISTS (SELECT FROM ");
	sql_from(&sql, program, map->subject, "t");
	str_add(&sql, " WHERE ");
	sql_tenant(&sql, program, "t");
	str_addf(&sql, " = l.tenant AND t.%s::text = l.name)", program_cat(program, map->subject)->columns[map->subject_key_column].quoted);
	return db_command(run->db, sql.s, 0, NULL, ret_n, err);
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

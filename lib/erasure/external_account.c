/* external_account: the stores outside the database are told that a whole account is closed. */
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "erasure/external_private.h"
#include "erasure/guard.h"
#include "query.h"

/* columns of closure_stores */
enum { S_TENANT, S_NAME, S_BY_PROGRAM, S_ON_RECORD, S_TOLD };

static const struct map_external *
find_store(const struct map *map, const char *name)
{
	for (size_t i = 0; i < map->n_externals; i++)
		if (strcmp(map->externals[i].name, name) == 0)
			return &map->externals[i];
	return NULL;
}

static int
note(struct run *run, const char *closure, const char *store, const char *answer, struct err *err)
{
	return db_query(run->db, &QUERY_CLOSURE_STORE_NOTE, DB_PARAMS(closure, store, answer), NULL, err);
}

/* One store. What went wrong outside is left in `why`; -1 is an error of the run. */
static int
tell(struct run *run, const char *closure, const struct db_result *stores, int row, struct err *why, struct err *err)
{
	const char *name = db_get_text(stores, row, S_NAME);
	const struct map_external *store = find_store(run->map, name);
	const struct external_case about = { .request = closure, .tenant = db_get_text(stores, row, S_TENANT), .subject = "" };
	bool acknowledged = true;
	struct err failure = { 0 };

	if (!db_get_bool(stores, row, S_BY_PROGRAM))
		return db_get_bool(stores, row, S_ON_RECORD) ? 0 : note(run, closure, name, "waits", err);
	if (store == NULL || store->account.n == 0) {
		(void)err_set(why, ERR_FAILED, "external store %s was not told: the map has no account command of it any more", name);
		(void)err_hint(why, "it is in the plan that was approved; put it back under external in the data map");
		return 0;
	}
	if (external_call(store, &store->account, &about, &acknowledged, &failure) == 0)
		return note(run, closure, name, acknowledged ? "acknowledged" : "told", err);
	(void)err_set(why, ERR_FAILED, "external store %s was not told: %s", name, failure.msg);
	return 0;
}

static int
tell_all(struct run *run, const char *closure, struct err *why, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *stores = NULL;
	CLEANUP(str_release) struct str names = STR_INIT;
	CLEANUP(str_release) struct str programs = STR_INIT;

	for (size_t i = 0; i < run->map->n_externals; i++) {
		array_add(&names, run->map->externals[i].name);
		array_add(&programs, run->map->externals[i].account.n > 0 ? "true" : "false");
	}
	if (guard_freeze(run->db, run->config, err) != 0 ||
	    db_query(run->db, &QUERY_CLOSURE_STORES, DB_PARAMS(closure, array_end(&names), array_end(&programs)), &stores, err) != 0)
		return -1;
	for (int i = 0; i < db_rows(stores); i++)
		if (!db_get_bool(stores, i, S_TOLD) && tell(run, closure, stores, i, why, err) != 0)
			return -1;
	return 0;
}

int
external_tell_account(struct run *run, const char *closure, struct err *err)
{
	struct err why = { 0 };

	if (db_begin(run->db, err) != 0)
		return -1;
	if (tell_all(run, closure, &why, err) != 0 || db_commit(run->db, err) != 0) {
		db_rollback(run->db);
		return -1;
	}
	if (why.code == 0)
		return 0;
	*err = why;
	return -1;
}

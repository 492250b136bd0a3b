#include "erasure/shredding.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "keys/keys.h"
#include "query.h"

/* columns of key_tree_exists */
enum { E_TREE, E_CHANGE };

int
shredding_check(struct run *run, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *there = NULL;

	if (keys_declared(run->config))
		return 0;
	if (db_query(run->db, &QUERY_KEY_TREE_EXISTS, NULL, &there, err) != 0)
		return -1;
	if (!db_get_bool(there, 0, E_TREE))
		return 0;
	(void)err_set(err, ERR_REFUSED, "this database has a key tree, and the configuration declares no keys.shares");
	return err_hint(err, "put keys.shares back: without them no key is shredded, and archives would keep what is erased");
}

static int
hash_name(void *ctx, const char *tenant, const char *name, char ret[SHRED_HASH_SIZE], struct err *err)
{
	return ledger_subject_hash(ctx, tenant, name, ret, err);
}

/* The leaves that are to go; *ret_change: or a change that was interrupted. */
static int
find_leaves(struct run *run, struct db_result **ret, bool *ret_change, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *there = NULL;
	int subject = run->map->subject;
	char table[16], via[16];

	(void)snprintf(table, sizeof(table), "%d", run->program->tables[subject].id);
	(void)snprintf(via, sizeof(via), "%d", program_via(run->program, subject, &run->map->subject_key_column, 1));
	if (db_query(run->db, &QUERY_KEY_TREE_EXISTS, NULL, &there, err) != 0 ||
	    db_query(run->db, &QUERY_REQUEST_LEAVES_NOTE, DB_PARAMS(table, via, run->skip), NULL, err) != 0)
		return -1;
	*ret_change = db_get_bool(there, 0, E_CHANGE);
	return db_query(run->db, &QUERY_REQUEST_LEAVES_LIVING, DB_PARAMS(run->skip), ret, err);
}

static int
shred(struct run *run, const struct db_result *leaves, struct err *err)
{
	CLEANUP(keys_close) struct keys keys = { 0 };
	CLEANUP(db_closep) struct db *db = NULL; /* alone with the keys: nothing else hangs on its locks */
	CLEANUP(free_text) char *memory = mem_zero((size_t)db_rows(leaves) + 1, sizeof(int64_t));
	int64_t *ids = (int64_t *)(void *)memory;

	for (int i = 0; i < db_rows(leaves); i++)
		ids[i] = db_get_int(leaves, i, 0);
	if (keys_open(&keys, run->config, run->instance.id, false, NULL, err) != 0 ||
	    run->connect(run->connect_ctx, run->map->login, &db, err) != 0)
		return -1;
	if (db_rows(leaves) == 0)
		return keys_resume(&keys, db, hash_name, run->ledger, err);
	return keys_shred(&keys, db, ids, (size_t)db_rows(leaves), hash_name, run->ledger, NULL, err);
}

int
shredding_carry_out(struct run *run, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *leaves = NULL;
	bool interrupted;

	if (!keys_declared(run->config))
		return 0;
	if (find_leaves(run, &leaves, &interrupted, err) != 0)
		return -1;
	if (db_rows(leaves) == 0 && !interrupted)
		return 0;
	if (shred(run, leaves, err) == 0) {
		run_note(run, NOTE_INFO, "leaf keys shredded: %d", db_rows(leaves));
		return 0;
	}
	run->n_failed++;
	run_note(run, NOTE_ERROR, "%d leaf keys are not shredded, and their requests wait for it: %s", db_rows(leaves), err->msg);
	if (err->hint[0] != '\0')
		run_note(run, NOTE_ERROR, "%s", err->hint);
	err_clear(err);
	return 0;
}

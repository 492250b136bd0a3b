#include "erasure/shredding.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive/expire.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "keys/keys.h"
#include "keys/lineage.h"
#include "query.h"

/* columns of key_tree_exists */
enum { E_TREE, E_CHANGE };

static int
check_undeclared(struct run *run, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *there = NULL;

	if (db_query(run->db, &QUERY_KEY_TREE_EXISTS, NULL, &there, err) != 0)
		return -1;
	if (!db_get_bool(there, 0, E_TREE))
		return 0;
	(void)err_set(err, ERR_REFUSED, "this database has a key tree, and the configuration declares no keys.shares");
	return err_hint(err, "put keys.shares back: without them no key is shredded, and archives would keep what is erased");
}

/* A replica that was lost is written again from another; what is in the way is told, and no reason to stop. */
static void
heal(struct run *run, const struct keys *keys)
{
	struct err why = { 0 };
	size_t n;

	if (keys_heal(keys, run->db, &n, &why) != 0)
		run_note(run, NOTE_WARNING, "%s", why.msg);
	if (n > 0)
		run_note(run, NOTE_WARNING, "%zu replicas of root shares were absent, and are written again", n);
}

int
shredding_enter(struct run *run, struct err *err)
{
	CLEANUP(keys_close) struct keys keys = { 0 };
	CLEANUP(str_release) struct str notes = STR_INIT;

	if (!keys_declared(run->config))
		return check_undeclared(run, err);
	if (keys_open(&keys, run->config, run->instance.id, false, NULL, err) != 0 ||
	    lineage_enter(&keys, run->db, &notes, err) != 0)
		return -1;
	run_note_lines(run, NOTE_WARNING, "", &notes);
	heal(run, &keys);
	return 0;
}

static int
hash_name(void *ctx, const char *tenant, const char *name, char ret[SHRED_HASH_SIZE], struct err *err)
{
	return ledger_subject_hash(ctx, tenant, name, ret, err);
}

/* What one change of the root takes with it. */
struct shredding {
	struct run *run;
	struct keys keys;
	struct db *db;              /* alone with the keys: nothing else hangs on its locks */
	struct db_result *patients; /* leaves of requests */
	struct db_result *accounts; /* tenants whose account is removed */
	struct expire expire;
	bool interrupted;           /* there is a change to be gone on with */
	int64_t *leaves;
	size_t n;
};

static void
release(struct shredding *shredding)
{
	expire_release(&shredding->expire);
	db_result_free(shredding->patients);
	db_result_free(shredding->accounts);
	db_close(shredding->db);
	keys_close(&shredding->keys);
	free(shredding->leaves);
}

static int
find_shreddable(struct shredding *shredding, struct err *err)
{
	struct run *run = shredding->run;
	int subject = run->map->subject;
	char table[16], via[16];

	(void)snprintf(table, sizeof(table), "%d", run->program->tables[subject].id);
	(void)snprintf(via, sizeof(via), "%d", program_via(run->program, subject, &run->map->subject_key_column, 1));
	if (db_query(run->db, &QUERY_CLOSURE_REMOVED, NULL, &shredding->accounts, err) != 0)
		return -1;
	if (db_query(run->db, &QUERY_REQUEST_LEAVES_NOTE, DB_PARAMS(table, via, run->skip), NULL, err) != 0)
		return -1;
	return db_query(run->db, &QUERY_REQUEST_LEAVES_LIVING, DB_PARAMS(run->skip), &shredding->patients, err);
}

/* Patients' leaves, those of archives that expire, and, since the root is changed then anyway, those of attempts that never
 * came to an archive. */
static void
collect_leaves(struct shredding *shredding)
{
	const struct expire *expire = &shredding->expire;

	for (int i = 0; i < db_rows(shredding->patients); i++)
		*MEM_PUSH(shredding->leaves, shredding->n) = db_get_int(shredding->patients, i, 0);
	for (size_t i = 0; i < expire->n; i++)
		*MEM_PUSH(shredding->leaves, shredding->n) = expire->items[i].leaf;
	if (shredding->n == 0)
		return;
	for (size_t i = 0; i < expire->n_attempts; i++)
		*MEM_PUSH(shredding->leaves, shredding->n) = expire->attempts[i];
}

/* The ledger beside each journal: which erasures there were outlives this host. */
static int
copy_ledger(struct run *run, const struct keys *keys, struct err *err)
{
	for (size_t i = 0; i < keys->n_journals; i++) {
		CLEANUP(free_text) char *directory = journal_directory(&keys->journals[i]);

		if (ledger_copy(run->ledger, directory, err) != 0)
			return -1;
	}
	return 0;
}

static int
shred_alone(struct shredding *shredding, struct err *err)
{
	struct run *run = shredding->run;

	if (expire_find(&shredding->keys, shredding->db, &shredding->expire, err) != 0 || copy_ledger(run, &shredding->keys, err) != 0)
		return -1;
	collect_leaves(shredding);
	if (shredding->n > 0 || db_rows(shredding->accounts) > 0) {
		size_t n = (size_t)db_rows(shredding->accounts);
		CLEANUP(free_text) char *memory = mem_zero(n + 1, sizeof(const char *));
		const char **tenants = (const char **)(void *)memory;

		for (size_t i = 0; i < n; i++)
			tenants[i] = db_get_text(shredding->accounts, (int)i, 0);
		return keys_shred(&shredding->keys, shredding->db, &(struct shred_set){ shredding->leaves, shredding->n, tenants, n }, hash_name,
			run->ledger, NULL, err);
	}
	return shredding->interrupted ? keys_resume(&shredding->keys, shredding->db, hash_name, run->ledger, err) : 0;
}

/* No archive is on its way while it is found out which leaves have none. */
static int
shred(struct shredding *shredding, struct err *err)
{
	int failed;

	if (keyring_lock(shredding->db, true, err) != 0)
		return err_prefix(err, "waiting until nobody holds keys");
	failed = shred_alone(shredding, err);
	keyring_unlock(shredding->db, true);
	return failed;
}

static void
tell_shredded(const struct shredding *shredding)
{
	const struct expire *expire = &shredding->expire;

	if (shredding->n > 0)
		run_note(shredding->run, NOTE_INFO, "leaf keys shredded: %zu, of %d patients, %zu archives, %zu attempts at one", shredding->n,
			db_rows(shredding->patients), expire->n, shredding->n - (size_t)db_rows(shredding->patients) - expire->n);
	if (db_rows(shredding->accounts) > 0)
		run_note(shredding->run, NOTE_INFO, "accounts whose keys are shredded as a whole: %d", db_rows(shredding->accounts));
	run_note_lines(shredding->run, NOTE_WARNING, "destination ", &expire->strangers);
}

static void
tell_failure(struct run *run, struct err *why, const char *what)
{
	run->n_failed++;
	run_note(run, NOTE_ERROR, "%s: %s", what, why->msg);
	if (why->hint[0] != '\0')
		run_note(run, NOTE_ERROR, "%s", why->hint);
	err_clear(why);
}

/* Files go whether or not there was anything to shred: a destination that was away may be back. */
static void
remove_expired(struct shredding *shredding)
{
	CLEANUP(expire_removed_release) struct expire_removed removed = { 0 };
	struct run *run = shredding->run;
	struct err err = { 0 };

	if (expire_remove(&shredding->keys, shredding->db, &removed, &err) != 0)
		tell_failure(run, &err, "files of expired archives are not removed");
	if (removed.n_expired + removed.n_files > 0)
		run_note(run, NOTE_INFO, "archives expired: %lld, files removed: %lld", (long long)removed.n_expired, (long long)removed.n_files);
	run->n_failed += removed.failures.len > 0;
	run_note_lines(run, NOTE_ERROR, "destination ", &removed.failures);
	run_note_lines(run, NOTE_INFO, "destination ", &removed.notes);
}

static void
shred_and_remove(struct shredding *shredding)
{
	struct run *run = shredding->run;
	const struct expiry_keep keep = expire_keep(run->config);
	struct err err = { 0 };

	if (keys_open(&shredding->keys, run->config, run->instance.id, false, NULL, &err) != 0 ||
	    run->connect(run->connect_ctx, run->map->login, &shredding->db, &err) != 0) {
		tell_failure(run, &err, "leaf keys are not shredded, and their requests wait for it");
		return;
	}
	if (db_rows(shredding->patients) > 0 || db_rows(shredding->accounts) > 0 || shredding->interrupted || expiry_has_rule(&keep)) {
		if (shred(shredding, &err) != 0)
			tell_failure(run, &err, "leaf keys are not shredded, and their requests wait for it");
		else
			tell_shredded(shredding);
	}
	remove_expired(shredding);
}

int
shredding_carry_out(struct run *run, struct err *err)
{
	CLEANUP(release) struct shredding shredding = { .run = run };
	CLEANUP(db_result_freep) struct db_result *there = NULL;

	if (!keys_declared(run->config))
		return 0;
	if (db_query(run->db, &QUERY_KEY_TREE_EXISTS, NULL, &there, err) != 0)
		return -1;
	shredding.interrupted = db_get_bool(there, 0, E_CHANGE);
	if (!db_get_bool(there, 0, E_TREE) && !shredding.interrupted)
		return 0;
	if (find_shreddable(&shredding, err) != 0)
		return -1;
	shred_and_remove(&shredding);
	return 0;
}

int
shredding_journal(struct run *run, int64_t *ret_serial, struct err *err)
{
	CLEANUP(keyring_state_release) struct keyring_state state = { 0 };
	CLEANUP(keys_close) struct keys keys = { 0 };

	*ret_serial = INT64_MAX;
	if (!keys_declared(run->config))
		return 0;
	/* the serial before the journals: what another run signs meanwhile they may not have */
	if (keyring_state(run->db, &state, err) == 0 && keys_open(&keys, run->config, run->instance.id, false, NULL, err) == 0 &&
	    keys_journal(&keys, run->db, false, err) == 0 && copy_ledger(run, &keys, err) == 0) {
		*ret_serial = state.serial;
		return 0;
	}
	if (err->code == ERR_LOST || err->code == ERR_UNKNOWN)
		return -1;
	*ret_serial = 0;
	run->n_failed++;
	run_note(run, NOTE_ERROR, "the key journals do not have this night's certificates, which do not become files before that: %s", err->msg);
	err_clear(err);
	return 0;
}

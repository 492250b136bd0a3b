#include "keys/shred_rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "keys/rows.h"
#include "query.h"
#include "svc/crypt.h"

/* columns of key_leaves_place and key_tenants_leaves */
enum { L_ID, L_PAGE, L_SLOT, L_KCV, L_TENANT, L_NAME };
/* columns of key_tenants_place */
enum { T_PAGE, T_SLOT };
/* columns of key_children */
enum { C_PAGE, C_SLOT, C_KCV };

/* ---- commit ------------------------------------------------------------------------------------ */

/* What is dropped: slots of leaves, and of tenants' top pages; and rows that become tombstones, of leaves and of tenants'
 * leaves that something refers to. */
struct dropping {
	struct str tenants; /* a text[] */
	struct db_result *leaves, *tops, *referred;
};

static void
dropping_release(struct dropping *dropping)
{
	str_release(&dropping->tenants);
	db_result_free(dropping->leaves);
	db_result_free(dropping->tops);
	db_result_free(dropping->referred);
}

static int
find_dropping(const struct shred *shred, const struct shred_set *set, struct dropping *ret, struct err *err)
{
	CLEANUP(str_release) struct str ids = STR_INIT;

	for (size_t i = 0; i < set->n; i++)
		array_add_int(&ids, set->leaves[i]);
	for (size_t i = 0; i < set->n_tenants; i++)
		array_add(&ret->tenants, set->tenants[i]);
	(void)array_end(&ret->tenants);
	if (db_query(shred->db, &QUERY_KEY_LEAVES_PLACE, DB_PARAMS(array_end(&ids), ret->tenants.s), &ret->leaves, err) != 0 ||
	    db_query(shred->db, &QUERY_KEY_TENANTS_PLACE, DB_PARAMS(ret->tenants.s), &ret->tops, err) != 0 ||
	    db_query(shred->db, &QUERY_KEY_TENANTS_LEAVES, DB_PARAMS(ret->tenants.s), &ret->referred, err) != 0)
		return -1;
	if ((size_t)db_rows(ret->leaves) != set->n)
		return err_set(err, ERR_FAILED, "shredding %zu leaf keys: %d of them are there", set->n, db_rows(ret->leaves));
	return 0;
}

static int
bury(const struct shred *shred, const struct shred_change *change, const struct db_result *places, const char *seq,
	struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *buried = NULL;
	CLEANUP(str_release) struct str ids = STR_INIT;
	CLEANUP(str_release) struct str hashes = STR_INIT;
	char hash[SHRED_HASH_SIZE], epoch[24];

	for (int i = 0; i < db_rows(places); i++) {
		if (shred->hash(shred->ctx, db_get_text(places, i, L_TENANT), db_get_text(places, i, L_NAME), hash, err) != 0)
			return -1;
		array_add(&ids, db_get_text(places, i, L_ID));
		array_add(&hashes, hash);
	}
	(void)snprintf(epoch, sizeof(epoch), "%" PRId64, change->ends.epoch + 1);
	if (db_query(shred->db, &QUERY_KEY_LEAVES_BURY, DB_PARAMS(array_end(&ids), array_end(&hashes), epoch, seq), &buried,
		    err) != 0)
		return -1;
	if (db_rows(buried) != db_rows(places))
		return err_set(err, ERR_FAILED, "shredding %d leaf keys: %d became tombstones", db_rows(places), db_rows(buried));
	return 0;
}

static int
bury_tenants(const struct shred *shred, const struct shred_change *change, const struct dropping *dropping, const char *seq,
	struct err *err)
{
	char epoch[24];

	(void)snprintf(epoch, sizeof(epoch), "%" PRId64, change->ends.epoch + 1);
	return change->set.n_tenants == 0 ? 0
		: db_query(shred->db, &QUERY_KEY_TENANTS_BURY, DB_PARAMS(dropping->tenants.s, epoch, seq), NULL, err);
}

/* The pages of what is dropped with all their ancestors, and the directory's top in any case, under a fresh root. */
static int
rekey(const struct shred *shred, const struct dropping *dropping, struct tree *tree, const struct secret *new_root,
	struct err *err)
{
	size_t n_leaves = (size_t)db_rows(dropping->leaves), n = n_leaves + (size_t)db_rows(dropping->tops);
	CLEANUP(free_text) char *pages_memory = mem_zero(n + 1, sizeof(int64_t));
	CLEANUP(free_text) char *slots_memory = mem_zero(n + 1, sizeof(struct tree_slot));
	int64_t *pages = (int64_t *)(void *)pages_memory;
	struct tree_slot *slots = (struct tree_slot *)(void *)slots_memory;

	for (size_t i = 0; i < n; i++) {
		bool is_leaf = i < n_leaves;
		const struct db_result *rows = is_leaf ? dropping->leaves : dropping->tops;
		int row = (int)(is_leaf ? i : i - n_leaves);

		pages[i] = slots[i].page = db_get_int(rows, row, is_leaf ? L_PAGE : T_PAGE);
		slots[i].slot = (int)db_get_int(rows, row, is_leaf ? L_SLOT : T_SLOT);
	}
	if (rows_load(shred->db, tree, pages, n, err) != 0 || rows_load_top(shred->db, tree, err) != 0)
		return -1;
	return tree_rekey(tree, slots, n, new_root->bytes, err);
}

static int
count_pages(const struct shred *shred, const struct shred_change *change, const struct tree *tree, size_t n_pages,
	const char *seq, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	char pages[24], live[24];
	size_t n_live = 0;

	for (size_t i = 0; i < tree->n; i++)
		n_live += (size_t)__builtin_popcountll(tree->pages[i]->live);
	(void)snprintf(pages, sizeof(pages), "%zu", n_pages);
	(void)snprintf(live, sizeof(live), "%zu", n_live);
	if (db_query(shred->db, &QUERY_KEY_CHANGE_COMMITTED, DB_PARAMS(change->ends.attempt, pages, live, seq), &res, err) != 0)
		return -1;
	return db_rows(res) == 1 ? 0 : err_set(err, ERR_RETRY, "attempt %s was abandoned by somebody else", change->ends.attempt);
}

static int
next_epoch(const struct shred *shred, const struct shred_change *change, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	char epoch[24];

	(void)snprintf(epoch, sizeof(epoch), "%" PRId64, change->ends.epoch);
	if (db_query(shred->db, &QUERY_KEY_TREE_EPOCH, DB_PARAMS(epoch, change->ends.attempt), &res, err) != 0)
		return -1;
	return db_rows(res) == 1 ? 0 : err_set(err, ERR_RETRY, "epoch %s was ended by somebody else", epoch);
}

static int
commit_next(const struct shred *shred, const struct shred_change *change, const struct secret *old_root,
	const struct secret *new_root, struct err *err)
{
	CLEANUP(tree_release) struct tree tree = { 0 };
	CLEANUP(dropping_release) struct dropping dropping = { 0 };
	int64_t epoch;
	char seq[24];
	bool changing;
	size_t n;

	if (rows_lock(shred->db, &epoch, &changing, err) != 0)
		return -1;
	if (epoch != change->ends.epoch || !changing)
		return err_set(err, ERR_RETRY, "epoch %" PRId64 " was ended by somebody else", change->ends.epoch);
	tree_init(&tree, shred->instance, epoch, old_root->bytes);
	if (find_dropping(shred, &change->set, &dropping, err) != 0 || rekey(shred, &dropping, &tree, new_root, err) != 0 ||
	    rows_next_seq(shred->db, seq, err) != 0 || rows_store(shred->db, &tree, seq, &n, err) != 0 ||
	    bury(shred, change, dropping.leaves, seq, err) != 0 || bury(shred, change, dropping.referred, seq, err) != 0 ||
	    bury_tenants(shred, change, &dropping, seq, err) != 0 || next_epoch(shred, change, err) != 0)
		return -1;
	return count_pages(shred, change, &tree, n, seq, err);
}

static int
commit_first(const struct shred *shred, const struct shred_change *change, struct err *err)
{
	const struct tree empty = { 0 };
	char nonce[33], seq[24];

	if (crypt_token(nonce, err) != 0 ||
	    db_query(shred->db, &QUERY_KEY_TREE_CREATE, DB_PARAMS(change->ends.attempt, nonce), NULL, err) != 0 ||
	    rows_next_seq(shred->db, seq, err) != 0)
		return -1;
	return count_pages(shred, change, &empty, 0, seq, err);
}

int
shred_rows_commit(const struct shred *shred, const struct shred_change *change, const struct secret *old_root,
	const struct secret *new_root, struct err *err)
{
	int failed;

	if (db_begin(shred->db, err) != 0)
		return -1;
	failed = change->ends.epoch == 0 ? commit_first(shred, change, err)
					 : commit_next(shred, change, old_root, new_root, err);
	if (failed == 0 && db_commit(shred->db, err) == 0)
		return 0;
	db_rollback(shred->db);
	return -1;
}

/* ---- read back --------------------------------------------------------------------------------- */

static int
check_child(struct tree *tree, const struct db_result *children, int row, struct err *err)
{
	const struct tree_slot at = { db_get_int(children, row, C_PAGE), (int)db_get_int(children, row, C_SLOT) };
	uint8_t key[PAGE_KEY_SIZE], kcv[KCV_SIZE], wanted[KCV_SIZE];
	int failed = tree_key(tree, &at, key, err) != 0 || kcv_of(key, kcv, err) != 0;

	secret_wipe(key, sizeof(key));
	if (failed)
		return -1;
	if (bytes_from_hex(db_get_text(children, row, C_KCV), wanted, sizeof(wanted)) != 0 || !secret_equal(kcv, wanted, KCV_SIZE))
		return err_set(err, ERR_FAILED, "key page %" PRId64 ", slot %d holds another key than its child's", at.page, at.slot);
	return 0;
}

static int
check_pages(const struct shred *shred, struct tree *tree, const struct str *ids, int64_t n_live, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *children = NULL;
	int64_t live = 0;

	for (size_t i = 0; i < tree->n; i++) {
		if (tree_open(tree, tree->pages[i], err) != 0)
			return -1;
		live += __builtin_popcountll(tree->pages[i]->live);
	}
	if (db_query(shred->db, &QUERY_KEY_CHILDREN, DB_PARAMS(ids->s), &children, err) != 0)
		return -1;
	if (live != n_live || db_rows(children) != n_live)
		return err_set(err, ERR_FAILED, "the rewritten key pages hold %" PRId64 " keys of %d children, and %" PRId64 " were left",
			live, db_rows(children), n_live);
	for (int i = 0; i < db_rows(children); i++)
		if (check_child(tree, children, i, err) != 0)
			return -1;
	return 0;
}

int
shred_rows_verify(const struct shred *shred, const struct shred_change *change, const struct secret *root, struct err *err)
{
	CLEANUP(tree_release) struct tree tree = { 0 };
	CLEANUP(db_result_freep) struct db_result *pages = NULL;
	CLEANUP(db_result_freep) struct db_result *counts = NULL;
	CLEANUP(str_release) struct str ids = STR_INIT;
	CLEANUP(free_text) char *memory = NULL;
	int64_t *list;
	int n;

	if (db_query(shred->db, &QUERY_KEY_CHANGE_PAGES, DB_PARAMS(change->ends.attempt), &pages, err) != 0 ||
	    db_query(shred->db, &QUERY_KEY_CHANGE_COUNTS, DB_PARAMS(change->ends.attempt), &counts, err) != 0)
		return -1;
	n = db_rows(pages);
	memory = mem_zero((size_t)n + 1, sizeof(*list));
	list = (int64_t *)(void *)memory;
	for (int i = 0; i < n; i++) {
		list[i] = db_get_int(pages, i, 0);
		array_add_int(&ids, list[i]);
	}
	(void)array_end(&ids);
	tree_init(&tree, shred->instance, change->ends.epoch + 1, root->bytes);
	if (rows_load(shred->db, &tree, list, (size_t)n, err) != 0)
		return -1;
	if (n != db_get_int(counts, 0, 0) || tree.n != (size_t)n)
		return err_set(err, ERR_FAILED, "%" PRId64 " key pages were rewritten, and %d of them, in a path of %zu, are there",
			db_get_int(counts, 0, 0), n, tree.n);
	return check_pages(shred, &tree, &ids, db_get_int(counts, 0, 1), err);
}

/* ---- sweep ------------------------------------------------------------------------------------- */

int
shred_rows_sweep(const struct shred *shred, const struct shred_change *change, struct err *err)
{
	return change->set.n_tenants == 0 ? 0 : db_query(shred->db, &QUERY_KEY_TENANTS_SWEEP, DB_PARAMS(change->ends.attempt), NULL, err);
}

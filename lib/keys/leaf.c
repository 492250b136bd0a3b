#include "keys/leaf.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "keys/leaf_name.h"
#include "keys/rows.h"
#include "query.h"

/* columns of key_leaves_find */
enum { L_ID, L_PAGE, L_SLOT, L_KCV, L_INCARNATION, L_SHREDDED, L_RETIRED, L_GONE };

static int
find(struct keyring *ring, const struct leaf_names *names, struct db_result **ret, struct err *err)
{
	CLEANUP(str_release) struct str texts = STR_INIT;
	CLEANUP(str_release) struct str hashes = STR_INIT;

	for (size_t i = 0; i < names->n; i++) {
		array_add(&texts, names->names[i]);
		array_add(&hashes, names->hashes[i]);
	}
	return db_query(ring->db, &QUERY_KEY_LEAVES_FIND,
		DB_PARAMS(names->tenant, names->kind, array_end(&texts), array_end(&hashes)), ret, err);
}

/* What is known of each; *ret_n_new: how many are to be made. */
static void
judge(const struct db_result *found, enum leaf_wish wish, struct leaf *ret, size_t n, size_t *ret_n_new)
{
	*ret_n_new = 0;
	for (size_t i = 0; i < n; i++) {
		int row = (int)i;

		ret[i] = (struct leaf){ .state = LEAF_ABSENT };
		if (db_get(found, row, L_ID) != NULL) {
			if (!db_get_bool(found, row, L_RETIRED))
				ret[i].state = db_get(found, row, L_SHREDDED) == NULL ? LEAF_LIVING : LEAF_SHREDDED;
			ret[i].id = db_get_int(found, row, L_ID);
			ret[i].incarnation = (int)db_get_int(found, row, L_INCARNATION);
		}
		if (ret[i].state == LEAF_ABSENT && db_get_bool(found, row, L_GONE))
			ret[i].state = LEAF_SHREDDED;
		if ((ret[i].state == LEAF_ABSENT && wish >= LEAF_MAKE) || (ret[i].state == LEAF_SHREDDED && wish == LEAF_AGAIN))
			++*ret_n_new;
	}
}

/* Pages of the living ones, and those with room for new ones. */
static int
load(struct keyring *ring, struct tree *tree, const struct leaf_names *names, const struct db_result *found,
	const struct leaf *leaves, size_t n_new, struct err *err)
{
	CLEANUP(free_text) char *memory = mem_zero(names->n + 1, sizeof(int64_t));
	int64_t *pages = (int64_t *)(void *)memory;
	size_t n = 0;

	for (size_t i = 0; i < names->n; i++)
		if (leaves[i].state == LEAF_LIVING)
			pages[n++] = db_get_int(found, (int)i, L_PAGE);
	if (n > 0 && rows_load(ring->db, tree, pages, n, err) != 0)
		return -1;
	return n_new == 0 ? 0 : rows_load_room(ring->db, tree, names->tenant, n_new, err);
}

static int
open_living(struct tree *tree, const struct db_result *found, int row, struct leaf *leaf, struct err *err)
{
	const struct tree_slot at = { db_get_int(found, row, L_PAGE), (int)db_get_int(found, row, L_SLOT) };
	uint8_t kcv[KCV_SIZE], wanted[KCV_SIZE];

	if (tree_key(tree, &at, leaf->key, err) != 0 || kcv_of(leaf->key, kcv, err) != 0)
		return err_prefix(err, "leaf key %" PRId64, leaf->id);
	if (bytes_from_hex(db_get_text(found, row, L_KCV), wanted, sizeof(wanted)) != 0 || !secret_equal(kcv, wanted, KCV_SIZE))
		return err_set(err, ERR_FAILED, "leaf key %" PRId64 ": page %" PRId64 ", slot %d holds another key", leaf->id,
			at.page, at.slot);
	return 0;
}

/* New leaves, a column of key_leaves_add each. */
struct columns {
	struct str ids, names, sealed, incarnations, pages, slots, kcvs;
};

static void
columns_release(struct columns *columns)
{
	str_release(&columns->ids);
	str_release(&columns->names);
	str_release(&columns->sealed);
	str_release(&columns->incarnations);
	str_release(&columns->pages);
	str_release(&columns->slots);
	str_release(&columns->kcvs);
}

static int
make_one(struct tree *tree, const char *tenant, const char *name, int64_t id, struct leaf *leaf, struct columns *columns,
	struct err *err)
{
	char hex[2 * LEAF_NAME_SEALED_MAX + 1];
	uint8_t kcv[KCV_SIZE], sealed[LEAF_NAME_SEALED_MAX];
	struct tree_slot at;
	size_t n;

	if (tree_add(tree, tenant, &at, leaf->key, err) != 0 || kcv_of(leaf->key, kcv, err) != 0 ||
	    leaf_name_seal(leaf->key, id, name, sealed, &n, err) != 0)
		return -1;
	leaf->id = id;
	leaf->incarnation++;
	leaf->state = LEAF_LIVING;
	array_add_int(&columns->ids, id);
	array_add(&columns->names, name);
	bytes_to_hex(sealed, n, hex);
	array_add(&columns->sealed, hex);
	array_add_int(&columns->incarnations, leaf->incarnation);
	array_add_int(&columns->pages, at.page);
	array_add_int(&columns->slots, at.slot);
	bytes_to_hex(kcv, sizeof(kcv), hex);
	array_add(&columns->kcvs, hex);
	return 0;
}

static int
make_new(struct keyring *ring, struct tree *tree, const struct leaf_names *names, enum leaf_wish wish, struct leaf *ret,
	size_t n_new, struct err *err)
{
	CLEANUP(columns_release) struct columns columns = { 0 };
	CLEANUP(free_text) char *memory = NULL;
	CLEANUP(str_release) struct str epoch = STR_INIT;
	int64_t *ids;
	char seq[24];
	size_t next = 0;

	if (rows_new_ids(ring->db, n_new, &ids, err) != 0)
		return -1;
	memory = (char *)(void *)ids;
	for (size_t i = 0; i < names->n; i++)
		if ((ret[i].state == LEAF_ABSENT || (ret[i].state == LEAF_SHREDDED && wish == LEAF_AGAIN)) &&
		    make_one(tree, names->tenant, names->names[i], ids[next++], &ret[i], &columns, err) != 0)
			return -1;
	str_addf(&epoch, "%" PRId64, ring->epoch);
	if (tree_seal(tree, err) != 0 || rows_next_seq(ring->db, seq, err) != 0 ||
	    rows_store(ring->db, tree, seq, NULL, err) != 0)
		return -1;
	return db_query(ring->db, &QUERY_KEY_LEAVES_ADD,
		DB_PARAMS(array_end(&columns.ids), names->tenant, names->kind, array_end(&columns.names),
			array_end(&columns.sealed), array_end(&columns.incarnations), array_end(&columns.pages), array_end(&columns.slots),
			array_end(&columns.kcvs), epoch.s, seq),
		NULL, err);
}

static int
take(struct keyring *ring, const struct leaf_names *names, enum leaf_wish wish, struct leaf *ret, struct err *err)
{
	CLEANUP(tree_release) struct tree tree = { 0 };
	CLEANUP(db_result_freep) struct db_result *found = NULL;
	int64_t epoch;
	bool changing;
	size_t n_new;

	if (rows_lock(ring->db, &epoch, &changing, err) != 0)
		return -1;
	if (epoch != ring->epoch)
		return err_set(err, ERR_RETRY, "the key tree is in epoch %" PRId64 ", and the root at hand is of epoch %" PRId64,
			epoch, ring->epoch);
	if (find(ring, names, &found, err) != 0)
		return -1;
	if ((size_t)db_rows(found) != names->n)
		return err_set(err, ERR_FAILED, "finding leaf keys: %d answers to %zu names", db_rows(found), names->n);
	judge(found, wish, ret, names->n, &n_new);
	if (n_new > 0 && changing) {
		(void)err_set(err, ERR_RETRY, "a change of the root was interrupted, and no leaf key is made before it is gone on with");
		return err_hint(err, "expunge nightly goes on with it, and so does expunge keys rotate");
	}
	tree_init(&tree, ring->instance, ring->epoch, ring->root.bytes);
	if (load(ring, &tree, names, found, ret, n_new, err) != 0)
		return -1;
	for (size_t i = 0; i < names->n; i++)
		if (ret[i].state == LEAF_LIVING && open_living(&tree, found, (int)i, &ret[i], err) != 0)
			return -1;
	return n_new == 0 ? 0 : make_new(ring, &tree, names, wish, ret, n_new, err);
}

int
leaf_take(struct keyring *ring, const struct leaf_names *names, enum leaf_wish wish, struct leaf *ret, struct err *err)
{
	if (names->n == 0)
		return 0;
	/* a row of the journal is a line, and lines have an end (JOURNAL_LINE_MAX) */
	if (strlen(names->tenant) > LEAF_NAME_MAX)
		return err_set(err, ERR_FAILED, "leaf keys: the tenant's name is longer than %d bytes", LEAF_NAME_MAX);
	if (db_begin(ring->db, err) != 0)
		return -1;
	if (take(ring, names, wish, ret, err) == 0 && db_commit(ring->db, err) == 0)
		return 0;
	db_rollback(ring->db);
	leaf_wipe(ret, names->n);
	return -1;
}

void
leaf_wipe(struct leaf *leaves, size_t n)
{
	secret_wipe(leaves, n * sizeof(*leaves));
}

#include "keys/rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "query.h"

/* columns of key_pages_up and key_pages_with_room */
enum { P_ID, P_TENANT, P_PARENT, P_SLOT, P_LEVEL, P_EPOCH, P_KCV, P_LIVE, P_SEALED };

int
rows_lock(struct db *db, int64_t *ret_epoch, bool *ret_changing, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (db_query(db, &QUERY_KEY_TREE_LOCK, NULL, &res, err) != 0)
		return -1;
	if (db_rows(res) == 0) {
		(void)err_set(err, ERR_FAILED, "there is no key tree in this database");
		return err_hint(err, "declare keys.shares in the configuration and run: expunge init");
	}
	*ret_epoch = db_get_int(res, 0, 0);
	*ret_changing = db_get_bool(res, 0, 1);
	return 0;
}

int
rows_next_seq(struct db *db, char seq[24], struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (db_query(db, &QUERY_KEY_TREE_SEQ, NULL, &res, err) != 0)
		return -1;
	(void)snprintf(seq, 24, "%s", db_get_text(res, 0, 0));
	return 0;
}

static int
load_row(struct tree *tree, const struct db_result *res, int row, struct err *err)
{
	/* the tree copies the name */
	struct tree_page page = { .id = db_get_int(res, row, P_ID), .parent = db_get_int(res, row, P_PARENT),
		.slot = (int)db_get_int(res, row, P_SLOT), .level = (int)db_get_int(res, row, P_LEVEL),
		.epoch = db_get_int(res, row, P_EPOCH), .live = (uint64_t)db_get_int(res, row, P_LIVE) };
	CLEANUP(free_text) char *tenant = mem_copy(db_get_text(res, row, P_TENANT));

	page.tenant = tenant;
	if (bytes_from_hex(db_get_text(res, row, P_KCV), page.kcv, sizeof(page.kcv)) != 0 ||
	    bytes_from_hex(db_get_text(res, row, P_SEALED), page.sealed, sizeof(page.sealed)) != 0)
		return err_set(err, ERR_FAILED, "key page %" PRId64 ": the row is not of the right size", page.id);
	(void)tree_load(tree, &page);
	return 0;
}

static int
load_rows(struct tree *tree, const struct db_result *res, struct err *err)
{
	for (int i = 0; i < db_rows(res); i++)
		if (load_row(tree, res, i, err) != 0)
			return -1;
	return 0;
}

int
rows_load(struct db *db, struct tree *tree, const int64_t *pages, size_t n, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	CLEANUP(str_release) struct str ids = STR_INIT;

	for (size_t i = 0; i < n; i++)
		array_add_int(&ids, pages[i]);
	if (db_query(db, &QUERY_KEY_PAGES_UP, DB_PARAMS(array_end(&ids)), &res, err) != 0)
		return -1;
	return load_rows(tree, res, err);
}

int
rows_load_top(struct db *db, struct tree *tree, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	int64_t top;

	if (db_query(db, &QUERY_KEY_TOP, NULL, &res, err) != 0)
		return -1;
	if (db_rows(res) == 0)
		return 0;
	top = db_get_int(res, 0, 0);
	return rows_load(db, tree, &top, 1, err);
}

int
rows_new_ids(struct db *db, size_t n, int64_t **ret, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	char text[24];

	(void)snprintf(text, sizeof(text), "%zu", n);
	if (db_query(db, &QUERY_KEY_IDS, DB_PARAMS(text), &res, err) != 0)
		return -1;
	*ret = mem_zero(n + 1, sizeof(**ret));
	for (size_t i = 0; i < n; i++)
		(*ret)[i] = db_get_int(res, (int)i, 0);
	return 0;
}

int
rows_load_room(struct db *db, struct tree *tree, const char *tenant, size_t n, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	char pages[24];

	/* a page has room for one leaf at least */
	(void)snprintf(pages, sizeof(pages), "%zu", n);
	if (db_query(db, &QUERY_KEY_PAGES_WITH_ROOM, DB_PARAMS(tenant, pages), &res, err) != 0 ||
	    load_rows(tree, res, err) != 0)
		return -1;
	free(tree->new_ids);
	tree->new_ids = NULL;
	tree->n_taken_ids = 0;
	tree->n_new_ids = tree_ids_needed(n);
	return rows_new_ids(db, tree->n_new_ids, &tree->new_ids, err);
}

/* Pages to be written, a column of key_pages_put each. */
struct columns {
	struct str ids, tenants, parents, slots, levels, epochs, kcvs, lives, seals;
};

static void
columns_release(struct columns *columns)
{
	str_release(&columns->ids);
	str_release(&columns->tenants);
	str_release(&columns->parents);
	str_release(&columns->slots);
	str_release(&columns->levels);
	str_release(&columns->epochs);
	str_release(&columns->kcvs);
	str_release(&columns->lives);
	str_release(&columns->seals);
}

static void
add_page(struct columns *columns, const struct tree_page *page)
{
	char hex[2 * PAGE_SEALED_SIZE + 1];

	array_add_int(&columns->ids, page->id);
	array_add(&columns->tenants, page->tenant);
	array_add_int(&columns->parents, page->parent);
	array_add_int(&columns->slots, page->slot);
	array_add_int(&columns->levels, page->level);
	array_add_int(&columns->epochs, page->epoch);
	bytes_to_hex(page->kcv, sizeof(page->kcv), hex);
	array_add(&columns->kcvs, hex);
	array_add_int(&columns->lives, (int64_t)page->live);
	bytes_to_hex(page->sealed, sizeof(page->sealed), hex);
	array_add(&columns->seals, hex);
}

/* Pages of one statement: 4 KB of text each. */
#define AT_ONCE 1000

static int
put_pages(struct db *db, struct columns *columns, const char *seq, struct err *err)
{
	return db_query(db, &QUERY_KEY_PAGES_PUT,
		DB_PARAMS(array_end(&columns->ids), array_end(&columns->tenants), array_end(&columns->parents),
			array_end(&columns->slots), array_end(&columns->levels), array_end(&columns->epochs),
			array_end(&columns->kcvs), array_end(&columns->lives), array_end(&columns->seals), seq),
		NULL, err);
}

int
rows_store(struct db *db, struct tree *tree, const char *seq, size_t *ret_n, struct err *err)
{
	size_t n = 0;

	for (size_t at = 0; at < tree->n;) {
		CLEANUP(columns_release) struct columns columns = { 0 };
		size_t here = 0;

		for (; at < tree->n && here < AT_ONCE; at++) {
			if (!tree->pages[at]->is_dirty)
				continue;
			add_page(&columns, tree->pages[at]);
			tree->pages[at]->is_new = tree->pages[at]->is_dirty = false;
			here++;
		}
		if (here > 0 && put_pages(db, &columns, seq, err) != 0)
			return -1;
		n += here;
	}
	if (ret_n != NULL)
		*ret_n = n;
	return 0;
}

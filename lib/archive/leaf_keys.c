#include "archive/leaf_keys.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "query.h"

/* columns of key_leaves_living */
enum { L_ID, L_KIND, L_NAME };

static const char *const kinds[] = { "subject", "tenant", "record", "generation" };

/* Room for n more; what was moved is wiped where it was. */
static struct leaf *
make_room(struct leaf_keys *keys, size_t n)
{
	struct leaf *more = mem_zero(keys->n + n, sizeof(*more));

	if (keys->n > 0) {
		(void)memcpy(more, keys->items, keys->n * sizeof(*more));
		leaf_wipe(keys->items, keys->n);
	}
	free(keys->items);
	keys->items = more;
	return more + keys->n;
}

/* Those of one kind among the rows. */
static int
take_kind(struct leaf_keys *keys, struct keyring *ring, const char *tenant, const char *kind, const struct db_result *rows,
	struct err *err)
{
	size_t most = (size_t)db_rows(rows);
	CLEANUP(free_text) char *memory = mem_zero(2 * most + 1, sizeof(const char *));
	const char **names = (const char **)(void *)memory;
	struct leaf_names wanted = { .tenant = tenant, .kind = kind, .names = names, .hashes = names + most };
	struct leaf *taken;

	for (int i = 0; i < db_rows(rows); i++)
		if (strcmp(db_get_text(rows, i, L_KIND), kind) == 0) {
			names[most + wanted.n] = ""; /* of a tombstone, which is not looked for */
			names[wanted.n++] = db_get_text(rows, i, L_NAME);
		}
	if (wanted.n == 0)
		return 0;
	taken = make_room(keys, wanted.n);
	if (leaf_take(ring, &wanted, LEAF_FIND, taken, err) != 0)
		return -1;
	for (size_t i = 0; i < wanted.n; i++)
		if (taken[i].state == LEAF_LIVING)
			keys->items[keys->n++] = taken[i];
	return 0;
}

static int
by_id(const void *a, const void *b)
{
	int64_t one = ((const struct leaf *)a)->id, other = ((const struct leaf *)b)->id;

	return one < other ? -1 : one > other;
}

int
leaf_keys_load(struct leaf_keys *ret, struct keyring *ring, const char *tenant, struct err *err)
{
	char after[24] = "0";
	int n;

	*ret = (struct leaf_keys){ 0 };
	do {
		CLEANUP(db_result_freep) struct db_result *rows = NULL;

		if (db_query(ring->db, &QUERY_KEY_LEAVES_LIVING, DB_PARAMS(tenant, after), &rows, err) != 0)
			return -1;
		n = db_rows(rows);
		for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
			if (take_kind(ret, ring, tenant, kinds[k], rows, err) != 0)
				return -1;
		if (n > 0)
			(void)snprintf(after, sizeof(after), "%s", db_get_text(rows, n - 1, L_ID));
	} while (n > 0);
	if (ret->n > 0)
		qsort(ret->items, ret->n, sizeof(*ret->items), by_id);
	return 0;
}

const struct leaf *
leaf_keys_find(const struct leaf_keys *keys, int64_t id)
{
	const struct leaf wanted = { .id = id };

	return keys->n == 0 ? NULL : bsearch(&wanted, keys->items, keys->n, sizeof(wanted), by_id);
}

int
leaf_keys_give(void *ctx, int64_t leaf, uint8_t ret_key[PAGE_KEY_SIZE], struct err *err)
{
	const struct leaf *found = leaf_keys_find(ctx, leaf);

	(void)err;
	if (found == NULL)
		return 0;
	(void)memcpy(ret_key, found->key, PAGE_KEY_SIZE);
	return 1;
}

void
leaf_keys_release(struct leaf_keys *keys)
{
	if (keys->n > 0)
		leaf_wipe(keys->items, keys->n);
	free(keys->items);
	*keys = (struct leaf_keys){ 0 };
}

#include "keys/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "svc/crypt.h"

/* ---- pages in memory ------------------------------------------------------------------------ */

void
tree_init(struct tree *tree, const char *instance, int64_t epoch, const uint8_t root[PAGE_KEY_SIZE])
{
	*tree = (struct tree){ .epoch = epoch };
	(void)snprintf(tree->instance, sizeof(tree->instance), "%s", instance);
	secret_new(&tree->root, PAGE_KEY_SIZE);
	(void)memcpy(tree->root.bytes, root, PAGE_KEY_SIZE);
}

void
tree_release(struct tree *tree)
{
	for (size_t i = 0; i < tree->n; i++) {
		secret_erase(&tree->pages[i]->key);
		secret_erase(&tree->pages[i]->keys);
		free(tree->pages[i]->tenant);
		free(tree->pages[i]);
	}
	free(tree->pages);
	free(tree->index);
	free(tree->new_ids);
	secret_erase(&tree->root);
	*tree = (struct tree){ 0 };
}

/* Where in the index a page is, or would be: numbers are consecutive, so their low bits spread well. */
static size_t *
find_entry(const struct tree *tree, int64_t id)
{
	size_t at = (size_t)id & (tree->n_index - 1);

	while (tree->index[at] != 0 && tree->pages[tree->index[at] - 1]->id != id)
		at = (at + 1) & (tree->n_index - 1);
	return &tree->index[at];
}

static void
add_to_index(struct tree *tree)
{
	if (2 * tree->n > tree->n_index) {
		tree->n_index = tree->n_index == 0 ? 64 : 2 * tree->n_index;
		free(tree->index);
		tree->index = mem_zero(tree->n_index, sizeof(*tree->index));
		for (size_t i = 0; i < tree->n; i++)
			*find_entry(tree, tree->pages[i]->id) = i + 1;
		return;
	}
	*find_entry(tree, tree->pages[tree->n - 1]->id) = tree->n;
}

struct tree_page *
tree_find(const struct tree *tree, int64_t id)
{
	size_t at = tree->n == 0 ? 0 : *find_entry(tree, id);

	return at == 0 ? NULL : tree->pages[at - 1];
}

static struct tree_page *
append(struct tree *tree)
{
	struct tree_page *page = mem_zero(1, sizeof(*page));

	*MEM_PUSH(tree->pages, tree->n) = page; /* NOLINT(bugprone-sizeof-expression): pointers, as meant */
	return page;
}

struct tree_page *
tree_load(struct tree *tree, const struct tree_page *row)
{
	struct tree_page *page = tree_find(tree, row->id);

	if (page != NULL)
		return page;
	page = append(tree);
	*page = *row;
	page->tenant = mem_copy(row->tenant);
	page->key = page->keys = (struct secret)SECRET_INIT;
	page->is_new = page->is_dirty = false;
	add_to_index(tree);
	return page;
}

struct tree_page *
tree_top(const struct tree *tree, const char *tenant)
{
	struct tree_page *top = NULL;

	for (size_t i = 0; i < tree->n; i++)
		if (strcmp(tree->pages[i]->tenant, tenant) == 0 && (top == NULL || tree->pages[i]->level > top->level))
			top = tree->pages[i];
	return top;
}

size_t
tree_ids_needed(size_t n)
{
	/* a page for each 64 leaves, one for each 64 of these, and so on; and a few where a level or the directory grows */
	return n / PAGE_SLOTS + n / PAGE_SLOTS / (PAGE_SLOTS - 1) + 32;
}

/* ---- opening ---------------------------------------------------------------------------------- */

static struct page_keys *
keys_of(const struct tree_page *page)
{
	return (struct page_keys *)(void *)page->keys.bytes;
}

static struct page_place
place_of(const struct tree *tree, const struct tree_page *page)
{
	struct page_place place = { .instance = tree->instance, .tenant = page->tenant, .id = page->id, .parent = page->parent,
		.slot = page->slot, .level = page->level, .epoch = page->epoch };

	(void)memcpy(place.kcv, page->kcv, KCV_SIZE);
	return place;
}

static int
find_key(struct tree *tree, struct tree_page *page, struct err *err)
{
	struct tree_slot slot = { page->parent, page->slot };

	secret_new(&page->key, PAGE_KEY_SIZE);
	if (page->parent != 0)
		return tree_key(tree, &slot, page->key.bytes, err);
	(void)memcpy(page->key.bytes, tree->root.bytes, PAGE_KEY_SIZE);
	return 0;
}

static int
open_with_key(struct tree *tree, struct tree_page *page, struct err *err)
{
	struct page_place place = place_of(tree, page);
	enum page_verdict verdict;

	secret_new(&page->keys, sizeof(struct page_keys));
	if (page_open(&place, page->key.bytes, page->sealed, keys_of(page), &verdict, err) != 0)
		return -1;
	if (verdict == PAGE_OTHER_KEY)
		return err_set(err, ERR_FAILED, "key page %lld of epoch %lld: %s is not the key that it was sealed under",
			(long long)page->id, (long long)page->epoch, page->parent == 0 ? "the root" : "its parent's slot");
	if (verdict == PAGE_ALTERED || keys_of(page)->live != page->live)
		return err_set(err, ERR_FAILED, "key page %lld of epoch %lld was altered, or put in another's place",
			(long long)page->id, (long long)page->epoch);
	return 0;
}

int
tree_open(struct tree *tree, struct tree_page *page, struct err *err)
{
	if (page->keys.n > 0)
		return 0;
	if (find_key(tree, page, err) == 0 && open_with_key(tree, page, err) == 0)
		return 0;
	secret_erase(&page->key);
	secret_erase(&page->keys);
	return -1;
}

int
tree_key(struct tree *tree, const struct tree_slot *slot, uint8_t ret[PAGE_KEY_SIZE], struct err *err)
{
	struct tree_page *page = tree_find(tree, slot->page);

	if (page == NULL || slot->slot < 0 || slot->slot >= PAGE_SLOTS)
		return err_set(err, ERR_FAILED, "key page %lld, slot %d: there is no such place", (long long)slot->page, slot->slot);
	if (tree_open(tree, page, err) != 0)
		return -1;
	if ((page->live >> slot->slot & 1) == 0)
		return err_set(err, ERR_FAILED, "key page %lld, slot %d: no key is there", (long long)slot->page, slot->slot);
	(void)memcpy(ret, keys_of(page)->slots[slot->slot], PAGE_KEY_SIZE);
	return 0;
}

/* ---- growing ---------------------------------------------------------------------------------- */

static void
put(struct tree_page *page, int slot, const uint8_t *key)
{
	(void)memcpy(keys_of(page)->slots[slot], key, PAGE_KEY_SIZE);
	page->live |= (uint64_t)1 << slot;
	keys_of(page)->live = page->live;
	page->is_dirty = true;
}

/* A fresh key of the page, also where its parent keeps it; the directory's top has the root. */
static int
give_key(struct tree *tree, struct tree_page *page, struct err *err)
{
	if (page->key.n == 0)
		secret_new(&page->key, PAGE_KEY_SIZE);
	if (page->parent == 0) {
		(void)memcpy(page->key.bytes, tree->root.bytes, PAGE_KEY_SIZE);
	} else {
		if (crypt_random(page->key.bytes, PAGE_KEY_SIZE, err) != 0)
			return -1;
		put(tree_find(tree, page->parent), page->slot, page->key.bytes);
	}
	page->is_dirty = true;
	return kcv_of(page->key.bytes, page->kcv, err);
}

/* An empty page, open. */
static struct tree_page *
new_page(struct tree *tree, const char *tenant, int level, const struct tree_slot *at, struct err *err)
{
	struct tree_page *page;

	if (tree->n_taken_ids == tree->n_new_ids) {
		(void)err_set(err, ERR_FAILED, "growing the key tree: no numbers for new pages are left");
		return NULL;
	}
	page = append(tree);
	page->tenant = mem_copy(tenant);
	page->id = tree->new_ids[tree->n_taken_ids++];
	page->level = level;
	page->parent = at->page;
	page->slot = at->slot;
	page->is_new = true;
	secret_new(&page->keys, sizeof(struct page_keys));
	add_to_index(tree);
	return give_key(tree, page, err) == 0 ? page : NULL;
}

/* A level above the tenant's top. The page that was the top gets a fresh key: keys never move between pages. */
static struct tree_page *
grow(struct tree *tree, struct tree_page *top, struct err *err)
{
	const struct tree_slot at = { top->parent, top->slot };
	struct tree_page *above;

	if (tree_open(tree, top, err) != 0)
		return NULL;
	above = new_page(tree, top->tenant, top->level + 1, &at, err);
	if (above == NULL)
		return NULL;
	top->parent = above->id;
	top->slot = 0;
	return give_key(tree, top, err) == 0 ? above : NULL;
}

/* The newest page of a level that has room; NULL. */
static struct tree_page *
find_room(const struct tree *tree, const char *tenant, int level)
{
	for (size_t i = tree->n; i-- > 0;) {
		struct tree_page *page = tree->pages[i];

		if (page->level == level && page->live != UINT64_MAX && strcmp(page->tenant, tenant) == 0)
			return page;
	}
	return NULL;
}

/* A free slot of this level, in a page that is open; new pages and levels are made for it. */
static int
make_room(struct tree *tree, const char *tenant, int level, struct tree_slot *ret, struct err *err)
{
	struct tree_page *page = find_room(tree, tenant, level), *top = page != NULL ? NULL : tree_top(tree, tenant);
	struct tree_slot at = { 0, 0 };

	if (page == NULL && top != NULL && level > top->level) {
		page = grow(tree, top, err);
	} else if (page == NULL) {
		if (top != NULL && make_room(tree, tenant, level + 1, &at, err) != 0)
			return -1;
		if (top == NULL && *tenant != '\0' && make_room(tree, "", TREE_DIRECTORY, &at, err) != 0)
			return -1;
		page = new_page(tree, tenant, level, &at, err);
	}
	if (page == NULL || tree_open(tree, page, err) != 0)
		return -1;
	ret->page = page->id;
	ret->slot = __builtin_ctzll(~page->live);
	return 0;
}

int
tree_add(struct tree *tree, const char *tenant, struct tree_slot *ret_slot, uint8_t ret_key[PAGE_KEY_SIZE],
	struct err *err)
{
	if (*tenant == '\0')
		return err_set(err, ERR_FAILED, "adding a leaf key: it has no tenant");
	if (make_room(tree, tenant, 0, ret_slot, err) != 0 || crypt_random(ret_key, PAGE_KEY_SIZE, err) != 0)
		return err_prefix(err, "adding a leaf key");
	put(tree_find(tree, ret_slot->page), ret_slot->slot, ret_key);
	return 0;
}

int
tree_seal(struct tree *tree, struct err *err)
{
	for (size_t i = 0; i < tree->n; i++) {
		struct tree_page *page = tree->pages[i];
		struct page_place place;

		if (!page->is_dirty)
			continue;
		page->epoch = tree->epoch;
		place = place_of(tree, page);
		if (page_seal(&place, page->key.bytes, keys_of(page), page->sealed, err) != 0)
			return -1;
	}
	return 0;
}

/* ---- re-keying -------------------------------------------------------------------------------- */

static int
by_level(const void *a, const void *b)
{
	const struct tree_page *x = *(struct tree_page *const *)a, *y = *(struct tree_page *const *)b;

	return x->level != y->level ? (x->level < y->level ? -1 : 1) : (x->id > y->id) - (x->id < y->id);
}

static int
drop(struct tree *tree, const struct tree_slot *slot, struct err *err)
{
	struct tree_page *page = tree_find(tree, slot->page);

	if (page == NULL || slot->slot < 0 || slot->slot >= PAGE_SLOTS || (page->live >> slot->slot & 1) == 0)
		return err_set(err, ERR_FAILED, "dropping a key: page %lld, slot %d holds none", (long long)slot->page, slot->slot);
	secret_wipe(keys_of(page)->slots[slot->slot], PAGE_KEY_SIZE);
	page->live &= ~((uint64_t)1 << slot->slot);
	keys_of(page)->live = page->live;
	return 0;
}

int
tree_rekey(struct tree *tree, const struct tree_slot *dropped, size_t n, const uint8_t root[PAGE_KEY_SIZE],
	struct err *err)
{
	CLEANUP(free_text) char *sorted = mem_zero(tree->n + 1, sizeof(struct tree_page *));
	struct tree_page **pages = (struct tree_page **)(void *)sorted;

	/* all are opened with their old keys before the first gets a new one */
	for (size_t i = 0; i < tree->n; i++)
		if (tree_open(tree, tree->pages[i], err) != 0)
			return -1;
	for (size_t i = 0; i < n; i++)
		if (drop(tree, &dropped[i], err) != 0)
			return -1;
	(void)memcpy(tree->root.bytes, root, PAGE_KEY_SIZE);
	tree->epoch++;
	for (size_t i = 0; i < tree->n; i++)
		pages[i] = tree->pages[i];
	qsort(pages, tree->n, sizeof(struct tree_page *), by_level);
	for (size_t i = 0; i < tree->n; i++) {
		const struct tree_page *parent = pages[i]->parent == 0 ? NULL : tree_find(tree, pages[i]->parent);

		/* a page of a dropped subtree has no place any more, and no business here */
		if (parent != NULL && (parent->live >> pages[i]->slot & 1) == 0)
			return err_set(err, ERR_FAILED, "re-keying: page %lld hangs in a slot that was dropped", (long long)pages[i]->id);
		if (give_key(tree, pages[i], err) != 0)
			return -1;
	}
	return tree_seal(tree, err);
}

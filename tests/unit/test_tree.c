/*
 * The key tree against an attacker who has every row that was ever written, committed or not, and every key that is
 * still held: no chain may lead to a dropped key (closure), and no living key may be lost (its twin).
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attacker.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "keys/tree.h"
#include "svc/crypt.h"

#define INSTANCE "00000000-0000-4000-8000-000000000001"

static struct err err;

/* ---- a store of rows, and all that it ever saw ------------------------------------------------- */

struct leaf {
	char tenant[8];
	struct tree_slot at;
	uint8_t key[PAGE_KEY_SIZE];
	bool dropped;
};

struct store {
	struct tree_page *rows; /* what is committed; only the row's fields count */
	size_t n;
	struct tree_page *seen; /* every version that was ever sealed, also of what was rolled back */
	size_t n_seen;
	struct leaf *leaves;
	size_t n_leaves;
	uint8_t root[PAGE_KEY_SIZE];
	int64_t epoch, last_id;
};

static struct store store;
static unsigned seed;

static unsigned
below(unsigned n)
{
	seed = seed * 1103515245U + 12345U;
	return (seed >> 8) % n;
}

static void
set_up(void)
{
	store = (struct store){ 0 };
	seed = 1;
	ck_assert_int_eq(crypt_random(store.root, PAGE_KEY_SIZE, &err), 0);
}

static void
tear_down(void)
{
	for (size_t i = 0; i < store.n; i++)
		free(store.rows[i].tenant);
	for (size_t i = 0; i < store.n_seen; i++)
		free(store.seen[i].tenant);
	free(store.rows);
	free(store.seen);
	free(store.leaves);
}

static struct tree_page *
row_of(int64_t id)
{
	for (size_t i = 0; i < store.n; i++)
		if (store.rows[i].id == id)
			return &store.rows[i];
	return NULL;
}

static void
add_row(struct tree_page **rows, size_t *n, const struct tree_page *page)
{
	struct tree_page *row = MEM_PUSH(*rows, *n);

	*row = *page;
	row->tenant = mem_copy(page->tenant);
}

/* What a tree wants written; without `commit` only the attacker sees it. */
static void
write_rows(struct tree *tree, bool commit)
{
	for (size_t i = 0; i < tree->n; i++) {
		struct tree_page *page = tree->pages[i], *there = row_of(page->id);

		if (!page->is_dirty)
			continue;
		add_row(&store.seen, &store.n_seen, page);
		if (!commit)
			continue;
		ck_assert_int_eq(page->is_new, there == NULL);
		if (there == NULL) {
			add_row(&store.rows, &store.n, page);
		} else {
			char *tenant = there->tenant;

			*there = *page;
			there->tenant = tenant;
		}
		page->is_new = page->is_dirty = false;
	}
}

static void
load_path(struct tree *tree, int64_t id)
{
	for (struct tree_page *row = row_of(id); row != NULL; row = row_of(row->parent))
		(void)tree_load(tree, row);
}

static void
load_all(struct tree *tree)
{
	for (size_t i = 0; i < store.n; i++)
		(void)tree_load(tree, &store.rows[i]);
}

static void
reserve(struct tree *tree, size_t n)
{
	for (size_t i = 0; i < tree_ids_needed(n); i++)
		*MEM_PUSH(tree->new_ids, tree->n_new_ids) = ++store.last_id;
}

static void
add_leaves(const char *tenant, size_t n)
{
	CLEANUP(tree_release) struct tree tree = { 0 };

	tree_init(&tree, INSTANCE, store.epoch, store.root);
	load_all(&tree);
	reserve(&tree, n);
	for (size_t i = 0; i < n; i++) {
		struct leaf *leaf = MEM_PUSH(store.leaves, store.n_leaves);

		(void)snprintf(leaf->tenant, sizeof(leaf->tenant), "%s", tenant);
		ck_assert_msg(tree_add(&tree, tenant, &leaf->at, leaf->key, &err) == 0, "%s", err.msg);
	}
	ck_assert_msg(tree_seal(&tree, &err) == 0, "%s", err.msg);
	write_rows(&tree, true);
}

/* Shreds these leaves, after `tries` attempts that were given up with their roots. */
static void
shred(struct leaf *const *dead, size_t n, int tries)
{
	for (int try = 0; try <= tries; try++) {
		CLEANUP(tree_release) struct tree tree = { 0 };
		CLEANUP(free_text) char *memory = mem_zero(n + 1, sizeof(struct tree_slot));
		struct tree_slot *slots = (struct tree_slot *)(void *)memory;
		uint8_t root[PAGE_KEY_SIZE];

		ck_assert_int_eq(crypt_random(root, PAGE_KEY_SIZE, &err), 0);
		tree_init(&tree, INSTANCE, store.epoch, store.root);
		for (size_t i = 0; i < n; i++) {
			slots[i] = dead[i]->at;
			load_path(&tree, slots[i].page);
		}
		ck_assert_msg(tree_rekey(&tree, slots, n, root, &err) == 0, "%s", err.msg);
		write_rows(&tree, try == tries);
		if (try == tries) {
			(void)memcpy(store.root, root, PAGE_KEY_SIZE);
			store.epoch = tree.epoch;
		}
	}
	for (size_t i = 0; i < n; i++)
		dead[i]->dropped = true;
}

static struct leaf *
random_living(void)
{
	struct leaf *leaf;

	do
		leaf = &store.leaves[below((unsigned)store.n_leaves)];
	while (leaf->dropped);
	return leaf;
}

/* ---- the attacker ------------------------------------------------------------------------------- */

/* How many dropped keys the attacker gets at; every living one must be among those that open. */
static size_t
recovered(void)
{
	struct attacker attacker = { 0 };
	size_t n = 0;

	attacker_open_all(&attacker, INSTANCE, store.seen, store.n_seen, store.root);
	for (size_t i = 0; i < store.n_leaves; i++) {
		bool known = attacker_knows(&attacker, store.leaves[i].key);

		ck_assert_msg(known || store.leaves[i].dropped, "leaf %zu lives, and its key is lost", i);
		n += known && store.leaves[i].dropped;
	}
	attacker_release(&attacker);
	return n;
}

/* What the program itself reads: each living leaf by its path. */
static void
all_open(void)
{
	for (size_t i = 0; i < store.n_leaves; i++) {
		CLEANUP(tree_release) struct tree tree = { 0 };
		uint8_t key[PAGE_KEY_SIZE];

		if (store.leaves[i].dropped)
			continue;
		tree_init(&tree, INSTANCE, store.epoch, store.root);
		load_path(&tree, store.leaves[i].at.page);
		ck_assert_msg(tree_key(&tree, &store.leaves[i].at, key, &err) == 0, "%s", err.msg);
		ck_assert_mem_eq(key, store.leaves[i].key, PAGE_KEY_SIZE);
	}
}

/* ---- tests -------------------------------------------------------------------------------------- */

/* 20 tenants of 50 subjects, 150 erasures in 30 nights, new patients by day, every third night tried twice */
START_TEST(nothing_ever_written_leads_to_a_dropped_key)
{
	char tenant[8];

	seed = (unsigned)_i + 1;
	for (int t = 0; t < 20; t++) {
		(void)snprintf(tenant, sizeof(tenant), "t%d", t);
		add_leaves(tenant, 50);
	}
	for (int night = 0; night < 30; night++) {
		struct leaf *dead[5];

		(void)snprintf(tenant, sizeof(tenant), "t%u", below(25));
		add_leaves(tenant, below(60));
		for (size_t i = 0; i < 5; i++) {
			bool again;

			do {
				again = false;
				dead[i] = random_living();
				for (size_t j = 0; j < i; j++)
					again = again || dead[j] == dead[i];
			} while (again);
		}
		shred(dead, 5, night % 3 == 0);
	}
	ck_assert_uint_eq(recovered(), 0);
	all_open();
}
END_TEST

/* a tenant of three levels, a directory of two, and shreds while both grow */
START_TEST(nor_while_levels_grow)
{
	char tenant[8];

	for (int t = 0; t < 70; t++) {
		(void)snprintf(tenant, sizeof(tenant), "t%d", t);
		add_leaves(tenant, 1);
	}
	for (int step = 0; step < 12; step++) {
		struct leaf *dead[1];

		add_leaves("big", 400);
		dead[0] = random_living();
		shred(dead, 1, step % 2);
	}
	ck_assert_int_ge(row_of(store.leaves[store.n_leaves - 1].at.page)->level, 0);
	ck_assert_uint_eq(recovered(), 0);
	all_open();
}
END_TEST

/* what the attack finds where only the root is new: this test can fail */
START_TEST(a_new_root_alone_would_shred_nothing)
{
	struct leaf *victim;
	struct tree_page *top = NULL;
	CLEANUP(tree_release) struct tree tree = { 0 };

	add_leaves("t", 30);
	victim = random_living();
	victim->dropped = true;
	tree_init(&tree, INSTANCE, store.epoch, store.root);
	load_all(&tree);
	top = tree_top(&tree, "");
	ck_assert_int_eq(tree_open(&tree, top, &err), 0);
	ck_assert_int_eq(crypt_random(store.root, PAGE_KEY_SIZE, &err), 0);
	(void)memcpy(top->key.bytes, store.root, PAGE_KEY_SIZE);
	ck_assert_int_eq(kcv_of(store.root, top->kcv, &err), 0);
	top->is_dirty = true;
	ck_assert_int_eq(tree_seal(&tree, &err), 0);
	write_rows(&tree, true);
	ck_assert_uint_eq(recovered(), 1);
}
END_TEST

/* a whole tenant: its place in the directory, and nothing below is written */
START_TEST(a_tenant_goes_by_one_slot)
{
	CLEANUP(tree_release) struct tree tree = { 0 };
	struct tree_slot place;
	uint8_t root[PAGE_KEY_SIZE];
	size_t written = 0;

	add_leaves("stays", 100);
	add_leaves("goes", 1000);
	tree_init(&tree, INSTANCE, store.epoch, store.root);
	load_all(&tree);
	place.page = tree_top(&tree, "goes")->parent;
	place.slot = tree_top(&tree, "goes")->slot;
	tree_release(&tree);
	tree_init(&tree, INSTANCE, store.epoch, store.root);
	load_path(&tree, place.page);
	ck_assert_int_eq(crypt_random(root, PAGE_KEY_SIZE, &err), 0);
	ck_assert_msg(tree_rekey(&tree, &place, 1, root, &err) == 0, "%s", err.msg);
	for (size_t i = 0; i < tree.n; i++)
		written += tree.pages[i]->is_dirty;
	ck_assert_uint_eq(written, 1);
	write_rows(&tree, true);
	(void)memcpy(store.root, root, PAGE_KEY_SIZE);
	store.epoch = tree.epoch;
	for (size_t i = 0; i < store.n_leaves; i++)
		store.leaves[i].dropped = strcmp(store.leaves[i].tenant, "goes") == 0;
	ck_assert_uint_eq(recovered(), 0);
	all_open();
}
END_TEST

START_TEST(freed_slots_are_taken_again_and_numbers_suffice)
{
	struct leaf *dead[64];
	size_t before;

	add_leaves("t", 4096);
	before = store.n;
	ck_assert_uint_eq(before, 64 + 1 + 1);
	for (size_t i = 0; i < 64; i++)
		dead[i] = &store.leaves[i * 64];
	shred(dead, 64, 0);
	add_leaves("t", 64);
	ck_assert_uint_eq(store.n, before);
	all_open();
	add_leaves("t", 5000);
	all_open();
}
END_TEST

START_TEST(what_is_not_there_is_refused)
{
	CLEANUP(tree_release) struct tree tree = { 0 };
	struct tree_slot nowhere = { 99, 0 }, empty, beyond;
	uint8_t key[PAGE_KEY_SIZE];

	add_leaves("t", 3);
	empty = (struct tree_slot){ store.leaves[0].at.page, 3 };
	beyond = (struct tree_slot){ store.leaves[0].at.page, 64 };
	tree_init(&tree, INSTANCE, store.epoch, store.root);
	load_all(&tree);
	ck_assert_int_eq(tree_key(&tree, &nowhere, key, &err), -1);
	ck_assert_int_eq(tree_key(&tree, &empty, key, &err), -1);
	ck_assert_int_eq(tree_key(&tree, &beyond, key, &err), -1);
	ck_assert_int_eq(tree_rekey(&tree, &empty, 1, store.root, &err), -1);
	ck_assert_int_eq(tree_add(&tree, "", &empty, key, &err), -1);
	/* no numbers were reserved, and a page is full */
	for (int i = 0; i < 61; i++)
		ck_assert_int_eq(tree_add(&tree, "t", &empty, key, &err), 0);
	ck_assert_int_eq(tree_add(&tree, "t", &empty, key, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.msg, "no numbers"));
}
END_TEST

/* every field of the place, every bit of the bytes */
START_TEST(a_page_is_altered_or_under_another_key_or_good)
{
	static const uint8_t key[PAGE_KEY_SIZE] = { 1 }, other[PAGE_KEY_SIZE] = { 2 };
	struct page_place place = { .instance = INSTANCE, .tenant = "1", .id = 7, .parent = 3, .slot = 5, .level = 1, .epoch = 9 };
	struct page_place changed[7];
	struct page_keys keys = { .live = 5 }, got;
	uint8_t sealed[PAGE_SEALED_SIZE], again[PAGE_SEALED_SIZE];
	enum page_verdict verdict;

	ck_assert_int_eq(kcv_of(key, place.kcv, &err), 0);
	(void)memset(keys.slots, 7, sizeof(keys.slots));
	ck_assert_int_eq(page_seal(&place, key, &keys, sealed, &err), 0);
	ck_assert_int_eq(page_seal(&place, key, &keys, again, &err), 0);
	ck_assert_mem_ne(sealed, again, 12); /* a nonce is never used again */
	ck_assert_int_eq(page_open(&place, key, sealed, &got, &verdict, &err), 0);
	ck_assert_int_eq(verdict, PAGE_OPEN);
	ck_assert_uint_eq(got.live, 5);
	ck_assert_mem_eq(got.slots[0], keys.slots[0], PAGE_KEY_SIZE);
	for (int i = 0; i < PAGE_KEY_SIZE; i++)
		ck_assert_uint_eq(got.slots[1][i], 0); /* what lies in a free slot is not sealed */
	ck_assert_int_eq(page_open(&place, other, sealed, &got, &verdict, &err), 0);
	ck_assert_int_eq(verdict, PAGE_OTHER_KEY);
	for (size_t i = 0; i < 7; i++)
		changed[i] = place;
	changed[0].instance = "00000000-0000-4000-8000-000000000002";
	changed[1].tenant = "2";
	changed[2].id++;
	changed[3].parent++;
	changed[4].slot++;
	changed[5].level++;
	changed[6].epoch++;
	for (size_t i = 0; i < 7; i++) {
		ck_assert_int_eq(page_open(&changed[i], key, sealed, &got, &verdict, &err), 0);
		ck_assert_int_eq(verdict, PAGE_ALTERED);
	}
	for (size_t bit = 0; bit < 8 * sizeof(sealed); bit++) {
		sealed[bit / 8] ^= (uint8_t)(1U << bit % 8);
		ck_assert_int_eq(page_open(&place, key, sealed, &got, &verdict, &err), 0);
		ck_assert_int_eq(verdict, PAGE_ALTERED);
		sealed[bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
}
END_TEST

/* a row of the tenant's past, or a neighbour's, in a page's place */
START_TEST(an_older_version_does_not_pass)
{
	CLEANUP(tree_release) struct tree tree = { 0 };
	struct leaf *dead[1];
	struct tree_page old, *row;
	uint8_t key[PAGE_KEY_SIZE];

	add_leaves("t", 10);
	row = row_of(store.leaves[0].at.page);
	old = *row;
	dead[0] = &store.leaves[0];
	shred(dead, 1, 0);
	*row = old;
	tree_init(&tree, INSTANCE, store.epoch, store.root);
	load_all(&tree);
	ck_assert_int_eq(tree_key(&tree, &store.leaves[1].at, key, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.msg, "is not the key that it was sealed under"));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("tree");
	TCase *tcase = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, nothing_ever_written_leads_to_a_dropped_key, 0, 3);
	tcase_add_test(tcase, nor_while_levels_grow);
	tcase_add_test(tcase, a_new_root_alone_would_shred_nothing);
	tcase_add_test(tcase, a_tenant_goes_by_one_slot);
	tcase_add_test(tcase, freed_slots_are_taken_again_and_numbers_suffice);
	tcase_add_test(tcase, what_is_not_there_is_refused);
	tcase_add_test(tcase, a_page_is_altered_or_under_another_key_or_good);
	tcase_add_test(tcase, an_older_version_does_not_pass);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}

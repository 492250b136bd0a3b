/*
 * An attacker who has every row of the key tree that was ever written and some key that is still held, and opens whatever
 * can be opened: the measure of the closure property.
 */
#ifndef TESTS_ATTACKER_H
#define TESTS_ATTACKER_H

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "keys/tree.h"

struct attacker_key {
	uint8_t key[PAGE_KEY_SIZE], kcv[KCV_SIZE];
};

struct attacker {
	struct attacker_key *keys;
	size_t n;
};

static inline void
attacker_learn(struct attacker *attacker, const uint8_t *key)
{
	struct attacker_key one;
	struct err err = { 0 };

	(void)memcpy(one.key, key, PAGE_KEY_SIZE);
	if (kcv_of(key, one.kcv, &err) != 0)
		abort();
	for (size_t i = 0; i < attacker->n; i++)
		if (memcmp(attacker->keys[i].kcv, one.kcv, KCV_SIZE) == 0)
			return;
	*MEM_PUSH(attacker->keys, attacker->n) = one;
}

static inline void
attacker_try(struct attacker *attacker, const char *instance, const struct tree_page *row, const uint8_t *key)
{
	struct page_place place = { .instance = instance, .tenant = row->tenant, .id = row->id, .parent = row->parent,
		.slot = row->slot, .level = row->level, .epoch = row->epoch };
	enum page_verdict verdict;
	struct page_keys keys;
	struct err err = { 0 };

	(void)memcpy(place.kcv, row->kcv, KCV_SIZE);
	if (page_open(&place, key, row->sealed, &keys, &verdict, &err) != 0)
		abort();
	if (verdict != PAGE_OPEN)
		return;
	for (int slot = 0; slot < PAGE_SLOTS; slot++)
		if (keys.live >> slot & 1)
			attacker_learn(attacker, keys.slots[slot]);
}

/* Everything that can be opened, starting from one key, with all rows of all times. */
static inline void
attacker_open_all(struct attacker *attacker, const char *instance, const struct tree_page *rows, size_t n,
	const uint8_t *held)
{
	attacker_learn(attacker, held);
	for (size_t k = 0; k < attacker->n; k++) {
		const struct attacker_key known = attacker->keys[k];

		for (size_t i = 0; i < n; i++)
			if (memcmp(rows[i].kcv, known.kcv, KCV_SIZE) == 0)
				attacker_try(attacker, instance, &rows[i], known.key);
	}
}

static inline bool
attacker_knows(const struct attacker *attacker, const uint8_t *key)
{
	for (size_t i = 0; i < attacker->n; i++)
		if (memcmp(attacker->keys[i].key, key, PAGE_KEY_SIZE) == 0)
			return true;
	return false;
}

static inline void
attacker_release(struct attacker *attacker)
{
	free(attacker->keys);
	*attacker = (struct attacker){ 0 };
}

#endif

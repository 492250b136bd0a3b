/*
 * tree: the key tree in memory, as much of it as somebody has loaded: opening, growing, re-keying. Pure: rows come and
 * go through tree_rows.
 *
 *     root R_e
 *      └─ directory pages          levels TREE_DIRECTORY and up, one for the whole installation
 *          └─ a tenant's pages     levels 0 and up, a tree of its own for each tenant, grows at its top
 *              └─ leaf keys        in slots of level 0
 *
 * Every key is random; a child's key is in its parent's slot and nowhere else. What is re-keyed gets fresh keys on the
 * whole path to a fresh root, so that no version of any page, of whatever time, leads from a key that is held to one
 * that was dropped (the closure property of the design; Reardon, Basin and Capkun, "Secure Data Deletion from
 * Persistent Media", CCS 2013; Boneh and Lipton, "A Revocable Backup System", USENIX Security 1996).
 */
#ifndef EXPUNGE_KEYS_TREE_H
#define EXPUNGE_KEYS_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/secret.h"
#include "keys/page.h"

#define TREE_DIRECTORY 32 /* levels of the directory count from here */
#define TREE_INSTANCE_SIZE 37

/* A row, and its keys while it is open. */
struct tree_page {
	char *tenant; /* "" for the directory */
	int64_t id, parent;
	int slot, level;
	int64_t epoch;
	uint8_t kcv[KCV_SIZE];
	uint64_t live; /* the same as inside the seal: which slots are taken is no secret */
	uint8_t sealed[PAGE_SEALED_SIZE];
	struct secret key, keys; /* keys: struct page_keys; empty until the page is opened */
	bool is_new, is_dirty;   /* to be written as a new row, or over the one there */
};

struct tree {
	char instance[TREE_INSTANCE_SIZE];
	int64_t epoch;
	struct secret root;
	struct tree_page **pages;
	size_t n;
	size_t *index;     /* by id, open addressing; 0 is empty, else position + 1 */
	size_t n_index;
	int64_t *new_ids;  /* numbers for new pages, of whoever stores them */
	size_t n_new_ids, n_taken_ids;
};

/* A place for a key. */
struct tree_slot {
	int64_t page;
	int slot;
};

void tree_init(struct tree *tree, const char *instance, int64_t epoch, const uint8_t root[PAGE_KEY_SIZE]);
/* Wipes every key. */
void tree_release(struct tree *tree);

/* Adds a row that was read; one that is there already is left as it is. The tree owns it. */
struct tree_page *tree_load(struct tree *tree, const struct tree_page *row);
/* NULL if it is not loaded. */
struct tree_page *tree_find(const struct tree *tree, int64_t id);
/* The highest page of a tenant ("": of the directory) that is loaded, NULL if none is. */
struct tree_page *tree_top(const struct tree *tree, const char *tenant);
/* How many new page numbers n new leaves of one tenant may need. */
size_t tree_ids_needed(size_t n);

/* Opens a page, and its ancestors, which must be loaded. ERR_FAILED names the page and what is wrong with it: a key
 * that is not its own, or altered bytes. */
int tree_open(struct tree *tree, struct tree_page *page, struct err *err);
/* The key in a live slot of a page that is loaded. */
int tree_key(struct tree *tree, const struct tree_slot *slot, uint8_t ret[PAGE_KEY_SIZE], struct err *err);

/* A fresh random key in a free slot of the tenant's level 0; pages, levels and the directory grow as needed. Pages of
 * the tenant with free slots, their ancestors and the directory's must be loaded; full ones need not be. */
int tree_add(struct tree *tree, const char *tenant, struct tree_slot *ret_slot, uint8_t ret_key[PAGE_KEY_SIZE],
	struct err *err);
/* Seals what tree_add has changed. */
int tree_seal(struct tree *tree, struct err *err);

/* Drops keys and re-keys every page that is loaded, up to the given fresh root, for the next epoch; all that was
 * loaded is sealed anew and dirty. Loaded must be the pages of the dropped slots with all their ancestors. */
int tree_rekey(struct tree *tree, const struct tree_slot *dropped, size_t n, const uint8_t root[PAGE_KEY_SIZE],
	struct err *err);

#endif

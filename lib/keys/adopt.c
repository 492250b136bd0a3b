#include "keys/adopt.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "keys/anchor.h"
#include "keys/leaf_name.h"
#include "keys/lineage.h"
#include "keys/rows.h"
#include "query.h"

#define LEAVES_AT_ONCE 4096
#define LEAVES_TEXT "4096"

/* columns of adopt_leaves */
enum { L_ID, L_PAGE, L_SLOT, L_KCV, L_SEALED };

/* ---- which journal ------------------------------------------------------------------------------ */

static int
compare(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

static int
compare_heads(const struct journal_header *a, const struct journal_header *b)
{
	int by_epoch = compare(a->root.epoch, b->root.epoch), by_seq = compare(a->key_seq, b->key_seq);

	return by_epoch != 0 ? by_epoch : by_seq != 0 ? by_seq : compare(a->serial, b->serial);
}

/* What is not mounted must not look like a disk that is new. */
static int
check_there(const struct journal *journal, struct err *err)
{
	if (access(journal->directory, R_OK | X_OK) == 0)
		return 0;
	(void)err_sys(err, "opening destination %s", journal->directory);
	return err_hint(err, "mount it: its key journal may be the one that has come furthest; if it is lost for good, take it out of "
		"archives.destinations");
}

/* `empty`: a destination that has no journal; NULL: every one has. */
static int
check_not_behind(const struct keys *keys, const struct journal_header *head, const struct journal *empty, struct err *err)
{
	CLEANUP(anchor_release) struct anchor anchor = ANCHOR_INIT;
	enum anchor_verdict verdict;

	if (anchor_read(keys->roots.anchor, keys->instance, &anchor, &verdict, err) != 0) {
		if (verdict != ANCHOR_ABSENT)
			return -1;
		err_clear(err);
		if (empty == NULL)
			return 0;
		(void)err_set(err, ERR_REFUSED, "there is no anchor, and no key journal in %s: whether the other is the newest cannot be known",
			empty->directory);
		return err_hint(err, "mount what belongs there; if it is lost for good, take it out of archives.destinations until the database "
			"is adopted");
	}
	if (anchor.epoch < head->root.epoch || (anchor.epoch == head->root.epoch && anchor.key_seq <= head->key_seq))
		return 0;
	(void)err_set(err, ERR_REFUSED, "the anchor has come to epoch %" PRId64 ", key_seq %" PRId64 ", and the key journals end with epoch %" PRId64
		", key_seq %" PRId64, anchor.epoch, anchor.key_seq, head->root.epoch, head->key_seq);
	return err_hint(err, "the journals are older copies: bring the newest back; only if they are lost for good, move the anchor away");
}

int
adopt_choose(const struct keys *keys, struct adopted *ret, struct err *err)
{
	const struct journal *empty = NULL;
	int64_t last;

	*ret = (struct adopted){ 0 };
	for (size_t i = 0; i < keys->n_journals; i++) {
		struct journal_head head;
		bool found;

		if (check_there(&keys->journals[i], err) != 0 || journal_head(&keys->journals[i], &head, &found, err) != 0)
			return -1;
		if (!found) {
			empty = &keys->journals[i];
			continue;
		}
		if (ret->journal != NULL && head.header.root.epoch == ret->head.root.epoch &&
		    !root_id_equal(&head.header.root, &ret->head.root)) {
			(void)err_set(err, ERR_REFUSED, "the key journals in %s and %s came to epoch %" PRId64 " by two changes of the root",
				ret->journal->directory, keys->journals[i].directory, head.header.root.epoch);
			return err_hint(err, "two copies of the database have run: find out which one counts, and move the other's journal away");
		}
		if (ret->journal == NULL || compare_heads(&head.header, &ret->head) > 0) {
			ret->journal = &keys->journals[i];
			ret->head = head.header;
		}
	}
	if (ret->journal == NULL) {
		(void)err_set(err, ERR_FAILED, "no destination has a key journal");
		return err_hint(err, "see archives.destinations: is every one of them mounted?");
	}
	return journal_verify(ret->journal, &ret->base, &last, err) != 0 ? -1 : check_not_behind(keys, &ret->head, empty, err);
}

/* ---- its rows ----------------------------------------------------------------------------------- */

struct loading {
	struct db *db;
	int64_t n;
	struct str schemas, names, values; /* of sequences */
};

static void
loading_release(struct loading *loading)
{
	str_release(&loading->schemas);
	str_release(&loading->names);
	str_release(&loading->values);
}

static int
add_field(struct str *array, const char *hex, size_t n, struct err *err)
{
	CLEANUP(free_text) char *text = mem_zero(n / 2 + 1, 1);
	CLEANUP(free_text) char *copy = mem_copy_n(hex, n);

	if (bytes_from_hex(copy, (uint8_t *)text, n / 2) != 0)
		return err_set(err, ERR_FAILED, "a sequence is not in the form of a key journal");
	array_add(array, text);
	return 0;
}

/* sequence SCHEMA NAME VALUE */
static int
add_sequence(struct loading *loading, const char *text, struct err *err)
{
	const char *schema = strchr(text, ' ') + 1, *name = strchr(schema, ' ') + 1, *value = strchr(name, ' ') + 1;

	if (add_field(&loading->schemas, schema, (size_t)(name - schema - 1), err) != 0 ||
	    add_field(&loading->names, name, (size_t)(value - name - 1), err) != 0)
		return -1;
	array_add(&loading->values, value);
	return 0;
}

static int
load_row(void *ctx, struct journal_row *row, struct err *err)
{
	CLEANUP(str_release) struct str line = STR_INIT;
	struct loading *loading = ctx;

	if (row->kind == JOURNAL_SEQUENCE)
		return add_sequence(loading, row->text, err);
	str_addf(&line, "%" PRId64 "\t", ++loading->n);
	str_add_n(&line, row->text, strcspn(row->text, " "));
	str_add(&line, "\t");
	db_copy_escape(&line, row->text);
	str_add(&line, "\n");
	return db_copy_in_put(loading->db, line.s, line.len, err);
}

static int
load_rows(const struct adopted *adopted, struct loading *loading, struct err *err)
{
	int64_t rows;

	if (db_copy_in_begin(loading->db, "COPY expunge.adopted_line (n, kind, line) FROM STDIN", err) != 0)
		return -1;
	for (int64_t segment = adopted->base; segment <= adopted->head.segment; segment++) {
		struct journal_head head;

		if (journal_read(adopted->journal, segment, load_row, loading, &head, err) != 0)
			return -1;
	}
	if (db_copy_in_end(loading->db, &rows, err) != 0)
		return -1;
	return rows == loading->n ? 0 : err_set(err, ERR_FAILED, "%" PRId64 " of %" PRId64 " rows of the key journal were loaded", rows, loading->n);
}

/* ---- names -------------------------------------------------------------------------------------- */

static int
name_leaf(struct tree *tree, const struct db_result *rows, int row, struct str *names, struct err *err)
{
	const struct tree_slot at = { db_get_int(rows, row, L_PAGE), (int)db_get_int(rows, row, L_SLOT) };
	const char *sealed_hex = db_get_text(rows, row, L_SEALED);
	size_t n = strlen(sealed_hex) / 2;
	uint8_t key[PAGE_KEY_SIZE], kcv[KCV_SIZE], wanted[KCV_SIZE], sealed[LEAF_NAME_SEALED_MAX];
	char name[LEAF_NAME_MAX + 1];
	int failed;

	if (n > sizeof(sealed) || bytes_from_hex(sealed_hex, sealed, n) != 0 ||
	    bytes_from_hex(db_get_text(rows, row, L_KCV), wanted, sizeof(wanted)) != 0)
		return err_set(err, ERR_FAILED, "leaf key %s: its row is malformed", db_get_text(rows, row, L_ID));
	failed = tree_key(tree, &at, key, err) != 0 || kcv_of(key, kcv, err) != 0;
	if (!failed && !secret_equal(kcv, wanted, KCV_SIZE))
		failed = err_set(err, ERR_FAILED, "page %" PRId64 ", slot %d holds another key", at.page, at.slot);
	failed = failed || leaf_name_open(key, db_get_int(rows, row, L_ID), sealed, n, name, err) != 0;
	if (!failed)
		array_add(names, name);
	secret_wipe(key, sizeof(key));
	secret_wipe(name, sizeof(name));
	return failed ? err_prefix(err, "leaf key %s", db_get_text(rows, row, L_ID)) : 0;
}

static int
name_batch(const struct adopted *adopted, struct db *db, const struct secret *root, const struct db_result *rows, struct err *err)
{
	CLEANUP(tree_release) struct tree tree = { 0 };
	CLEANUP(str_release) struct str ids = STR_INIT;
	CLEANUP(str_release) struct str names = STR_INIT;
	size_t n = (size_t)db_rows(rows);
	CLEANUP(free_text) char *memory = mem_zero(n, sizeof(int64_t));
	int64_t *pages = (int64_t *)(void *)memory;

	for (size_t i = 0; i < n; i++)
		pages[i] = db_get_int(rows, (int)i, L_PAGE);
	tree_init(&tree, adopted->head.instance, adopted->head.root.epoch, root->bytes);
	if (rows_load(db, &tree, pages, n, err) != 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (name_leaf(&tree, rows, (int)i, &names, err) != 0)
			return -1;
		array_add(&ids, db_get_text(rows, (int)i, L_ID));
	}
	return db_query(db, &QUERY_ADOPT_NAMES, DB_PARAMS(array_end(&ids), array_end(&names)), NULL, err);
}

/* Opens every living leaf: none is lost, or nothing is adopted. */
static int
name_leaves(struct adopted *adopted, struct db *db, const struct secret *root, struct err *err)
{
	char page[24] = "0", slot[24] = "-1";
	int n;

	do {
		CLEANUP(db_result_freep) struct db_result *rows = NULL;

		if (db_query(db, &QUERY_ADOPT_LEAVES, DB_PARAMS(page, slot, LEAVES_TEXT), &rows, err) != 0)
			return -1;
		n = db_rows(rows);
		if (n == 0)
			return 0;
		if (name_batch(adopted, db, root, rows, err) != 0)
			return -1;
		(void)snprintf(page, sizeof(page), "%s", db_get_text(rows, n - 1, L_PAGE));
		(void)snprintf(slot, sizeof(slot), "%s", db_get_text(rows, n - 1, L_SLOT));
		adopted->leaves += n;
	} while (n == LEAVES_AT_ONCE);
	return 0;
}

/* ---- all of it ---------------------------------------------------------------------------------- */

static int
take_over(const struct keys *keys, struct db *db, struct adopted *adopted, struct loading *loading, struct err *err)
{
	CLEANUP(secret_erase) struct secret root = SECRET_INIT;
	CLEANUP(str_release) struct str nonces = STR_INIT;
	char epoch[24], seq[24];
	enum root_verdict verdict;

	(void)snprintf(epoch, sizeof(epoch), "%" PRId64, adopted->head.root.epoch);
	(void)snprintf(seq, sizeof(seq), "%" PRId64, adopted->head.key_seq);
	lineage_nonces(keys, &nonces);
	if (root_read(keys->store, &adopted->head.root, &root, &verdict, NULL, err) != 0)
		return err_prefix(err, "the root that the key journal ends with");
	if (load_rows(adopted, loading, err) != 0 ||
	    db_query(db, &QUERY_ADOPT_JOURNAL, DB_PARAMS(epoch, adopted->head.root.attempt, seq), NULL, err) != 0)
		return -1;
	if (name_leaves(adopted, db, &root, err) != 0 || db_query(db, &QUERY_KEY_NONCE_TAKE, DB_PARAMS(nonces.s), NULL, err) != 0)
		return -1;
	/* the copy may know all of them, and another timeline */
	return lineage_draw(db, err);
}

static int
advance_sequences(struct db *db, struct loading *loading, struct err *err)
{
	if (db_query(db, &QUERY_ADOPT_SEQUENCES,
		    DB_PARAMS(array_end(&loading->schemas), array_end(&loading->names), array_end(&loading->values)), NULL, err) == 0)
		return 0;
	(void)err_prefix(err, "advancing the application's sequences");
	return err_hint(err, "the login of the data map needs UPDATE on them: a number of an erased row must not be given again");
}

/* Roots that a lost change has made, and the journal never saw: whatever they open was never relied on. */
static int
destroy_unseen(const struct keys *keys, const struct root_id *root, struct err *err)
{
	CLEANUP(root_ids_release) struct root_ids held = { 0 };
	bool complete;

	if (root_list(keys->store, &held, &complete, NULL, err) != 0)
		return -1;
	for (size_t i = 0; i < held.n; i++)
		if (held.ids[i].epoch >= root->epoch && !root_id_equal(&held.ids[i], root) &&
		    root_destroy(keys->store, &held.ids[i], NULL, err) != 0)
			return -1;
	return 0;
}

static int
adopt_locked(const struct keys *keys, struct db *db, struct adopted *adopted, struct err *err)
{
	CLEANUP(loading_release) struct loading loading = { .db = db };

	if (db_begin(db, err) != 0)
		return -1;
	if (take_over(keys, db, adopted, &loading, err) != 0 || db_commit(db, err) != 0) {
		db_rollback(db);
		return -1;
	}
	return advance_sequences(db, &loading, err) != 0 ? -1 : destroy_unseen(keys, &adopted->head.root, err);
}

int
adopt_journal(const struct keys *keys, struct db *db, struct adopted *adopted, struct err *err)
{
	struct err unused = { 0 };
	int failed;

	if (db_query(db, &QUERY_KEY_LOCK, DB_PARAMS("true"), NULL, err) != 0)
		return err_prefix(err, "waiting until nobody holds keys");
	failed = adopt_locked(keys, db, adopted, err);
	(void)db_query(db, &QUERY_KEY_UNLOCK, DB_PARAMS("true"), NULL, &unused);
	return failed;
}

/*
 * keys_probe: the key tree in a real database with its root in real places. Prints "ok NAME" or "not ok NAME: why" for
 * each case; 47-keys.sh compiles it, runs it on an installed database, and makes the verdicts its own. A trigger keeps
 * every version of every page in public.seen, which is what the attacker of the last cases reads.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../unit/attacker.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "keys/journal.h"
#include "keys/leaf.h"
#include "keys/leaf_name.h"
#include "keys/shred.h"

static struct db_options options = { .name = "expunge probe", .connect_timeout_s = 10, .lock_timeout_ms = 300 };
static struct db *db, *other;
static struct root_store *store;
static char *instance;
static struct err err;
static int failures;
static struct journal journals[2]; /* of two destinations */
static const char *stop_at = ""; /* "fail journal", "kill drill", ... */

static void
check(bool good, const char *name)
{
	failures += !good;
	printf("%s %s", good ? "ok" : "not ok", name);
	if (!good)
		printf(": code %d, SQLSTATE '%s', message '%s', hint '%s'", (int)err.code, err.sqlstate, err.msg, err.hint);
	printf("\n");
	(void)fflush(stdout);
	err_clear(&err);
}

static bool
value_is(const char *sql, const char *wanted)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (db_text(other, DB_ONE, sql, 0, NULL, &res, &err) != 0)
		return false;
	if (strcmp(db_get_text(res, 0, 0), wanted) == 0)
		return true;
	(void)err_set(&err, ERR_FAILED, "%s: %s, not %s", sql, db_get_text(res, 0, 0), wanted);
	return false;
}

/* ---- what a change of the root is given -------------------------------------------------------- */

static int
stopping(const char *what, struct err *e)
{
	CLEANUP(free_text) char *fail = mem_printf("fail %s", what);
	CLEANUP(free_text) char *kill_here = mem_printf("kill %s", what);

	if (strcmp(stop_at, kill_here) == 0)
		_exit(9);
	return strcmp(stop_at, fail) == 0 ? err_set(e, ERR_FAILED, "%s failed", what) : 0;
}

static int
hash(void *ctx, const char *tenant, const char *name, char ret[SHRED_HASH_SIZE], struct err *e)
{
	(void)snprintf(ret, SHRED_HASH_SIZE, "hash of %s/%s", tenant, name);
	return ctx == NULL ? 0 : stopping("hash", e); /* the root is written by then, and nothing is committed */
}

static int
write_journal(void *ctx, const struct root_id *root, struct err *e)
{
	CLEANUP(secret_erase) struct secret key = SECRET_INIT;
	enum root_verdict verdict;

	if (root_read(store, root, &key, &verdict, NULL, e) != 0)
		return -1;
	for (int i = 0; i < 2; i++)
		if (journal_write(&journals[i], ctx, false, e) != 0 || journal_barrier(&journals[i], root, &key, e) != 0)
			return -1;
	return stopping("journal", e);
}

static int
drill(void *ctx, const struct root_id *root, struct err *e)
{
	(void)ctx;
	(void)root;
	return stopping("drill", e);
}

static struct shred
change(struct db *on)
{
	return (struct shred){ .db = on, .store = store, .instance = instance, .ctx = on, .hash = hash, .journal = write_journal, .drill = drill };
}

static int
shred(const int64_t *leaves, size_t n)
{
	CLEANUP(shred_release) struct shred s = change(db);

	return shred_all(&s, &(struct shred_set){ .leaves = leaves, .n = n }, NULL, &err);
}

/* ---- leaves ------------------------------------------------------------------------------------- */

static struct leaf
take_kind(const char *tenant, const char *kind, const char *name, enum leaf_wish wish)
{
	CLEANUP(keyring_close) struct keyring ring = { 0 };
	char name_hash[SHRED_HASH_SIZE];
	const char *names[] = { name }, *hashes[] = { name_hash };
	const struct leaf_names wanted = { tenant, kind, names, hashes, 1 };
	struct leaf leaf = { 0 };

	(void)hash(NULL, tenant, name, name_hash, NULL);
	if (keyring_open(&ring, db, store, instance, &err) != 0 || leaf_take(&ring, &wanted, wish, &leaf, &err) != 0)
		leaf.id = -1;
	return leaf;
}

static struct leaf
take_one(const char *tenant, const char *name, enum leaf_wish wish)
{
	return take_kind(tenant, "subject", name, wish);
}

#define MANY 5000

/* Takes MANY leaves of a tenant in one go. */
static bool
take_many(const char *tenant, struct leaf *ret)
{
	CLEANUP(keyring_close) struct keyring ring = { 0 };
	static char names[MANY][16], hashes[MANY][SHRED_HASH_SIZE];
	static const char *name_list[MANY], *hash_list[MANY];
	const struct leaf_names wanted = { tenant, "subject", name_list, hash_list, MANY };

	for (int i = 0; i < MANY; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "%d", i);
		(void)hash(NULL, tenant, names[i], hashes[i], NULL);
		name_list[i] = names[i];
		hash_list[i] = hashes[i];
	}
	return keyring_open(&ring, db, store, instance, &err) == 0 && leaf_take(&ring, &wanted, LEAF_MAKE, ret, &err) == 0;
}

static void
leaves_are_made_once(void)
{
	static struct leaf first[MANY], again[MANY];
	static char long_name[1002];
	struct leaf one, two;
	bool same = true;

	check(take_one("1", "a", LEAF_FIND).state == LEAF_ABSENT, "a leaf that was never made is absent");
	one = take_one("1", "a", LEAF_MAKE);
	two = take_one("1", "a", LEAF_MAKE);
	check(one.state == LEAF_LIVING && one.id == two.id && memcmp(one.key, two.key, PAGE_KEY_SIZE) == 0, "it is made once");
	two = take_one("2", "a", LEAF_MAKE);
	check(two.id != one.id && memcmp(one.key, two.key, PAGE_KEY_SIZE) != 0, "another tenant's is another");
	memset(long_name, 'x', sizeof(long_name) - 1);
	check(take_one(long_name, "a", LEAF_MAKE).id == -1 && strstr(err.msg, "longer than 1000 bytes") != NULL,
		"a tenant whose name no line of the journal could hold has none");
	check(take_many("3", first), "five thousand at once");
	check(take_many("3", again), "and read again");
	for (int i = 0; i < MANY; i++)
		same = same && first[i].id == again[i].id && memcmp(first[i].key, again[i].key, PAGE_KEY_SIZE) == 0;
	check(same, "are the same");
	check(value_is("SELECT max(level) FROM expunge.key_page WHERE tenant = '3'", "2"), "in a tree of three levels");
	check(value_is("SELECT count(*) FROM (SELECT FROM expunge.key_page WHERE tenant = '3' AND level = 0) p", "79"),
		"whose pages are full");
}

static void
names_go_with_their_leaves(void)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	struct leaf leaf = take_one("1", "a", LEAF_FIND);
	uint8_t sealed[LEAF_NAME_SEALED_MAX];
	char name[LEAF_NAME_MAX + 1] = "";
	size_t n = 0;

	if (db_text(other, DB_ONE, "SELECT encode(sealed_name, 'hex') FROM expunge.key_leaf WHERE tenant = '1' AND name = 'a'", 0,
		    NULL, &res, &err) == 0) {
		n = strlen(db_get_text(res, 0, 0)) / 2;
		(void)bytes_from_hex(db_get_text(res, 0, 0), sealed, n);
	}
	check(leaf_name_open(leaf.key, leaf.id, sealed, n, name, &err) == 0 && strcmp(name, "a") == 0,
		"the leaf opens the name that the journal will keep");
	check(leaf_name_open(leaf.key, leaf.id + 1, sealed, n, name, &err) == -1, "no other leaf's number does");
	leaf.key[0] ^= 1;
	check(leaf_name_open(leaf.key, leaf.id, sealed, n, name, &err) == -1, "nor another key");
}

/* ---- shredding ---------------------------------------------------------------------------------- */

static void
a_shredded_leaf_stays_so(void)
{
	struct leaf leaf = take_one("1", "gone", LEAF_MAKE), next;
	struct leaf neighbour = take_one("1", "a", LEAF_FIND), after;

	check(shred(&leaf.id, 1) == 0, "a leaf is shredded");
	check(take_one("1", "gone", LEAF_MAKE).state == LEAF_SHREDDED, "and not made again for a backup that still sees it");
	check(shred(&leaf.id, 1) == 0 && value_is("SELECT epoch FROM expunge.key_tree", "2"), "a second time there is nothing to do");
	next = take_one("1", "gone", LEAF_AGAIN);
	check(next.state == LEAF_LIVING && next.incarnation == 2 && memcmp(next.key, leaf.key, PAGE_KEY_SIZE) != 0,
		"its next incarnation has another key");
	after = take_one("1", "a", LEAF_FIND);
	check(after.state == LEAF_LIVING && memcmp(after.key, neighbour.key, PAGE_KEY_SIZE) == 0, "the neighbour's key is as it was");
	check(value_is("SELECT count(*) FROM expunge.key_leaf WHERE shredded_epoch IS NOT NULL AND (name IS NOT NULL OR sealed_name IS NOT NULL)",
		      "0"),
		"a tombstone does not say whom it was for");
	check(shred(NULL, 0) == 0 && value_is("SELECT epoch FROM expunge.key_tree", "3"), "a fresh root without a leaf is possible");
}

static size_t
roots(void)
{
	struct root_ids ids = { 0 };
	bool complete = false;
	size_t n;

	if (root_list(store, &ids, &complete, NULL, &err) != 0 || !complete)
		return 99;
	n = ids.n;
	root_ids_release(&ids);
	return n;
}

/* A record of the newest root, as after a kill before it was written. */
static void
lose_record(const char *place)
{
	CLEANUP(root_ids_release) struct root_ids ids = { 0 };
	CLEANUP(free_text) char *name = NULL;
	CLEANUP(free_text) char *path = NULL;
	size_t newest = 0;
	bool complete;

	if (root_list(store, &ids, &complete, NULL, &err) != 0)
		return;
	for (size_t i = 0; i < ids.n; i++)
		newest = ids.ids[i].epoch > ids.ids[newest].epoch ? i : newest;
	name = root_record_name(&ids.ids[newest], false);
	path = mem_printf("%s/%s", place, name);
	check(unlink(path) == 0, "a record is missing");
}

/* The change fails or is killed at `where`; what comes next goes on with it. */
static void
a_change_is_gone_on_with(const char *where, const char *state, const char *lose)
{
	CLEANUP(free_text) char *name = mem_printf("for %s%s", where, lose == NULL ? "" : " with a record lost");
	CLEANUP(free_text) char *said = mem_printf("%s: left in state %s", where, state);
	CLEANUP(free_text) char *sql =
		mem_printf("SELECT coalesce((SELECT state FROM expunge.key_change WHERE state NOT IN ('done', 'abandoned')), 'none')");
	struct leaf leaf = take_one("2", name, LEAF_MAKE), mate = take_one("2", "a", LEAF_FIND), after;
	CLEANUP(shred_release) struct shred s = { 0 };
	bool any = false;
	pid_t child;

	stop_at = where;
	child = fork();
	if (child == 0) {
		struct db *mine = NULL;

		if (db_open(&mine, &options, &err) != 0)
			_exit(1);
		s = change(mine);
		_exit(shred_all(&s, &(struct shred_set){ .leaves = &leaf.id, .n = 1 }, NULL, &err) == 0 ? 0 : 3);
	}
	(void)waitpid(child, NULL, 0);
	stop_at = "";
	check(value_is(sql, state), said);
	if (lose != NULL)
		lose_record(lose);
	after = take_one("2", "a", LEAF_FIND);
	check(after.state == LEAF_LIVING && memcmp(after.key, mate.key, PAGE_KEY_SIZE) == 0, "meanwhile a living leaf opens");
	check(take_one("2", "new meanwhile", LEAF_MAKE).id == -1 && err.code == ERR_RETRY, "and no new one is made");
	s = change(db);
	check(shred_resume(&s, &any, &err) == 0 && any && value_is(sql, "none"), "gone on with to the end");
	check(take_one("2", name, LEAF_FIND).state == LEAF_SHREDDED && roots() == 1, "the leaf is gone, and one root is left");
	check(shred_resume(&s, &any, &err) == 0 && !any, "and then there is nothing to go on with");
}

static void
those_who_hold_keys_are_waited_for(void)
{
	CLEANUP(keyring_close) struct keyring ring = { 0 };
	struct leaf leaf = take_one("1", "waits", LEAF_MAKE);
	struct leaf_names wanted = { "1", "subject", (const char *const[]){ "waits" }, (const char *const[]){ "-" }, 1 };
	struct leaf late;

	check(keyring_open(&ring, other, store, instance, &err) == 0, "somebody holds keys");
	check(shred(&leaf.id, 1) == -1 && err.code == ERR_RETRY, "a change of the root does not begin");
	/* as after a network that came back: the lock is gone, and nobody noticed */
	check(db_text(other, DB_ONE, "SELECT pg_advisory_unlock_all()", 0, NULL, NULL, &err) == 0 && shred(&leaf.id, 1) == 0,
		"it does once the lock is gone");
	check(leaf_take(&ring, &wanted, LEAF_MAKE, &late, &err) == -1 && err.code == ERR_RETRY, "a root of yesterday makes no leaves");
}

static void
altered_rows_are_named(void)
{
	struct leaf leaf = take_one("3", "7", LEAF_FIND);
	bool found;

	check(db_script(other, "probe", "UPDATE expunge.key_page SET sealed = set_byte(sealed, 100, 255 - get_byte(sealed, 100))"
		" WHERE id = (SELECT page FROM expunge.key_leaf WHERE tenant = '3' AND name = '7')", &err) == 0, "a page is altered");
	found = take_one("3", "7", LEAF_FIND).id == -1 && strstr(err.msg, "was altered, or put in another's place") != NULL;
	check(found, "the page is named, and nothing opens");
	check(shred(&leaf.id, 1) == -1, "nor is it re-keyed");
	(void)db_script(other, "probe", "UPDATE expunge.key_page SET sealed = set_byte(sealed, 100, 255 - get_byte(sealed, 100))"
		" WHERE id = (SELECT page FROM expunge.key_leaf WHERE tenant = '3' AND name = '7')", &err);
	err_clear(&err);
	check(shred(NULL, 0) == 0 && take_one("3", "7", LEAF_FIND).state == LEAF_SHREDDED, "put right, the change is gone on with");
}

/* ---- the journal -------------------------------------------------------------------------------- */

struct rebuilt {
	struct tree tree;
	struct journal_leaf *leaves;
	size_t n;
	struct journal_gone gone[16];
	size_t n_gone;
};

static bool
is_gone(const struct rebuilt *rebuilt, const char *tenant, int64_t epoch)
{
	for (size_t i = 0; i < rebuilt->n_gone; i++)
		if (strcmp(rebuilt->gone[i].tenant, tenant) == 0 && epoch < rebuilt->gone[i].epoch)
			return true;
	return false;
}

/* The newest version of each row wins: segments are read from the last one back. */
static int
rebuild_row(void *ctx, struct journal_row *row, struct err *e)
{
	struct rebuilt *rebuilt = ctx;

	(void)e;
	if (row->kind == JOURNAL_GONE && rebuilt->n_gone < 16) {
		rebuilt->gone[rebuilt->n_gone] = row->gone;
		rebuilt->gone[rebuilt->n_gone++].tenant = mem_copy(row->gone.tenant);
	}
	if (row->kind == JOURNAL_PAGE) {
		(void)tree_load(&rebuilt->tree, &row->page);
		return 0;
	}
	if (row->kind != JOURNAL_LEAF || is_gone(rebuilt, row->leaf.tenant, row->leaf.made_epoch))
		return 0;
	for (size_t i = 0; i < rebuilt->n; i++)
		if (rebuilt->leaves[i].id == row->leaf.id)
			return 0;
	*MEM_PUSH(rebuilt->leaves, rebuilt->n) = row->leaf;
	return 0;
}

/* Without the database: how many living leaves open, with their names, by journal and root alone. */
static size_t
opened_by_journal(const struct journal *journal, const struct keyring *ring)
{
	struct rebuilt rebuilt = { 0 };
	struct journal_head head;
	int64_t base = 0, last = 0;
	size_t n = 0;

	tree_init(&rebuilt.tree, instance, ring->epoch, ring->root.bytes);
	check(journal_verify(journal, &base, &last, &err) == 0, "the journal is whole");
	for (int64_t segment = last; base > 0 && segment >= base; segment--)
		if (journal_read(journal, segment, rebuild_row, &rebuilt, &head, &err) != 0)
			return 0;
	for (size_t i = 0; i < rebuilt.n; i++) {
		const struct journal_leaf *leaf = &rebuilt.leaves[i];
		const struct tree_slot at = { leaf->page, leaf->slot };
		char name[LEAF_NAME_MAX + 1];
		uint8_t key[PAGE_KEY_SIZE];

		n += leaf->shredded_epoch == 0 && tree_key(&rebuilt.tree, &at, key, &err) == 0 &&
			leaf_name_open(key, leaf->id, leaf->sealed_name, leaf->n_sealed_name, name, &err) == 0;
	}
	tree_release(&rebuilt.tree);
	free(rebuilt.leaves);
	return n;
}

static void
journal_alone_gives_all_that_lives(void)
{
	CLEANUP(keyring_close) struct keyring ring = { 0 };
	CLEANUP(free_text) char *n = NULL;

	check(journal_write(&journals[0], db, false, &err) == 0 && journal_write(&journals[1], db, true, &err) == 0,
		"the journal is brought up to date, with a new base on one side");
	if (keyring_open(&ring, db, store, instance, &err) != 0)
		return;
	for (int i = 0; i < 2; i++) {
		free(n);
		n = mem_printf("%zu", opened_by_journal(&journals[i], &ring));
		check(value_is("SELECT count(*) FROM expunge.key_leaf WHERE shredded_epoch IS NULL", n),
			"journal and root alone open every leaf that lives, and its name");
	}
}

/* Whoever is overtaken adds to what the other has written. */
static bool
write_many(struct db *on)
{
	for (int i = 0; i < 30; i++)
		if (journal_write(&journals[1], on, true, &err) != 0)
			return false;
	return true;
}

static void
two_write_the_journal_at_once(void)
{
	struct journal_head head;
	int64_t base, last;
	int status = 1;
	bool found, good;
	pid_t child = fork();

	if (child == 0) {
		struct db *mine = NULL;

		_exit(db_open(&mine, &options, &err) == 0 && write_many(mine) ? 0 : 1);
	}
	good = write_many(db);
	(void)waitpid(child, &status, 0);
	check(good && status == 0, "two who write the journal at once both succeed");
	check(journal_verify(&journals[1], &base, &last, &err) == 0 && journal_head(&journals[1], &head, &found, &err) == 0 &&
			head.header.segment == 61, "and leave one chain of all that they wrote");
}

/* A bit of every byte of a small segment with rows. */
static void
every_flipped_bit_is_seen(int64_t segment)
{
	CLEANUP(free_text) char *path = mem_printf("%s/keys/%s/%010" PRId64 ".journal", journals[0].directory, instance, segment);
	FILE *file = fopen(path, "r+b");
	struct journal_head head;
	size_t missed = 0, n = 0;
	int c;

	for (long at = 0; file != NULL && fseek(file, at, SEEK_SET) == 0 && (c = getc(file)) != EOF; at++, n++) {
		(void)fseek(file, at, SEEK_SET);
		(void)putc(c ^ (1 << at % 8), file);
		(void)fflush(file);
		missed += journal_read(&journals[0], segment, NULL, NULL, &head, &err) == 0;
		(void)fseek(file, at, SEEK_SET);
		(void)putc(c, file);
		(void)fflush(file);
	}
	if (file != NULL)
		(void)fclose(file);
	err_clear(&err);
	check(n > 4000 && missed == 0, "a flipped bit anywhere in a segment is seen");
	check(journal_read(&journals[0], segment, NULL, NULL, &head, &err) == 0 && head.trailer.rows > 0, "as it was, it is good");
}

static void
a_journal_is_not_believed_blindly(void)
{
	CLEANUP(free_text) char *first = mem_printf("%s/keys/%s/0000000001.journal", journals[0].directory, instance);
	CLEANUP(free_text) char *away = mem_printf("%s.away", first);
	struct journal other_key = journals[0];
	int64_t base, last;

	every_flipped_bit_is_seen(3);
	other_key.public[0] ^= 1;
	check(journal_verify(&other_key, &base, &last, &err) == -1, "another key's signature is none");
	check(journal_chain(&journals[0], &base, &last, &err) == 0 && base == 1, "its first and last lines say the same");
	check(journal_chain(&other_key, &base, &last, &err) == -1, "and another key's nothing");
	check(rename(first, away) == 0 && journal_verify(&journals[0], &base, &last, &err) == -1, "a missing segment is missed");
	check(journal_chain(&journals[0], &base, &last, &err) == -1, "either way");
	(void)rename(away, first);
	err_clear(&err);
	check(db_script(other, "probe", "UPDATE expunge.key_tree SET key_seq = key_seq - 1", &err) == 0 &&
		journal_write(&journals[0], db, false, &err) == -1 && err.code == ERR_REFUSED, "a database that is behind is refused");
	(void)db_script(other, "probe", "UPDATE expunge.key_tree SET key_seq = key_seq + 1", &err);
	err_clear(&err);
}

/* ---- the attacker ------------------------------------------------------------------------------- */

struct seen {
	struct tree_page *rows;
	size_t n;
};

static int
add_seen(void *ctx, const struct db_result *row, struct err *e)
{
	struct seen *seen = ctx;
	struct tree_page *page = MEM_PUSH(seen->rows, seen->n);

	(void)e;
	page->id = db_get_int(row, 0, 0);
	page->tenant = mem_copy(db_get_text(row, 0, 1));
	page->parent = db_get_int(row, 0, 2);
	page->slot = (int)db_get_int(row, 0, 3);
	page->level = (int)db_get_int(row, 0, 4);
	page->epoch = db_get_int(row, 0, 5);
	return bytes_from_hex(db_get_text(row, 0, 6), page->kcv, KCV_SIZE) != 0 ||
	       bytes_from_hex(db_get_text(row, 0, 7), page->sealed, PAGE_SEALED_SIZE) != 0 ? -1 : 0;
}

static void
every_version_of_every_row(const struct leaf *dead, size_t n)
{
	CLEANUP(keyring_close) struct keyring ring = { 0 };
	struct attacker attacker = { 0 };
	struct seen seen = { 0 };
	struct leaf living = take_one("1", "a", LEAF_FIND);
	size_t found = 0;

	check(db_each(other, "SELECT id, tenant, parent, slot, level, epoch, encode(kcv, 'hex'), encode(sealed, 'hex') FROM public.seen", 0,
		      NULL, add_seen, &seen, &err) == 0 && keyring_open(&ring, db, store, instance, &err) == 0, "an attacker reads all rows");
	attacker_open_all(&attacker, instance, seen.rows, seen.n, ring.root.bytes);
	for (size_t i = 0; i < n; i++)
		found += attacker_knows(&attacker, dead[i].key);
	check(attacker_knows(&attacker, living.key), "and with the root finds what lives");
	check(found == 0 && n > 0, "but none of the keys that were shredded");
	for (size_t i = 0; i < seen.n; i++)
		free(seen.rows[i].tenant);
	free(seen.rows);
	attacker_release(&attacker);
}

static void
attack(void)
{
	static struct leaf dead[25];
	int64_t ids[25];

	for (int i = 0; i < 25; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "%d", 100 + i * 190);
		dead[i] = take_one("3", name, LEAF_FIND);
		ids[i] = dead[i].id;
	}
	check(shred(ids, 25) == 0, "25 leaves of a large tenant in one change");
	check(value_is("SELECT n_pages FROM expunge.key_change ORDER BY epoch DESC LIMIT 1", "29"),
		"rewrite the pages of their paths, and no others");
	every_version_of_every_row(dead, 25);
}

/* ---- whole tenants -------------------------------------------------------------------------------- */

static int
shred_tenant(const char *tenant, const struct leaf *leaf)
{
	CLEANUP(shred_release) struct shred s = change(db);
	const struct shred_set set = { .leaves = &leaf->id, .n = leaf == NULL ? 0 : 1, .tenants = &tenant, .n_tenants = 1 };

	return shred_all(&s, &set, NULL, &err);
}

static void
a_tenant_goes_by_one_slot(void)
{
	static struct leaf leaves[MANY];
	struct leaf mate = take_one("1", "a", LEAF_FIND), after, generation = take_kind("4", "generation", "aa", LEAF_MAKE);

	check(take_many("4", leaves), "a tenant of five thousand leaves");
	leaves[24] = generation;
	check(shred_tenant("4", &leaves[7]) == 0, "goes as a whole, one of its leaves named besides");
	check(value_is("SELECT n_pages FROM expunge.key_change ORDER BY epoch DESC LIMIT 1", "1"), "by one page of the directory");
	check(value_is("SELECT count(*) FROM expunge.key_page WHERE tenant = '4'", "0") &&
			value_is("SELECT string_agg(kind || coalesce(name, ''), ' ') FROM expunge.key_leaf WHERE tenant = '4'", "generation"),
		"of its rows the tombstones of archives are left");
	check(take_one("4", "7", LEAF_MAKE).state == LEAF_SHREDDED && take_one("4", "never there", LEAF_MAKE).state == LEAF_SHREDDED &&
			take_kind("4", "generation", "bb", LEAF_MAKE).state == LEAF_SHREDDED, "and nothing is sealed for it any more");
	after = take_one("1", "a", LEAF_FIND);
	check(after.state == LEAF_LIVING && memcmp(after.key, mate.key, PAGE_KEY_SIZE) == 0, "its neighbour's key is as it was");
	every_version_of_every_row(leaves, 25);
	check(shred_tenant("4", NULL) == 0 && value_is("SELECT count(*) FROM expunge.key_change WHERE '4' = ANY (tenants)", "1"),
		"a second time there is nothing to do");
	leaves[0] = take_one("4", "7", LEAF_AGAIN);
	check(leaves[0].state == LEAF_LIVING && take_one("4", "7", LEAF_MAKE).id == leaves[0].id, "its next incarnation lives");
	check(shred_tenant("4", NULL) == 0 && take_one("4", "7", LEAF_MAKE).state == LEAF_SHREDDED, "until the tenant goes again");
	check(shred_tenant("never there", NULL) == 0 && take_one("never there", "7", LEAF_MAKE).state == LEAF_SHREDDED,
		"one that never had a key is gone, too");
}

/* The change of a tenant is killed at `where`; what comes next goes on with it. */
static void
a_tenant_is_gone_on_with(const char *where, const char *tenant)
{
	CLEANUP(free_text) char *name = mem_printf("%s: whoever comes next goes on with a tenant", where);
	struct leaf leaf = take_one(tenant, "a", LEAF_MAKE);
	CLEANUP(shred_release) struct shred s = { 0 };
	bool any = false;
	pid_t child;

	(void)take_kind(tenant, "generation", "aa", LEAF_MAKE); /* whose name is hashed */
	stop_at = where;
	child = fork();
	if (child == 0) {
		struct db *mine = NULL;

		if (db_open(&mine, &options, &err) != 0)
			_exit(1);
		db = mine;
		_exit(shred_tenant(tenant, NULL) == 0 ? 0 : 3);
	}
	(void)waitpid(child, NULL, 0);
	stop_at = "";
	s = change(db);
	check(leaf.state == LEAF_LIVING && shred_resume(&s, &any, &err) == 0 && any && roots() == 1 &&
			take_one(tenant, "a", LEAF_MAKE).state == LEAF_SHREDDED &&
			take_one(tenant, "b", LEAF_MAKE).state == LEAF_SHREDDED, name);
	every_version_of_every_row(&leaf, 1);
}

/* Keys are gone, and rows are there yet. */
static void
what_is_not_swept_yet_opens_for_nobody(void)
{
	struct leaf leaf = take_one("5", "a", LEAF_MAKE);

	check(db_script(other, "probe", "CREATE FUNCTION public.no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''no''; END';"
		"CREATE TRIGGER no BEFORE DELETE ON expunge.key_leaf FOR EACH ROW EXECUTE FUNCTION public.no()", &err) == 0 &&
			shred_tenant("5", NULL) == -1 && value_is("SELECT state FROM expunge.key_change ORDER BY epoch DESC LIMIT 1", "drilled"),
		"rows cannot be swept");
	err_clear(&err);
	check(leaf.state == LEAF_LIVING && value_is("SELECT count(*) FROM expunge.key_leaf WHERE tenant = '5' AND name = 'a'", "1") &&
		take_one("5", "a", LEAF_FIND).state == LEAF_SHREDDED, "and open for nobody");
	check(journal_write(&journals[0], db, false, &err) == 0 && journal_write(&journals[1], db, true, &err) == 0,
		"the journal is written meanwhile");
	check(db_script(other, "probe", "DROP FUNCTION public.no() CASCADE", &err) == 0 && shred(NULL, 0) == 0 &&
		value_is("SELECT count(*) FROM expunge.key_leaf WHERE tenant = '5'", "0"), "the next change sweeps them first");
}

static void
tenants(void)
{
	a_tenant_goes_by_one_slot();
	a_tenant_is_gone_on_with("fail hash", "k1");
	a_tenant_is_gone_on_with("kill hash", "k2");
	a_tenant_is_gone_on_with("kill journal", "k3");
	a_tenant_is_gone_on_with("kill drill", "k4");
	what_is_not_swept_yet_opens_for_nobody();
}

static int
open_store(char **places)
{
	struct root_share_config shares[2] = { { .replicas = places, .n = 2 }, { .replicas = places + 2, .n = 2 } };
	const struct root_config config = { .shares = shares, .n = 2 };

	return root_open(&store, &config, instance, &err) != 0 || root_init(store, &err) != 0;
}

static int
open_journals(char **directories)
{
	struct signer *signer = NULL;

	if (crypt_signer_generate(&signer, &err) != 0)
		return -1;
	for (int i = 0; i < 2; i++) {
		journals[i] = (struct journal){ .directory = directories[i], .instance = instance, .signer = signer };
		if (crypt_signer_public(signer, journals[i].public, &err) != 0 || journal_mark(&journals[i], &err) != 0)
			return -1;
	}
	return 0;
}

int
main(int argc, char **argv)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	CLEANUP(shred_release) struct shred s = { 0 };

	options.conninfo = argc == 8 ? argv[1] : "";
	if (db_open(&db, &options, &err) != 0 || db_open(&other, &options, &err) != 0 ||
	    db_text(db, DB_ONE, "SELECT id FROM expunge.instance", 0, NULL, &res, &err) != 0) {
		(void)fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	instance = mem_copy(db_get_text(res, 0, 0));
	if (open_store(argv + 2) != 0 || open_journals(argv + 6) != 0) {
		(void)fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	s = change(db);
	check(shred_all(&s, &(struct shred_set){ 0 }, NULL, &err) == -1 && take_one("1", "a", LEAF_FIND).id == -1, "without a tree nothing begins");
	check(shred_first_root(&s, &err) == 0 && roots() == 1, "the first root");
	check(shred_first_root(&s, &err) == 0 && roots() == 1, "is made once");
	two_write_the_journal_at_once();
	leaves_are_made_once();
	names_go_with_their_leaves();
	a_shredded_leaf_stays_so();
	a_change_is_gone_on_with("fail hash", "intent", NULL);
	a_change_is_gone_on_with("kill hash", "intent", NULL);
	a_change_is_gone_on_with("kill hash", "intent", argv[5]);
	check(value_is("SELECT count(*) FROM expunge.key_change WHERE state = 'abandoned'", "1"), "an attempt that was not whole is abandoned");
	a_change_is_gone_on_with("fail journal", "verified", NULL);
	a_change_is_gone_on_with("kill journal", "verified", NULL);
	a_change_is_gone_on_with("fail drill", "destroyed", NULL);
	a_change_is_gone_on_with("kill drill", "destroyed", NULL);
	those_who_hold_keys_are_waited_for();
	altered_rows_are_named();
	attack();
	tenants();
	journal_alone_gives_all_that_lives();
	a_journal_is_not_believed_blindly();
	root_closep(&store);
	db_closep(&db);
	db_closep(&other);
	free(instance);
	return failures == 0 ? 0 : 1;
}

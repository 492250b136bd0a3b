/*
 * keys CONFIG CONNINFO fill TENANT LEAVES   a tenant of so many leaves, in bulk: real keys in pages that are really sealed, written
 *                                           from the bottom up by COPY; on a tree that has no tenant of this name
 * keys CONFIG CONNINFO journal              the key journals as bases
 * keys CONFIG CONNINFO shred TENANT N       N of its leaves, by chance: seconds, pages written, bytes of write-ahead log and journals
 * keys CONFIG CONNINFO gone TENANT          the whole tenant: the same
 * keys CONFIG CONNINFO open TENANT          all of its leaves, as a restore does: leaves, and pages opened alone, a second of processor time
 *
 * Changes run as the program's own do, drills in processes of their own: it is compiled with EXPUNGE, the program's path.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "archive/leaf_keys.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "erasure/guard.h"
#include "erasure/ledger.h"
#include "keys/keys.h"
#include "keys/leaf_name.h"
#include "keys/rows.h"

#define CHECK(condition)                                                                               \
	do {                                                                                           \
		if (!(condition)) {                                                                    \
			(void)fprintf(stderr, "keys: %s: %s (%s)\n", #condition, err.msg, err.hint);   \
			exit(1);                                                                       \
		}                                                                                      \
	} while (0)
#define FLUSH ((size_t)1 << 20)

static struct err err;
static struct config *config;
static struct instance instance;
static struct ledger *ledger;
static struct keys keys;
static struct db *db, *other; /* a COPY each */

static double
now(clockid_t clock)
{
	struct timespec t;

	(void)clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int64_t
number(const char *sql, const char *const *params, int n)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	CHECK(db_text(db, DB_ONE, sql, n, params, &res, &err) == 0);
	return db_get_int(res, 0, 0);
}

/* ---- fill ------------------------------------------------------------------------------------ */

struct page {
	int64_t id;
	uint8_t key[PAGE_KEY_SIZE], kcv[KCV_SIZE];
};

struct filling {
	const char *tenant;
	int64_t epoch, last_id;
	struct str pages, leaves; /* rows that are not sent yet */
	uint64_t name;
};

static void
send_rows(struct db *to, struct str *rows, size_t more_than)
{
	if (rows->len <= more_than)
		return;
	CHECK(db_copy_in_put(to, rows->s, rows->len, &err) == 0);
	str_clear(rows);
}

static void
add_hex(struct str *row, const uint8_t *bytes, size_t n)
{
	char hex[2 * PAGE_SEALED_SIZE + 1];

	bytes_to_hex(bytes, n, hex);
	str_addf(row, "\\\\x%s", hex);
}

static void
make_key(struct filling *filling, struct page *page)
{
	page->id = ++filling->last_id;
	CHECK(crypt_random(page->key, PAGE_KEY_SIZE, &err) == 0 && kcv_of(page->key, page->kcv, &err) == 0);
}

static void
put_page(struct filling *filling, const struct page *page, int64_t parent, int slot, int level, const struct page_keys *content)
{
	struct page_place place = { .instance = instance.id, .tenant = filling->tenant, .id = page->id, .parent = parent, .slot = slot,
		.level = level, .epoch = filling->epoch };
	uint8_t sealed[PAGE_SEALED_SIZE];

	(void)memcpy(place.kcv, page->kcv, KCV_SIZE);
	CHECK(page_seal(&place, page->key, content, sealed, &err) == 0);
	str_addf(&filling->pages, "%" PRId64 "\t%s\t%" PRId64 "\t%d\t%d\t%" PRId64 "\t", page->id, filling->tenant, parent, slot, level,
		filling->epoch);
	add_hex(&filling->pages, page->kcv, KCV_SIZE);
	str_addf(&filling->pages, "\t%" PRId64 "\t", (int64_t)content->live);
	add_hex(&filling->pages, sealed, sizeof(sealed));
	str_add(&filling->pages, "\t1\n");
	send_rows(db, &filling->pages, FLUSH);
}

/* A leaf's row; its key goes into the slot. */
static void
put_leaf(struct filling *filling, int64_t page, int slot, uint8_t key[PAGE_KEY_SIZE])
{
	uint8_t kcv[KCV_SIZE], sealed[LEAF_NAME_SEALED_MAX];
	int64_t id = ++filling->last_id;
	char name[24];
	size_t n;

	(void)snprintf(name, sizeof(name), "%" PRIu64, ++filling->name);
	CHECK(crypt_random(key, PAGE_KEY_SIZE, &err) == 0 && kcv_of(key, kcv, &err) == 0 &&
		leaf_name_seal(key, id, name, sealed, &n, &err) == 0);
	str_addf(&filling->leaves, "%" PRId64 "\t%s\tsubject\t%s\t", id, filling->tenant, name);
	add_hex(&filling->leaves, sealed, n);
	str_addf(&filling->leaves, "\t1\t%" PRId64 "\t%d\t", page, slot);
	add_hex(&filling->leaves, kcv, sizeof(kcv));
	str_addf(&filling->leaves, "\t%" PRId64 "\t1\n", filling->epoch);
	send_rows(other, &filling->leaves, FLUSH);
}

/* A page and all below it: n leaves. */
static void
put_subtree(struct filling *filling, const struct page *page, int64_t parent, int slot, int level, size_t n)
{
	size_t below = 1; /* leaves in each slot */
	struct page_keys content = { 0 };

	for (int i = 0; i < level; i++)
		below *= PAGE_SLOTS;
	for (int i = 0; n > 0; i++) {
		size_t here = n < below ? n : below;
		struct page child;

		if (level == 0) {
			put_leaf(filling, page->id, i, content.slots[i]);
		} else {
			make_key(filling, &child);
			(void)memcpy(content.slots[i], child.key, PAGE_KEY_SIZE);
			put_subtree(filling, &child, page->id, i, level - 1, here);
		}
		content.live |= (uint64_t)1 << i;
		n -= here;
	}
	put_page(filling, page, parent, slot, level, &content);
}

/* The tenant's top page takes the place of one that the program itself has made, with one leaf, which is shredded by it. */
static void
fill(const char *tenant, size_t n)
{
	CLEANUP(keyring_close) struct keyring ring = { 0 };
	CLEANUP(tree_release) struct tree tree = { 0 };
	CLEANUP(db_result_freep) struct db_result *top = NULL;
	struct filling filling = { .tenant = tenant };
	const struct leaf_names names = { tenant, "subject", DB_PARAMS("first"), DB_PARAMS("-"), 1 };
	const struct tree_page *row;
	struct leaf leaf;
	struct page page;
	struct tree_slot at;
	int64_t ids[1], rows;
	int level = 0;

	CHECK(keyring_open(&ring, db, keys.store, instance.id, &err) == 0 && leaf_take(&ring, &names, LEAF_MAKE, &leaf, &err) == 0);
	CHECK(db_text(db, DB_ONE, "SELECT id, parent, slot FROM expunge.key_page WHERE tenant = $1", 1, DB_PARAMS(tenant), &top, &err) == 0);
	ids[0] = db_get_int(top, 0, 0);
	at = (struct tree_slot){ db_get_int(top, 0, 1), (int)db_get_int(top, 0, 2) };
	tree_init(&tree, instance.id, ring.epoch, ring.root.bytes);
	CHECK(rows_load(db, &tree, ids, 1, &err) == 0);
	row = tree_find(&tree, ids[0]);
	page.id = row->id;
	(void)memcpy(page.kcv, row->kcv, KCV_SIZE);
	CHECK(tree_key(&tree, &at, page.key, &err) == 0);
	filling.epoch = ring.epoch;
	filling.last_id = number("SELECT nextval('expunge.key_id')", NULL, 0);
	for (size_t room = PAGE_SLOTS; room < n; room *= PAGE_SLOTS)
		level++;
	CHECK(db_command(db, "DELETE FROM expunge.key_leaf WHERE tenant = $1", 1, DB_PARAMS(tenant), NULL, &err) == 0);
	CHECK(db_command(db, "DELETE FROM expunge.key_page WHERE tenant = $1", 1, DB_PARAMS(tenant), NULL, &err) == 0);
	CHECK(db_copy_in_begin(db, "COPY expunge.key_page (id, tenant, parent, slot, level, epoch, kcv, live, sealed, seq) FROM STDIN", &err) == 0);
	CHECK(db_copy_in_begin(other, "COPY expunge.key_leaf (id, tenant, kind, name, sealed_name, incarnation, page, slot, kcv, made_epoch, seq) "
		"FROM STDIN", &err) == 0);
	put_subtree(&filling, &page, at.page, at.slot, level, n);
	send_rows(db, &filling.pages, 0);
	send_rows(other, &filling.leaves, 0);
	CHECK(db_copy_in_end(db, &rows, &err) == 0 && db_copy_in_end(other, &rows, &err) == 0 && rows == (int64_t)n);
	CHECK(number("SELECT setval('expunge.key_id', (SELECT max(id) FROM expunge.key_leaf) + 1000)", NULL, 0) > 0);
	leaf_wipe(&leaf, 1);
	secret_wipe(page.key, sizeof(page.key));
	str_release(&filling.pages);
	str_release(&filling.leaves);
}

/* ---- changes of the root ------------------------------------------------------------------------ */

static int
hash(void *ctx, const char *tenant, const char *name, char ret[SHRED_HASH_SIZE], struct err *e)
{
	return ledger_subject_hash(ctx, tenant, name, ret, e);
}

static int64_t
journal_bytes(void)
{
	int64_t n = 0;

	for (size_t i = 0; i < keys.n_journals; i++) {
		struct journal_head head;
		CLEANUP(free_text) char *directory = journal_directory(&keys.journals[i]);
		bool found;

		CHECK(journal_head(&keys.journals[i], &head, &found, &err) == 0);
		for (int64_t segment = 1; found && segment <= head.header.segment; segment++) {
			CLEANUP(free_text) char *path = mem_printf("%s/%010" PRId64 ".journal", directory, segment);
			struct stat st;

			n += stat(path, &st) == 0 ? st.st_size : 0;
		}
	}
	return n;
}

/* seconds, pages, bytes of write-ahead log, bytes of journals; and how many seconds went by before rows of tenants were swept */
static void
change(const struct shred_set *set)
{
	int64_t journals = journal_bytes(), wal = number("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint", NULL, 0);
	double from = now(CLOCK_REALTIME), took, drilled;

	CHECK(keys_shred(&keys, db, set, hash, ledger, NULL, &err) == 0);
	took = now(CLOCK_REALTIME) - from;
	drilled = (double)number("SELECT (extract(epoch FROM max(at)) * 1e6)::bigint FROM public.steps WHERE state = 'drilled'", NULL, 0) / 1e6;
	printf("%.3f %" PRId64 " %" PRId64 " %" PRId64 " %.3f\n", took,
		number("SELECT n_pages FROM expunge.key_change WHERE state = 'done' ORDER BY epoch DESC LIMIT 1", NULL, 0),
		number("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint", NULL, 0) - wal, journal_bytes() - journals, drilled - from);
}

static void
shred_some(const char *tenant, const char *n)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	struct shred_set set = { 0 };
	int64_t *leaves = NULL;

	CHECK(db_text(db, DB_MANY, "SELECT l.id FROM (SELECT id FROM expunge.key_leaf TABLESAMPLE BERNOULLI (100) "
		"WHERE tenant = $1 AND shredded_epoch IS NULL) l ORDER BY random() LIMIT $2::integer", 2, DB_PARAMS(tenant, n), &res, &err) == 0);
	for (int i = 0; i < db_rows(res); i++)
		*MEM_PUSH(leaves, set.n) = db_get_int(res, i, 0);
	set.leaves = leaves;
	change(&set);
	free(leaves);
}

/* ---- opening ------------------------------------------------------------------------------------ */

static int
take_page(void *ctx, const struct db_result *row, struct err *e)
{
	struct tree *tree = ctx;
	struct tree_page page = { .tenant = (char *)"", .id = db_get_int(row, 0, 0) };

	(void)e;
	CHECK(bytes_from_hex(db_get_text(row, 0, 1), page.sealed, PAGE_SEALED_SIZE) == 0);
	(void)tree_load(tree, &page);
	return 0;
}

static void
open_all(const char *tenant)
{
	CLEANUP(keyring_close) struct keyring ring = { 0 };
	CLEANUP(tree_release) struct tree tree = { 0 };
	struct leaf_keys opened;
	uint8_t key[PAGE_KEY_SIZE] = { 1 }, clear[PAGE_SEALED_SIZE];
	double cpu, wall = now(CLOCK_MONOTONIC), pages;

	CHECK(keyring_open(&ring, db, keys.store, instance.id, &err) == 0);
	cpu = now(CLOCK_PROCESS_CPUTIME_ID);
	CHECK(leaf_keys_load(&opened, &ring, tenant, &err) == 0);
	cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	wall = now(CLOCK_MONOTONIC) - wall;
	CHECK(db_each(db, "SELECT id, encode(sealed, 'hex') FROM expunge.key_page WHERE tenant = $1", 1, DB_PARAMS(tenant), take_page, &tree, &err) == 0);
	pages = now(CLOCK_PROCESS_CPUTIME_ID);
	for (size_t i = 0; i < tree.n; i++) {
		const struct gcm gcm = { .key = key, .nonce = tree.pages[i]->sealed };
		bool authentic;

		CHECK(crypt_gcm_open(&gcm, tree.pages[i]->sealed + GCM_NONCE_SIZE, PAGE_SEALED_SIZE - GCM_NONCE_SIZE, clear, &authentic, &err) == 0);
	}
	pages = now(CLOCK_PROCESS_CPUTIME_ID) - pages;
	printf("%zu %.3f %.3f %zu %.4f\n", opened.n, wall, cpu, tree.n, pages);
	leaf_keys_release(&opened);
}

int
main(int argc, char **argv)
{
	struct db_options options = { .name = "expunge bench", .connect_timeout_s = 10, .lock_timeout_ms = 10000 };
	CLEANUP(str_release) struct str problems = STR_INIT;
	const char *what = argc > 3 ? argv[3] : "";

	if (argc > 1 && strcmp(argv[1], "-c") == 0)
		return execv(EXPUNGE, argv); /* a drill */
	options.conninfo = argc > 2 ? argv[2] : "";
	CHECK(config_load(&config, argc > 1 ? argv[1] : "", &problems, &err) == 0 && db_open(&db, &options, &err) == 0 &&
		db_open(&other, &options, &err) == 0 && guard_instance(db, &instance, &err) == 0 && ledger_open(&ledger, config, &err) == 0 &&
		keys_open(&keys, config, instance.id, false, &problems, &err) == 0);
	if (strcmp(what, "fill") == 0 && argc == 6)
		fill(argv[4], strtoul(argv[5], NULL, 10));
	else if (strcmp(what, "journal") == 0)
		CHECK(keys_journal(&keys, db, true, &err) == 0);
	else if (strcmp(what, "shred") == 0 && argc == 6)
		shred_some(argv[4], argv[5]);
	else if (strcmp(what, "gone") == 0 && argc == 5)
		change(&(struct shred_set){ .tenants = (const char *const *)argv + 4, .n_tenants = 1 });
	else if (strcmp(what, "open") == 0 && argc == 5)
		open_all(argv[4]);
	else
		CHECK(!"a command");
	keys_close(&keys);
	db_close(db);
	db_close(other);
	ledger_close(ledger);
	config_free(config);
	return 0;
}

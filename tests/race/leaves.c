/*
 * leaves CONFIG CONNINFO GATE ROUNDS SEED
 *
 * Races about single keys: patients who arrive, backups that look for keys, erasures that shred some and fresh roots, of
 * several hosts, interleaved statement by statement. Each is a process of its own, this program again, that does one of these
 * and nothing else, so that thousands of rounds are soon over; race.c has whole runs. What must hold is asked after each round.
 *
 * leaves work CONFIG CONNINFO make|find NAME... | shred ID... | resume: exit code 0 done, 4 others had the keys, 1 anything else.
 * Prints "ROUNDS rounds, N statements"; exit code 1 if something was not as it must be.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "clinic.h"
#include "erasure/guard.h"
#include "erasure/ledger.h"
#include "keys/keys.h"
#include "keys/leaf.h"
#include "keys/shred.h"
#include "thread.h"

#define TENANT "1"
#define WORKERS_MAX_HERE 4
#define WORDS_MAX 4 /* names or leaves of one worker */
#define NAMES_AT_ONCE 4096

/* ---- one worker --------------------------------------------------------------------------------- */

struct worker {
	struct config *config;
	struct ledger *ledger;
	struct db *db;
	struct keys keys;
};

static int
worker_open(struct worker *w, const char *config, const char *conninfo, struct err *err)
{
	CLEANUP(str_release) struct str problems = STR_INIT;
	const struct db_options options = { .name = "expunge race", .conninfo = conninfo, .connect_timeout_s = 10, .lock_timeout_ms = 20000 };
	struct instance instance;

	return config_load(&w->config, config, &problems, err) != 0 || db_open(&w->db, &options, err) != 0 ||
			guard_instance(w->db, &instance, err) != 0 || ledger_open(&w->ledger, w->config, err) != 0 ||
		keys_open(&w->keys, w->config, instance.id, false, &problems, err) != 0 ? -1 : 0;
}

static void
worker_close(struct worker *w)
{
	keys_close(&w->keys);
	db_close(w->db);
	ledger_close(w->ledger);
	config_free(w->config);
}

static int
hash_name(void *ctx, const char *tenant, const char *name, char ret[SHRED_HASH_SIZE], struct err *err)
{
	const struct worker *w = ctx;

	return ledger_subject_hash(w->ledger, tenant, name, ret, err);
}

/* Write-ahead, and the barrier: as in keys.c, but for the process that drills. */
static int
write_journals(void *ctx, const struct root_id *root, struct err *err)
{
	const struct worker *w = ctx;
	CLEANUP(secret_erase) struct secret key = SECRET_INIT;
	enum root_verdict verdict;

	if (root_read(w->keys.store, root, &key, &verdict, NULL, err) != 0)
		return -1;
	for (size_t i = 0; i < w->keys.n_journals; i++)
		if (journal_write(&w->keys.journals[i], w->db, false, err) != 0 ||
		    journal_barrier(&w->keys.journals[i], root, &key, err) != 0)
			return -1;
	return 0;
}

static int
no_drill(void *ctx, const struct root_id *root, struct err *err)
{
	(void)ctx;
	(void)root;
	(void)err;
	return 0;
}

static int
take(struct worker *w, struct keyring *ring, const char *const *names, size_t n, enum leaf_wish wish, struct leaf *ret, struct err *err)
{
	static char hashes[NAMES_AT_ONCE][SHRED_HASH_SIZE];
	static const char *list[NAMES_AT_ONCE];

	for (size_t i = 0; i < n; i++) {
		if (hash_name(w, TENANT, names[i], hashes[i], err) != 0)
			return -1;
		list[i] = hashes[i];
	}
	return leaf_take(ring, &(struct leaf_names){ TENANT, "subject", names, list, n }, wish, ret, err);
}

/* As a backup does: keys first, then rows for a while, then the journals. Each leaf is told. */
static int
work_on_names(struct worker *w, char **names, size_t n, enum leaf_wish wish, struct err *err)
{
	CLEANUP(keyring_close) struct keyring ring = { 0 };
	struct leaf leaf;

	if (keyring_open(&ring, w->db, w->keys.store, w->keys.instance, err) != 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		const char *name = names[i];

		if (take(w, &ring, &name, 1, wish, &leaf, err) != 0 || db_text(w->db, DB_ONE, "SELECT 1", 0, NULL, NULL, err) != 0)
			return -1;
		printf("%s %d %" PRId64 "\n", name, (int)leaf.state, leaf.id);
		leaf_wipe(&leaf, 1);
	}
	for (size_t i = 0; i < w->keys.n_journals && wish == LEAF_MAKE; i++)
		if (journal_write(&w->keys.journals[i], w->db, false, err) != 0)
			return -1;
	return 0;
}

static int
work_on_root(struct worker *w, char **ids, size_t n, bool resume, struct err *err)
{
	CLEANUP(shred_release) struct shred shred = { .db = w->db, .store = w->keys.store, .instance = w->keys.instance, .ctx = w,
		.hash = hash_name, .journal = write_journals, .drill = no_drill };
	int64_t leaves[WORDS_MAX];

	for (size_t i = 0; i < n && i < WORDS_MAX; i++)
		leaves[i] = strtoll(ids[i], NULL, 10);
	return resume ? shred_resume(&shred, NULL, err) : shred_all(&shred, &(struct shred_set){ .leaves = leaves, .n = n }, NULL, err);
}

static int
work(int argc, char **argv)
{
	CLEANUP(worker_close) struct worker w = { 0 };
	struct err err = { 0 };
	size_t n = (size_t)argc - 5;
	const char *what = argv[4];
	int failed;

	failed = worker_open(&w, argv[2], argv[3], &err) != 0 ||
		(strcmp(what, "shred") == 0 || strcmp(what, "resume") == 0
				? work_on_root(&w, argv + 5, n, strcmp(what, "resume") == 0, &err)
				: work_on_names(&w, argv + 5, n, strcmp(what, "make") == 0 ? LEAF_MAKE : LEAF_FIND, &err)) != 0;
	if (!failed)
		return 0;
	(void)fprintf(stderr, "code %d: %s\n", (int)err.code, err.msg);
	return err.code == ERR_RETRY ? 4 : 1;
}

/* ---- rounds ------------------------------------------------------------------------------------- */

enum role { MAKE, FIND, SHRED, ROTATE };
static const char *const role_names[] = { "make", "find", "shred", "shred" };

struct actor {
	enum role role;
	char words[WORDS_MAX][24];
	int n_words;
	char log[32];
	struct thread thread;
};

struct round {
	struct actor actors[WORKERS_MAX_HERE];
	int n;
	uint64_t chance;
	long patience;
};

static char *self, *settings, *conninfo, *gate_so;
static PGconn *control;
static struct worker judge; /* in this process, under no gate */
static long n_names, statements;
static int wrongs;

static void
start(struct thread *thread, const char *what, const char *log, char (*words)[24], int n, bool gated)
{
	char *argv[6 + WORDS_MAX] = { self, (char *)"work", settings, conninfo, (char *)what };

	for (int i = 0; i < n; i++)
		argv[5 + i] = words[i];
	thread_program(thread, argv, gated ? gate_so : "", log);
}

/* Some names that this round is about: those whose leaves go are wanted by others, too. */
static void
cast(struct round *round)
{
	char targets[2][24], target_names[2][24];
	int n_targets = 0;

	for (long i = race_draw(&round->chance, 3); i > 0; i--, n_targets++) {
		const char *id = clinic_ask(control, "SELECT id FROM expunge.key_leaf WHERE kind = 'subject' AND shredded_epoch IS NULL ORDER BY id"
			" OFFSET %ld LIMIT 1", race_draw(&round->chance, 40));

		if (id[0] == '\0')
			break;
		(void)snprintf(targets[n_targets], sizeof(targets[0]), "%s", id);
		(void)snprintf(target_names[n_targets], sizeof(target_names[0]), "%s", clinic_ask(control,
			"SELECT name FROM expunge.key_leaf WHERE id = %s", targets[n_targets]));
	}
	round->n = 2 + (int)race_draw(&round->chance, WORKERS_MAX_HERE - 1);
	round->patience = 1 + race_draw(&round->chance, 12);
	for (int i = 0; i < round->n; i++) {
		struct actor *a = &round->actors[i];

		a->role = i == 0 ? (n_targets > 0 ? SHRED : ROTATE) : i == 1 || race_draw(&round->chance, 2) == 0 ? MAKE : (enum role)race_draw(&round->chance, 4);
		if (a->role == SHRED && n_targets == 0)
			a->role = ROTATE;
		a->n_words = a->role == ROTATE ? 0 : a->role == SHRED ? n_targets : 1 + (int)race_draw(&round->chance, WORDS_MAX);
		for (int j = 0; j < a->n_words; j++)
			if (a->role == SHRED)
				memcpy(a->words[j], targets[j], sizeof(a->words[j]));
			else if (n_targets > 0 && race_draw(&round->chance, 3) == 0)
				memcpy(a->words[j], target_names[race_draw(&round->chance, n_targets)], sizeof(a->words[j]));
			else if (n_names > 0 && race_draw(&round->chance, 3) == 0)
				(void)snprintf(a->words[j], sizeof(a->words[j]), "p%ld", race_draw(&round->chance, n_names));
			else
				(void)snprintf(a->words[j], sizeof(a->words[j]), "p%ld", n_names++);
		(void)snprintf(a->log, sizeof(a->log), "leaves.log.%d", i);
	}
}

static bool
is_running(const struct thread *threads, int n)
{
	for (int i = 0; i < n; i++)
		if (threads[i].state != THREAD_ENDED)
			return true;
	return false;
}

/* The present one for a while, then another; one that sleeps only if nobody else can go on. */
static int
whose_turn(struct round *round, const struct thread *threads, int *present)
{
	if (race_draw(&round->chance, round->patience) == 0)
		*present = (int)race_draw(&round->chance, round->n);
	for (int sleeping = 0; sleeping < 2; sleeping++)
		for (int i = 0; i < round->n; i++) {
			int at = (*present + i) % round->n;

			if (threads[at].state == THREAD_READY && threads[at].sleeping == (sleeping == 1))
				return at;
		}
	return -1;
}

static void
race(struct round *round)
{
	struct thread threads[WORKERS_MAX_HERE];
	int present = 0;
	long idle = 0;

	for (int i = 0; i < round->n; i++)
		start(&threads[i], role_names[round->actors[i].role], round->actors[i].log, round->actors[i].words,
			round->actors[i].n_words, true);
	for (;;) {
		int turn;

		thread_settle(threads, round->n, control);
		if (!is_running(threads, round->n))
			break;
		turn = whose_turn(round, threads, &present);
		if (turn < 0) {
			if (++idle > 20000)
				die("everybody waits");
			continue;
		}
		thread_step(&threads[turn]);
		statements++;
	}
	for (int i = 0; i < round->n; i++)
		round->actors[i].thread = threads[i];
}

/* ---- what must hold ----------------------------------------------------------------------------- */

static void wrong(uint64_t seed, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void
wrong(uint64_t seed, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	printf("seed %" PRIu64 ": ", seed);
	(void)vprintf(fmt, ap);
	printf("\n");
	va_end(ap);
	wrongs++;
}

/* A change that somebody left is gone on with, by a run that nobody disturbs. */
static void
settle(uint64_t seed)
{
	struct thread thread;

	start(&thread, "resume", "leaves.log", NULL, 0, false);
	thread_settle(&thread, 1, control);
	if (thread.exit_code != 0)
		wrong(seed, "a run that nobody disturbs fails: see leaves.log");
}

/* Whoever says that a key is there has told the truth, whatever came after; whoever shredded did. */
static void
judge_actor(const struct actor *a, uint64_t seed)
{
	char name[24];
	int64_t id;
	int state;
	FILE *log = a->role == MAKE || a->role == FIND ? fopen(a->log, "r") : NULL;

	if (a->thread.exit_code != 0 && a->thread.exit_code != 4)
		wrong(seed, "%s ended with exit code %d: see %s", role_names[a->role], a->thread.exit_code, a->log);
	for (int i = 0; i < a->n_words && a->role == SHRED && a->thread.exit_code == 0; i++)
		if (clinic_ask(control, "SELECT 1 FROM expunge.key_leaf WHERE id = %s AND shredded_epoch IS NOT NULL", a->words[i])[0] == '\0')
			wrong(seed, "leaf %s was said to be shredded, and lives", a->words[i]);
	while (log != NULL && a->thread.exit_code == 0 && fscanf(log, "%23s %d %" SCNd64, name, &state, &id) == 3) {
		if (state != LEAF_ABSENT && clinic_ask(control, "SELECT 1 FROM expunge.key_leaf WHERE id = %" PRId64, id)[0] == '\0')
			wrong(seed, "leaf %" PRId64 " was given away, and is not there", id);
		if (state == LEAF_ABSENT && a->role == MAKE)
			wrong(seed, "no leaf was made for %s", name);
	}
	if (log != NULL)
		(void)fclose(log);
}

/* Every name that there ever was: its leaf opens, or is shredded, as the table says. */
static void
judge_leaves(uint64_t seed)
{
	static struct leaf leaves[NAMES_AT_ONCE];
	static char names[NAMES_AT_ONCE][24];
	static const char *list[NAMES_AT_ONCE];
	CLEANUP(keyring_close) struct keyring ring = { 0 };
	long living = 0, first = n_names > NAMES_AT_ONCE ? n_names - NAMES_AT_ONCE : 0, n = n_names - first;
	struct err err = { 0 };

	for (long i = 0; i < n; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "p%ld", first + i);
		list[i] = names[i];
	}
	if (n == 0)
		return;
	if (keyring_open(&ring, judge.db, judge.keys.store, judge.keys.instance, &err) != 0 ||
	    take(&judge, &ring, list, (size_t)n, LEAF_FIND, leaves, &err) != 0) {
		wrong(seed, "living keys do not open: %s", err.msg);
		return;
	}
	for (long i = 0; i < n; i++)
		living += leaves[i].state == LEAF_LIVING;
	leaf_wipe(leaves, (size_t)n);
	if (first == 0 && living != strtol(clinic_ask(control, "SELECT count(*) FROM expunge.key_leaf WHERE shredded_epoch IS NULL"), NULL, 10))
		wrong(seed, "%ld keys open, and the table has other ones living", living);
}

static void
judge_round(const struct round *round, uint64_t seed)
{
	const char *said;

	for (int i = 0; i < round->n; i++)
		judge_actor(&round->actors[i], seed);
	if (clinic_ask(control, "SELECT 1 FROM expunge.key_change WHERE state NOT IN ('done', 'abandoned')")[0] != '\0')
		settle(seed);
	said = clinic_ask(control, "SELECT string_agg(w, '; ') FROM race.keys_wrong() w");
	if (said[0] != '\0')
		wrong(seed, "%s", said);
	if (clinic_ask(control, "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' LIMIT 1")[0] != '\0')
		wrong(seed, "a lock is left");
	judge_leaves(seed);
}

int
main(int argc, char **argv)
{
	struct err err = { 0 };
	long rounds;
	uint64_t seed;

	if (argc >= 5 && strcmp(argv[1], "work") == 0)
		return work(argc, argv);
	if (argc != 6)
		die("usage: leaves CONFIG CONNINFO GATE ROUNDS SEED");
	self = argv[0];
	settings = argv[1];
	conninfo = argv[2];
	gate_so = argv[3];
	rounds = strtol(argv[4], NULL, 10);
	seed = strtoull(argv[5], NULL, 10);
	control = clinic_connect("postgres");
	if (worker_open(&judge, settings, conninfo, &err) != 0)
		die("%s", err.msg);
	for (long r = 0; r < rounds && wrongs < 10; r++, seed++) {
		struct round round = { .chance = seed * 0x9E3779B97F4A7C15ULL + 1 };

		cast(&round);
		race(&round);
		judge_round(&round, seed);
	}
	printf("%ld rounds, %ld statements\n", rounds, statements);
	PQfinish(control);
	worker_close(&judge);
	return wrongs > 0;
}

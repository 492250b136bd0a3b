/*
 * race: runs of expunge against everybody else, interleaved statement by statement by a seeded schedule, and
 * invariants after each round.
 *
 *   race EXPUNGE GATE.SO CONF CONF-OF-ANOTHER-HOST SCENARIO ROUNDS SEED
 *
 * Connects as PG* says to a database with the sample application, clinic.sql and `expunge init`. Each round
 * makes a few patients whose erasure is approved, starts one or two runs under the gate, and lets actors do
 * what the scenario says at statements drawn by chance. Round N of seed S is the same as round 0 of seed
 * S + N, as far as the server's own timing allows.
 * Prints "N rounds, N statements", a line for each violation, and exits 1 if there was one.
 */
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clinic.h"

#define MAX_SUBJECTS 6
#define MAX_PROGRAMS 4
#define MAX_WORDS 4 /* of a command */
#define AHEAD 12 /* rounds that are planned by one run */

struct scenario {
	const char *name;
	const char *command[MAX_PROGRAMS]; /* on one host and the other in turn */
	int n;
	enum deed deeds[MAX_SUBJECTS]; /* DEEDS: any */
	bool shared; /* two subjects each share a guarantor */
	int stubborn; /* so many cannot be erased */
	int ahead;
	bool keys; /* there is a key tree; all are of one tenant, and every other, at least, was backed up before */
};

static const struct scenario scenarios[] = {
	{ "hold", { "erase" }, 2, { HOLD, HOLD_ALIAS }, false, 0, AHEAD, false },
	{ "hold-practice", { "erase" }, 2, { HOLD_PRACTICE, IDLE }, false, 0, AHEAD, false },
	{ "withdrawal", { "erase" }, 3, { WITHDRAW, WITHDRAW, IDLE }, false, 0, AHEAD, false },
	{ "arrival", { "erase" }, 2, { MESSAGE, VISIT }, false, 0, AHEAD, false },
	{ "move", { "erase" }, 2, { MOVE_MESSAGE, MOVE_VISIT }, false, 0, AHEAD, false },
	{ "merge", { "erase" }, 3, { MERGE, UPDATE, LINK }, false, 0, AHEAD, false },
	{ "hosts", { "erase", "erase" }, 4, { IDLE, IDLE, IDLE, IDLE }, true, 0, AHEAD, false },
	{ "failure", { "erase", "erase" }, 3, { WITHDRAW, HOLD, IDLE }, false, 2, AHEAD, false },
	{ "nights", { "nightly", "nightly" }, 2, { IDLE, IDLE }, true, 0, 1, false },
	{ "approval", { "nightly", "erase" }, 2, { DECIDE, IDLE }, false, 0, 1, false },
	{ "mixed", { "erase", "erase" }, 5, { DEEDS, DEEDS, DEEDS, DEEDS, DEEDS }, false, 0, AHEAD, false },
	{ "keys-arrival", { "erase", "backup" }, 3, { ARRIVE, ARRIVE, IDLE }, false, 0, AHEAD, true },
	{ "keys-backup", { "erase", "backup --tenant 1" }, 4, { IDLE, IDLE, IDLE, IDLE }, false, 0, 1, true },
	{ "keys-backups", { "backup --tenant 1", "backup --tenant 2", "keys rotate" }, 2, { ARRIVE, ARRIVE }, false, 0, AHEAD, true },
	{ "keys-hosts", { "keys rotate", "keys rotate", "backup" }, 2, { IDLE, ARRIVE }, false, 0, AHEAD, true },
	{ "keys-mixed", { "erase", "backup --tenant 1", "keys rotate", "nightly" }, 3, { ARRIVE, IDLE, WITHDRAW }, false, 0, 1, true },
};

struct round {
	struct subject subjects[MAX_SUBJECTS];
	struct thread threads[MAX_PROGRAMS + MAX_SUBJECTS];
	int n_programs, n_threads;
	uint64_t chance;
	/* so many statements a program runs before another's turn comes, on average; so many chances it takes at a border */
	long patience, border_patience;
};

static const char *expunge, *gate_so, *conf[2];
static PGconn *control;
static const struct scenario *scenario;
/* of the first run of the last round: when it began and committed transactions, and its end */
static long borders[32], run_end;
static int n_borders;
static long start_length; /* so many statements a run makes before its first transaction */
static long statements;

/* ---- preparation --------------------------------------------------------------------------- */

static const char *
log_name(int program)
{
	static const char *const names[MAX_PROGRAMS] = { "race.log.0", "race.log.1", "race.log.2", "race.log.3" };

	return names[program];
}

static void
start_program(struct thread *thread, const char *host, const char *command, const char *gate, const char *log)
{
	char *argv[6 + MAX_WORDS] = { (char *)expunge, (char *)"-c", (char *)host, (char *)"-U", (char *)"night" };
	char *words = strdup(command), *rest = words;

	if (words == NULL)
		die("out of memory");
	for (int i = 5; i < 5 + MAX_WORDS && (argv[i] = strsep(&rest, " ")) != NULL; i++)
		;
	thread_program(thread, argv, gate, log);
	free(words);
}

/* Runs expunge undisturbed; its exit code. */
static int
run_freely(const char *command, const char *log)
{
	struct thread thread;

	start_program(&thread, conf[0], command, "", log);
	while (thread.state != THREAD_ENDED)
		thread_settle(&thread, 1, control);
	return thread.exit_code;
}

/* Makes a patient whose erasure is asked for. */
static void
make_subject(struct round *round, int i)
{
	static long next = 3000;
	static PGconn *application;
	struct subject *s = &round->subjects[i];

	if (application == NULL)
		application = clinic_connect("clinic_app");
	*s = (struct subject){ .id = next, .tenant = scenario->shared || scenario->keys ? 1 : 1 + i % 2, .deed = scenario->deeds[i],
		.stubborn = i < scenario->stubborn };
	next += 3;
	if (s->deed == DEEDS)
		s->deed = (enum deed)race_draw(&round->chance, DECIDE);
	s->in_transaction = race_draw(&round->chance, 2) == 1;
	clinic_make(control, s, scenario->shared && i % 2 == 1 ? round->subjects[i - 1].id : 0);
	(void)snprintf(s->request, sizeof(s->request), "%s", clinic_ask(application,
		"SELECT expunge_api.request_erasure('%d', '%ld', '17-1-b', 'portal', 'race', now(), NULL)", s->tenant, s->id));
	(void)clinic_ask(control, "SELECT expunge.identify_request('%s')", s->request);
}

/* Makes the patients of several rounds and lets one night plan them. */
static void
prepare(struct round *rounds, int n, uint64_t seed)
{
	for (int r = 0; r < n; r++) {
		rounds[r] = (struct round){ .chance = (seed + (uint64_t)r) * 0x9E3779B97F4A7C15ULL + 1 };
		for (int i = 0; i < scenario->n; i += 2)
			make_subject(&rounds[r], i);
	}
	if (scenario->keys && run_freely("backup", "race.log") != 0)
		die("the first backup fails: see race.log");
	for (int r = 0; r < n; r++)
		for (int i = 1; i < scenario->n; i += 2)
			make_subject(&rounds[r], i);
	if (run_freely("nightly", "race.log") != 0)
		die("the night that plans fails: see race.log");
}

static PGconn *
connection(enum deed deed, int i)
{
	static PGconn *pool[DEEDS][MAX_SUBJECTS];

	if (pool[deed][i] == NULL)
		pool[deed][i] = clinic_connect(clinic_role(deed));
	return pool[deed][i];
}

/* When the three steps of an actor come: anywhere, while rows are removed, or close to the begin or end of a
 * transaction. */
static void
draw_moments(struct round *round, long when[THREAD_STEPS], bool calm)
{
	long kind = race_draw(&round->chance, 4), from = 0, to = run_end + 4;

	if (kind == 1 && n_borders > 1) { /* the first batch */
		from = borders[0] - 4;
		to = borders[1] + 4;
	} else if (kind > 1 && n_borders > 0) {
		from = borders[race_draw(&round->chance, n_borders)] - 6;
		to = from + 14;
	}
	for (int i = 0; i < THREAD_STEPS; i++)
		when[i] = calm ? LONG_MAX : from + race_draw(&round->chance, to - from);
	for (int i = 1; i < THREAD_STEPS; i++)
		if (when[i] < when[i - 1])
			when[i] = when[i - 1] + race_draw(&round->chance, 12);
}

/* Up to the first moment, and the first transaction, nothing can happen. */
static void
skip_start(struct round *round)
{
	long skip = start_length - 6;

	for (int i = round->n_programs; i < round->n_threads; i++)
		if (round->threads[i].when[0] < skip)
			skip = round->threads[i].when[0];
	for (int i = 0; i < round->n_programs; i++)
		round->threads[i].skip = skip < 0 ? 0 : (unsigned char)(skip > 250 ? 250 : skip);
}

static void
set_up(struct round *round, bool calm)
{
	for (int i = 0; i < scenario->n; i++)
		clinic_approve(control, &round->subjects[i]);
	for (int p = 0; p < MAX_PROGRAMS && scenario->command[p] != NULL; p++, round->n_programs++)
		start_program(&round->threads[p], conf[p % 2], scenario->command[p], gate_so, log_name(p));
	round->n_threads = round->n_programs;
	for (int i = 0; i < scenario->n; i++) {
		struct subject *s = &round->subjects[i];
		struct thread *actor = &round->threads[round->n_threads];
		long when[THREAD_STEPS];

		if (s->deed == IDLE)
			continue;
		draw_moments(round, when, calm);
		thread_actor(actor, connection(s->deed, i));
		clinic_instruct(s, actor, when);
		s->actor = actor;
		round->n_threads++;
	}
	round->patience = round->border_patience = 12;
	if (scenario->keys) { /* another's turn in a program's midst, for long: or one statement each */
		round->patience = 2L << 2 * race_draw(&round->chance, 4);
		round->border_patience = 2L << 2 * race_draw(&round->chance, 3);
	}
	skip_start(round);
}

/* ---- the race ------------------------------------------------------------------------------ */

/* The actor whose turn it is; force: or whose turn comes next. */
static struct thread *
actor_due(struct round *round, long count, bool force)
{
	struct thread *due = NULL;

	for (int i = round->n_programs; i < round->n_threads; i++) {
		struct thread *t = &round->threads[i];

		if (t->state == THREAD_READY && (force || t->when[t->next] <= count) &&
		    (due == NULL || t->when[t->next] < due->when[due->next]))
			due = t;
	}
	return due;
}

/* Where a transaction, its snapshot, or reading in it begins or ends. */
static bool
is_border(const struct thread *thread)
{
	static const char *const words[] = { "BEGIN", "COMMIT", "SET TRANSACTION", "DECLARE", "FETCH" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strncmp(thread->at.text, words[i], strlen(words[i])) == 0)
			return true;
	return false;
}

/* A program that can go on; one that sleeps only if asked for. The present one for a while, then another. */
static struct thread *
program_due(struct round *round, int *present, bool sleeping)
{
	if (race_draw(&round->chance, is_border(&round->threads[*present]) ? round->border_patience : round->patience) == 0)
		*present = (int)race_draw(&round->chance, round->n_programs);
	for (int i = 0; i < round->n_programs; i++) {
		struct thread *t = &round->threads[(*present + i) % round->n_programs];

		if (t->state == THREAD_READY && t->sleeping == sleeping)
			return t;
	}
	return NULL;
}

static void
note_step(const struct round *round, const struct thread *t, long count)
{
	bool begins = strncmp(t->at.text, "BEGIN", 5) == 0;

	if (begins && (start_length == 0 || t->passed < start_length))
		start_length = t->passed;
	if (t != &round->threads[0])
		return;
	run_end = count;
	if ((begins || strncmp(t->at.text, "COMMIT", 6) == 0) &&
	    (size_t)n_borders < sizeof(borders) / sizeof(borders[0]))
		borders[n_borders++] = count;
}

static void
note_deeds(struct round *round, const struct thread *t)
{
	for (int i = 0; i < scenario->n; i++)
		if (round->subjects[i].actor == t && t->state == THREAD_ENDED && round->subjects[i].state_then[0] == '\0')
			clinic_note_deed(control, &round->subjects[i]);
}

static void
race(struct round *round)
{
	int present = 0;
	long count = 0, idle = 0;

	n_borders = 0;
	for (;; count++) {
		struct thread *t;
		bool running = false;

		thread_settle(round->threads, round->n_threads, control);
		for (int i = round->n_programs; i < round->n_threads; i++)
			note_deeds(round, &round->threads[i]);
		for (int i = 0; i < round->n_threads; i++)
			running = running || round->threads[i].state != THREAD_ENDED;
		if (!running)
			break;
		if ((t = actor_due(round, count, false)) == NULL && (t = program_due(round, &present, false)) == NULL &&
		    (t = actor_due(round, count, true)) == NULL && (t = program_due(round, &present, true)) == NULL) {
			if (++idle > 20000)
				die("everybody waits");
			continue; /* for a lock's time-out, or the detection of a deadlock */
		}
		if (t->sleeping)
			(void)usleep(1000);
		note_step(round, t, count);
		count += t->skip;
		thread_step(t);
	}
	statements += count;
}

/* ---- afterwards ---------------------------------------------------------------------------- */

/* How a program may end: 4, another does the same; 3, something was in its way; 1, all of it was. Never 5: nobody has
 * restored anything. */
static bool
may_end(const char *command, int code, bool undisturbed)
{
	bool alone = strcmp(command, "nightly") == 0 || (scenario->keys && strncmp(command, "backup", 6) == 0);

	return code == 0 || (code == 3 && !undisturbed) || (code == 4 && alone) || (code == 1 && strncmp(command, "keys", 4) == 0);
}

/* Whether all errors in the log are of those that one who is in the other's way may expect. */
static bool
is_excused(const char *log)
{
	static const char *const excuses[] = { "another run backs tenant", "waiting for the keys: ", "waiting until nobody holds keys: ",
		"a change of the root was interrupted, and no leaf key is made", "was ended by somebody else", "and the root at hand is of epoch" };
	FILE *file = fopen(log, "r");
	char line[2000];
	bool all = true;

	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		bool excused = strstr(line, " error ") == NULL;

		for (size_t i = 0; i < sizeof(excuses) / sizeof(excuses[0]); i++)
			excused = excused || strstr(line, excuses[i]) != NULL;
		all = all && excused;
		if (!excused)
			(void)fputs(line, stderr);
	}
	if (file != NULL)
		(void)fclose(file);
	return all;
}

static void
judge_programs(const struct round *round, FILE *wrong)
{
	bool undisturbed = round->n_threads == round->n_programs && !scenario->keys;

	for (int i = 0; i < round->n_programs; i++) {
		if (!may_end(scenario->command[i], round->threads[i].exit_code, undisturbed))
			fprintf(wrong, "run %d ended with exit code %d\n", i, round->threads[i].exit_code);
		if (scenario->keys && !is_excused(log_name(i)))
			fprintf(wrong, "run %d failed where nobody was in its way\n", i);
	}
}

/* It waits for nothing here, so that a race is soon over; a vacuum of the server's own may be in its way for a moment. */
static bool
is_too_early(void)
{
	FILE *log = fopen("race.log", "r");
	bool early = false;
	char line[500];

	while (log != NULL && !early && fgets(line, sizeof(line), log) != NULL)
		early = strstr(line, "wait for transactions older than their removal") != NULL;
	if (log != NULL)
		(void)fclose(log);
	return early;
}

/* A run that nobody disturbs: if it fails, what is wrong, and what it said. */
static void
must_run(const char *command, const char *what, FILE *wrong)
{
	char line[500];
	FILE *log;
	int failed, tries = 0;

	do
		failed = run_freely(command, "race.log");
	while (failed != 0 && is_too_early() && ++tries < 20);
	if (failed == 0)
		return;
	fprintf(wrong, "%s:\n", what);
	log = fopen("race.log", "r");
	while (log != NULL && fgets(line, sizeof(line), log) != NULL)
		(void)fputs(line, wrong);
	if (log != NULL)
		(void)fclose(log);
}

/* What a run leaves to the next one, that one brings to its end. */
static void
settle_round(struct round *round, FILE *wrong)
{
	static const char left[] = "SELECT count(*) FROM expunge.request WHERE removed_at IS NOT NULL AND state <> 'certified'";
	static const char open[] = "SELECT count(*) FROM expunge.key_change WHERE state NOT IN ('done', 'abandoned')";

	if (scenario->keys)
		must_run("erase", "a run that nobody disturbs fails", wrong);
	clinic_let_go(control, round->subjects, scenario->n);
	for (int i = 0; i < 3 && (strcmp(clinic_ask(control, left), "0") != 0 || strcmp(clinic_ask(control, open), "0") != 0); i++)
		(void)run_freely("erase", "race.log");
	if (strcmp(clinic_ask(control, left), "0") != 0)
		fprintf(wrong, "what was removed is not certified in the end\n");
}

static void
say_all(PGconn *conn, const char *sql, FILE *wrong)
{
	PGresult *res = PQexec(conn, sql);

	if (PQresultStatus(res) != PGRES_TUPLES_OK)
		die("%s", PQerrorMessage(conn));
	for (int i = 0; i < PQntuples(res); i++)
		fprintf(wrong, "%s\n", PQgetvalue(res, i, 0));
	PQclear(res);
}

/* The key tree is whole, opens by the journal and one root that is left, and has nothing of those who are erased. */
static void
judge_keys(const struct round *round, FILE *wrong)
{
	say_all(control, "SELECT race.keys_wrong()", wrong);
	for (int i = 0; i < scenario->n; i++) {
		const struct subject *s = &round->subjects[i];

		if (clinic_ask(control, "SELECT 1 FROM expunge.request r JOIN expunge.key_leaf l ON l.tenant = r.tenant AND l.kind = 'subject'"
			" AND l.name = '%ld' WHERE r.id = '%s' AND r.state = 'certified'", s->id, s->request)[0] != '\0')
			fprintf(wrong, "patient %ld is certified to be gone, and a leaf key lives\n", s->id);
	}
	must_run("drill --positive", "journal and root do not open what lives", wrong);
	must_run("drill --negative", "a root is left, or opens what it must not", wrong);
}

/* One round; what was wrong with it, a line each. */
static char *
play(struct round *round, bool calm)
{
	char *text = NULL, others[64];
	size_t size;
	FILE *wrong = open_memstream(&text, &size);
	const char *them = clinic_ids(round->subjects, scenario->n);

	if (wrong == NULL)
		die("out of memory");
	(void)snprintf(others, sizeof(others), "%s", clinic_ask(control, "SELECT race.others('%s')", them));
	set_up(round, calm);
	race(round);
	judge_programs(round, wrong);
	for (int i = 0; i < scenario->n; i++)
		clinic_judge(control, &round->subjects[i], wrong);
	say_all(control, "SELECT race.wrong()", wrong);
	settle_round(round, wrong);
	say_all(control, "SELECT 'in the end: ' || w FROM race.wrong() w", wrong);
	if (scenario->keys)
		judge_keys(round, wrong);
	if (strcmp(others, clinic_ask(control, "SELECT race.others('%s')", them)) != 0)
		fprintf(wrong, "rows of others were changed\n");
	(void)clinic_ask(control, "SELECT race.forget('%s')", them);
	for (int i = 0; i < round->n_threads; i++)
		thread_release(&round->threads[i]);
	(void)fclose(wrong);
	return text;
}

static void
tell(const struct round *round, uint64_t seed, const char *wrong)
{
	printf("%s, seed %llu:", scenario->name, (unsigned long long)seed);
	for (int i = 0; i < scenario->n; i++)
		if (round->subjects[i].actor != NULL)
			printf(" %s%s -> %s %s (then %s);", clinic_deed_name(round->subjects[i].deed), round->subjects[i].in_transaction ? " in a transaction" : "",
				round->subjects[i].actor->sqlstate, round->subjects[i].actor->answer, round->subjects[i].state_then);
	printf("\n%s", wrong);
}

int
main(int argc, char **argv)
{
	static struct round rounds[AHEAD];
	uint64_t seed;
	long n, bad = 0;

	if (argc != 8)
		die("usage: race EXPUNGE GATE.SO CONF CONF SCENARIO ROUNDS SEED");
	expunge = argv[1];
	gate_so = argv[2];
	conf[0] = argv[3];
	conf[1] = argv[4];
	for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++)
		if (strcmp(argv[5], scenarios[i].name) == 0)
			scenario = &scenarios[i];
	if (scenario == NULL)
		die("no scenario %s", argv[5]);
	n = strtol(argv[6], NULL, 10);
	seed = strtoull(argv[7], NULL, 10);
	control = clinic_connect("postgres");
	/* one calm round first, in which the actors come last: it measures how long a run is */
	for (long i = -1; i < n;) {
		int ahead = i < 0 ? 1 : (int)(n - i < scenario->ahead ? n - i : scenario->ahead);

		prepare(rounds, ahead, seed + (uint64_t)(i < 0 ? 0 : i));
		for (int r = 0; r < ahead; r++, i++) {
			char *wrong = play(&rounds[r], i < 0);

			bad += wrong[0] != '\0';
			if (wrong[0] != '\0' || getenv("RACE_VERBOSE") != NULL)
				tell(&rounds[r], seed + (uint64_t)(i < 0 ? 0 : i), wrong);
			free(wrong);
		}
	}
	printf("%ld rounds, %ld statements\n", n, statements);
	return bad > 0 ? 1 : 0;
}

#include "erasure/workers.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"

static pthread_mutex_t shared = PTHREAD_MUTEX_INITIALIZER;

struct task {
	struct run *run;
	workers_fn *work;
	void *ctx;
	struct err err;
	int failed;
	bool started;
	pthread_t thread;
};

void
workers_lock(void)
{
	(void)pthread_mutex_lock(&shared);
}

void
workers_unlock(void)
{
	(void)pthread_mutex_unlock(&shared);
}

/* How many may work at once. Rules and triggers are disabled under locks that no two transactions can have, and
 * whoever asks for slowness wants no crowd. */
static size_t
count_workers(const struct run *run, int64_t pieces)
{
	int64_t n = config_int(run->config, SET_BATCH_WORKERS);

	if (run->map->n_disable > 0 || config_int(run->config, SET_BATCH_ROWS_PER_SECOND) > 0)
		n = 1;
	return (size_t)(pieces < 1 ? 1 : pieces < n ? pieces : n);
}

static int
open_worker(struct run *run, struct run *worker, struct err *err)
{
	*worker = *run;
	worker->workers = NULL;
	worker->n_workers = 0;
	worker->db = worker->recount = NULL;
	worker->ledger = NULL;
	worker->skip = NULL;
	if (run->connect(run->connect_ctx, run->map->login, &worker->db, err) != 0 ||
	    run->connect(run->connect_ctx, run->map->login, &worker->recount, err) != 0)
		return -1;
	return ledger_open(&worker->ledger, run->config, err);
}

/* Makes sure that there are this many workers besides the run itself. */
static int
open_workers(struct run *run, size_t n, struct err *err)
{
	if (run->workers == NULL)
		run->workers = mem_zero(WORKERS_MAX, sizeof(*run->workers));
	while (run->n_workers < n) {
		struct run *worker = &run->workers[run->n_workers++];

		if (open_worker(run, worker, err) != 0)
			return -1;
	}
	return 0;
}

void
workers_close(struct run *run)
{
	for (size_t i = 0; i < run->n_workers; i++) {
		ledger_close(run->workers[i].ledger);
		db_close(run->workers[i].db);
		db_close(run->workers[i].recount);
		free(run->workers[i].skip);
	}
	free(run->workers);
	run->workers = NULL;
	run->n_workers = 0;
}

static void
prepare(struct run *worker, const struct run *run)
{
	worker->n_removed = worker->n_certified = worker->n_blocked = worker->n_failed = worker->n_waiting = worker->n_rows = 0;
	worker->refused = false;
	free(worker->skip);
	worker->skip = mem_copy(run->skip);
}

static void
add_up(struct run *run, struct run *worker)
{
	run->n_removed += worker->n_removed;
	run->n_certified += worker->n_certified;
	run->n_blocked += worker->n_blocked;
	run->n_failed += worker->n_failed;
	run->n_rows += worker->n_rows;
	run->refused = run->refused || worker->refused;
	run_skip_all(run, worker->skip);
}

static void *
begin(void *task)
{
	struct task *t = task;

	t->failed = t->work(t->run, t->ctx, &t->err);
	return NULL;
}

/* A worker's thread takes no signals: they are the main thread's. */
static void
start(struct task *task)
{
	sigset_t all, before;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_BLOCK, &all, &before);
	task->started = pthread_create(&task->thread, NULL, begin, task) == 0;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

int
workers_run(struct run *run, int64_t pieces, workers_fn *work, void *ctx, struct err *err)
{
	size_t n = count_workers(run, pieces);
	struct task *tasks;
	int failed;

	if (n == 1)
		return work(run, ctx, err);
	if (open_workers(run, n - 1, err) != 0)
		return -1;
	tasks = mem_zero(n - 1, sizeof(*tasks));
	for (size_t i = 0; i < n - 1; i++) {
		prepare(&run->workers[i], run);
		tasks[i] = (struct task){ .run = &run->workers[i], .work = work, .ctx = ctx };
		start(&tasks[i]);
	}
	failed = work(run, ctx, err);
	for (size_t i = 0; i < n - 1; i++) {
		if (!tasks[i].started)
			continue; /* the others did its share */
		(void)pthread_join(tasks[i].thread, NULL);
		add_up(run, &run->workers[i]);
		if (tasks[i].failed != 0 && failed == 0) {
			failed = -1;
			*err = tasks[i].err;
		}
	}
	free(tasks);
	return failed;
}

#include "erasure/workers.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "sys/tasks.h"

struct worker {
	struct run *run;
	workers_fn *work;
	void *ctx;
};

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
	worker->ms_issuing = 0;
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
	run->ms_issuing += worker->ms_issuing;
	run->refused = run->refused || worker->refused;
	run_skip_all(run, worker->skip);
}

static int
carry_out(void *ctx, struct err *err)
{
	struct worker *worker = ctx;

	return worker->work(worker->run, worker->ctx, err);
}

int
workers_run(struct run *run, int64_t pieces, workers_fn *work, void *ctx, struct err *err)
{
	struct worker workers[WORKERS_MAX];
	struct task tasks[WORKERS_MAX] = { { 0 } };
	size_t n = count_workers(run, pieces);
	int failed;

	if (n == 1)
		return work(run, ctx, err);
	if (open_workers(run, n - 1, err) != 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			prepare(&run->workers[i - 1], run);
		workers[i] = (struct worker){ i == 0 ? run : &run->workers[i - 1], work, ctx };
		tasks[i] = (struct task){ .work = carry_out, .ctx = &workers[i] };
	}
	failed = tasks_run(tasks, n, err);
	for (size_t i = 1; i < n; i++)
		if (tasks[i].ran)
			add_up(run, &run->workers[i - 1]);
	return failed;
}

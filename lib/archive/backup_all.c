#include "archive/backup_all.h"

#include "base/cleanup.h"
#include "sys/tasks.h"

/* Whose turn it is. */
struct turns {
	const struct backup_all *all;
	size_t next;
	bool ended; /* somebody failed, or was asked to stop */
};

struct worker {
	struct turns *turns;
	const struct backup *backup;
};

/* NULL: there is nobody left. */
static const char *
take_turn(const struct worker *worker)
{
	struct turns *turns = worker->turns;
	const char *tenant = NULL;

	tasks_lock();
	turns->ended = turns->ended || (worker->backup->stop != NULL && worker->backup->stop());
	if (!turns->ended && turns->next < turns->all->n)
		tenant = turns->all->tenants[turns->next++];
	tasks_unlock();
	return tenant;
}

static int
back_up(const struct worker *worker, const char *tenant, struct err *err)
{
	CLEANUP(backup_result_release) struct backup_result result = { 0 };
	const struct backup_all *all = worker->turns->all;
	struct err why = { 0 };
	int failed = backup_tenant(worker->backup, tenant, &result, &why);

	tasks_lock();
	failed = all->ended(all->ctx, worker->backup, tenant, &result, failed == 0 ? NULL : &why, err);
	worker->turns->ended = worker->turns->ended || failed != 0;
	tasks_unlock();
	return failed;
}

static int
work(void *ctx, struct err *err)
{
	const struct worker *worker = ctx;

	for (const char *tenant; (tenant = take_turn(worker)) != NULL;)
		if (back_up(worker, tenant, err) != 0)
			return -1;
	return 0;
}

int
backup_all(const struct backup_all *all, struct err *err)
{
	struct turns turns = { .all = all };
	struct worker workers[BACKUP_WORKERS_MAX];
	struct task tasks[BACKUP_WORKERS_MAX] = { { 0 } };

	for (size_t i = 0; i < all->n_workers; i++) {
		workers[i] = (struct worker){ &turns, &all->workers[i] };
		tasks[i] = (struct task){ .work = work, .ctx = &workers[i] };
	}
	return tasks_run(tasks, all->n_workers, err);
}

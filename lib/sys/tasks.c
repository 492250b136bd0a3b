#include "sys/tasks.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "base/mem.h"

static pthread_mutex_t shared = PTHREAD_MUTEX_INITIALIZER;

void
tasks_lock(void)
{
	(void)pthread_mutex_lock(&shared);
}

void
tasks_unlock(void)
{
	(void)pthread_mutex_unlock(&shared);
}

static void *
begin(void *task)
{
	struct task *t = task;

	t->failed = t->work(t->ctx, &t->err);
	return NULL;
}

static void
start(struct task *task, pthread_t *thread)
{
	sigset_t all, before;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_BLOCK, &all, &before);
	task->ran = pthread_create(thread, NULL, begin, task) == 0;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

int
tasks_run(struct task *tasks, size_t n, struct err *err)
{
	pthread_t *threads = mem_zero(n, sizeof(*threads));
	int failed = 0;

	for (size_t i = 1; i < n; i++)
		start(&tasks[i], &threads[i]);
	tasks[0].ran = true;
	(void)begin(&tasks[0]);
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && tasks[i].ran)
			(void)pthread_join(threads[i], NULL);
		if (tasks[i].failed != 0 && failed == 0) {
			failed = -1;
			*err = tasks[i].err;
		}
	}
	free(threads);
	return failed;
}

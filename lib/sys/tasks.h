/* tasks: pieces of work at the same time, each in a thread of its own, the first in the caller's. Signals are the
 * caller's alone. */
#ifndef EXPUNGE_SYS_TASKS_H
#define EXPUNGE_SYS_TASKS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct task {
	int (*work)(void *ctx, struct err *err);
	void *ctx;
	/* the answer */
	bool ran; /* false: no thread could be had for it; the others do its share */
	int failed;
	struct err err;
};

/* Returns when all have ended; -1 when any of them failed, with the error of the first that did. */
int tasks_run(struct task *tasks, size_t n, struct err *err);

/* What the tasks of one run share. Held only for moments. */
void tasks_lock(void);
void tasks_unlock(void);

#endif

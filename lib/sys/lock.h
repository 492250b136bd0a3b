/* lock: one holder of a file among the processes of this host. */
#ifndef EXPUNGE_SYS_LOCK_H
#define EXPUNGE_SYS_LOCK_H

#include "base/err.h"

/* Takes an exclusive lock (open file description lock) without waiting; ERR_LOCKED when another
 * process has it. *ret_fd keeps it until lock_release or the end of the process. */
int lock_take(const char *path, int *ret_fd, struct err *err);
/* The same, but waits at most `seconds`. */
int lock_wait(const char *path, int seconds, int *ret_fd, struct err *err);
void lock_release(int *fd);

#endif

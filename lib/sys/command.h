/*
 * command: runs another program, without a shell.
 *
 * The program gets its arguments as they are, an environment of PATH, LANG and TZ only, standard input, output
 * and error on /dev/null (what it says may hold personal data, and nobody here would keep that from a
 * log), the root directory, default signals, a process group of its own and no open file of ours.
 */
#ifndef EXPUNGE_SYS_COMMAND_H
#define EXPUNGE_SYS_COMMAND_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* argv[0] is the program's absolute path, the last pointer is NULL. Waits for its end, at most so many
 * seconds: then the whole process group is ended (SIGTERM, five seconds later SIGKILL), which is an
 * error, as is an end by a signal. *ret_exit_code is 0 to 255. The program goes on if we are killed. */
int command_run(const char *const *argv, int64_t timeout_seconds, int *ret_exit_code, struct err *err);
/* The same for a program of ours, which says nothing personal: the first n_said - 1 bytes of its standard error, and NUL. */
int command_hear(const char *const *argv, int64_t timeout_seconds, char *said, size_t n_said, int *ret_exit_code, struct err *err);

/* Refuses a program that is missing, not executable, or that somebody else than its owner may replace:
 * the file, or one of the directories above it (a sticky one is as good), writable by group or others, or
 * owned by another user than root and us; and so with every link on the way, and the directories above it. */
int command_check(const char *path, struct err *err);

#endif

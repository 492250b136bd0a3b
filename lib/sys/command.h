/*
 * command: runs another program, without a shell.
 *
 * The program gets its arguments as they are, an environment of PATH, LANG and TZ only, standard input, output
 * and error on /dev/null (what it says may hold personal data, and nobody here would keep that from a
 * log) unless the caller talks to it, the root directory, default signals, a process group of its own and no open file of
 * ours. Who talks to one ignores SIGPIPE.
 */
#ifndef EXPUNGE_SYS_COMMAND_H
#define EXPUNGE_SYS_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* argv[0] is the program's absolute path, the last pointer is NULL. Waits for its end, at most so many
 * seconds: then the whole process group is ended (SIGTERM, five seconds later SIGKILL), which is an
 * error, as is an end by a signal. *ret_exit_code is 0 to 255. The program goes on if we are killed. */
int command_run(const char *const *argv, int64_t timeout_seconds, int *ret_exit_code, struct err *err);

/* What is said to a program and heard from it, each or none. Callbacks that fail end it, as the time-out does, before it
 * sees an end of its input. */
struct command_talk {
	/* the next bytes of its standard input, at most n; *ret_n 0: that was all */
	int (*give)(void *ctx, void *to, size_t n, size_t *ret_n, struct err *err);
	/* what it writes to standard output */
	int (*take)(void *ctx, const void *bytes, size_t n, struct err *err);
	void *ctx;
	bool (*stop)(void); /* asked twice a second; true ends it */
	/* of a program that says nothing personal: the first n_said - 1 bytes of its standard error, and NUL */
	char *said;
	size_t n_said;
	bool ours; /* our own program: it gets CREDENTIALS_DIRECTORY, too, where systemd has put a PIN for us */
};

/* Besides what command_run says, it is an error when a program ends with exit code 0 and has not read all that was given to
 * it; up to the last byte. If we are killed, it sees the end of its input too early. */
int command_talk(const char *const *argv, int64_t timeout_seconds, const struct command_talk *talk, int *ret_exit_code,
	struct err *err);

/* The same for a program of ours that is only heard: its standard error. */
int command_hear(const char *const *argv, int64_t timeout_seconds, char *said, size_t n_said, int *ret_exit_code, struct err *err);

struct command_word {
	const char *word, *value; /* "{id}", and what stands for it */
};

/* An argument with its words replaced; the caller frees. NULL: it has braces that are none of them. */
char *command_argument(const char *argument, const struct command_word *words, size_t n);

/* Refuses a program that is missing, not executable, or that somebody else than its owner may replace:
 * the file, or one of the directories above it (a sticky one is as good), writable by group or others, or
 * owned by another user than root and us; and so with every link on the way, and the directories above it. */
int command_check(const char *path, struct err *err);
/* The same for what is loaded into this process: it need not be executable. */
int command_check_library(const char *path, struct err *err);

#endif

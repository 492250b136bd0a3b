/*
 * err: one error, filled by the function that failed and read by the job.
 *
 * Every fallible function returns 0 or -1 and takes `struct err *err` last.
 * Domain code never logs and never exits: the job decides what a failure means.
 * Messages are lower case, say what was attempted, carry identifiers and counts,
 * never a value of a person's column; the remedy goes into the hint.
 */
#ifndef EXPUNGE_BASE_ERR_H
#define EXPUNGE_BASE_ERR_H

#include <stdarg.h>

enum err_code {
	ERR_NONE = 0,
	ERR_FAILED,  /* could not run, or the item failed: exit 1 (or 3 for an item) */
	ERR_USAGE,   /* command line or configuration: exit 2 */
	ERR_LOCKED,  /* another run holds the lock: exit 4 */
	ERR_REFUSED, /* a safeguard refused: exit 5 */
	ERR_RETRY,   /* serialization failure, deadlock, lock time-out: try again */
	ERR_LOST,    /* the connection is gone, nothing was committed by this call */
	ERR_UNKNOWN, /* the connection was lost during COMMIT: it may have happened */
	ERR_WAITS    /* begun, and left to a later run to be ended: exit 3 */
};

struct err {
	enum err_code code;
	char sqlstate[6]; /* "" when the error did not come from the server */
	char msg[768];
	char hint[384];
};

/* Sets code and message (printf style, no trailing newline, truncated to fit). Clears hint and
 * sqlstate. Returns -1, so that callers write `return err_set(...)`. err may be NULL. */
int err_set(struct err *err, enum err_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Sets the code and message with ": strerror(errno)" appended. Returns -1. */
int err_sys(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Adds the remedy to an error already set. Returns -1. */
int err_hint(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Puts "what: " in front of the message already set. Returns -1. */
int err_prefix(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Forgets an error that was dealt with. */
void err_clear(struct err *err);

/* The analyser of clang looks at one file at a time: here it learns what these always return. */
#if defined(__clang_analyzer__) && !defined(ERR_IMPLEMENTATION)
#define err_set(...) ((void)err_set(__VA_ARGS__), -1)
#define err_sys(...) ((void)err_sys(__VA_ARGS__), -1)
#define err_hint(...) ((void)err_hint(__VA_ARGS__), -1)
#define err_prefix(...) ((void)err_prefix(__VA_ARGS__), -1)
#endif

/* The exit code of architecture 4.1 for an error that ended a run: 1 to 5; 0 for none. */
int err_exit_code(const struct err *err);

#endif

/*
 * log: what a run says, one line each on stderr: "2026-11-22T02:15:00Z info erase: 3 subjects".
 * Used by jobs only. Identifiers and counts, never values. Newlines and control characters in
 * arguments are escaped.
 */
#ifndef EXPUNGE_SYS_LOG_H
#define EXPUNGE_SYS_LOG_H

#include "base/err.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* what: the command ("erase"). On a terminal the time is left out. */
void log_start(enum log_level level, const char *what);
int log_level_from_text(const char *text, enum log_level *ret);
void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The error as an error line, and its hint as a second line "hint: ...". */
void log_err(const struct err *err);

#endif

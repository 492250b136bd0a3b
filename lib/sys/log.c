#include "sys/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "sys/clock.h"
#include "sys/progress.h"

static const char *const level_name[] = { "error", "warning", "info", "debug" };
static enum log_level log_max = LOG_LEVEL_INFO;
static const char *log_what = "";

void
log_start(enum log_level level, const char *what)
{
	log_max = level;
	log_what = what;
}

int
log_level_from_text(const char *text, enum log_level *ret)
{
	for (size_t i = 0; i < sizeof(level_name) / sizeof(level_name[0]); i++) {
		if (strcmp(text, level_name[i]) == 0) {
			*ret = (enum log_level)i;
			return 0;
		}
	}
	return -1;
}

/* One write a line, so that lines of several workers on one file do not mix. */
static void
put(enum log_level level, const char *message)
{
	CLEANUP(str_release) struct str line = STR_INIT;
	char now[21];

	if (!isatty(STDERR_FILENO)) {
		clock_text(clock_now(), now);
		str_addf(&line, "%s ", now);
	}
	str_addf(&line, "%s %s%s", level_name[level], log_what, log_what[0] == '\0' ? "" : ": ");
	str_add_visible(&line, message);
	str_add(&line, "\n");
	progress_clear();
	while (write(STDERR_FILENO, line.s, line.len) < 0 && errno == EINTR)
		continue;
}

static void __attribute__((format(printf, 2, 0)))
say(enum log_level level, const char *fmt, va_list ap)
{
	CLEANUP(free_text) char *message = NULL;

	if (level > log_max)
		return;
	if (vasprintf(&message, fmt, ap) < 0) {
		message = NULL;
		put(LOG_LEVEL_ERROR, "out of memory for a message");
		return;
	}
	put(level, message);
}

void
log_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(LOG_LEVEL_ERROR, fmt, ap);
	va_end(ap);
}

void
log_warning(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(LOG_LEVEL_WARNING, fmt, ap);
	va_end(ap);
}

void
log_info(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(LOG_LEVEL_INFO, fmt, ap);
	va_end(ap);
}

void
log_debug(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(LOG_LEVEL_DEBUG, fmt, ap);
	va_end(ap);
}

void
log_err(const struct err *err)
{
	if (err->sqlstate[0] != '\0')
		log_error("%s (SQLSTATE %s)", err->msg, err->sqlstate);
	else
		log_error("%s", err->msg);
	if (err->hint[0] != '\0')
		log_error("hint: %s", err->hint);
}

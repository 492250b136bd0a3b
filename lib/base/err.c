#define ERR_IMPLEMENTATION
#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void
start(struct err *err, enum err_code code)
{
	err->code = code;
	err->sqlstate[0] = '\0';
	err->hint[0] = '\0';
}

int
err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
	va_list ap;

	if (err == NULL)
		return -1;
	start(err, code);
	va_start(ap, fmt);
	(void)vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	return -1;
}

int
err_sys(struct err *err, const char *fmt, ...)
{
	int saved = errno;
	size_t len;
	va_list ap;

	if (err == NULL)
		return -1;
	start(err, ERR_FAILED);
	va_start(ap, fmt);
	(void)vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	len = strlen(err->msg);
	(void)snprintf(err->msg + len, sizeof(err->msg) - len, ": %s", strerror(saved));
	errno = saved;
	return -1;
}

int
err_hint(struct err *err, const char *fmt, ...)
{
	va_list ap;

	if (err == NULL)
		return -1;
	va_start(ap, fmt);
	(void)vsnprintf(err->hint, sizeof(err->hint), fmt, ap);
	va_end(ap);
	return -1;
}

int
err_prefix(struct err *err, const char *fmt, ...)
{
	char tail[sizeof(err->msg)];
	size_t len;
	va_list ap;

	if (err == NULL)
		return -1;
	(void)memcpy(tail, err->msg, sizeof(tail));
	va_start(ap, fmt);
	(void)vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	len = strlen(err->msg);
	(void)snprintf(err->msg + len, sizeof(err->msg) - len, ": %s", tail);
	return -1;
}

void
err_clear(struct err *err)
{
	if (err == NULL)
		return;
	start(err, ERR_NONE);
	err->msg[0] = '\0';
}

int
err_exit_code(const struct err *err)
{
	switch (err->code) {
	case ERR_NONE:
		return 0;
	case ERR_USAGE:
		return 2;
	case ERR_WAITS:
		return 3;
	case ERR_LOCKED:
		return 4;
	case ERR_REFUSED:
		return 5;
	case ERR_FAILED:
	case ERR_RETRY:
	case ERR_LOST:
	case ERR_UNKNOWN:
		return 1;
	}
	return 1;
}

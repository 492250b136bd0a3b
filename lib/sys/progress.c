#include "sys/progress.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "sys/clock.h"

static struct {
	const char *what; /* NULL: nothing under way, or nobody watches */
	int64_t total;
	int64_t drawn_at;
	bool shown;
} line;

void
progress_start(const char *what, int64_t total)
{
	progress_clear();
	line.what = isatty(STDERR_FILENO) ? what : NULL;
	line.total = total;
	line.drawn_at = 0;
}

void
progress_at(int64_t done)
{
	int64_t now;

	if (line.what == NULL)
		return;
	now = clock_ms();
	if (line.drawn_at != 0 && now - line.drawn_at < 100)
		return;
	line.drawn_at = now;
	line.shown = true;
	if (line.total > 0)
		(void)fprintf(stderr, "\r\033[K%s %" PRId64 " of %" PRId64 " (%" PRId64 "%%)", line.what, done,
			line.total, done >= line.total ? 100 : done * 100 / line.total);
	else
		(void)fprintf(stderr, "\r\033[K%s %" PRId64, line.what, done);
	(void)fflush(stderr);
}

void
progress_clear(void)
{
	if (!line.shown)
		return;
	(void)fputs("\r\033[K", stderr);
	(void)fflush(stderr);
	line.shown = false;
}

void
progress_end(void)
{
	progress_clear();
	line.what = NULL;
}

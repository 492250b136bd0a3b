#include "sys/clock.h"

#include <stdio.h>
#include <time.h>

int64_t
clock_now(void)
{
	return (int64_t)time(NULL);
}

int64_t
clock_ms(void)
{
	struct timespec now = { 0, 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void
clock_text(int64_t seconds, char *text)
{
	static const int64_t first = -62135596800, last = 253402300799; /* the years 1 to 9999 */
	time_t t = (time_t)(seconds < first ? first : seconds > last ? last : seconds);
	struct tm tm;

	(void)gmtime_r(&t, &tm);
	(void)snprintf(text, 21, "%04u-%02u-%02uT%02u:%02u:%02uZ", (unsigned)(tm.tm_year + 1900) % 10000,
		(unsigned)(tm.tm_mon + 1) % 100, (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100,
		(unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
}

#include "archive/expiry.h"

#include <stdlib.h>
#include <time.h>

#define HOUR 3600
#define DAY 86400
#define THURSDAY 3 /* days from Monday to the day on which the count of days began */

bool
expiry_has_rule(const struct expiry_keep *keep)
{
	return keep->hourly > 0 || keep->daily > 0 || keep->weekly > 0 || keep->monthly > 0;
}

static int64_t
hour_of(int64_t at)
{
	return at / HOUR;
}

static int64_t
day_of(int64_t at)
{
	return at / DAY;
}

static int64_t
week_of(int64_t at)
{
	return (at / DAY + THURSDAY) / 7;
}

static int64_t
month_of(int64_t at)
{
	time_t seconds = (time_t)at;
	struct tm tm = { 0 };

	(void)gmtime_r(&seconds, &tm);
	return (int64_t)tm.tm_year * 12 + tm.tm_mon;
}

static int
latest_first(const void *a, const void *b)
{
	const struct expiry_row *one = a, *other = b;

	if (one->created != other->created)
		return one->created > other->created ? -1 : 1;
	return one->leaf > other->leaf ? -1 : one->leaf < other->leaf;
}

/* Rows that the rules speak of; *expires is theirs to change. */
static bool
counts(const struct expiry_row *row, int64_t now)
{
	return row->is_backup && row->created <= now;
}

static void
keep_by(int64_t n, int64_t (*period_of)(int64_t at), struct expiry_row *rows, size_t n_rows, int64_t now)
{
	int64_t last = -1;

	for (size_t i = 0; i < n_rows && n > 0; i++) {
		if (!counts(&rows[i], now) || period_of(rows[i].created) == last)
			continue;
		last = period_of(rows[i].created);
		rows[i].expires = false;
		n--;
	}
}

void
expiry_judge(const struct expiry_keep *keep, struct expiry_row *rows, size_t n, int64_t now)
{
	bool is_latest = true;

	if (n > 0)
		qsort(rows, n, sizeof(*rows), latest_first);
	for (size_t i = 0; i < n; i++) {
		rows[i].expires = expiry_has_rule(keep) && counts(&rows[i], now) && !is_latest;
		is_latest = is_latest && !counts(&rows[i], now);
	}
	keep_by(keep->hourly, hour_of, rows, n, now);
	keep_by(keep->daily, day_of, rows, n, now);
	keep_by(keep->weekly, week_of, rows, n, now);
	keep_by(keep->monthly, month_of, rows, n, now);
}

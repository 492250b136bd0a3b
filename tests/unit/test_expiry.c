/* Which backups are kept: tables of verdicts with a fixed present. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "archive/expiry.h"
#include "base/cleanup.h"
#include "base/mem.h"

#define MAX 64

/* "2026-03-01T05:00" */
static int64_t
at(const char *text)
{
	struct tm tm = { 0 };

	ck_assert_ptr_nonnull(strptime(text, "%Y-%m-%dT%H:%M", &tm));
	return (int64_t)timegm(&tm);
}

/* What is kept of a list of times, in its order, after the judgement. A time with '*' is no backup. */
static char *
kept_of(struct expiry_keep keep, const char *times, const char *now)
{
	struct expiry_row rows[MAX] = { 0 };
	char texts[MAX][32], *kept = mem_copy("");
	size_t n = 0;

	for (const char *t = times; *t != '\0'; t += strspn(t, " "), n++) {
		size_t length = strcspn(t, " ");

		ck_assert_uint_lt(n, MAX);
		(void)snprintf(texts[n], sizeof(texts[n]), "%.*s", (int)length, t);
		rows[n] = (struct expiry_row){ .leaf = (int64_t)n, .created = at(texts[n]), .is_backup = texts[n][length - 1] != '*',
			.expires = true };
		t += length;
	}
	expiry_judge(&keep, rows, n, at(now));
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++)
			if (rows[j].leaf == (int64_t)i && !rows[j].expires) {
				char *longer = mem_printf("%s%s%s", kept, kept[0] == '\0' ? "" : " ", texts[i]);

				free(kept);
				kept = longer;
			}
	return kept;
}

static const struct {
	const char *what;
	struct expiry_keep keep;
	const char *now, *times, *kept;
} verdicts[] = {
	{ "no rule keeps all", { 0 }, "2026-03-10T12:00", "2020-01-01T00:00 2026-03-10T11:00", "2020-01-01T00:00 2026-03-10T11:00" },
	{ "nothing there", { .hourly = 3 }, "2026-03-10T12:00", "", "" },
	{ "the last of each hour", { .hourly = 2 }, "2026-03-10T12:00",
	  "2026-03-10T09:05 2026-03-10T10:05 2026-03-10T10:50 2026-03-10T11:05 2026-03-10T11:55", "2026-03-10T10:50 2026-03-10T11:55" },
	{ "the last of each day", { .daily = 2 }, "2026-03-10T12:00",
	  "2026-03-08T23:59 2026-03-09T00:00 2026-03-09T23:59 2026-03-10T00:00", "2026-03-09T23:59 2026-03-10T00:00" },
	{ "a week begins on Monday", { .weekly = 2 }, "2026-03-10T12:00",
	  "2026-03-01T23:00 2026-03-02T01:00 2026-03-08T23:59 2026-03-09T00:00", "2026-03-08T23:59 2026-03-09T00:00" },
	{ "also over the new year", { .weekly = 1 }, "2026-01-02T00:00", "2025-12-28T23:00 2025-12-29T01:00 2026-01-01T01:00", "2026-01-01T01:00" },
	{ "months of all lengths", { .monthly = 3 }, "2028-03-01T12:00",
	  "2028-01-31T23:59 2028-02-28T10:00 2028-02-29T23:59 2028-03-01T00:00", "2028-01-31T23:59 2028-02-29T23:59 2028-03-01T00:00" },
	{ "a December and the next are two", { .monthly = 2 }, "2026-12-31T00:00", "2024-12-05T00:00 2025-12-05T00:00 2026-12-05T00:00",
	  "2025-12-05T00:00 2026-12-05T00:00" },
	{ "rules add up, each on its own", { .hourly = 1, .daily = 2, .monthly = 2 }, "2026-03-10T12:00",
	  "2026-01-31T10:00 2026-02-10T10:00 2026-02-28T10:00 2026-03-09T10:00 2026-03-10T10:00 2026-03-10T11:00",
	  "2026-02-28T10:00 2026-03-09T10:00 2026-03-10T11:00" },
	{ "where backups have stopped, none goes", { .hourly = 2, .daily = 2 }, "2036-01-01T00:00",
	  "2026-03-09T09:00 2026-03-10T09:00 2026-03-10T10:00", "2026-03-09T09:00 2026-03-10T09:00 2026-03-10T10:00" },
	{ "other kinds neither go nor count", { .hourly = 1 }, "2026-03-10T12:00",
	  "2020-01-01T00:00* 2026-03-10T09:00 2026-03-10T10:00 2026-03-10T11:00*", "2020-01-01T00:00* 2026-03-10T10:00 2026-03-10T11:00*" },
	{ "what is dated later takes nobody's place", { .hourly = 1 }, "2026-03-10T12:00",
	  "2026-03-10T10:00 2026-03-10T11:00 2036-01-01T00:00", "2026-03-10T11:00 2036-01-01T00:00" },
	{ "of the same second the later leaf", { .hourly = 1 }, "2026-03-10T12:00", "2026-03-10T11:00 2026-03-10T11:00", "2026-03-10T11:00" },
	{ "in whatever order they come", { .daily = 2 }, "2026-03-10T12:00", "2026-03-10T09:00 2026-03-08T09:00 2026-03-09T09:00",
	  "2026-03-10T09:00 2026-03-09T09:00" },
};

START_TEST(verdict)
{
	CLEANUP(free_text) char *kept = kept_of(verdicts[_i].keep, verdicts[_i].times, verdicts[_i].now);

	ck_assert_msg(strcmp(kept, verdicts[_i].kept) == 0, "%s: kept %s, not %s", verdicts[_i].what, kept, verdicts[_i].kept);
}
END_TEST

/* An hour of a year and a half, backed up and judged each hour: at no time is one gone that a rule still asks for. */
START_TEST(hour_by_hour)
{
	const struct expiry_keep keep = { .hourly = 48, .daily = 14, .weekly = 6, .monthly = 12 };
	struct expiry_row rows[256];
	int64_t now = at("2026-01-01T00:07");
	size_t n = 0;

	for (int hour = 0; hour < 24 * 550; hour++, now += 3600) {
		size_t kept = 0, days = 0, months = 0;

		ck_assert_uint_lt(n, 256);
		rows[n++] = (struct expiry_row){ .leaf = hour + 1, .created = now, .is_backup = true };
		expiry_judge(&keep, rows, n, now);
		ck_assert(!rows[0].expires && rows[0].created == now);
		for (size_t i = 0; i < n; i++)
			if (!rows[i].expires)
				rows[kept++] = rows[i];
		n = kept;
		for (size_t i = 0; i < n; i++) {
			days += rows[i].created > now - (int64_t)14 * 86400 && (rows[i].created / 3600) % 24 == 23;
			months += (rows[i].created / 3600) % 24 == 23 && gmtime(&(time_t){ (time_t)rows[i].created + 3600 })->tm_mday == 1;
		}
		if (hour > 24 * 400) {
			ck_assert_uint_ge(days, 13);
			ck_assert_uint_ge(months, 11);
			ck_assert_uint_ge(n, 48 + 12);
			ck_assert_uint_le(n, 48 + 14 + 6 + 12);
		}
	}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("expiry");
	TCase *c = tcase_create("expiry");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(c, verdict, 0, (int)(sizeof(verdicts) / sizeof(verdicts[0])));
	tcase_add_test(c, hour_by_hour);
	suite_add_tcase(s, c);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}

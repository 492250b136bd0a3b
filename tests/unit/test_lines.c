/* lib/sys lines: every line of a file that is longer than a block, and what a file may do meanwhile. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sys/lines.h"

#define N 5000

static char path[] = "/tmp/expunge-lines.XXXXXX";
static struct err err;

static void
set_up(void)
{
	int fd;

	(void)strcpy(path, "/tmp/expunge-lines.XXXXXX");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(close(fd), 0);
	err_clear(&err);
}

static void
tear_down(void)
{
	ck_assert_int_eq(unlink(path), 0);
}

static void
fill(const char *last)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	for (int i = 0; i < N; i++)
		ck_assert_int_gt(fprintf(f, "line %d %.*s\n", i, i % 50, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"), 0);
	ck_assert_int_ge(fputs(last, f), 0);
	ck_assert_int_eq(fclose(f), 0);
}

static void
reads(int n, const char *last)
{
	struct lines *lines = NULL;
	char *line, begin[32];
	size_t size;
	bool ended;

	ck_assert_int_eq(lines_open(&lines, path, 100, &err), 0);
	for (int i = 0; i < n; i++) {
		ck_assert_int_eq(lines_next(lines, &line, &size, &ended, &err), 0);
		ck_assert_ptr_nonnull(line);
		ck_assert(ended);
		ck_assert_uint_eq(size, strlen(line));
		(void)snprintf(begin, sizeof(begin), "line %d ", i);
		ck_assert_int_eq(strncmp(line, begin, strlen(begin)), 0);
	}
	ck_assert_int_eq(lines_next(lines, &line, &size, &ended, &err), 0);
	if (last == NULL)
		ck_assert_ptr_null(line);
	else {
		ck_assert_str_eq(line, last);
		ck_assert(!ended);
		ck_assert_int_eq(lines_next(lines, &line, &size, &ended, &err), 0);
		ck_assert_ptr_null(line);
	}
	lines_close(lines);
}

START_TEST(every_line_is_read)
{
	reads(0, NULL);
	fill("");
	reads(N, NULL);
	fill("torn");
	reads(N, "torn");
}
END_TEST

START_TEST(what_is_appended_meanwhile_is_not_read)
{
	struct lines *lines = NULL;
	char *line;
	size_t size;
	bool ended;
	int n = 0;

	fill("");
	ck_assert_int_eq(lines_open(&lines, path, 100, &err), 0);
	{
		FILE *f = fopen(path, "a");

		ck_assert_ptr_nonnull(f);
		ck_assert_int_ge(fputs("more\n", f), 0);
		ck_assert_int_eq(fclose(f), 0);
	}
	while (lines_next(lines, &line, &size, &ended, &err) == 0 && line != NULL)
		n++;
	ck_assert_int_eq(n, N);
	lines_close(lines);
}
END_TEST

START_TEST(long_lines_short_files_and_links_are_errors)
{
	struct lines *lines = NULL;
	char *line;
	size_t size;
	bool ended;
	char link[64];

	fill("");
	ck_assert_int_eq(lines_open(&lines, path, 20, &err), 0);
	for (int i = 0; i < 12; i++)
		ck_assert_int_eq(lines_next(lines, &line, &size, &ended, &err), 0);
	ck_assert_int_eq(lines_next(lines, &line, &size, &ended, &err), 0);
	while (lines_next(lines, &line, &size, &ended, &err) == 0)
		ck_assert_ptr_nonnull(line);
	ck_assert_ptr_nonnull(strstr(err.msg, "a line of more than 20 bytes"));
	lines_closep(&lines);

	ck_assert_int_eq(lines_open(&lines, path, 100, &err), 0);
	ck_assert_int_eq(truncate(path, 0), 0);
	ck_assert_int_eq(lines_next(lines, &line, &size, &ended, &err), -1);
	lines_closep(&lines);

	(void)snprintf(link, sizeof(link), "%s.link", path);
	ck_assert_int_eq(symlink(path, link), 0);
	ck_assert_int_eq(lines_open(&lines, link, 100, &err), -1);
	ck_assert_int_eq(unlink(link), 0);
	ck_assert_int_eq(lines_open(&lines, "/tmp", 100, &err), -1);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("lines");
	TCase *c = tcase_create("lines");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(c, set_up, tear_down);
	tcase_add_test(c, every_line_is_read);
	tcase_add_test(c, what_is_appended_meanwhile_is_not_read);
	tcase_add_test(c, long_lines_short_files_and_links_are_errors);
	suite_add_tcase(suite, c);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

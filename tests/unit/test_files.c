/* files: a directory's new files, durable together. */
#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "sys/file.h"
#include "sys/files.h"

static char directory[] = "/tmp/test-files.XXXXXX";
static struct err err;

/* The file holds this text; text NULL: there is no such file. */
static bool
holds(const char *name, const char *text)
{
	CLEANUP(free_text) char *path = file_join(directory, name);
	CLEANUP(free_text) char *there = NULL;

	if (file_read(path, 1000, &there, NULL, &err) != 0)
		return text == NULL;
	return text != NULL && strcmp(there, text) == 0;
}

static int
write_two(const char *first, const char *second, bool publish)
{
	CLEANUP(files_endp) struct files *files = NULL;

	ck_assert_int_eq(files_begin(&files, directory, &err), 0);
	ck_assert_int_eq(files_add(files, "first", first, strlen(first), 0644, &err), 0);
	ck_assert_int_eq(files_add(files, "second", second, strlen(second), 0600, &err), 0);
	return publish ? files_publish(files, &err) : 0;
}

START_TEST(both_appear_with_content_and_mode)
{
	CLEANUP(free_text) char *path = file_join(directory, "first");
	struct stat st;

	ck_assert_int_eq(write_two("one", "two", true), 0);
	ck_assert(holds("first", "one"));
	ck_assert(holds("second", "two"));
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0644);
	ck_assert_uint_eq(st.st_nlink, 1);
	ck_assert_msg(holds(".first.new", NULL), "no temporary name is left");
}
END_TEST

START_TEST(nothing_appears_before_publish)
{
	ck_assert_int_eq(write_two("one", "two", false), 0);
	ck_assert(holds("first", NULL));
	ck_assert(holds(".first.new", NULL));
}
END_TEST

START_TEST(the_same_again_is_fine)
{
	ck_assert_int_eq(write_two("one", "two", true), 0);
	ck_assert_int_eq(write_two("one", "two", true), 0);
	ck_assert(holds("first", "one"));
}
END_TEST

START_TEST(another_content_is_refused_and_stays)
{
	ck_assert_int_eq(write_two("one", "two", true), 0);
	ck_assert_int_eq(write_two("one", "other", true), -1);
	ck_assert_ptr_nonnull(strstr(err.msg, "second exists and holds something else"));
	ck_assert(holds("second", "two"));
	ck_assert(holds(".second.new", NULL));
}
END_TEST

START_TEST(a_leftover_of_a_killed_run_goes)
{
	CLEANUP(free_text) char *path = file_join(directory, ".first.new");

	ck_assert_int_eq(file_write(path, "half", 4, 0600, false, &err), 0);
	ck_assert_int_eq(write_two("one", "two", true), 0);
	ck_assert(holds("first", "one"));
	ck_assert(holds(".first.new", NULL));
}
END_TEST

static void
make_directory(void)
{
	(void)strcpy(directory + sizeof(directory) - 7, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	err_clear(&err);
}

static void
remove_directory(void)
{
	CLEANUP(free_text) char *command = mem_printf("rm -rf '%s'", directory);

	ck_assert_int_eq(system(command), 0);
}

int
main(void)
{
	Suite *suite = suite_create("files");
	TCase *tc = tcase_create("files");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tc, make_directory, remove_directory);
	tcase_add_test(tc, both_appear_with_content_and_mode);
	tcase_add_test(tc, nothing_appears_before_publish);
	tcase_add_test(tc, the_same_again_is_fine);
	tcase_add_test(tc, another_content_is_refused_and_stays);
	tcase_add_test(tc, a_leftover_of_a_killed_run_goes);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}

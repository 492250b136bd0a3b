/* beneath: whatever a path says, and whatever lies there, nothing outside the directory is looked at, read or taken away. */
#include <check.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "sys/beneath.h"
#include "sys/file.h"

static char root[] = "/tmp/test-beneath.XXXXXX";
static struct err err;

static char *
at(const char *path)
{
	return file_join(root, path);
}

static void
make(const char *path, const char *text)
{
	CLEANUP(free_text) char *full = at(path);

	ck_assert_int_eq(file_write(full, text, strlen(text), 0600, false, &err), 0);
}

static void
make_directory(const char *path)
{
	CLEANUP(free_text) char *full = at(path);

	ck_assert_int_eq(mkdir(full, 0700), 0);
}

static void
make_link(const char *path, const char *to)
{
	CLEANUP(free_text) char *full = at(path);

	ck_assert_int_eq(symlink(to, full), 0);
}

static void
setup(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	CLEANUP(free_text) char *pipe = NULL;
	CLEANUP(free_text) char *one = NULL;
	CLEANUP(free_text) char *two = NULL;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)memcpy(root + strlen(root) - 6, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(root));
	make_directory("in");
	make_directory("in/a");
	make_directory("in/a/b");
	make_directory("out");
	make("out/secret", "secret");
	make("in/1", "one");
	make("in/a/b/2", "two");
	make("in/a/..2", "dots");
	make("in/.expunge-documents", "mark");
	make("in/twice", "twice");
	one = at("in/twice");
	two = at("in/a/twice");
	ck_assert_int_eq(link(one, two), 0);
	make_link("in/link", "1");
	make_link("in/far", "../out/secret");
	make_link("in/door", "../out");
	make_link("in/inner", "a");
	make_link("in/self", "/proc/self/root");
	make_link("in/lost", "nowhere");
	pipe = at("in/pipe");
	ck_assert_int_eq(mkfifo(pipe, 0600), 0);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/in/socket", root);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	(void)close(fd);
}

static void
teardown(void)
{
	CLEANUP(free_text) char *command = mem_printf("rm -rf -- '%s'", root);

	ck_assert_int_eq(system(command), 0);
}

static struct beneath *
open_in(void)
{
	CLEANUP(free_text) char *directory = at("in");
	struct beneath *ret;

	ck_assert_int_eq(beneath_open(&ret, directory, &err), 0);
	return ret;
}

#define LONG_NAME "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" \
	"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct {
	const char *path;
	bool fit;
	enum beneath_verdict verdict;
} verdicts[] = {
	{ "1", true, BENEATH_FILE },
	{ "a/b/2", true, BENEATH_FILE },
	{ "a/..2", true, BENEATH_FILE },
	{ "2", true, BENEATH_MISSING },
	{ "a/2", true, BENEATH_MISSING },
	{ "b/2", true, BENEATH_MISSING },
	{ "a/c/2", true, BENEATH_MISSING },
	{ "...", true, BENEATH_MISSING },
	{ "1 ", true, BENEATH_MISSING },
	{ "\\1", true, BENEATH_MISSING },
	{ "", false, BENEATH_UNFIT },
	{ "/", false, BENEATH_UNFIT },
	{ ".", false, BENEATH_UNFIT },
	{ "..", false, BENEATH_UNFIT },
	{ "/1", false, BENEATH_UNFIT },
	{ "/etc/passwd", false, BENEATH_UNFIT },
	{ "1/", false, BENEATH_UNFIT },
	{ "a//b/2", false, BENEATH_UNFIT },
	{ "./1", false, BENEATH_UNFIT },
	{ "a/./b/2", false, BENEATH_UNFIT },
	{ "a/../1", false, BENEATH_UNFIT },
	{ "../out/secret", false, BENEATH_UNFIT },
	{ "a/../../out/secret", false, BENEATH_UNFIT },
	{ "a/..", false, BENEATH_UNFIT },
	{ "a/.", false, BENEATH_UNFIT },
	{ "1\n", false, BENEATH_UNFIT },
	{ "a\nb", false, BENEATH_UNFIT },
	{ "\xff", false, BENEATH_UNFIT },
	{ "\xe2\x80\xae" "1", false, BENEATH_UNFIT },
	{ ".expunge-documents", false, BENEATH_UNFIT },
	{ ".expunge/1", false, BENEATH_UNFIT },
	{ LONG_NAME, true, BENEATH_UNFIT },
	{ LONG_NAME "/1", true, BENEATH_UNFIT },
	{ "a", true, BENEATH_UNFIT },
	{ "a/b", true, BENEATH_UNFIT },
	{ "1/x", true, BENEATH_UNFIT },
	{ "link", true, BENEATH_UNFIT },
	{ "far", true, BENEATH_UNFIT },
	{ "lost", true, BENEATH_UNFIT },
	{ "lost/1", true, BENEATH_UNFIT },
	{ "door/secret", true, BENEATH_UNFIT },
	{ "inner/b/2", true, BENEATH_UNFIT },
	{ "self/etc/passwd", true, BENEATH_UNFIT },
	{ "pipe", true, BENEATH_UNFIT },
	{ "socket", true, BENEATH_UNFIT },
	{ "twice", true, BENEATH_UNFIT },
	{ "a/twice", true, BENEATH_UNFIT },
};

START_TEST(paths_have_a_verdict)
{
	CLEANUP(beneath_closep) struct beneath *in = open_in();
	enum beneath_verdict verdict = BENEATH_FILE;
	int fd = -1;

	ck_assert_int_eq(beneath_is_fit(verdicts[_i].path), verdicts[_i].fit);
	ck_assert_int_eq(beneath_look(in, verdicts[_i].path, &verdict, &err), 0);
	ck_assert_int_eq(verdict, verdicts[_i].verdict);
	ck_assert_int_eq(beneath_read(in, verdicts[_i].path, &fd, &verdict, &err), 0);
	ck_assert_int_eq(verdict, verdicts[_i].verdict);
	ck_assert_int_eq(fd >= 0, verdict == BENEATH_FILE);
	if (fd >= 0)
		(void)close(fd);
}
END_TEST

/* Taken away is exactly what is a file by its verdict. */
START_TEST(nothing_else_goes)
{
	static const char *const all[] = { "in/1", "in/a/b/2", "in/a/..2", "out/secret", "in/link", "in/far", "in/lost", "in/door", "in/inner",
		"in/self", "in/pipe", "in/socket", "in/twice", "in/a/twice", "in/.expunge-documents" };
	CLEANUP(beneath_closep) struct beneath *in = open_in();

	for (size_t i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++) {
		enum beneath_verdict verdict = BENEATH_FILE;

		ck_assert_int_eq(beneath_unlink(in, verdicts[i].path, &verdict, &err), 0);
		/* beneath what has gone by now, nothing is */
		ck_assert_msg(verdict == verdicts[i].verdict || verdict == BENEATH_MISSING, "%s: %d", verdicts[i].path, (int)verdict);
	}
	ck_assert_int_eq(beneath_sync(in, &err), 0);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		CLEANUP(free_text) char *full = at(all[i]);

		ck_assert_msg(file_exists(full) == (i >= 3), "%s", all[i]);
	}
}
END_TEST

START_TEST(a_path_is_as_long_as_it_may_be)
{
	char path[BENEATH_PATH_MAX + 2];

	for (size_t i = 0; i < sizeof(path); i++)
		path[i] = i % 2 == 0 ? 'x' : '/';
	path[BENEATH_PATH_MAX - 1] = '\0';
	ck_assert(beneath_is_fit(path));
	path[BENEATH_PATH_MAX - 1] = 'y';
	path[BENEATH_PATH_MAX] = '\0';
	ck_assert(beneath_is_fit(path));
	path[BENEATH_PATH_MAX] = 'y';
	path[BENEATH_PATH_MAX + 1] = '\0';
	ck_assert(!beneath_is_fit(path));
}
END_TEST

/* What was a directory becomes a link between two looks: the descriptor is of what it was. */
START_TEST(a_directory_that_turns_into_a_link)
{
	CLEANUP(beneath_closep) struct beneath *in = open_in();
	CLEANUP(free_text) char *a = at("in/a");
	CLEANUP(free_text) char *moved = at("in/moved");
	enum beneath_verdict verdict = BENEATH_FILE;

	ck_assert_int_eq(beneath_look(in, "a/secret", &verdict, &err), 0);
	ck_assert_int_eq(verdict, BENEATH_MISSING);
	ck_assert_int_eq(rename(a, moved), 0);
	ck_assert_int_eq(symlink("../out", a), 0);
	ck_assert_int_eq(beneath_unlink(in, "a/secret", &verdict, &err), 0);
	ck_assert_int_eq(verdict, BENEATH_MISSING);
	ck_assert_int_eq(beneath_unlink(in, "1", &verdict, &err), 0);
	ck_assert_int_eq(beneath_unlink(in, "a/secret", &verdict, &err), 0);
	ck_assert_int_eq(verdict, BENEATH_UNFIT);
}
END_TEST

START_TEST(the_directory_itself_is_no_link)
{
	CLEANUP(free_text) char *door = at("in/door");
	CLEANUP(free_text) char *nothing = at("in/nothing");
	struct beneath *unused;

	ck_assert_int_eq(beneath_open(&unused, door, &err), -1);
	ck_assert_int_eq(beneath_open(&unused, nothing, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.msg, "in/nothing"));
}
END_TEST

/* Errors name the directory, and nothing beneath it. */
START_TEST(errors_tell_no_path)
{
	CLEANUP(beneath_closep) struct beneath *in = open_in();
	CLEANUP(free_text) char *a = at("in/a");
	enum beneath_verdict verdict;

	if (geteuid() == 0) {
		ck_assert_int_eq(setegid(65534), 0);
		ck_assert_int_eq(seteuid(65534), 0);
	}
	(void)chmod(a, 0);
	ck_assert_int_eq(beneath_look(in, "a/b/2", &verdict, &err), -1);
	if (geteuid() != getuid())
		ck_assert_int_eq(seteuid(getuid()), 0);
	(void)chmod(a, 0700);
	ck_assert_ptr_nonnull(strstr(err.msg, "/in: "));
	ck_assert_ptr_null(strstr(err.msg, "a/b"));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("beneath");
	TCase *t = tcase_create("beneath");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, paths_have_a_verdict, 0, (int)(sizeof(verdicts) / sizeof(verdicts[0])));
	tcase_add_test(t, nothing_else_goes);
	tcase_add_test(t, a_path_is_as_long_as_it_may_be);
	tcase_add_test(t, a_directory_that_turns_into_a_link);
	tcase_add_test(t, the_directory_itself_is_no_link);
	tcase_add_test(t, errors_tell_no_path);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}

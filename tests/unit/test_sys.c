/* lib/sys: durable files, locks, the stop signal, the log and the clock. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "directory.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "sys/lock.h"
#include "sys/log.h"
#include "sys/progress.h"
#include "sys/stop.h"
#include "sys/tasks.h"

static struct err err;

static int
entries(void)
{
	CLEANUP(free_text) char *command = mem_printf("ls -A %s | wc -l", directory);
	FILE *pipe = popen(command, "r");
	int n = -1;

	ck_assert_ptr_nonnull(pipe);
	ck_assert_int_eq(fscanf(pipe, "%d", &n), 1);
	(void)pclose(pipe);
	return n;
}

static void
set_up(void)
{
	directory_make();
	err_clear(&err);
}

START_TEST(write_replaces_or_keeps)
{
	CLEANUP(free_text) char *path = in_directory("note"), *text = NULL;
	struct stat st;
	size_t n;

	ck_assert_int_eq(file_write(path, "one", 3, 0640, true, &err), 0);
	ck_assert_int_eq(file_write(path, "two", 3, 0640, true, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.msg, "File exists"));
	ck_assert_int_eq(file_read(path, 100, &text, &n, &err), 0);
	ck_assert_str_eq(text, "one");
	ck_assert_int_eq(file_write(path, "three", 5, 0600, false, &err), 0);
	free(TAKE_PTR(text));
	ck_assert_int_eq(file_read(path, 5, &text, &n, &err), 0);
	ck_assert_str_eq(text, "three");
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0600);
	ck_assert_int_eq(entries(), 1); /* no temporary file is left */
}
END_TEST

START_TEST(write_failures_leave_nothing)
{
	CLEANUP(free_text) char *missing = in_directory("no/such/file"), *big = in_directory("big");
	CLEANUP(free_text) char *bytes = mem_zero(1, 100000);
	struct rlimit before, small;

	ck_assert_int_eq(file_write(missing, "x", 1, 0600, false, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.msg, missing));
	stop_install(); /* turns SIGXFSZ into an error, as a full disk would be */
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = before;
	small.rlim_cur = 5000;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	ck_assert_int_eq(file_write(big, bytes, 100000, 0600, false, &err), -1);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
	ck_assert_ptr_nonnull(strstr(err.msg, "File too large"));
	ck_assert_int_eq(entries(), 0);
}
END_TEST

START_TEST(short_append_is_undone)
{
	CLEANUP(free_text) char *path = in_directory("ledger"), *text = NULL;
	CLEANUP(free_text) char *bytes = mem_zero(1, 10000);
	struct rlimit before, small;
	size_t n;

	(void)memset(bytes, 'x', 10000);
	stop_install();
	ck_assert_int_eq(file_append(path, "first\n", 6, &err), 0);
	ck_assert_int_eq(file_append(path, "second\n", 7, &err), 0);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = before;
	small.rlim_cur = 1000;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	ck_assert_int_eq(file_append(path, bytes, 10000, &err), -1);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
	ck_assert_int_eq(file_read(path, 100000, &text, &n, &err), 0);
	ck_assert_uint_eq(n, 13);
	ck_assert_str_eq(text, "first\nsecond\n");
}
END_TEST

START_TEST(appends_of_many_processes_are_whole)
{
	CLEANUP(free_text) char *path = in_directory("ledger"), *text = NULL;
	size_t n;

	for (int child = 0; child < 4; child++) {
		if (fork() == 0) {
			int n_failed = 0;

			for (int i = 0; i < 50; i++)
				n_failed += file_append(path, "0123456789abcdef\n", 17, NULL) != 0;
			free(path);
			_exit(n_failed);
		}
	}
	for (int child = 0, status; child < 4; child++) {
		ck_assert_int_gt(wait(&status), 0);
		ck_assert_int_eq(status, 0);
	}
	ck_assert_int_eq(file_read(path, 100000, &text, &n, &err), 0);
	ck_assert_uint_eq(n, 4 * 50 * 17);
	for (size_t i = 0; i < n; i += 17)
		ck_assert_int_eq(strncmp(text + i, "0123456789abcdef\n", 17), 0);
}
END_TEST

START_TEST(links_and_special_files_are_refused)
{
	CLEANUP(free_text) char *target = in_directory("target"), *sym = in_directory("link"), *fifo = in_directory("fifo");
	CLEANUP(free_text) char *text = NULL;

	ck_assert_int_eq(file_write(target, "x", 1, 0600, false, &err), 0);
	ck_assert_int_eq(symlink(target, sym), 0);
	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	ck_assert_int_eq(file_read(sym, 10, &text, NULL, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.msg, "symbolic link"));
	ck_assert_int_eq(file_read(fifo, 10, &text, NULL, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.msg, "not a regular file"));
	ck_assert_int_eq(file_read(directory, 10, &text, NULL, &err), -1);
	ck_assert_int_eq(file_append(sym, "y", 1, &err), -1);
	ck_assert_ptr_null(text);
	ck_assert(file_exists(sym));
	ck_assert_int_eq(unlink(target), 0);
	ck_assert(file_exists(sym)); /* a dangling link is still in the way */
	ck_assert(!file_exists(target));
}
END_TEST

START_TEST(read_is_bounded)
{
	CLEANUP(free_text) char *path = in_directory("f"), *text = NULL;

	ck_assert_int_eq(file_write(path, "12345", 5, 0600, false, &err), 0);
	ck_assert_int_eq(file_read(path, 4, &text, NULL, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.msg, "larger than 4 bytes"));
	ck_assert_ptr_null(text);
}
END_TEST

START_TEST(secret_files_are_private)
{
	static const struct {
		mode_t mode;
		int verdict;
	} t[] = { { 0600, 0 }, { 0400, 0 }, { 0640, -1 }, { 0604, -1 }, { 0620, -1 }, { 0601, -1 } };
	CLEANUP(free_text) char *path = in_directory("key");
	CLEANUP(secret_erase) struct secret secret = SECRET_INIT;

	ck_assert_int_eq(file_write(path, "s3cret", 6, t[_i].mode, false, &err), 0);
	ck_assert_int_eq(file_read_secret(path, 100, &secret, &err), t[_i].verdict);
	if (t[_i].verdict == 0) {
		ck_assert_uint_eq(secret.n, 6);
		ck_assert(secret_equal(secret.bytes, "s3cret", 6));
	} else {
		ck_assert_ptr_nonnull(strstr(err.hint, "chmod 600"));
		ck_assert_ptr_null(strstr(err.msg, "s3cret"));
		ck_assert_uint_eq(secret.n, 0);
	}
}
END_TEST

START_TEST(directories_are_not_shared)
{
	CLEANUP(free_text) char *path = in_directory("state"), *deep = in_directory("a/b"), *file = in_directory("f");
	struct stat st;

	ck_assert_int_eq(file_make_directory(path, 0750, &err), 0);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0750);
	ck_assert_int_eq(file_make_directory(path, 0750, &err), 0);
	ck_assert_int_eq(chmod(path, 0777), 0);
	ck_assert_int_eq(file_make_directory(path, 0750, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.hint, "chmod go-w"));
	ck_assert_int_eq(file_make_directory(deep, 0750, &err), -1);
	ck_assert_int_eq(file_write(file, "x", 1, 0600, false, &err), 0);
	ck_assert_int_eq(file_make_directory(file, 0750, &err), -1);
}
END_TEST

START_TEST(join_makes_one_slash)
{
	static const char *const t[][3] = { { "/a", "b", "/a/b" }, { "/a/", "b", "/a/b" }, { "/", "b", "/b" },
		{ ".", "b", "./b" } };
	CLEANUP(free_text) char *path = file_join(t[_i][0], t[_i][1]);

	ck_assert_str_eq(path, t[_i][2]);
}
END_TEST

START_TEST(lock_has_one_holder)
{
	CLEANUP(free_text) char *path = in_directory("lock");
	int fd = -1, other = -1, status;
	int64_t before;

	ck_assert_int_eq(lock_take(path, &fd, &err), 0);
	if (fork() == 0)
		_exit(lock_take(path, &other, &err) == -1 && err.code == ERR_LOCKED ? 0 : 1);
	ck_assert_int_gt(wait(&status), 0);
	ck_assert_int_eq(status, 0);
	before = clock_ms();
	ck_assert_int_eq(lock_wait(path, 1, &other, &err), -1);
	ck_assert_int_eq(err.code, ERR_LOCKED);
	ck_assert(clock_ms() - before >= 900);
	lock_release(&fd);
	ck_assert_int_eq(fd, -1);
	ck_assert_int_eq(lock_wait(path, 1, &other, &err), 0);
	lock_release(&other);
}
END_TEST

static volatile sig_atomic_t cancelled;

static void
cancel(void *ctx)
{
	cancelled = *(int *)ctx;
}

START_TEST(second_signal_cancels)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	int value = 7;

	stop_install();
	stop_on_second(cancel, &value);
	ck_assert(!stop_asked());
	(void)raise(signals[_i]);
	ck_assert(stop_asked());
	ck_assert_int_eq(cancelled, 0);
	(void)raise(SIGTERM);
	ck_assert_int_eq(cancelled, 7);
	stop_on_second(NULL, NULL);
	(void)raise(SIGTERM);
}
END_TEST

START_TEST(ignored_signals_stay_ignored)
{
	(void)signal(SIGHUP, SIG_IGN);
	stop_install();
	(void)raise(SIGHUP);
	ck_assert(!stop_asked());
}
END_TEST

/* runs `say` with standard error in a file, and returns what it wrote; the caller frees */
static char *
capture(void (*say)(void))
{
	CLEANUP(free_text) char *path = in_directory("err");
	int saved = dup(STDERR_FILENO), fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	char *text = NULL;

	ck_assert_int_ge(dup2(fd, STDERR_FILENO), 0);
	say();
	ck_assert_int_ge(dup2(saved, STDERR_FILENO), 0);
	(void)close(fd);
	(void)close(saved);
	ck_assert_int_eq(file_read(path, 100000, &text, NULL, &err), 0);
	return text;
}

static void
say_lines(void)
{
	struct err e = { 0 };

	log_start(LOG_LEVEL_INFO, "erase");
	log_info("%d subjects", 3);
	log_debug("not shown");
	log_warning("two\nlines \x1b[2J");
	err_set(&e, ERR_RETRY, "batch 4 failed");
	err_hint(&e, "try again");
	(void)strcpy(e.sqlstate, "55P03");
	log_err(&e);
	progress_start("erasing", 10);
	progress_at(5);
	progress_end();
}

START_TEST(log_lines_are_single_and_stamped)
{
	static const char *const ends[] = { "Z info erase: 3 subjects", "Z warning erase: two\\nlines \\u001b[2J",
		"Z error erase: batch 4 failed (SQLSTATE 55P03)", "Z error erase: hint: try again" };
	CLEANUP(free_text) char *text = capture(say_lines);
	char *line = text;

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		char *end = strchr(line, '\n');

		ck_assert_ptr_nonnull(end);
		*end = '\0';
		ck_assert_str_eq(line + 19, ends[i]);
		ck_assert_int_eq(line[10], 'T');
		line = end + 1;
	}
	ck_assert_str_eq(line, ""); /* and no progress where nobody watches */
}
END_TEST

/* What a person sees who sits before it; the caller frees. */
static char *
capture_terminal(void (*say)(void))
{
	int terminal = posix_openpt(O_RDWR | O_NOCTTY), fd, saved = dup(STDERR_FILENO);
	char *text = mem_zero(1, 4096);
	size_t n = 0;
	ssize_t got;

	ck_assert(terminal >= 0 && grantpt(terminal) == 0 && unlockpt(terminal) == 0);
	fd = open(ptsname(terminal), O_RDWR | O_NOCTTY);
	ck_assert(fd >= 0 && dup2(fd, STDERR_FILENO) == STDERR_FILENO);
	say();
	ck_assert_int_eq(dup2(saved, STDERR_FILENO), STDERR_FILENO);
	(void)close(fd);
	(void)close(saved);
	/* all that was said, then an error: nobody has the other end open */
	while ((got = read(terminal, text + n, 4095 - n)) > 0)
		n += (size_t)got;
	(void)close(terminal);
	return text;
}

static void
show_progress(void)
{
	log_start(LOG_LEVEL_INFO, "");
	progress_start("erasing", 3);
	progress_at(1);
	progress_at(2); /* too soon to be drawn */
	log_error("one failed");
	progress_end();
	progress_at(3);
	progress_start("reading", 0);
	progress_at(7);
	progress_end();
	progress_start("done", 2);
	progress_at(5);
	progress_end();
}

START_TEST(progress_gives_way_to_the_log)
{
	CLEANUP(free_text) char *text = capture_terminal(show_progress);

	ck_assert_str_eq(text, "\r\033[Kerasing 1 of 3 (33%)\r\033[Kerror one failed\r\n\r\033[Kreading 7\r\033[K"
		"\r\033[Kdone 5 of 2 (100%)\r\033[K");
}
END_TEST

START_TEST(log_levels_by_name)
{
	enum log_level level = LOG_LEVEL_ERROR;

	ck_assert_int_eq(log_level_from_text("debug", &level), 0);
	ck_assert_int_eq(level, LOG_LEVEL_DEBUG);
	ck_assert_int_eq(log_level_from_text("Debug", &level), -1);
	ck_assert_int_eq(log_level_from_text("", &level), -1);
}
END_TEST

START_TEST(clock_writes_utc)
{
	static const struct {
		int64_t seconds;
		const char *text;
	} t[] = { { 0, "1970-01-01T00:00:00Z" }, { 1795314900, "2026-11-22T02:35:00Z" }, { -1, "1969-12-31T23:59:59Z" },
		{ INT64_MAX, "9999-12-31T23:59:59Z" }, { INT64_MIN, "0001-01-01T00:00:00Z" } };
	char text[21];

	clock_text(t[_i].seconds, text);
	ck_assert_str_eq(text, t[_i].text);
}
END_TEST

struct piece {
	int64_t n;
	bool fails;
	int *done;
};

static int
do_piece(void *ctx, struct err *why)
{
	struct piece *piece = ctx;

	tasks_lock();
	++*piece->done;
	tasks_unlock();
	return piece->fails ? err_set(why, ERR_FAILED, "piece %" PRId64, piece->n) : 0;
}

START_TEST(tasks_all_end_and_the_first_error_counts)
{
	int done = 0;
	struct piece pieces[] = { { 0, false, &done }, { 1, true, &done }, { 2, true, &done }, { 3, false, &done } };
	struct task tasks[4] = { { 0 } };

	for (size_t i = 0; i < 4; i++)
		tasks[i] = (struct task){ .work = do_piece, .ctx = &pieces[i] };
	ck_assert_int_eq(tasks_run(tasks, 4, &err), -1);
	ck_assert_str_eq(err.msg, "piece 1");
	ck_assert_int_eq(done, 4);
	ck_assert_int_eq(tasks_run(tasks, 1, &err), 0);
	ck_assert_int_eq(done, 5);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("sys");
	TCase *c = tcase_create("sys");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(c, set_up, directory_remove);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, write_replaces_or_keeps);
	tcase_add_test(c, write_failures_leave_nothing);
	tcase_add_test(c, short_append_is_undone);
	tcase_add_test(c, appends_of_many_processes_are_whole);
	tcase_add_test(c, links_and_special_files_are_refused);
	tcase_add_test(c, read_is_bounded);
	tcase_add_loop_test(c, secret_files_are_private, 0, 6);
	tcase_add_test(c, directories_are_not_shared);
	tcase_add_loop_test(c, join_makes_one_slash, 0, 4);
	tcase_add_test(c, lock_has_one_holder);
	tcase_add_loop_test(c, second_signal_cancels, 0, 3);
	tcase_add_test(c, ignored_signals_stay_ignored);
	tcase_add_test(c, log_lines_are_single_and_stamped);
	tcase_add_test(c, progress_gives_way_to_the_log);
	tcase_add_test(c, log_levels_by_name);
	tcase_add_loop_test(c, clock_writes_utc, 0, 5);
	tcase_add_test(c, tasks_all_end_and_the_first_error_counts);
	suite_add_tcase(suite, c);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}

/* lib/sys/command: other programs, without a shell. */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "directory.h"
#include "sys/clock.h"
#include "sys/command.h"
#include "sys/file.h"

static struct err err;

static void
set_up(void)
{
	directory_make();
	err_clear(&err);
}

/* A script in the private directory; the caller frees its path. */
static char *
script(const char *name, const char *body, mode_t mode)
{
	char *path = in_directory(name);

	ck_assert_int_eq(file_write(path, body, strlen(body), mode, false, &err), 0);
	ck_assert_int_eq(chmod(path, mode), 0);
	return path;
}

static char *
content(const char *name)
{
	CLEANUP(free_text) char *path = in_directory(name);
	char *text = NULL;
	size_t n;

	ck_assert_msg(file_read(path, 100000, &text, &n, &err) == 0, "%s", err.msg);
	return text;
}

START_TEST(arguments_arrive_as_they_are)
{
	CLEANUP(free_text) char *path = script("p", "#!/bin/sh\nprintf '<%s>' \"$@\" > \"$1\"\nexit 7\n", 0755);
	CLEANUP(free_text) char *out = in_directory("out");
	CLEANUP(free_text) char *said = NULL;
	CLEANUP(free_text) char *wanted = mem_printf("<%s><a b><$(id)><; rm x><><'\"><--x>", out);
	const char *argv[] = { path, out, "a b", "$(id)", "; rm x", "", "'\"", "--x", NULL };
	int code = -1;

	ck_assert_msg(command_run(argv, 20, &code, &err) == 0, "%s", err.msg);
	ck_assert_int_eq(code, 7);
	said = content("out");
	ck_assert_str_eq(said, wanted);
}
END_TEST

/* No secret of ours in the environment, no file, no ignored signal, no terminal. */
START_TEST(the_program_starts_clean)
{
	CLEANUP(free_text) char *path = script("p",
		"#!/bin/sh\n{ env | grep -v -e '^PWD=' -e '^SHLVL=' -e '^_=' | sort; pwd; ls /proc/self/fd | wc -l; readlink /proc/$$/fd/0 /proc/$$/fd/2; "
		/* SIGPIPE is signal 13, the lowest bit of the fourth digit from the right */
		"grep SigBlk /proc/self/status; grep -c 'SigIgn.*[02468ace]...$' /proc/self/status; } > \"$1\"\n", 0755);
	CLEANUP(free_text) char *out = in_directory("out");
	CLEANUP(free_text) char *said = NULL;
	const char *argv[] = { path, out, NULL };
	int code = -1, kept = open("/etc/passwd", O_RDONLY); /* on purpose without O_CLOEXEC */

	ck_assert_int_ge(kept, 0);
	ck_assert_int_eq(setenv("PGPASSWORD", "secret", 1), 0);
	(void)signal(SIGPIPE, SIG_IGN);
	ck_assert_msg(command_run(argv, 20, &code, &err) == 0, "%s", err.msg);
	(void)signal(SIGPIPE, SIG_DFL);
	(void)close(kept);
	ck_assert_int_eq(code, 0);
	said = content("out");
	/* ls has 0, 1, 2 and the directory that it reads */
	ck_assert_str_eq(said, "LANG=C.UTF-8\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nTZ=UTC\n/\n4\n"
		"/dev/null\n/dev/null\nSigBlk:\t0000000000000000\n1\n");
}
END_TEST

/* Its first words are kept, and what it says beyond that does not hold it up, nor does what it leaves running. */
START_TEST(what_it_says_is_heard)
{
	CLEANUP(free_text) char *path = script("p", "#!/bin/sh\nsleep 1000 &\necho out\nprintf 'one\\n' >&2\n"
		"[ -z \"$1\" ] || head -c 300000 /dev/zero | tr '\\0' x >&2\nexit 3\n", 0755);
	const char *brief[] = { path, NULL }, *endless[] = { path, "more", NULL };
	char said[1000];
	int code = -1;

	ck_assert_msg(command_hear(brief, 20, said, sizeof(said), &code, &err) == 0, "%s", err.msg);
	ck_assert_int_eq(code, 3);
	ck_assert_str_eq(said, "one\n");
	ck_assert_msg(command_hear(endless, 20, said, sizeof(said), &code, &err) == 0, "%s", err.msg);
	ck_assert_int_eq(code, 3);
	ck_assert_uint_eq(strlen(said), sizeof(said) - 1);
	ck_assert_int_eq(strncmp(said, "one\nxxx", 7), 0);
}
END_TEST

/* What a program is given, and what came of it. */
struct given {
	size_t left, n_taken;
	bool fails, is_good;
	bool refuses;
};

static int
give(void *ctx, void *to, size_t n, size_t *ret_n, struct err *e)
{
	struct given *given = ctx;

	*ret_n = given->left < n ? given->left : n;
	for (size_t i = 0; i < *ret_n; i++)
		((char *)to)[i] = (char)('a' + (given->left - i) % 26);
	given->left -= *ret_n;
	return given->fails && given->left == 0 ? err_set(e, ERR_FAILED, "no more of it") : 0;
}

static int
take(void *ctx, const void *bytes, size_t n, struct err *e)
{
	struct given *given = ctx;

	for (size_t i = 0; i < n && given->left > 0; i++, given->left--)
		given->is_good = given->is_good && ((const char *)bytes)[i] == (char)('a' + given->left % 26);
	given->n_taken += n;
	return given->refuses ? err_set(e, ERR_FAILED, "enough of it") : 0;
}

static int
talk(const char *body, struct given *given, bool gives, const char *argument, int *ret_code)
{
	CLEANUP(free_text) char *path = script("p", body, 0755);
	const struct command_talk how = { .give = gives ? give : NULL, .take = gives ? NULL : take, .ctx = given };
	const char *argv[] = { path, argument, NULL };

	(void)signal(SIGPIPE, SIG_IGN);
	*ret_code = -1;
	return command_talk(argv, 20, &how, ret_code, &err);
}

#define LOTS 3000000 /* more than a pipe has room for */

START_TEST(what_is_given_arrives)
{
	CLEANUP(free_text) char *out = in_directory("out");
	CLEANUP(free_text) char *back = mem_printf("#!/bin/sh\ncat %s\n", out);
	struct given given = { .left = LOTS }, taken = { .left = LOTS, .is_good = true }, nothing = { 0 };
	int code;

	ck_assert_msg(talk("#!/bin/sh\nsleep 0.2; cat > \"$1\"; exit 4\n", &given, true, out, &code) == 0, "%s", err.msg);
	ck_assert_int_eq(code, 4);
	ck_assert_msg(talk(back, &taken, false, out, &code) == 0, "%s", err.msg);
	ck_assert_int_eq(code, 0);
	ck_assert_uint_eq(taken.n_taken, LOTS);
	ck_assert(taken.is_good);
	ck_assert_msg(talk("#!/bin/sh\ncat > \"$1\"\n", &nothing, true, out, &code) == 0, "%s", err.msg);
	ck_assert_int_eq(code, 0);
}
END_TEST

/* Down to a few bytes that it has left in the pipe. */
START_TEST(what_was_not_read_is_no_success)
{
	static const struct {
		const char *body;
		size_t n;
	} cases[] = { { "#!/bin/sh\nexit 0\n", 10 }, { "#!/bin/sh\nexit 0\n", LOTS }, { "#!/bin/sh\nexec <&-; sleep 0.2\n", 10 },
		{ "#!/bin/sh\nexec <&-; sleep 0.2\n", LOTS }, { "#!/bin/sh\nhead -c 100000 >/dev/null\n", LOTS },
		{ "#!/bin/sh\ndd bs=1 count=9 of=/dev/null\n", 10 } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct given given = { .left = cases[i].n };
		int code;

		ck_assert_msg(talk(cases[i].body, &given, true, "", &code) == -1, "case %zu passes", i);
		ck_assert_msg(strstr(err.msg, "ended before it had read everything") != NULL, "case %zu: %s", i, err.msg);
	}
	for (size_t n = 10; n <= LOTS; n = LOTS - 10 + n) {
		struct given given = { .left = n };
		int code;

		/* its own reason counts more */
		ck_assert_msg(talk("#!/bin/sh\nexit 3\n", &given, true, "", &code) == 0, "%s", err.msg);
		ck_assert_int_eq(code, 3);
	}
}
END_TEST

/* It never sees an end, which it could take for everything. */
START_TEST(what_breaks_off_has_no_end)
{
	CLEANUP(free_text) char *out = in_directory("out");
	CLEANUP(free_text) char *said = NULL;
	struct given broken = { .left = LOTS, .fails = true }, endless = { .refuses = true };
	int code;

	ck_assert_int_eq(talk("#!/bin/sh\ntrap 'printf ended >> \"$1\"; exit 0' TERM\nprintf begun > \"$1\"\n"
			      "cat >/dev/null\nprintf whole >> \"$1\"\n", &broken, true, out, &code), -1);
	ck_assert_str_eq(err.msg, "no more of it");
	ck_assert_int_eq(talk("#!/bin/sh\ncat /dev/zero\n", &endless, false, out, &code), -1);
	ck_assert_str_eq(err.msg, "enough of it");
	ck_assert_int_eq(code, -1);
	said = content("out");
	ck_assert_msg(strstr(said, "whole") == NULL, "%s", said);
}
END_TEST

static bool
always(void)
{
	return true;
}

START_TEST(a_talk_can_be_stopped)
{
	CLEANUP(free_text) char *path = script("p", "#!/bin/sh\nexec sleep 1000\n", 0755);
	const struct command_talk how = { .stop = always };
	const char *argv[] = { path, NULL };
	int code = -1;

	ck_assert_int_eq(command_talk(argv, 500, &how, &code, &err), -1);
	ck_assert_str_eq(err.msg, "stopped");
}
END_TEST

START_TEST(words_stand_for_values)
{
	const struct command_word words[] = { { "{id}", "$(x) y" }, { "{b}", "{id}" } };
	CLEANUP(free_text) char *filled = command_argument("a{id}'{b}-", words, 2);

	ck_assert_str_eq(filled, "a$(x) y'{id}-");
	ck_assert_ptr_null(command_argument("{ids}", words, 2));
	ck_assert_ptr_null(command_argument("{id}}", words, 2));
	ck_assert_ptr_null(command_argument("{", words, 2));
}
END_TEST

START_TEST(what_does_not_end_is_ended)
{
	CLEANUP(free_text) char *path = script("p",
		"#!/bin/sh\ntrap '' TERM\n(trap '' TERM; sleep 1000) &\necho $! > \"$1\"\nwait\nsleep 1000\n", 0755);
	CLEANUP(free_text) char *out = in_directory("out");
	CLEANUP(free_text) char *child = NULL;
	const char *argv[] = { path, out, NULL };
	int code = -1;
	pid_t pid;

	ck_assert_int_eq(command_run(argv, 1, &code, &err), -1);
	ck_assert_msg(strstr(err.msg, "did not end within 1 seconds") != NULL, "%s", err.msg);
	ck_assert_int_eq(code, -1);
	child = content("out");
	pid = (pid_t)strtol(child, NULL, 10);
	for (int64_t until = clock_ms() + 20000; kill(pid, 0) == 0 && clock_ms() < until;)
		(void)usleep(10000);
	/* gone, or a zombie that nobody here can reap */
	if (kill(pid, 0) == 0) {
		CLEANUP(free_text) char *status = mem_printf("/proc/%d/stat", (int)pid);
		CLEANUP(free_text) char *text = NULL;
		size_t n;

		ck_assert_int_eq(file_read(status, 10000, &text, &n, &err), 0);
		ck_assert_msg(strstr(text, ") Z ") != NULL, "a child lives on: %s", text);
	}
}
END_TEST

START_TEST(ends_that_are_no_answer)
{
	CLEANUP(free_text) char *path = script("p", "#!/bin/sh\nkill -9 $$\n", 0755);
	const char *killed[] = { path, NULL };
	const char *missing[] = { "/nonexistent/program", NULL };
	int code = -1;

	ck_assert_int_eq(command_run(killed, 20, &code, &err), -1);
	ck_assert_msg(strstr(err.msg, "was ended by signal 9") != NULL, "%s", err.msg);
	ck_assert_int_eq(command_run(missing, 20, &code, &err), -1);
	ck_assert_msg(strstr(err.msg, "starting /nonexistent/program: No such file") != NULL, "%s", err.msg);
	ck_assert_int_eq(code, -1);
}
END_TEST

START_TEST(programs_that_others_could_replace)
{
	CLEANUP(free_text) char *good = script("good", "#!/bin/sh\n", 0755);
	CLEANUP(free_text) char *shared = script("shared", "#!/bin/sh\n", 0775);
	CLEANUP(free_text) char *plain = script("plain", "#!/bin/sh\n", 0644);
	CLEANUP(free_text) char *link = in_directory("link");

	ck_assert_msg(command_check(good, &err) == 0, "%s", err.msg);
	ck_assert_msg(command_check("/bin/sh", &err) == 0, "%s", err.msg);
	ck_assert_int_eq(command_check(shared, &err), -1);
	ck_assert_msg(strstr(err.msg, "others may write to") != NULL, "%s", err.msg);
	ck_assert_int_eq(command_check(plain, &err), -1);
	ck_assert_msg(strstr(err.msg, "is not a program") != NULL, "%s", err.msg);
	ck_assert_int_eq(command_check(directory, &err), -1);
	ck_assert_int_eq(command_check("/nonexistent", &err), -1);
	ck_assert_int_eq(symlink(shared, link), 0);
	ck_assert_int_eq(command_check(link, &err), -1);
	ck_assert_int_eq(chmod(directory, 0777), 0);
	ck_assert_int_eq(command_check(good, &err), -1);
	ck_assert_msg(strstr(err.msg, "others may write to") != NULL, "%s", err.msg);
}
END_TEST

/* A link to what nobody may replace can be replaced itself. */
START_TEST(links_that_others_could_replace)
{
	CLEANUP(free_text) char *link = in_directory("link");
	CLEANUP(free_text) char *first = in_directory("first");
	CLEANUP(free_text) char *open_directory = in_directory("open");
	CLEANUP(free_text) char *there = in_directory("open/there");
	CLEANUP(free_text) char *through = in_directory("through");

	ck_assert_int_eq(symlink("/bin/sh", link), 0);
	ck_assert_int_eq(symlink("link", first), 0);
	ck_assert_msg(command_check(first, &err) == 0, "%s", err.msg);
	ck_assert_int_eq(mkdir(open_directory, 0755), 0);
	ck_assert_int_eq(symlink("/bin/sh", there), 0);
	ck_assert_int_eq(symlink("open/../open/there", through), 0);
	ck_assert_msg(command_check(there, &err) == 0, "%s", err.msg);
	ck_assert_msg(command_check(through, &err) == 0, "%s", err.msg);
	ck_assert_int_eq(chmod(open_directory, 0777), 0);
	ck_assert_int_eq(command_check(there, &err), -1);
	ck_assert_msg(strstr(err.msg, "others may write to") != NULL, "%s", err.msg);
	ck_assert_int_eq(command_check(through, &err), -1);
	ck_assert_int_eq(chmod(open_directory, 01777), 0);
	ck_assert_msg(command_check(there, &err) == 0, "%s", err.msg);
	if (geteuid() == 0) {
		ck_assert_int_eq(lchown(there, 65534, 65534), 0);
		ck_assert_int_eq(command_check(through, &err), -1);
		ck_assert_msg(strstr(err.msg, "belongs to another user") != NULL, "%s", err.msg);
	}
}
END_TEST

START_TEST(programs_of_other_users)
{
	CLEANUP(free_text) char *path = script("p", "#!/bin/sh\n", 0755);

	if (geteuid() != 0)
		return; /* only root can give a file away */
	ck_assert_int_eq(chown(path, 12345, 0), 0);
	ck_assert_int_eq(command_check(path, &err), -1);
	ck_assert_msg(strstr(err.msg, "belongs to another user") != NULL, "%s", err.msg);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("command");
	TCase *c = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(c, set_up, directory_remove);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, arguments_arrive_as_they_are);
	tcase_add_test(c, the_program_starts_clean);
	tcase_add_test(c, what_it_says_is_heard);
	tcase_add_test(c, what_is_given_arrives);
	tcase_add_test(c, what_was_not_read_is_no_success);
	tcase_add_test(c, what_breaks_off_has_no_end);
	tcase_add_test(c, a_talk_can_be_stopped);
	tcase_add_test(c, words_stand_for_values);
	tcase_add_test(c, what_does_not_end_is_ended);
	tcase_add_test(c, ends_that_are_no_answer);
	tcase_add_test(c, programs_that_others_could_replace);
	tcase_add_test(c, links_that_others_could_replace);
	tcase_add_test(c, programs_of_other_users);
	suite_add_tcase(suite, c);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}

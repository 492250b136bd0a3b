/* lib/erasure ledger: the chain, what a crash or a full disk leaves of it, tampering, and its key. */
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "erasure/ledger.h"
#include "erasure_fixture.h"

#define REQUEST "11111111-2222-3333-4444-555555555555"
#define BATCH "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"

static struct ledger *ledger;

static void
set_up(void)
{
	make_config();
	ck_assert_int_eq(ledger_create(config, &err), 0);
	ck_assert_int_eq(ledger_open(&ledger, config, &err), 0);
}

static void
tear_down(void)
{
	ledger_closep(&ledger);
	remove_config();
}

static void
reopen(void)
{
	ledger_closep(&ledger);
	ck_assert_msg(ledger_open(&ledger, config, &err) == 0, "%s", err.msg);
}

static void
write_batch(int n_intents)
{
	for (int i = 0; i < n_intents; i++)
		ck_assert_int_eq(ledger_intent(ledger, REQUEST, "1", "app.patient", "42", "2020-01-01", &err), 0);
	ck_assert_msg(ledger_write(ledger, BATCH, &err) == 0, "%s", err.msg);
	ck_assert_int_eq(ledger_end(ledger, BATCH, true, &err), 0);
}

static char *
read_all(size_t *ret_n)
{
	CLEANUP(free_text) char *path = in_directory("ledger/erasures");
	char *text = NULL;

	ck_assert_msg(file_read(path, 1 << 20, &text, ret_n, &err) == 0, "%s", err.msg);
	return text;
}

static void
write_all(const char *text, size_t n)
{
	CLEANUP(free_text) char *path = in_directory("ledger/erasures");

	ck_assert_int_eq(file_write(path, text, n, 0600, false, &err), 0);
}

static int64_t
entries(void)
{
	int64_t n = -1;

	ck_assert_msg(ledger_verify(ledger, &n, &err) == 0, "%s", err.msg);
	return n;
}

static void
refused(const char *what)
{
	int64_t n;

	ck_assert_msg(ledger_verify(ledger, &n, &err) == -1, "not noticed: %s", what);
	ck_assert_msg(strstr(err.msg, "the erasure ledger ") != NULL, "%s: %s", what, err.msg);
}

START_TEST(an_empty_ledger_is_whole)
{
	CLEANUP(free_text) char *path = in_directory("ledger/erasures");

	ck_assert_int_eq(entries(), 0);
	ck_assert_int_eq(ledger_write(ledger, BATCH, &err), 0);
	ck_assert_msg(!file_exists(path), "a batch without rows writes nothing");
	ck_assert_int_eq(ledger_intent(ledger, REQUEST, "1", "app.patient", "42", "", &err), 0);
	ledger_forget(ledger);
	ck_assert_int_eq(ledger_write(ledger, BATCH, &err), 0);
	ck_assert_msg(!file_exists(path), "what was forgotten is not written");
}
END_TEST

START_TEST(entries_are_chained_across_openings)
{
	CLEANUP(free_text) char *text = NULL;
	size_t n;

	write_batch(2);
	reopen();
	write_batch(1);
	ck_assert_int_eq(entries(), 5);
	text = read_all(&n);
	ck_assert_ptr_nonnull(strstr(text, " " BATCH " intent " REQUEST " "));
	ck_assert_ptr_nonnull(strstr(text, " " BATCH " done - - - "));
	ck_assert_msg(strstr(text, "app.patient") == NULL && strstr(text, "2020-01-01") == NULL && strstr(text, " 42 ") == NULL,
		"only keyed hashes are written");
}
END_TEST

START_TEST(a_torn_tail_is_healed_by_the_next_append)
{
	CLEANUP(free_text) char *text = NULL;
	size_t n, last;

	write_batch(1);
	text = read_all(&n);
	last = (size_t)((char *)memrchr(text, '\n', n - 1) + 1 - text);
	for (size_t cut = last + 1; cut < n; cut += 13) {
		write_all(text, cut);
		reopen();
		write_batch(1);
		ck_assert_int_eq(entries(), 3); /* the torn line of two is gone, two more are there */
	}
}
END_TEST

START_TEST(a_full_disk_leaves_it_as_it_was)
{
	CLEANUP(free_text) char *before = NULL;
	CLEANUP(free_text) char *after = NULL;
	size_t n, m;

	write_batch(3);
	before = read_all(&n);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){ n + 100, n + 100 }), 0);
	(void)signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(ledger_intent(ledger, REQUEST, "1", "app.patient", "42", "", &err), 0);
	ck_assert_int_eq(ledger_write(ledger, BATCH, &err), -1);
	ck_assert_msg(strstr(err.msg, "writing the erasure ledger: ") == err.msg, "%s", err.msg);
	after = read_all(&m);
	ck_assert_msg(n == m && memcmp(before, after, n) == 0, "the ledger is as before");
	ck_assert_int_eq(entries(), 4);
}
END_TEST

START_TEST(every_changed_byte_is_noticed)
{
	CLEANUP(free_text) char *text = NULL;
	size_t n;

	write_batch(2);
	text = read_all(&n);
	for (size_t i = 0; i < n; i++) {
		text[i] ^= 1;
		write_all(text, n);
		refused("a changed byte");
		text[i] ^= 1;
	}
	write_all(text, n);
	ck_assert_int_eq(entries(), 3);
}
END_TEST

START_TEST(lines_taken_out_moved_or_repeated_are_noticed)
{
	CLEANUP(free_text) char *text = NULL;
	CLEANUP(str_release) struct str s = STR_INIT;
	size_t n, first, second;

	write_batch(2);
	text = read_all(&n);
	first = (size_t)(strchr(text, '\n') + 1 - text);
	second = (size_t)(strchr(text + first, '\n') + 1 - text);
	write_all(text + first, n - first);
	refused("the first line is gone");
	str_add_n(&s, text, first);
	str_add_n(&s, text + second, n - second);
	write_all(s.s, s.len);
	refused("a line in the middle is gone");
	str_clear(&s);
	str_add_n(&s, text, second);
	str_add_n(&s, text + first, n - first);
	write_all(s.s, s.len);
	refused("a line twice");
	str_clear(&s);
	str_add_n(&s, text + first, second - first);
	str_add_n(&s, text, first);
	str_add_n(&s, text + second, n - second);
	write_all(s.s, s.len);
	refused("two lines in each other's place");
}
END_TEST

START_TEST(nothing_is_appended_to_another_file)
{
	static const char foreign[] = "a letter to somebody, long enough to hold what could be taken for a line of ours\n";

	write_all(foreign, sizeof(foreign) - 1);
	ck_assert_int_eq(ledger_intent(ledger, REQUEST, "1", "app.patient", "42", "", &err), 0);
	ck_assert_int_eq(ledger_write(ledger, BATCH, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.msg, "is not an erasure ledger"));
}
END_TEST

START_TEST(processes_take_turns)
{
	enum { CHILDREN = 4, EACH = 10 };

	for (int c = 0; c < CHILDREN; c++) {
		pid_t pid = fork();

		ck_assert_int_ge(pid, 0);
		if (pid == 0) {
			int failed = 0;

			for (int i = 0; i < EACH; i++)
				failed |= ledger_end(ledger, BATCH, true, &err);
			_exit(failed == 0 ? 0 : 1);
		}
	}
	for (int c = 0; c < CHILDREN; c++) {
		int status;

		ck_assert_int_gt(wait(&status), 0);
		ck_assert_int_eq(status, 0);
	}
	ck_assert_int_eq(entries(), CHILDREN * EACH);
}
END_TEST

START_TEST(the_key_is_made_once_and_private)
{
	CLEANUP(free_text) char *path = in_directory("ledger/key");
	char before[70], after[70];
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0600);
	ck_assert_int_eq(ledger_subject_hash(ledger, "1", "42", before, &err), 0);
	ck_assert_int_eq(ledger_create(config, &err), 0);
	reopen();
	ck_assert_int_eq(ledger_subject_hash(ledger, "1", "42", after, &err), 0);
	ck_assert_str_eq(before, after);
}
END_TEST

static void
cannot_open(const char *words)
{
	struct ledger *none = NULL;

	err_clear(&err);
	ck_assert_int_eq(ledger_open(&none, config, &err), -1);
	ck_assert_ptr_null(none);
	ck_assert_msg(strstr(err.msg, words) != NULL, "%s", err.msg);
}

START_TEST(a_key_that_is_not_one_is_refused)
{
	CLEANUP(free_text) char *path = in_directory("ledger/key");
	static const char *const bad[] = { "", "0123", "zz23456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n" };

	ck_assert_int_eq(chmod(path, 0640), 0);
	cannot_open("group or others may use it");
	ck_assert_int_eq(unlink(path), 0);
	cannot_open("reading the ledger key");
	ck_assert_msg(strstr(err.hint, "backup") != NULL, "%s", err.hint);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_int_eq(file_write(path, bad[i], strlen(bad[i]), 0600, false, &err), 0);
		cannot_open("is not a ledger key");
	}
}
END_TEST

START_TEST(another_key_does_not_vouch)
{
	CLEANUP(free_text) char *path = in_directory("ledger/key");
	CLEANUP(free_text) char *entries = in_directory("ledger/erasures");
	CLEANUP(free_text) char *aside = in_directory("ledger/aside");
	char ours[70], theirs[70];

	write_batch(1);
	ck_assert_int_eq(ledger_subject_hash(ledger, "1", "42", ours, &err), 0);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_msg(ledger_create(config, &err) != 0, "no second key is made over entries");
	ck_assert_int_eq(rename(entries, aside), 0);
	ck_assert_int_eq(ledger_create(config, &err), 0);
	ck_assert_int_eq(rename(aside, entries), 0);
	reopen();
	refused("written under another key");
	ck_assert_int_eq(ledger_subject_hash(ledger, "1", "42", theirs, &err), 0);
	ck_assert_str_ne(ours, theirs);
}
END_TEST

START_TEST(subject_hashes_keep_their_fields_apart)
{
	static const char *const of[][2] = { { "1", "42" }, { "14", "2" }, { "", "142" }, { "142", "" }, { "1", "43" } };
	char hashes[5][70];

	for (size_t i = 0; i < 5; i++) {
		ck_assert_int_eq(ledger_subject_hash(ledger, of[i][0], of[i][1], hashes[i], &err), 0);
		ck_assert_int_eq(strncmp(hashes[i], "hmac:", 5), 0);
		ck_assert_uint_eq(strspn(hashes[i] + 5, "0123456789abcdef"), 64);
		for (size_t j = 0; j < i; j++)
			ck_assert_str_ne(hashes[i], hashes[j]);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("ledger");
	TCase *c = tcase_create("ledger");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(c, set_up, tear_down);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, an_empty_ledger_is_whole);
	tcase_add_test(c, entries_are_chained_across_openings);
	tcase_add_test(c, a_torn_tail_is_healed_by_the_next_append);
	tcase_add_test(c, a_full_disk_leaves_it_as_it_was);
	tcase_add_test(c, every_changed_byte_is_noticed);
	tcase_add_test(c, lines_taken_out_moved_or_repeated_are_noticed);
	tcase_add_test(c, nothing_is_appended_to_another_file);
	tcase_add_test(c, processes_take_turns);
	tcase_add_test(c, the_key_is_made_once_and_private);
	tcase_add_test(c, a_key_that_is_not_one_is_refused);
	tcase_add_test(c, another_key_does_not_vouch);
	tcase_add_test(c, subject_hashes_keep_their_fields_apart);
	suite_add_tcase(suite, c);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}

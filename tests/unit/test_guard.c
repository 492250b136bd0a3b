/* lib/erasure guard: what needs no database: directories and the sentinel file. */
#include "erasure/guard.h"
#include "erasure_fixture.h"

static void
refused(const char *setting, const char *why)
{
	err_clear(&err);
	ck_assert_int_eq(guard_directories(config, &err), -1);
	ck_assert_int_eq(err.code, ERR_FAILED);
	ck_assert_msg(strstr(err.msg, setting) == err.msg && strstr(err.msg, why) != NULL, "%s", err.msg);
	ck_assert_msg(strstr(err.hint, "nothing was done") != NULL, "%s", err.hint);
}

START_TEST(directories_are_there_before_anything_is_deleted)
{
	CLEANUP(free_text) char *ledger = in_directory("ledger");
	CLEANUP(free_text) char *certificates = in_directory("certificates");

	refused("ledger_directory", "No such file");
	ck_assert_int_eq(mkdir(ledger, 0700), 0);
	refused("certificate_directory", "No such file");
	ck_assert_int_eq(file_write(certificates, "", 0, 0600, true, &err), 0);
	refused("certificate_directory", "Not a directory");
	ck_assert_int_eq(unlink(certificates), 0);
	ck_assert_int_eq(mkdir(certificates, 0500), 0);
	if (geteuid() != 0) /* root may write anywhere */
		refused("certificate_directory", "Permission denied");
	ck_assert_int_eq(chmod(certificates, 0700), 0);
	ck_assert_int_eq(guard_directories(config, &err), 0);
}
END_TEST

START_TEST(the_sentinel_comes_and_goes)
{
	CLEANUP(free_text) char *path = in_directory("freeze");
	CLEANUP(free_text) char *text = NULL;

	ck_assert_int_eq(guard_sentinel(config, false, NULL, &err), 0); /* not frozen: nothing to do */
	ck_assert_int_eq(guard_sentinel(config, true, "wrong practice?", &err), 0);
	ck_assert_int_eq(guard_sentinel(config, true, "again", &err), 0);
	ck_assert_int_eq(file_read(path, 100, &text, NULL, &err), 0);
	ck_assert_str_eq(text, "again");
	ck_assert_int_eq(guard_sentinel(config, false, NULL, &err), 0);
	ck_assert(!file_exists(path));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("guard");
	TCase *c = tcase_create("guard");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(c, make_config, remove_config);
	tcase_add_test(c, directories_are_there_before_anything_is_deleted);
	tcase_add_test(c, the_sentinel_comes_and_goes);
	suite_add_tcase(suite, c);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}

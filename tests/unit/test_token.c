/* keys: records that a token has sealed, byte by byte; modules that are not to be loaded. What a token does: 67-pkcs11.sh. */
#include "root_fixture.h"

#include "keys/root_file.h"
#include "keys/root_record.h"
#include "svc/token.h"
#include "sys/command.h"
#include "sys/file.h"

static uint8_t record[ROOT_SEALED_SIZE];

static void
set_up(void)
{
	struct root_sealed sealed = { INSTANCE, { 7, "000102030405060708090a0b0c0d0e0f" }, 2 };

	directory_make();
	err_clear(&err);
	(void)memset(record, 0xee, sizeof(record));
	ck_assert_msg(root_sealed_head(&sealed, record, &err) == 0, "%s", err.msg);
	(void)memset(root_sealed_nonce(record), 0x11, ROOT_SEALED_NONCE);
	(void)memset(root_sealed_body(record), 0x22, ROOT_SEALED_BODY);
	ck_assert_int_eq(root_sealed_sum(record, &err), 0);
}

static void
tear_down(void)
{
	directory_remove();
}

START_TEST(sealed_records_are_as_documented)
{
	static const uint8_t head[ROOT_SEALED_HEAD] = "expunge/seal/v1\n"
		"\x8c\x8b\x4b\x42\x2d\x0e\x4b\x1e\x9a\x57\x0d\x3f\x6c\x1f\x2b\x11"
		"\0\0\0\0\0\0\0\7"
		"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"
		"\0\0\0\2";
	struct root_sealed sealed;
	struct root_id id;

	ck_assert_mem_eq(record, head, sizeof(head));
	ck_assert_ptr_eq(root_sealed_nonce(record), record + 60);
	ck_assert_ptr_eq(root_sealed_body(record), record + 72);
	ck_assert_int_eq(root_sealed_parse(record, sizeof(record), &sealed, &err), 0);
	ck_assert_str_eq(sealed.instance, INSTANCE);
	ck_assert_str_eq(sealed.id.attempt, "000102030405060708090a0b0c0d0e0f");
	ck_assert(sealed.id.epoch == 7 && sealed.share == 2);
	ck_assert(root_record_is_in(record, sizeof(record), INSTANCE, &id));
	ck_assert(root_id_equal(&id, &sealed.id));
	ck_assert(!root_record_is_in(record, sizeof(record), OTHER_INSTANCE, &id));
}
END_TEST

START_TEST(altered_ones_are_refused)
{
	uint8_t longer[ROOT_SEALED_SIZE + 1] = { 0 };
	struct root_sealed sealed;

	for (size_t i = 0; i < sizeof(record); i++) {
		record[i] ^= 1;
		ck_assert_msg(root_sealed_parse(record, sizeof(record), &sealed, &err) == -1, "byte %zu", i);
		record[i] ^= 1;
		ck_assert_int_eq(root_sealed_parse(record, i, &sealed, &err), -1);
	}
	(void)memcpy(longer, record, sizeof(record));
	ck_assert_int_eq(root_sealed_parse(longer, sizeof(longer), &sealed, &err), -1);
	/* with a sum that agrees */
	record[56] = 1;
	ck_assert_int_eq(root_sealed_sum(record, &err), 0);
	ck_assert_int_eq(root_sealed_parse(record, sizeof(record), &sealed, &err), -1);
	record[56] = 0;
	record[32] = 0x80;
	ck_assert_int_eq(root_sealed_sum(record, &err), 0);
	ck_assert_int_eq(root_sealed_parse(record, sizeof(record), &sealed, &err), -1);
}
END_TEST

START_TEST(malformed_ones_are_not_written)
{
	static const struct root_sealed bad[] = {
		{ "8c8b4b42", { 7, "000102030405060708090a0b0c0d0e0f" }, 2 },
		{ INSTANCE, { -1, "000102030405060708090a0b0c0d0e0f" }, 2 },
		{ INSTANCE, { 7, "0001" }, 2 },
		{ INSTANCE, { 7, "000102030405060708090a0b0c0d0e0f" }, 0 },
		{ INSTANCE, { 7, "000102030405060708090a0b0c0d0e0f" }, ROOT_SHARES_MAX + 1 },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_int_eq(root_sealed_head(&bad[i], record, &err), -1);
}
END_TEST

/* A share in files takes nothing that a token has sealed, and says so of what lies under its names. */
START_TEST(a_sealed_record_is_no_plain_one)
{
	CLEANUP(free_text) char *path = in_directory("s1r1/root.7.000102030405060708090a0b0c0d0e0f");
	CLEANUP(secret_erase) struct secret root = SECRET_INIT;
	CLEANUP(root_ids_release) struct root_ids ids = { 0 };
	struct root_id id = { 7, "000102030405060708090a0b0c0d0e0f" };
	enum root_verdict verdict;
	bool complete;

	open_as(&store, INSTANCE, 1, 1);
	ck_assert_int_eq(root_init(store, &err), 0);
	ck_assert_int_eq(file_write(path, record, sizeof(record), 0600, false, &err), 0);
	ck_assert_int_eq(root_read(store, &id, &root, &verdict, NULL, &err), -1);
	ck_assert_int_eq(verdict, ROOT_ALTERED);
	ck_assert_ptr_nonnull(strstr(err.msg, "it is not a root share"));
	/* under another name it is one still: it must not be overlooked */
	ck_assert(shell("mv %s s1r1/copy", path));
	ck_assert(root_list(store, &ids, &complete, NULL, &err) == 0 && ids.n == 1 && root_id_equal(&ids.ids[0], &id));
	root_closep(&store);
}
END_TEST

static const char *
open_module(const char *module)
{
	struct token_place place = { .module = (char *)(uintptr_t)module, .label = (char *)(uintptr_t) "x" };
	CLEANUP(token_closep) struct token *token = NULL;
	CLEANUP(secret_erase) struct secret pin = SECRET_INIT;
	bool refused = true;

	secret_new(&pin, 4);
	ck_assert_int_eq(token_open(&token, &place, &pin, false, &refused, &err), -1);
	ck_assert(!refused);
	return err.msg;
}

START_TEST(modules_are_looked_at)
{
	CLEANUP(free_text) char *path = in_directory("module.so");

	ck_assert_ptr_nonnull(strstr(open_module(path), "module of token x: looking for"));
	ck_assert_int_eq(file_write(path, "text", 4, 0644, false, &err), 0);
	ck_assert_ptr_nonnull(strstr(open_module(path), "loading the module of token x: "));
	ck_assert(shell("chmod 666 module.so"));
	ck_assert_ptr_nonnull(strstr(open_module(path), "module of token x: "));
	ck_assert_ptr_null(strstr(err.msg, "loading"));
	ck_assert_ptr_nonnull(strstr(open_module(directory), "is not a regular file"));
	/* each failure has let go of what the next one needs */
	ck_assert(shell("chmod 644 module.so"));
	ck_assert_ptr_nonnull(strstr(open_module(path), "loading the module of token x: "));
}
END_TEST

START_TEST(a_module_gets_its_environment)
{
	char *variables[] = { (char *)(uintptr_t) "EXPUNGE_TEST_TOKEN=a=b", (char *)(uintptr_t) "EXPUNGE_TEST_EMPTY=" };
	struct token_place place = { .environment = variables, .n_environment = 2 };

	ck_assert_int_eq(token_prepare(&place, &err), 0);
	ck_assert_str_eq(getenv("EXPUNGE_TEST_TOKEN"), "a=b");
	ck_assert_str_eq(getenv("EXPUNGE_TEST_EMPTY"), "");
	variables[1] = (char *)(uintptr_t) "NONE";
	ck_assert_int_eq(token_prepare(&place, &err), -1);
}
END_TEST

START_TEST(credentials_are_private)
{
	static const struct {
		mode_t mode;
		int verdict;
	} t[] = { { 0400, 0 }, { 0440, 0 }, { 0600, 0 }, { 0640, 0 }, { 0460, -1 }, { 0444, -1 }, { 0401, -1 }, { 0450, -1 } };
	CLEANUP(free_text) char *path = in_directory("pin");
	CLEANUP(secret_erase) struct secret secret = SECRET_INIT;

	ck_assert_int_eq(file_write(path, "1234", 4, t[_i].mode, false, &err), 0);
	ck_assert_int_eq(file_read_credential(path, 100, &secret, &err), t[_i].verdict);
}
END_TEST

/* The drills, which are this program, need a credential, too; other programs do not get it. */
START_TEST(credentials_are_for_us_alone)
{
	const char *ours[] = { "/bin/sh", "-c", "echo \"$CREDENTIALS_DIRECTORY\" >&2", NULL };
	struct command_talk talk = { 0 };
	char said[100];
	int code;

	ck_assert_int_eq(setenv("CREDENTIALS_DIRECTORY", "/run/credentials/x", 1), 0);
	ck_assert_int_eq(command_hear(ours, 20, said, sizeof(said), &code, &err), 0);
	ck_assert_str_eq(said, "/run/credentials/x\n");
	talk.said = said;
	talk.n_said = sizeof(said);
	ck_assert_int_eq(command_talk(ours, 20, &talk, &code, &err), 0);
	ck_assert_str_eq(said, "\n");
}
END_TEST

int
main(void)
{
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, sealed_records_are_as_documented);
	tcase_add_test(tests, altered_ones_are_refused);
	tcase_add_test(tests, malformed_ones_are_not_written);
	tcase_add_test(tests, a_sealed_record_is_no_plain_one);
	tcase_add_test(tests, modules_are_looked_at);
	tcase_add_test(tests, a_module_gets_its_environment);
	tcase_add_loop_test(tests, credentials_are_private, 0, 8);
	tcase_add_test(tests, credentials_are_for_us_alone);
	return run_suite("token", tests);
}

/* lib/base: errors, strings, strict parsing, text forms of bytes, secrets. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/finder.h"
#include "base/mem.h"
#include "base/parse.h"
#include "base/secret.h"
#include "base/str.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

START_TEST(err_carries_code_message_and_hint)
{
	struct err err = { 0 };

	ck_assert_int_eq(err_set(&err, ERR_REFUSED, "request %d", 7), -1);
	ck_assert_int_eq(err_hint(&err, "wait"), -1);
	ck_assert_int_eq(err_prefix(&err, "batch %s", "a"), -1);
	ck_assert_str_eq(err.msg, "batch a: request 7");
	ck_assert_str_eq(err.hint, "wait");
	ck_assert_int_eq(err.code, ERR_REFUSED);
	errno = ENOENT;
	ck_assert_int_eq(err_sys(&err, "opening x"), -1);
	ck_assert_str_eq(err.msg, "opening x: No such file or directory");
	ck_assert_str_eq(err.hint, "");
	err_clear(&err);
	ck_assert_int_eq(err.code, ERR_NONE);
	ck_assert_int_eq(err_set(NULL, ERR_FAILED, "nobody listens"), -1);
	ck_assert_int_eq(err_prefix(NULL, "x"), -1);
	ck_assert_int_eq(err_sys(NULL, "x"), -1);
	ck_assert_int_eq(err_hint(NULL, "x"), -1);
	err_clear(NULL);
}
END_TEST

START_TEST(err_truncates_long_messages)
{
	struct err err = { 0 };
	char long_text[2000];

	(void)memset(long_text, 'x', sizeof(long_text));
	long_text[sizeof(long_text) - 1] = '\0';
	err_set(&err, ERR_FAILED, "%s", long_text);
	err_prefix(&err, "%s", long_text);
	err_hint(&err, "%s", long_text);
	ck_assert_uint_eq(strlen(err.msg), sizeof(err.msg) - 1);
	ck_assert_uint_eq(strlen(err.hint), sizeof(err.hint) - 1);
}
END_TEST

START_TEST(err_maps_to_exit_codes)
{
	static const struct {
		enum err_code code;
		int exit_code;
	} t[] = { { ERR_NONE, 0 }, { ERR_FAILED, 1 }, { ERR_USAGE, 2 }, { ERR_LOCKED, 4 }, { ERR_REFUSED, 5 },
		{ ERR_RETRY, 1 }, { ERR_LOST, 1 }, { ERR_UNKNOWN, 1 }, { (enum err_code)99, 1 } };
	struct err err = { .code = t[_i].code };

	ck_assert_int_eq(err_exit_code(&err), t[_i].exit_code);
}
END_TEST

static const struct {
	const char *text;
	int64_t min, max, value;
	int verdict;
} int_cases[] = {
	{ "0", 0, 9, 0, 0 },
	{ "-1", -5, 9, -1, 0 },
	{ "9223372036854775807", INT64_MIN, INT64_MAX, INT64_MAX, 0 },
	{ "-9223372036854775808", INT64_MIN, INT64_MAX, INT64_MIN, 0 },
	{ "9223372036854775808", INT64_MIN, INT64_MAX, 0, -1 },
	{ "-9223372036854775809", INT64_MIN, INT64_MAX, 0, -1 },
	{ "99999999999999999999999", INT64_MIN, INT64_MAX, 0, -1 },
	{ "10", 0, 9, 0, -1 },
	{ "-1", 0, 9, 0, -1 },
	{ "", 0, 9, 0, -1 },
	{ "-", -9, 9, 0, -1 },
	{ "+1", 0, 9, 0, -1 },
	{ "01", 0, 9, 0, -1 },
	{ "-0", -9, 9, 0, -1 },
	{ " 1", 0, 9, 0, -1 },
	{ "1 ", 0, 9, 0, -1 },
	{ "1x", 0, 9, 0, -1 },
	{ "0x1", 0, 9, 0, -1 },
};

START_TEST(parse_int64_is_strict)
{
	int64_t v = 4711;

	ck_assert_int_eq(parse_int64(int_cases[_i].text, int_cases[_i].min, int_cases[_i].max, &v), int_cases[_i].verdict);
	ck_assert(v == (int_cases[_i].verdict == 0 ? int_cases[_i].value : 4711));
}
END_TEST

static const struct {
	const char *text;
	int verdict;
} date_cases[] = {
	{ "2026-02-28", 0 }, { "2028-02-29", 0 }, { "2000-02-29", 0 }, { "1900-01-01", 0 }, { "2199-12-31", 0 },
	{ "2026-02-29", -1 }, { "1900-02-29", -1 }, { "2100-02-29", -1 }, { "1899-12-31", -1 }, { "2200-01-01", -1 },
	{ "2026-00-10", -1 }, { "2026-13-10", -1 }, { "2026-04-31", -1 }, { "2026-04-00", -1 }, { "2026-4-3", -1 },
	{ "2026-04-03 ", -1 }, { "2026/04/03", -1 }, { "20260403", -1 }, { "", -1 }, { "2026-0x-03", -1 },
};

START_TEST(parse_date_knows_the_calendar)
{
	int y, m, d;

	ck_assert_int_eq(parse_date(date_cases[_i].text, &y, &m, &d), date_cases[_i].verdict);
}
END_TEST

START_TEST(parse_utc_time_wants_one_form)
{
	static const char *const bad[] = { "2026-09-03T10:00:00", "2026-09-03 10:00:00Z", "2026-09-03T24:00:00Z",
		"2026-09-03T10:60:00Z", "2026-09-03T10:00:60Z", "2026-09-03T10:00:00.5Z", "2026-09-03T10:00:00+00:00",
		"2026-02-30T10:00:00Z", "2026-09-03t10:00:00z", "" };

	ck_assert(parse_is_utc_time("2026-09-03T10:00:00Z"));
	for (int i = 0; i < COUNT(bad); i++)
		ck_assert_msg(!parse_is_utc_time(bad[i]), "%s", bad[i]);
}
END_TEST

START_TEST(parse_uuid_and_digest)
{
	ck_assert(parse_is_uuid("5b1f0cde-0000-4abc-8DEF-0123456789ab"));
	ck_assert(!parse_is_uuid("5b1f0cde-0000-4abc-8DEF-0123456789a"));
	ck_assert(!parse_is_uuid("5b1f0cde-0000-4abc-8DEF-0123456789abc"));
	ck_assert(!parse_is_uuid("5b1f0cde00000-4abc-8DEF-0123456789ab"));
	ck_assert(!parse_is_uuid("5b1f0cdg-0000-4abc-8DEF-0123456789ab"));
	ck_assert(parse_is_sha256("sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"));
	ck_assert(!parse_is_sha256("sha256:0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef"));
	ck_assert(!parse_is_sha256("sha512:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"));
	ck_assert(!parse_is_sha256("sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"));
}
END_TEST

static const struct {
	const char *text;
	bool utf8, plain;
} text_cases[] = {
	{ "plain", true, true },
	{ "Zo\xc3\xab \xe2\x82\xac \xf0\x9f\x98\x80", true, true },
	{ "", true, false },
	{ "tab\t", true, false },
	{ "line\n", true, false },
	{ "\x7f", true, false },
	{ "\xc2\x85", true, false },         /* C1 */
	{ "\xe2\x80\xae", true, false },     /* right-to-left override */
	{ "\xe2\x81\xa6", true, false },     /* isolate */
	{ "\xd8\x9c", true, false },         /* Arabic letter mark */
	{ "\xe2\x80\xa8", true, false },     /* line separator */
	{ "\xc0\xaf", false, false },        /* overlong */
	{ "\xe0\x80\xaf", false, false },
	{ "\xed\xa0\x80", false, false },    /* surrogate */
	{ "\xf4\x90\x80\x80", false, false }, /* beyond U+10FFFF */
	{ "\x80", false, false },
	{ "cut \xe2\x82", false, false },
	{ "\xff", false, false },
};

START_TEST(parse_text_refuses_what_hides)
{
	const char *text = text_cases[_i].text;

	ck_assert(parse_is_utf8(text, strlen(text)) == text_cases[_i].utf8);
	ck_assert(parse_is_plain_text(text, 100) == text_cases[_i].plain);
}
END_TEST

START_TEST(parse_text_limits)
{
	ck_assert(!parse_is_utf8("a\0b", 3));
	ck_assert(parse_is_plain_text("abc", 3));
	ck_assert(!parse_is_plain_text("abcd", 3));
}
END_TEST

START_TEST(str_grows_and_hands_over)
{
	struct str s = STR_INIT;
	char *taken;

	ck_assert_str_eq(str_cstr(&s), "");
	for (int i = 0; i < 1000; i++)
		str_addf(&s, "%d,", i % 10);
	ck_assert_uint_eq(s.len, 2000);
	ck_assert_uint_eq(strlen(s.s), 2000);
	str_clear(&s);
	str_add(&s, "a");
	str_add_n(&s, "bcd", 2);
	taken = str_take(&s);
	ck_assert_str_eq(taken, "abc");
	free(taken);
	taken = str_take(&s);
	ck_assert_str_eq(taken, "");
	free(taken);
	str_release(&s);
}
END_TEST

START_TEST(str_visible_escapes)
{
	CLEANUP(str_release) struct str s = STR_INIT;

	str_add_visible(&s, "Zo\xc3\xab\n\t\x1b[2J\xe2\x80\xae\xff\xc2\x9b\r.");
	ck_assert_str_eq(s.s, "Zo\xc3\xab\\n\\t\\u001b[2J\\u202e\\xff\\u009b\\r.");
}
END_TEST

static const struct {
	const char *bytes, *text;
} base64_cases[] = { /* RFC 4648 section 10 */
	{ "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg==" },
	{ "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" }
};

START_TEST(base64_follows_rfc_4648)
{
	CLEANUP(str_release) struct str s = STR_INIT;
	const char *bytes = base64_cases[_i].bytes, *text = base64_cases[_i].text;
	uint8_t back[8];

	bytes_add_base64(&s, (const uint8_t *)bytes, strlen(bytes));
	ck_assert_str_eq(str_cstr(&s), text);
	ck_assert_int_eq(bytes_from_base64(text, strlen(text), back, sizeof(back)), (long)strlen(bytes));
	ck_assert(memcmp(back, bytes, strlen(bytes)) == 0);
}
END_TEST

START_TEST(base64_refuses_other_forms)
{
	static const char *const bad[] = { "Zg", "Zg=", "Zh==", "Zm9=", "Z===", "====", "Zg==Zg==", "Zm 8", "Zm9v\n",
		"Zm-_", "=Zg=" };
	uint8_t back[16];

	for (int i = 0; i < COUNT(bad); i++)
		ck_assert_msg(bytes_from_base64(bad[i], strlen(bad[i]), back, sizeof(back)) == -1, "%s", bad[i]);
	ck_assert_int_eq(bytes_from_base64("Zm9v", 4, back, 2), -1);
	ck_assert_int_eq(bytes_from_base64("Zm9v", 4, back, 3), 3);
}
END_TEST

START_TEST(hex_both_ways)
{
	static const uint8_t bytes[] = { 0x00, 0x9f, 0xff };
	uint8_t back[3] = { 1, 1, 1 };
	char text[7];

	bytes_to_hex(bytes, 3, text);
	ck_assert_str_eq(text, "009fff");
	ck_assert_int_eq(bytes_from_hex("009FfF", back, 3), 0);
	ck_assert(memcmp(back, bytes, 3) == 0);
	ck_assert_int_eq(bytes_from_hex("009ff", back, 3), -1);
	ck_assert_int_eq(bytes_from_hex("009fff0", back, 3), -1);
	ck_assert_int_eq(bytes_from_hex("009fxg", back, 3), -1);
	ck_assert_int_eq(bytes_from_hex("", back, 3), -1);
}
END_TEST

START_TEST(integers_are_big_endian)
{
	uint8_t p[8];

	bytes_put_u32(p, 0x01020380U);
	ck_assert(memcmp(p, "\x01\x02\x03\x80", 4) == 0);
	ck_assert_uint_eq(bytes_get_u32(p), 0x01020380U);
	bytes_put_u64(p, 0x0102030485868788U);
	ck_assert(memcmp(p, "\x01\x02\x03\x04\x85\x86\x87\x88", 8) == 0);
	ck_assert_uint_eq(bytes_get_u64(p), 0x0102030485868788U);
}
END_TEST

START_TEST(secrets_are_wiped)
{
	struct secret s = SECRET_INIT;
	char stack[4] = "abc";

	secret_erase(&s);
	secret_new(&s, 3);
	ck_assert(secret_equal(s.bytes, "\0\0\0", 3));
	secret_erase(&s);
	ck_assert_ptr_null(s.bytes);
	ck_assert_uint_eq(s.n, 0);
	secret_wipe(stack, sizeof(stack));
	ck_assert(secret_equal(stack, "\0\0\0\0", 4));
	ck_assert(!secret_equal("abc", "abd", 3));
	ck_assert(!secret_equal("\x80", "\x00", 1));
	ck_assert(secret_equal("abc", "abd", 2));
}
END_TEST

START_TEST(mem_arrays_grow_zeroed)
{
	int *item = NULL;
	size_t n = 0;
	CLEANUP(free_text) char *text = mem_printf("%d-%s", 1, "x");
	CLEANUP(free_text) char *part = mem_copy_n("abcdef", 3);

	for (int i = 0; i < 1000; i++) {
		int *new_item = MEM_PUSH(item, n);

		ck_assert_int_eq(*new_item, 0);
		*new_item = i;
	}
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(item[i], i);
	free(item);
	ck_assert_str_eq(text, "1-x");
	ck_assert_str_eq(part, "abc");
	ck_assert_ptr_null(mem_copy(NULL));
}
END_TEST

/* more than there can be: the message, and exit code 1 */
START_TEST(out_of_memory_ends_the_process)
{
	volatile size_t huge = SIZE_MAX;

	free(mem_resize(NULL, huge, 2));
}
END_TEST

START_TEST(array_quotes_what_it_holds)
{
	struct str array = STR_INIT;

	ck_assert_str_eq(array_end(&array), "{}");
	str_clear(&array);
	array_add(&array, "");
	array_add(&array, "NULL");
	array_add(&array, "a,b}\"c\\d\n");
	ck_assert_str_eq(array_end(&array), "{\"\",\"NULL\",\"a,b}\\\"c\\\\d\n\"}");
	str_clear(&array);
	array_add_int(&array, -1);
	array_add_int(&array, INT64_MAX);
	ck_assert_str_eq(array_end(&array), "{-1,9223372036854775807}");
	str_clear(&array);
	array_add_or_null(&array, NULL);
	array_add_or_null(&array, "NULL");
	array_add_or_null(&array, NULL);
	ck_assert_str_eq(array_end(&array), "{NULL,\"NULL\",NULL}");
	str_release(&array);
}
END_TEST

START_TEST(finder_finds_every_text)
{
	static const char texts[][4] = { "m", "b", "zz", "", "a" };
	struct finder finder = { 0 };

	ck_assert_int_eq(finder_find(&finder, "a"), -1);
	finder_make(&finder, texts[0], COUNT(texts), sizeof(texts[0]));
	for (int i = 0; i < COUNT(texts); i++)
		ck_assert_int_eq(finder_find(&finder, texts[i]), i);
	ck_assert_int_eq(finder_find(&finder, "z"), -1);
	finder_release(&finder);
	ck_assert_int_eq(finder_find(&finder, "a"), -1);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("base");
	TCase *c = tcase_create("base");
	SRunner *runner;
	int failed;

	tcase_add_test(c, err_carries_code_message_and_hint);
	tcase_add_test(c, err_truncates_long_messages);
	tcase_add_loop_test(c, err_maps_to_exit_codes, 0, 9);
	tcase_add_loop_test(c, parse_int64_is_strict, 0, COUNT(int_cases));
	tcase_add_loop_test(c, parse_date_knows_the_calendar, 0, COUNT(date_cases));
	tcase_add_test(c, parse_utc_time_wants_one_form);
	tcase_add_test(c, parse_uuid_and_digest);
	tcase_add_loop_test(c, parse_text_refuses_what_hides, 0, COUNT(text_cases));
	tcase_add_test(c, parse_text_limits);
	tcase_add_test(c, str_grows_and_hands_over);
	tcase_add_test(c, str_visible_escapes);
	tcase_add_loop_test(c, base64_follows_rfc_4648, 0, COUNT(base64_cases));
	tcase_add_test(c, base64_refuses_other_forms);
	tcase_add_test(c, hex_both_ways);
	tcase_add_test(c, integers_are_big_endian);
	tcase_add_test(c, secrets_are_wiped);
	tcase_add_test(c, mem_arrays_grow_zeroed);
	tcase_add_exit_test(c, out_of_memory_ends_the_process, 1);
	tcase_add_test(c, array_quotes_what_it_holds);
	tcase_add_test(c, finder_finds_every_text);
	suite_add_tcase(suite, c);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}

/* lib/svc listing: tables, JSON and CSV of results that come from no server. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "svc/listing.h"

static struct err err;
static char *text;
static size_t n;

static struct db_result *
sample(void)
{
	static const char *const names[] = { "tenant", "subject", "rows", "held", "n_days", "share" };
	static const enum db_type types[] = { DB_TYPE_TEXT, DB_TYPE_TEXT, DB_TYPE_INTEGER, DB_TYPE_BOOL, DB_TYPE_TEXT,
		DB_TYPE_NUMERIC };
	struct db_result *res = db_result_make(6, names, types);

	db_result_add(res, DB_PARAMS("north", "Zo\xc3\xab", "12", "t", "3", "0.5"));
	db_result_add(res, DB_PARAMS("s\xe2\x80\xae", "\xe5\x8c\x97\xe4\xba\xac", NULL, "f", "many", "NaN"));
	return res;
}

static void
tear_down(void)
{
	free(text);
	text = NULL;
}

START_TEST(result_without_a_server)
{
	CLEANUP(db_result_freep) struct db_result *res = sample();

	ck_assert_int_eq(db_rows(res), 2);
	ck_assert_int_eq(db_columns(res), 6);
	ck_assert_int_eq(db_column_type(res, 3), DB_TYPE_BOOL);
	ck_assert_int_eq(db_get_int(res, 0, 2), 12);
	ck_assert_ptr_null(db_get(res, 1, 2));
	ck_assert_str_eq(db_get_text(res, 1, 2), "");
	ck_assert_int_eq(db_get_int(res, 1, 2), 0);
	ck_assert(db_get_bool(res, 0, 3));
	ck_assert_ptr_null(db_get(res, 2, 0)); /* outside */
	ck_assert_ptr_null(db_get(res, 0, 6));
}
END_TEST

START_TEST(table_is_aligned_by_display_width)
{
	CLEANUP(db_result_freep) struct db_result *res = sample();
	FILE *out = open_memstream(&text, &n);

	ck_assert_int_eq(listing_print(out, res, false, &err), 0);
	(void)fclose(out);
	ck_assert_str_eq(text, "tenant   subject  rows  held  n_days  share\n"
			       "north    Zo\xc3\xab        12  yes   3         0.5\n"
			       "s\\u202e  \xe5\x8c\x97\xe4\xba\xac        -  no    many      NaN\n");
}
END_TEST

START_TEST(json_has_types_and_is_ascii)
{
	CLEANUP(db_result_freep) struct db_result *res = sample();
	FILE *out = open_memstream(&text, &n);

	ck_assert_int_eq(listing_print(out, res, true, &err), 0);
	(void)fclose(out);
	ck_assert_str_eq(text, "[\n  {\n    \"tenant\": \"north\",\n    \"subject\": \"Zo\\u00EB\",\n    \"rows\": 12,\n"
			       "    \"held\": true,\n    \"n_days\": 3,\n    \"share\": 0.5\n  },\n"
			       "  {\n    \"tenant\": \"s\\u202E\",\n    \"subject\": \"\\u5317\\u4EAC\",\n    \"rows\": null,\n"
			       "    \"held\": false,\n    \"n_days\": \"many\",\n    \"share\": \"NaN\"\n  }\n]\n");
}
END_TEST

START_TEST(one_row_as_lines)
{
	static const char *const names[] = { "id", "state", "reason" };
	CLEANUP(db_result_freep) struct db_result *res = db_result_make(3, names, NULL), *two = sample();
	FILE *out = open_memstream(&text, &n);

	db_result_add(res, DB_PARAMS("7", "blocked\nid: 8", NULL));
	ck_assert_int_eq(listing_print_one(out, res, false, &err), 0);
	ck_assert_int_eq(listing_print_one(out, res, true, &err), 0);
	ck_assert_int_eq(listing_print_one(out, two, false, &err), -1);
	(void)fclose(out);
	ck_assert_str_eq(text, "id: 7\nstate: blocked\\nid: 8\nreason: -\n"
			       "{\n  \"id\": \"7\",\n  \"state\": \"blocked\\nid: 8\",\n  \"reason\": null\n}\n");
}
END_TEST

START_TEST(csv_follows_rfc_4180)
{
	static const char *const names[] = { "a", "b,c", "d" };
	CLEANUP(db_result_freep) struct db_result *res = db_result_make(3, names, NULL);
	FILE *out = open_memstream(&text, &n);

	db_result_add(res, DB_PARAMS("plain", "with \"quotes\"", NULL));
	db_result_add(res, DB_PARAMS("x,y", "two\r\nlines", ""));
	ck_assert_int_eq(listing_print_csv(out, res, &err), 0);
	(void)fclose(out);
	ck_assert_str_eq(text, "a,\"b,c\",d\r\nplain,\"with \"\"quotes\"\"\",\r\n\"x,y\",\"two\r\nlines\",\r\n");
}
END_TEST

START_TEST(empty_results)
{
	static const char *const names[] = { "a" };
	CLEANUP(db_result_freep) struct db_result *res = db_result_make(1, names, NULL);
	FILE *out = open_memstream(&text, &n);

	ck_assert_int_eq(listing_print(out, res, true, &err), 0);
	ck_assert_int_eq(listing_print(out, res, false, &err), 0);
	(void)fclose(out);
	ck_assert_str_eq(text, "[]\na\n");
}
END_TEST

START_TEST(json_by_hand)
{
	struct json *object = json_new_object(), *array = json_new_array(), *inner = json_new_object();
	FILE *out = open_memstream(&text, &n);

	json_set_text(object, "t", "x");
	json_set_text(object, "bytes", "\xff");
	json_set_text(object, "none", NULL);
	json_set_int(object, "i", -5000000000LL);
	json_set_bool(object, "b", true);
	json_set_bool(inner, "in", false);
	json_push_text(array, "one");
	json_push(array, inner);
	json_set(object, "list", array);
	ck_assert_int_eq(json_print(out, object, &err), 0);
	(void)fclose(out);
	ck_assert_str_eq(text, "{\n  \"t\": \"x\",\n  \"bytes\": \"\\\\xff\",\n  \"none\": null,\n  \"i\": -5000000000,\n"
			       "  \"b\": true,\n  \"list\": [\n    \"one\",\n    {\n      \"in\": false\n    }\n  ]\n}\n");
	json_free(json_new_object());
	json_free(NULL);
}
END_TEST

START_TEST(full_disk_is_an_error)
{
	CLEANUP(db_result_freep) struct db_result *res = sample();
	FILE *out;

	for (int form = 0; form < 3; form++) {
		out = fopen("/dev/full", "w");
		ck_assert_ptr_nonnull(out);
		ck_assert_int_eq(form == 2 ? listing_print_csv(out, res, &err) : listing_print(out, res, form == 1, &err), -1);
		ck_assert_ptr_nonnull(strstr(err.msg, "No space left"));
		(void)fclose(out);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("listing");
	TCase *c = tcase_create("listing");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(c, NULL, tear_down);
	tcase_add_test(c, result_without_a_server);
	tcase_add_test(c, table_is_aligned_by_display_width);
	tcase_add_test(c, json_has_types_and_is_ascii);
	tcase_add_test(c, one_row_as_lines);
	tcase_add_test(c, csv_follows_rfc_4180);
	tcase_add_test(c, empty_results);
	tcase_add_test(c, json_by_hand);
	tcase_add_test(c, full_disk_is_an_error);
	suite_add_tcase(suite, c);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}

/* What a final certificate makes of the stores on record, held against what the interim one promised. */
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "erasure/stores.h"
#include "evidence.h"

struct record {
	const char *name, *how, *date;
};

/* The sample certificate waits for "base backup" until 2026-10-19, declared, and for two undeclared slots. */
static const struct {
	const char *what, *error; /* NULL: accepted */
	enum certificate_basis promised;
	struct record records[4];
} cases[] = {
	{ "all ended", NULL, CERTIFICATE_DECLARED, { { "base backup", "declared", "2026-10-19" },
		{ "undeclared-replication-slot", "reported", "2026-09-15" }, { "undeclared-replication-slot", "stated", "2026-09-15" } } },
	{ "and one that was declared later", NULL, CERTIFICATE_DECLARED, { { "base backup", "declared", "2026-10-20" },
		{ "tapes", "declared", "2027-01-01" }, { "s1", "reported", "2026-09-15" }, { "s2", "declared", "2026-09-15" } } },
	{ "a person's word, before the date", NULL, CERTIFICATE_REPORTED, { { "base backup", "stated", "2026-09-15" },
		{ "s1", "reported", "2026-09-15" }, { "s2", "reported", "2026-09-15" } } },
	{ "a day too early", "ended earlier, or in a weaker way", CERTIFICATE_DECLARED, { { "base backup", "declared", "2026-10-18" },
		{ "s1", "reported", "2026-09-15" }, { "s2", "reported", "2026-09-15" } } },
	{ "the server was to be asked, and was not", "ended earlier, or in a weaker way", CERTIFICATE_REPORTED,
		{ { "base backup", "declared", "2026-10-19" }, { "s1", "reported", "2026-09-15" }, { "s2", "reported", "2026-09-15" } } },
	{ "another store in its place", "store base backup, which the interim certificate names, is not on record", CERTIFICATE_DECLARED,
		{ { "base backups", "declared", "2026-10-19" }, { "s1", "reported", "2026-09-15" }, { "s2", "reported", "2026-09-15" } } },
	{ "one that has not ended", "store s2 has not ended", CERTIFICATE_DECLARED, { { "base backup", "declared", "2026-10-19" },
		{ "s1", "reported", "2026-09-15" }, { "s2", NULL, NULL } } },
	{ "an undeclared one is missing", "of 3 stores that the interim certificate counts, 2 are on record", CERTIFICATE_DECLARED,
		{ { "base backup", "declared", "2026-10-19" }, { "s1", "reported", "2026-09-15" } } },
};

START_TEST(account_is_held_against_the_promise)
{
	static const char *const names[] = { "request", "name", "how", "date" };
	static const enum db_type types[] = { DB_TYPE_TEXT, DB_TYPE_TEXT, DB_TYPE_TEXT, DB_TYPE_TEXT };
	CLEANUP(certificate_release) struct certificate c = sample_certificate();
	CLEANUP(db_result_freep) struct db_result *rows = db_result_make(4, names, types);
	struct err err = { 0 };
	int rc;

	c.residuals[0].basis = cases[_i].promised;
	db_result_add(rows, DB_PARAMS("1", "another request's", "stated", "2026-01-01"));
	for (size_t i = 0; i < 4 && cases[_i].records[i].name != NULL; i++)
		db_result_add(rows, DB_PARAMS("2", cases[_i].records[i].name, cases[_i].records[i].how, cases[_i].records[i].date));
	db_result_add(rows, DB_PARAMS("3", "another request's", "stated", "2026-01-01"));
	rc = stores_account(&c, rows, 1, &err);
	if (cases[_i].error == NULL) {
		ck_assert_msg(rc == 0, "%s: %s", cases[_i].what, err.msg);
		ck_assert_uint_eq(c.n_aged_out, (size_t)db_rows(rows) - 2);
		ck_assert_str_eq(c.aged_out[0].name, "base backup");
		return;
	}
	ck_assert_msg(rc == -1, "accepted: %s", cases[_i].what);
	ck_assert_msg(strstr(err.msg, cases[_i].error) != NULL, "%s: %s", cases[_i].what, err.msg);
}
END_TEST

START_TEST(what_is_waited_for_decides_the_stage)
{
	static const char *const names[] = { "name", "kind", "declared", "until" };
	static const enum db_type types[] = { DB_TYPE_TEXT, DB_TYPE_TEXT, DB_TYPE_BOOL, DB_TYPE_TEXT };
	CLEANUP(certificate_release) struct certificate c = CERTIFICATE_INIT;
	CLEANUP(db_result_freep) struct db_result *rows = db_result_make(4, names, types);

	stores_add(&c, rows);
	ck_assert_int_eq(c.stage, CERTIFICATE_FINAL);
	db_result_add(rows, DB_PARAMS("a", "physical-backup", "t", "2026-10-19"));
	db_result_add(rows, DB_PARAMS("b", "standby", "t", "2026-10-20"));
	db_result_add(rows, DB_PARAMS("c", "replication-slot", "t", "2026-10-21"));
	db_result_add(rows, DB_PARAMS("d", "standby", "f", "2026-10-19"));
	db_result_add(rows, DB_PARAMS("e", "standby", "f", "2026-10-19"));
	db_result_add(rows, DB_PARAMS("f", "wal-archive", "f", "2026-10-19"));
	stores_add(&c, rows);
	ck_assert_int_eq(c.stage, CERTIFICATE_INTERIM);
	ck_assert_uint_eq(c.n_residuals, 3);
	ck_assert_int_eq(c.residuals[0].basis, CERTIFICATE_DECLARED);
	ck_assert_int_eq(c.residuals[1].basis, CERTIFICATE_REPORTED);
	ck_assert_int_eq(c.residuals[2].basis, CERTIFICATE_REPORTED);
	ck_assert_str_eq(c.residuals[1].until, "2026-10-20");
	ck_assert_uint_eq(c.n_undeclared, 2);
	ck_assert_str_eq(c.undeclared[0].kind, "standby");
	ck_assert_int_eq((int)c.undeclared[0].n, 2);
}
END_TEST

int
main(void)
{
	TCase *tests = tcase_create("stores");

	tcase_add_loop_test(tests, account_is_held_against_the_promise, 0, (int)(sizeof(cases) / sizeof(cases[0])));
	tcase_add_test(tests, what_is_waited_for_decides_the_stage);
	return run_suite("stores", tests);
}

/*
 * The database layer against a fake libpq: connections lost at COMMIT, answers that never come, and what else no
 * server does on demand. Built with -DREAL_LIBPQ (tests/integration/12-libpq.sh), the cases that a server can serve
 * run against one, and must end alike: what the fake says is then what a server says.
 */
#include <check.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

#include "svc/db.h"
#include "tests/fake/libpq.h"

static struct db *db;
static struct err err;
static struct db_result *res;

#ifdef REAL_LIBPQ
#define SCRIPT(...) ((void)0)
#define REAL 1
#else
#define SCRIPT(...) do { \
		static const struct fake_answer lines[] = { __VA_ARGS__ }; \
		fake_script(lines, sizeof(lines) / sizeof(lines[0])); \
	} while (0)
#define REAL 0
#endif

static int
open_db(void)
{
	struct db_options options = { .conninfo = REAL ? "" : "host=/nowhere dbname=clinic", .name = "expunge test",
		.connect_timeout_s = 5, .lock_timeout_ms = 1000 };

	err_clear(&err);
	return db_open(&db, &options, &err);
}

static void
set_up(void)
{
	SCRIPT({ "", FAKE_COMMAND, 0, "", NULL });
#ifndef REAL_LIBPQ
	fake_script(NULL, 0);
#endif
	ck_assert_int_eq(open_db(), 0);
}

static void
tear_down(void)
{
#ifndef REAL_LIBPQ
	ck_assert_str_eq(fake_problems(), "");
#endif
	db_result_freep(&res);
	db_closep(&db);
}

static void
begin(void)
{
	ck_assert_int_eq(db_begin(db, &err), 0);
}

/* A server ends our session from another one; the fake has it in its script. */
static void
lose(void)
{
#ifdef REAL_LIBPQ
	struct db_options options = { .conninfo = "", .name = "expunge test", .connect_timeout_s = 5 };
	struct db *other = NULL;
	struct db_result *pid = NULL;

	ck_assert_int_eq(db_text(db, DB_ONE, "SELECT pg_backend_pid()", 0, NULL, &pid, &err), 0);
	ck_assert_int_eq(db_open(&other, &options, &err), 0);
	ck_assert_int_eq(db_text(other, DB_ONE, "SELECT pg_terminate_backend($1::int, 5000)", 1, DB_PARAMS(db_get(pid, 0, 0)), NULL, &err), 0);
	db_result_free(pid);
	db_close(other);
#endif
}

static void
check_failed(int rc, enum err_code code, const char *sqlstate)
{
	ck_assert_int_eq(rc, -1);
	ck_assert_msg(err.code == code, "code %d: %s", (int)err.code, err.msg);
	ck_assert_str_eq(err.sqlstate, sqlstate);
	ck_assert_ptr_nonnull(err.msg);
	ck_assert_ptr_null(strstr(err.msg, "(null)"));
}

/* ---- COMMIT -------------------------------------------------------------------------------- */

START_TEST(commit_succeeds)
{
	SCRIPT({ "UPDATE", FAKE_COMMAND, 0, "UPDATE 0", NULL }, { "COMMIT", FAKE_COMMAND, 0, "COMMIT", NULL });
	begin();
	ck_assert_int_eq(db_command(db, "UPDATE pg_class SET relname = relname WHERE false", 0, NULL, NULL, &err), 0);
	ck_assert_int_eq(db_commit(db, &err), 0);
	ck_assert(!db_in_transaction(db));
}
END_TEST

START_TEST(commit_of_a_failed_transaction_is_none)
{
	SCRIPT({ "SELECT", FAKE_ERROR, 0, "division by zero", "22012" }, { "COMMIT", FAKE_COMMAND, 0, "ROLLBACK", NULL });
	begin();
	check_failed(db_text(db, DB_ONE, "SELECT 1 / 0", 0, NULL, NULL, &err), ERR_FAILED, "22012");
	err_clear(&err);
	check_failed(db_commit(db, &err), ERR_FAILED, "");
}
END_TEST

START_TEST(commit_on_a_lost_connection_is_unknown)
{
	SCRIPT({ "COMMIT", FAKE_LOST, 0, NULL, NULL });
	begin();
	lose();
	check_failed(db_commit(db, &err), ERR_UNKNOWN, "");
	ck_assert(db_is_lost(db));
}
END_TEST

#ifndef REAL_LIBPQ
START_TEST(commit_without_an_answer_is_unknown)
{
	static const struct fake_answer all[] = { { "COMMIT", FAKE_LOST, 0, NULL, NULL }, { "COMMIT", FAKE_SILENT, 0, NULL, NULL },
		{ "COMMIT", FAKE_ERROR, 0, "out of memory", NULL },
		{ "COMMIT", FAKE_FATAL, 0, "terminating connection", "57P01" } };

	fake_script(&all[_i], 1);
	begin();
	check_failed(db_commit(db, &err), ERR_UNKNOWN, _i == 3 ? "57P01" : "");
	ck_assert_ptr_nonnull(strstr(err.hint, "may have been committed"));
}
END_TEST

/* A statement outside a transaction commits itself; one that only reads does not. */
START_TEST(sole_statement_without_an_answer_is_unknown)
{
	static const struct fake_answer all[] = { { "UPDATE", FAKE_LOST, 0, NULL, NULL }, { "UPDATE", FAKE_SILENT, 0, NULL, NULL },
		{ "UPDATE", FAKE_ERROR, 0, "out of memory", NULL }, { "SELECT", FAKE_LOST, 0, NULL, NULL },
		{ "SELECT", FAKE_SILENT, 0, NULL, NULL } };
	bool reads = all[_i].sql[0] == 'S';

	fake_script(&all[_i], 1);
	check_failed(db_command(db, reads ? "SELECT 1" : "UPDATE t SET a = 1", 0, NULL, NULL, &err),
		!reads ? ERR_UNKNOWN : all[_i].kind == FAKE_LOST ? ERR_LOST : ERR_FAILED, "");
}
END_TEST

START_TEST(script_without_an_answer_is_unknown)
{
	SCRIPT({ "CREATE", FAKE_SILENT, 0, NULL, NULL });
	check_failed(db_script(db, "001", "CREATE TABLE a (); CREATE TABLE b ()", &err), ERR_UNKNOWN, "");
}
END_TEST

START_TEST(rollback_that_fails_loses_the_connection)
{
	SCRIPT({ "ROLLBACK", FAKE_SILENT, 0, NULL, NULL });
	begin();
	db_rollback(db);
	ck_assert(db_is_lost(db));
	check_failed(db_command(db, "SELECT 1", 0, NULL, NULL, &err), ERR_LOST, "");
}
END_TEST
#endif

START_TEST(lost_inside_a_transaction_is_lost)
{
	SCRIPT({ "UPDATE", FAKE_LOST, 0, NULL, NULL });
	begin();
	lose();
	check_failed(db_command(db, "UPDATE pg_class SET relname = relname WHERE false", 0, NULL, NULL, &err), ERR_LOST, "");
	db_rollback(db);
	err_clear(&err);
	check_failed(db_begin(db, &err), ERR_LOST, "");
	err_clear(&err);
	ck_assert_int_eq(db_reopen(db, &err), 0);
	ck_assert(!db_is_lost(db));
}
END_TEST

/* ---- shapes -------------------------------------------------------------------------------- */

START_TEST(shapes_are_held)
{
	static const struct { enum db_shape shape; int n; int rc; } cases[] = {
		{ DB_NONE, 0, 0 }, { DB_NONE, 1, -1 }, { DB_ONE, 0, -1 }, { DB_ONE, 1, 0 }, { DB_ONE, 2, -1 },
		{ DB_MAYBE, 0, 0 }, { DB_MAYBE, 1, 0 }, { DB_MAYBE, 2, -1 }, { DB_MANY, 0, 0 }, { DB_MANY, 2, 0 },
	};
	char n[8];

	(void)snprintf(n, sizeof(n), "%d", cases[_i].n);
#ifndef REAL_LIBPQ
	static struct fake_answer answer = { "SELECT", FAKE_ROWS, 0, "x", NULL };

	answer.n = cases[_i].n;
	fake_script(&answer, 1);
#endif
	ck_assert_int_eq(db_text(db, cases[_i].shape, "SELECT 'x' FROM generate_series(1, $1::int)", 1, DB_PARAMS(n), &res, &err),
		cases[_i].rc);
	if (cases[_i].rc == 0)
		ck_assert_int_eq(db_rows(res), cases[_i].n);
	else {
		ck_assert_ptr_null(res);
		ck_assert_int_eq(err.code, ERR_FAILED);
	}
	ck_assert(!db_is_lost(db));
}
END_TEST

START_TEST(a_command_where_rows_were_expected)
{
	SCRIPT({ "SET", FAKE_COMMAND, 0, "SET", NULL });
	check_failed(db_text(db, DB_MANY, "SET geqo = on", 0, NULL, &res, &err), ERR_FAILED, "");
}
END_TEST

START_TEST(an_empty_statement)
{
	SCRIPT({ "", FAKE_EMPTY, 0, NULL, NULL });
	check_failed(db_command(db, "", 0, NULL, NULL, &err), ERR_FAILED, "");
}
END_TEST

START_TEST(copy_where_none_was_expected)
{
	SCRIPT({ "COPY", FAKE_COPY_OUT, 0, NULL, NULL });
	check_failed(db_command(db, "COPY (SELECT 1) TO STDOUT", 0, NULL, NULL, &err), ERR_FAILED, "");
	ck_assert(db_is_lost(db)); /* out of step */
}
END_TEST

#ifndef REAL_LIBPQ
START_TEST(sqlstate_is_never_null)
{
	static const struct { const char *given, *want; } cases[] = { { NULL, "" }, { "", "XX000" }, { "42", "XX000" }, { "42P01", "42P01" } };
	static struct fake_answer answer = { "SELECT", FAKE_ERROR, 0, "no such thing", NULL };

	answer.sqlstate = cases[_i].given;
	fake_script(&answer, 1);
	check_failed(db_text(db, DB_ONE, "SELECT 1", 0, NULL, &res, &err), ERR_FAILED, cases[_i].want);
}
END_TEST
#endif

/* ---- pipelines ----------------------------------------------------------------------------- */

START_TEST(pipeline_reports_its_first_error_for_ever)
{
	SCRIPT({ "SELECT 1", FAKE_ROWS, 1, "1", NULL }, { "SELECT 1 / 0", FAKE_ERROR, 0, "division by zero", "22012" },
		{ "SELECT 3", FAKE_ROWS, 1, "3", NULL }, { "SELECT 4", FAKE_ROWS, 1, "4", NULL });
	ck_assert_int_eq(db_pipeline_begin(db, &err), 0);
	ck_assert_int_eq(db_send(db, "SELECT 1", 0, NULL, &err), 0);
	ck_assert_int_eq(db_send(db, "SELECT 1 / 0", 0, NULL, &err), 0);
	ck_assert_int_eq(db_send(db, "SELECT 3", 0, NULL, &err), 0);
	ck_assert_int_eq(db_receive(db, DB_ONE, &res, NULL, &err), 0);
	ck_assert_str_eq(db_get(res, 0, 0), "1");
	db_result_freep(&res);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(db_receive(db, DB_ONE, &res, NULL, &err), -1);
		ck_assert_str_eq(err.sqlstate, "22012");
		ck_assert_ptr_null(res);
	}
	ck_assert_int_eq(db_receive(db, DB_ONE, &res, NULL, &err), -1); /* nothing is left to receive */
	ck_assert_int_eq(db_pipeline_end(db, &err), -1);
	ck_assert_str_eq(err.sqlstate, "22012");
	ck_assert_int_eq(db_text(db, DB_ONE, "SELECT 4", 0, NULL, &res, &err), 0); /* in ordinary mode again */
}
END_TEST

START_TEST(pipeline_whose_answers_nobody_took)
{
	SCRIPT({ "SELECT 1", FAKE_ROWS, 1, "1", NULL }, { "SELECT 1 / 0", FAKE_ERROR, 0, "division by zero", "22012" });
	ck_assert_int_eq(db_pipeline_begin(db, &err), 0);
	ck_assert_int_eq(db_send(db, "SELECT 1", 0, NULL, &err), 0);
	ck_assert_int_eq(db_send(db, "SELECT 1 / 0", 0, NULL, &err), 0);
	ck_assert_int_eq(db_pipeline_end(db, &err), -1);
	ck_assert_str_eq(err.sqlstate, "22012");
	ck_assert(!db_is_lost(db));
}
END_TEST

#ifndef REAL_LIBPQ
START_TEST(pipeline_that_ends_early)
{
	SCRIPT({ "SELECT 1", FAKE_SILENT, 0, NULL, NULL });
	begin();
	ck_assert_int_eq(db_pipeline_begin(db, &err), 0);
	ck_assert_int_eq(db_send(db, "SELECT 1", 0, NULL, &err), 0);
	check_failed(db_receive(db, DB_ONE, &res, NULL, &err), ERR_LOST, "");
	check_failed(db_pipeline_end(db, &err), ERR_LOST, "");
}
END_TEST

START_TEST(pipeline_that_breaks)
{
	static const struct { const char *function; bool at_receive, at_end; } cases[] = {
		{ "PQsendQueryParams", true, true }, { "PQsendFlushRequest", true, true }, { "PQflush", true, true },
		{ "PQpipelineSync", false, true }, { "PQexitPipelineMode", false, true }, { "PQsetnonblocking", false, true } };
	static const struct fake_answer line = { "SELECT 1", FAKE_ROWS, 1, "1", NULL };
	int rc;

	fake_script(&line, strcmp(cases[_i].function, "PQsendQueryParams") == 0 ? 0 : 1);
	begin();
	ck_assert_int_eq(db_pipeline_begin(db, &err), 0);
	fake_server.breaks = cases[_i].function;
	rc = db_send(db, "SELECT 1", 0, NULL, &err);
	if (rc == 0)
		rc = db_receive(db, DB_ONE, &res, NULL, &err);
	ck_assert_int_eq(rc, cases[_i].at_receive ? -1 : 0);
	ck_assert_int_eq(db_pipeline_end(db, &err), cases[_i].at_end ? -1 : 0);
	ck_assert_int_ne(err.code, ERR_NONE);
}
END_TEST

/* Outside a transaction the statements of a pipeline commit at its end. */
START_TEST(pipeline_lost_at_its_end_is_unknown)
{
	SCRIPT({ "UPDATE", FAKE_LOST, 0, NULL, NULL });
	ck_assert_int_eq(db_pipeline_begin(db, &err), 0);
	ck_assert_int_eq(db_send(db, "UPDATE t SET a = 1", 0, NULL, &err), 0);
	check_failed(db_pipeline_end(db, &err), ERR_UNKNOWN, "");
	ck_assert(db_is_lost(db));
}
END_TEST

START_TEST(pipeline_that_cannot_begin)
{
	fake_script(NULL, 0);
	fake_server.breaks = _i == 0 ? "PQenterPipelineMode" : "PQsetnonblocking";
	check_failed(db_pipeline_begin(db, &err), ERR_FAILED, "");
}
END_TEST
#endif

/* ---- COPY ---------------------------------------------------------------------------------- */

START_TEST(copy_counts)
{
	int64_t n = -1;

	SCRIPT({ "CREATE", FAKE_COMMAND, 0, "CREATE TABLE", NULL }, { "COPY", FAKE_COPY_IN, 0, NULL, NULL },
		{ "(end of COPY)", FAKE_COMMAND, 0, "COPY 2", NULL });
	begin();
	ck_assert_int_eq(db_command(db, "CREATE TEMPORARY TABLE c (n int)", 0, NULL, NULL, &err), 0);
	ck_assert_int_eq(db_copy_in_begin(db, "COPY c FROM STDIN", &err), 0);
	ck_assert_int_eq(db_copy_in_put(db, "1\n2\n", 4, &err), 0);
	ck_assert_int_eq(db_copy_in_end(db, &n, &err), 0);
	ck_assert_int_eq(n, 2);
}
END_TEST

START_TEST(copy_of_bad_data)
{
	int64_t n = -1;

	SCRIPT({ "CREATE", FAKE_COMMAND, 0, "CREATE TABLE", NULL }, { "COPY", FAKE_COPY_IN, 0, NULL, NULL },
		{ "(end of COPY)", FAKE_ERROR, 0, "invalid input syntax for type integer: \"Kirk\"", "22P02" });
	begin();
	ck_assert_int_eq(db_command(db, "CREATE TEMPORARY TABLE c (n int)", 0, NULL, NULL, &err), 0);
	ck_assert_int_eq(db_copy_in_begin(db, "COPY c FROM STDIN", &err), 0);
	ck_assert_int_eq(db_copy_in_put(db, "Kirk\n", 5, &err), 0);
	check_failed(db_copy_in_end(db, &n, &err), ERR_FAILED, "22P02");
	ck_assert_ptr_null(strstr(err.msg, "Kirk"));
	ck_assert_int_eq(n, -1);
}
END_TEST

START_TEST(no_copy_where_one_was_expected)
{
	SCRIPT({ "SELECT", FAKE_ROWS, 1, "1", NULL });
	check_failed(db_copy_in_begin(db, "SELECT 1", &err), ERR_FAILED, "");
}
END_TEST

static int
add_row(void *ctx, const char *row, size_t n, struct err *ret_err)
{
	struct str *text = ctx;

	if (text->len > 0 && row[0] == 'x')
		return err_set(ret_err, ERR_FAILED, "enough");
	str_add_n(text, row, n);
	return 0;
}

START_TEST(copy_out_counts)
{
	struct str text = STR_INIT;
	int64_t n = -1;

	SCRIPT({ "COPY", FAKE_COPY_OUT, 2, "7\n", NULL }, { "(end of COPY)", FAKE_COMMAND, 0, "COPY 2", NULL });
	ck_assert_int_eq(db_copy_out(db, "COPY (SELECT 7 FROM generate_series(1, 2)) TO STDOUT", add_row, &text, &n, &err), 0);
	ck_assert_str_eq(text.s, "7\n7\n");
	ck_assert_int_eq(n, 2);
	str_release(&text);
}
END_TEST

START_TEST(copy_out_that_fails)
{
	struct str text = STR_INIT;
	int64_t n = -1;

	SCRIPT({ "COPY", FAKE_COPY_OUT, 1, "5\n", NULL }, { "(end of COPY)", FAKE_ERROR, 0, "division by zero", "22012" });
	check_failed(db_copy_out(db, "COPY (SELECT 5 / (1 - g) FROM generate_series(0, 2) g) TO STDOUT", add_row, &text, &n, &err),
		ERR_FAILED, "22012");
	ck_assert_str_eq(text.s, "5\n");
	ck_assert_int_eq(n, -1);
	str_release(&text);
}
END_TEST

START_TEST(copy_out_of_no_copy)
{
	struct str text = STR_INIT;

	SCRIPT({ "SELECT", FAKE_ROWS, 1, "1", NULL });
	check_failed(db_copy_out(db, "SELECT 1", add_row, &text, NULL, &err), ERR_FAILED, "");
	ck_assert(!db_is_lost(db));
}
END_TEST

#ifndef REAL_LIBPQ
/* what the server would still send is read before the next statement */
START_TEST(copy_out_that_nobody_wants)
{
	struct str text = STR_INIT;

	SCRIPT({ "COPY", FAKE_COPY_OUT, 5, "x\n", NULL }, { "(end of COPY)", FAKE_ERROR, 0, "canceling statement", "57014" });
	check_failed(db_copy_out(db, "COPY t TO STDOUT", add_row, &text, NULL, &err), ERR_FAILED, "");
	ck_assert_str_eq(err.msg, "enough");
	ck_assert_int_eq(fake_server.cancels, 1);
	ck_assert(!db_is_lost(db));
	str_release(&text);
}
END_TEST

/* rows that stopped coming are not all of them */
START_TEST(copy_out_without_an_end)
{
	static const struct fake_answer lines[][2] = {
		{ { "COPY", FAKE_COPY_OUT, 2, "1\n", NULL }, { "(end of COPY)", FAKE_LOST, 0, NULL, NULL } },
		{ { "COPY", FAKE_COPY_OUT, 2, "1\n", NULL }, { "(end of COPY)", FAKE_SILENT, 0, NULL, NULL } },
		{ { "COPY", FAKE_COPY_OUT, 2, "1\n", NULL }, { "(end of COPY)", FAKE_EMPTY, 0, NULL, NULL } },
	};
	struct str text = STR_INIT;
	int64_t n = -1;

	fake_script(lines[_i], 2);
	ck_assert_int_eq(db_copy_out(db, "COPY t TO STDOUT", add_row, &text, &n, &err), -1);
	ck_assert_int_eq(n, -1);
	str_release(&text);
}
END_TEST

START_TEST(copy_out_that_breaks)
{
	static const struct fake_answer lines[] = { { "COPY", FAKE_COPY_OUT, 2, "1\n", NULL } };
	struct str text = STR_INIT;

	fake_script(lines, 1);
	fake_server.breaks = "PQgetCopyData";
	check_failed(db_copy_out(db, "COPY t TO STDOUT", add_row, &text, NULL, &err), ERR_FAILED, "");
	str_release(&text);
}
END_TEST

START_TEST(copy_that_breaks)
{
	static const struct fake_answer lines[] = { { "COPY", FAKE_COPY_IN, 0, NULL, NULL } };
	int64_t n = -1;
	int rc;

	fake_script(lines, 1);
	ck_assert_int_eq(db_copy_in_begin(db, "COPY c FROM STDIN", &err), 0);
	fake_server.breaks = _i == 0 ? "PQputCopyData" : "PQputCopyEnd";
	rc = db_copy_in_put(db, "1\n", 2, &err);
	ck_assert_int_eq(rc, _i == 0 ? -1 : 0);
	if (rc == 0)
		rc = db_copy_in_end(db, &n, &err);
	check_failed(rc, ERR_FAILED, "");
	ck_assert_int_eq(n, -1);
}
END_TEST

START_TEST(copy_lost_at_its_end)
{
	SCRIPT({ "COPY", FAKE_COPY_IN, 0, NULL, NULL }, { "(end of COPY)", FAKE_LOST, 0, NULL, NULL });
	begin();
	ck_assert_int_eq(db_copy_in_begin(db, "COPY c FROM STDIN", &err), 0);
	check_failed(db_copy_in_end(db, NULL, &err), ERR_LOST, "");
}
END_TEST

START_TEST(copy_without_an_end)
{
	int64_t n = -1;

	SCRIPT({ "COPY", FAKE_COPY_IN, 0, NULL, NULL }, { "(end of COPY)", FAKE_SILENT, 0, NULL, NULL });
	begin();
	ck_assert_int_eq(db_copy_in_begin(db, "COPY c FROM STDIN", &err), 0);
	ck_assert_int_eq(db_copy_in_end(db, &n, &err), -1);
}
END_TEST
#endif

/* ---- row by row ---------------------------------------------------------------------------- */

static int
count_rows(void *ctx, const struct db_result *row, struct err *e)
{
	int *n = ctx;

	(void)row;
	return ++*n == 3 ? err_set(e, ERR_FAILED, "enough") : 0;
}

START_TEST(rows_one_by_one)
{
	int n = 0;

	SCRIPT({ "SELECT", FAKE_ROWS, 2, "x", NULL });
	ck_assert_int_eq(db_each(db, "SELECT 'x' FROM generate_series(1, 2)", 0, NULL, count_rows, &n, &err), 0);
	ck_assert_int_eq(n, 2);
}
END_TEST

START_TEST(rows_of_which_there_are_enough)
{
	int n = 0;

	SCRIPT({ "SELECT", FAKE_ROWS, 9, "x", NULL });
	check_failed(db_each(db, "SELECT 'x' FROM generate_series(1, 100000)", 0, NULL, count_rows, &n, &err), ERR_FAILED, "");
	ck_assert_str_eq(err.msg, "enough");
	ck_assert_int_eq(n, 3);
	ck_assert(!db_is_lost(db));
}
END_TEST

#ifndef REAL_LIBPQ
START_TEST(rows_that_never_come)
{
	static const struct fake_answer lines[] = { { "SELECT", FAKE_LOST, 0, NULL, NULL }, { "SELECT", FAKE_SILENT, 0, NULL, NULL },
		{ "SELECT", FAKE_ROWS, 0, "x", NULL } };
	int n = 0;

	fake_script(&lines[_i], 1);
	if (_i == 2)
		fake_server.breaks = "PQsetSingleRowMode";
	check_failed(db_each(db, "SELECT 1", 0, NULL, count_rows, &n, &err), _i == 2 ? ERR_FAILED : ERR_LOST, "");
	ck_assert_int_eq(n, 0);
}
END_TEST

/* ---- connecting ---------------------------------------------------------------------------- */

START_TEST(version_decides)
{
	static const struct { int version; int rc; int idle; } cases[] = { { 90600, -1, 0 }, { 120019, -1, 0 }, { 130000, 0, 0 },
		{ 140000, 0, 1 }, { 180001, 0, 1 } };

	db_closep(&db);
	fake_script(NULL, 0);
	fake_server.version = cases[_i].version;
	ck_assert_int_eq(open_db(), cases[_i].rc);
	ck_assert_int_eq(fake_server.seen_idle_timeout, cases[_i].idle);
	if (cases[_i].rc != 0)
		ck_assert_ptr_nonnull(strstr(err.msg, "13 or newer"));
}
END_TEST

START_TEST(another_server_behind_the_same_name)
{
	fake_script(NULL, 0);
	fake_server.version = 120000;
	check_failed(db_reopen(db, &err), ERR_FAILED, "");
	ck_assert(db_is_lost(db));
}
END_TEST

START_TEST(pooler_is_refused)
{
	db_closep(&db);
	fake_script(NULL, 0);
	fake_server.backend = 78;
	check_failed(open_db(), ERR_REFUSED, "");
	ck_assert_ptr_null(db);
}
END_TEST

START_TEST(no_memory_for_a_connection)
{
	db_closep(&db);
	fake_script(NULL, 0);
	fake_server.breaks = "PQconnectdbParams";
	check_failed(open_db(), ERR_LOST, "");
}
END_TEST

START_TEST(cancelling_that_fails)
{
	fake_script(NULL, 0);
	db_cancel(db);
	ck_assert_int_eq(fake_server.cancels, 1); /* refused, and nobody is told: the statement just goes on */
	db_closep(&db);
	fake_server.breaks = "PQgetCancel";
	ck_assert_int_eq(open_db(), 0);
	db_cancel(db);
	ck_assert_int_eq(fake_server.cancels, 1);
}
END_TEST

START_TEST(text_that_cannot_be_quoted)
{
	fake_script(NULL, 0);
	ck_assert_ptr_null(db_quote_name(db, "\xff"));
	ck_assert_ptr_null(db_quote_literal(db, "\xff"));
}
END_TEST
#endif

static Suite *
make_suite(void)
{
	Suite *suite = suite_create(REAL ? "db, with a server" : "db, with a fake libpq");
	TCase *c = tcase_create("db");

	tcase_add_checked_fixture(c, set_up, tear_down);
	tcase_add_test(c, commit_succeeds);
	tcase_add_test(c, commit_of_a_failed_transaction_is_none);
	tcase_add_test(c, commit_on_a_lost_connection_is_unknown);
	tcase_add_test(c, lost_inside_a_transaction_is_lost);
	tcase_add_loop_test(c, shapes_are_held, 0, 10);
	tcase_add_test(c, a_command_where_rows_were_expected);
	tcase_add_test(c, an_empty_statement);
	tcase_add_test(c, copy_where_none_was_expected);
	tcase_add_test(c, pipeline_reports_its_first_error_for_ever);
	tcase_add_test(c, pipeline_whose_answers_nobody_took);
	tcase_add_test(c, copy_counts);
	tcase_add_test(c, copy_of_bad_data);
	tcase_add_test(c, no_copy_where_one_was_expected);
	tcase_add_test(c, copy_out_counts);
	tcase_add_test(c, copy_out_that_fails);
	tcase_add_test(c, copy_out_of_no_copy);
	tcase_add_test(c, rows_one_by_one);
	tcase_add_test(c, rows_of_which_there_are_enough);
#ifndef REAL_LIBPQ
	tcase_add_loop_test(c, commit_without_an_answer_is_unknown, 0, 4);
	tcase_add_loop_test(c, sole_statement_without_an_answer_is_unknown, 0, 5);
	tcase_add_test(c, script_without_an_answer_is_unknown);
	tcase_add_test(c, rollback_that_fails_loses_the_connection);
	tcase_add_loop_test(c, sqlstate_is_never_null, 0, 4);
	tcase_add_test(c, pipeline_that_ends_early);
	tcase_add_loop_test(c, pipeline_that_breaks, 0, 6);
	tcase_add_test(c, pipeline_lost_at_its_end_is_unknown);
	tcase_add_loop_test(c, pipeline_that_cannot_begin, 0, 2);
	tcase_add_loop_test(c, copy_that_breaks, 0, 2);
	tcase_add_test(c, copy_out_that_nobody_wants);
	tcase_add_loop_test(c, copy_out_without_an_end, 0, 3);
	tcase_add_test(c, copy_out_that_breaks);
	tcase_add_test(c, copy_lost_at_its_end);
	tcase_add_test(c, copy_without_an_end);
	tcase_add_loop_test(c, rows_that_never_come, 0, 3);
	tcase_add_loop_test(c, version_decides, 0, 5);
	tcase_add_test(c, another_server_behind_the_same_name);
	tcase_add_test(c, pooler_is_refused);
	tcase_add_test(c, no_memory_for_a_connection);
	tcase_add_test(c, cancelling_that_fails);
	tcase_add_test(c, text_that_cannot_be_quoted);
#endif
	suite_add_tcase(suite, c);
	return suite;
}

int
main(void)
{
	SRunner *runner = srunner_create(make_suite());
	int failed;

	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

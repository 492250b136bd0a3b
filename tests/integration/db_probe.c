/*
 * db_probe: lib/svc/db against a real server. Prints "ok NAME" or "not ok NAME: why" for each case;
 * 10-db.sh compiles it, runs it on an empty database, and makes the verdicts its own.
 * A second connection, `other`, plays the application and the administrator.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "svc/db.h"
#include "sys/clock.h"

static struct db_options options = { .name = "expunge probe", .connect_timeout_s = 10, .lock_timeout_ms = 300 };
static struct db *db, *other;
static struct err err;
static int failures;

static void
check(bool good, const char *name)
{
	failures += !good;
	printf("%s %s", good ? "ok" : "not ok", name);
	if (!good)
		printf(": code %d, SQLSTATE '%s', message '%s', hint '%s'", (int)err.code, err.sqlstate, err.msg, err.hint);
	printf("\n");
	(void)fflush(stdout);
	err_clear(&err);
}

static bool
failed_as(int rc, enum err_code code, const char *sqlstate)
{
	return rc == -1 && err.code == code && strcmp(err.sqlstate, sqlstate) == 0;
}

static int
command(struct db *on, const char *sql)
{
	return db_script(on, "probe", sql, &err);
}

/* one value as text; the caller frees */
static char *
value(struct db *on, const char *sql)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	return db_text(on, DB_ONE, sql, 0, NULL, &res, &err) == 0 ? mem_copy(db_get_text(res, 0, 0)) : mem_copy("error");
}

static bool
value_is(struct db *on, const char *sql, const char *wanted)
{
	CLEANUP(free_text) char *got = value(on, sql);

	if (strcmp(got, wanted) != 0)
		err_prefix(&err, "got '%s'", got);
	return strcmp(got, wanted) == 0;
}

/* ends the session of db, after so many milliseconds, from a process of its own */
static pid_t
terminate_later(int ms)
{
	CLEANUP(free_text) char *pid = value(db, "SELECT pg_backend_pid()");
	pid_t child = fork();

	if (child == 0) {
		struct db *mine = NULL;

		(void)usleep((useconds_t)ms * 1000);
		if (db_open(&mine, &options, &err) == 0)
			(void)db_text(mine, DB_ONE, "SELECT pg_terminate_backend($1)", 1, DB_PARAMS(pid), NULL, &err);
		_exit(0);
	}
	return child;
}

static void
reconnect(void)
{
	if (db_reopen(db, &err) != 0)
		check(false, "reopening the connection");
}

static void
test_session(void)
{
	static const char *const t[][2] = {
		{ "search_path", "pg_catalog, pg_temp" }, { "TimeZone", "UTC" }, { "DateStyle", "ISO, YMD" },
		{ "client_encoding", "UTF8" }, { "standard_conforming_strings", "on" }, { "lock_timeout", "300ms" },
		{ "statement_timeout", "0" }, { "application_name", "expunge probe" }, { "client_min_messages", "warning" },
		{ "default_transaction_isolation", "read committed" }, { "row_security", "on" },
		{ "synchronous_commit", "on" },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		CLEANUP(free_text) char *sql = mem_printf("SELECT current_setting('%s')", t[i][0]);

		check(value_is(db, sql, t[i][1]), t[i][0]);
	}
}

static void
test_shapes(void)
{
	static const struct {
		enum db_shape shape;
		const char *sql;
		bool good;
	} t[] = {
		{ DB_NONE, "SET SESSION work_mem = '4MB'", true }, { DB_NONE, "SELECT 1", false },
		{ DB_NONE, "SELECT 1 WHERE false", true }, { DB_ONE, "SELECT 1", true },
		{ DB_ONE, "SELECT 1 WHERE false", false }, { DB_ONE, "VALUES (1), (2)", false },
		{ DB_ONE, "SET SESSION work_mem = '4MB'", false }, { DB_MAYBE, "SELECT 1", true },
		{ DB_MAYBE, "SELECT 1 WHERE false", true }, { DB_MAYBE, "VALUES (1), (2)", false },
		{ DB_MANY, "SELECT 1 WHERE false", true }, { DB_MANY, "VALUES (1), (2)", true },
		{ DB_MANY, "SET SESSION work_mem = '4MB'", false }, { DB_MANY, "SELECT 1; SELECT 2", false },
		{ DB_NONE, "", false }, { DB_NONE, "COPY (SELECT 1) TO STDOUT", false },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		CLEANUP(db_result_freep) struct db_result *res = NULL;
		CLEANUP(free_text) char *name = mem_printf("shape %d of \"%s\"", (int)t[i].shape, t[i].sql);
		int rc = db_text(db, t[i].shape, t[i].sql, 0, NULL, &res, &err);

		check((rc == 0) == t[i].good && (rc == 0) == (res != NULL), name);
	}
	check(db_is_lost(db), "a COPY in the wrong place costs the connection");
	reconnect();
}

static void
test_values(void)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	CLEANUP(free_text) char *big = mem_zero(10000001, 1), *name = NULL, *literal = NULL;
	const char *hostile = "'; DROP TABLE app.t; -- \"\\ \xe2\x80\xae\n";
	int64_t rows = -1;

	(void)memset(big, 'x', 10000000);
	check(db_text(db, DB_ONE, "SELECT $1, $2, $3::bigint, true, length($4)", 4,
		      DB_PARAMS(hostile, NULL, "-9223372036854775808", big), &res, &err) == 0 &&
			strcmp(db_get(res, 0, 0), hostile) == 0 && db_get(res, 0, 1) == NULL &&
			db_get_int(res, 0, 2) == INT64_MIN && db_get_bool(res, 0, 3) && db_get_int(res, 0, 4) == 10000000 &&
			db_column_type(res, 2) == DB_TYPE_INTEGER && db_column_type(res, 3) == DB_TYPE_BOOL,
		"parameters arrive as they are");
	name = db_quote_name(db, "a\"b; --");
	literal = db_quote_literal(db, "it's \\");
	check(strcmp(name, "\"a\"\"b; --\"") == 0 && strcmp(literal, " E'it''s \\\\'") == 0, "names and literals are quoted");
	check(db_quote_name(db, "\xff") == NULL, "malformed text is not quoted");
	check(failed_as(db_text(db, DB_ONE, "SELECT $1::text", 1, DB_PARAMS("\xff"), NULL, &err), ERR_FAILED, "22021"),
		"malformed text is an error");
	check(db_command(db, "UPDATE app.t SET v = v WHERE id <= $1::int", 1, DB_PARAMS("2"), &rows, &err) == 0 && rows == 2,
		"a command counts its rows");
	check(value_is(db, "SELECT count(*) FROM app.t", "3"), "and nothing else happened");
}

static void
test_errors(void)
{
	int rc = db_command(db, "INSERT INTO app.t VALUES ($1::int, $2)", 2, DB_PARAMS("1", "Kirk"), NULL, &err);

	check(failed_as(rc, ERR_FAILED, "23505") && strstr(err.msg, "table app.t, constraint t_pkey") != NULL,
		"a unique violation names table and constraint");
	rc = db_command(db, "INSERT INTO app.t VALUES (9, $1)", 1, DB_PARAMS("Kirk"), NULL, &err);
	check(failed_as(rc, ERR_FAILED, "P0001") && strstr(err.msg, "Kirk") == NULL && err.hint[0] == '\0' &&
			strstr(err.msg, "PL/pgSQL function app.refuse() line") != NULL,
		"a trigger's exception is located, not quoted");
	rc = db_text(db, DB_ONE, "SELECT v::int FROM app.t WHERE id = 1", 0, NULL, NULL, &err);
	check(failed_as(rc, ERR_FAILED, "22P02") && strstr(err.msg, "secret") == NULL, "a bad cast does not quote the value");
	rc = command(db, "DO $$BEGIN RAISE EXCEPTION 'erasure is frozen' USING ERRCODE = 'EX501', HINT = 'thaw'; END$$");
	check(failed_as(rc, ERR_REFUSED, "EX501") && strcmp(err.msg, "erasure is frozen") == 0 && strcmp(err.hint, "thaw") == 0,
		"our own refusals come word for word");
	rc = command(db, "DO $$BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'EX201'; END$$");
	check(failed_as(rc, ERR_FAILED, "EX201"), "our own failures are failures");
	(void)db_take_warnings(db);
	check(command(db, "DO $$BEGIN RAISE WARNING 'x'; RAISE NOTICE 'y'; END$$") == 0 && db_take_warnings(db) == 1 &&
			db_take_warnings(db) == 0,
		"warnings are counted once");
}

static void
test_transactions(void)
{
	check(db_commit(db, &err) == -1 && err.code == ERR_FAILED, "COMMIT needs a transaction");
	check(db_begin(db, &err) == 0 && db_in_transaction(db), "BEGIN");
	check(db_begin(db, &err) == -1, "no transaction in a transaction");
	check(db_command(db, "DELETE FROM app.t", 0, NULL, NULL, &err) == 0, "DELETE");
	db_rollback(db);
	check(!db_in_transaction(db) && value_is(db, "SELECT count(*) FROM app.t", "3"), "ROLLBACK undoes");
	(void)db_begin(db, &err);
	(void)command(db, "DELETE FROM app.t; SELECT 1/0");
	check(failed_as(db_commit(db, &err), ERR_FAILED, "") && strstr(err.msg, "rolled back") != NULL,
		"the COMMIT of a failed transaction is an error");
	check(!db_in_transaction(db), "and ends it");
	(void)db_begin(db, &err);
	check(command(db, "INSERT INTO app.late VALUES (1), (1)") == 0, "a deferred constraint waits");
	check(failed_as(db_commit(db, &err), ERR_FAILED, "23505") && !db_is_lost(db), "and fails at COMMIT");
	db_rollback(db);
}

static void
test_locks(void)
{
	int64_t began = clock_ms();

	(void)db_begin(other, &err);
	(void)command(other, "LOCK TABLE app.t");
	check(failed_as(command(db, "DELETE FROM app.t"), ERR_RETRY, "55P03"), "a lock time-out is worth another try");
	check(clock_ms() - began < 5000, "and comes in time");
	db_rollback(other);
}

static void
test_cancel(void)
{
	int64_t began = clock_ms();
	pid_t child = fork();

	if (child == 0) {
		(void)usleep(300000);
		db_cancel(db);
		_exit(0);
	}
	check(failed_as(command(db, "SELECT pg_sleep(30)"), ERR_FAILED, "57014") && clock_ms() - began < 10000,
		"a statement under way is cancelled");
	(void)waitpid(child, NULL, 0);
	check(value_is(db, "SELECT 1", "1"), "and the connection still works");
}

static void
test_lost(void)
{
	pid_t child = terminate_later(0);

	(void)waitpid(child, NULL, 0);
	check(db_text(db, DB_ONE, "SELECT 1", 0, NULL, NULL, &err) == -1 && err.code == ERR_LOST && db_is_lost(db),
		"a session that was ended is lost");
	check(db_command(db, "DELETE FROM app.t", 0, NULL, NULL, &err) == -1 && err.code == ERR_LOST,
		"a statement that was never sent has not happened");
	check(db_begin(db, &err) == -1 && err.code == ERR_LOST, "BEGIN on a lost connection");
	db_rollback(db);
	reconnect();
	check(value_is(db, "SELECT current_setting('lock_timeout')", "300ms"), "a new connection has the same settings");

	(void)db_begin(db, &err);
	child = terminate_later(300);
	check(command(db, "SELECT pg_sleep(30)") == -1 && err.code == ERR_LOST, "lost inside a transaction: nothing happened");
	(void)waitpid(child, NULL, 0);
	check(db_commit(db, &err) == -1 && err.code == ERR_LOST, "and its COMMIT was never sent");
	reconnect();

	child = terminate_later(300);
	check(command(db, "UPDATE app.t SET v = v FROM (SELECT pg_sleep(30)) s") == -1 && err.code == ERR_UNKNOWN,
		"a statement that is its own COMMIT is unknown");
	(void)waitpid(child, NULL, 0);
	reconnect();

	(void)db_begin(db, &err);
	(void)command(db, "INSERT INTO app.slow VALUES (1)"); /* its deferred trigger sleeps at COMMIT */
	child = terminate_later(300);
	check(db_commit(db, &err) == -1 && err.code == ERR_UNKNOWN && err.hint[0] != '\0', "lost during COMMIT is unknown");
	(void)waitpid(child, NULL, 0);
	reconnect();
}

static void
test_pipeline(void)
{
	enum { MANY = 10000 };
	CLEANUP(free_text) char *bulk = mem_zero(20001, 1);
	int64_t rows = 0, sum = 0;
	bool good = true;

	/* both directions carry far more than any buffer: 200 MB in all */
	(void)memset(bulk, 'x', 20000);
	good = db_begin(db, &err) == 0 && db_pipeline_begin(db, &err) == 0;
	for (int i = 0; good && i < MANY / 2; i++)
		good = db_send(db, "SELECT $1", 1, DB_PARAMS(bulk), &err) == 0 &&
			db_send(db, "UPDATE app.t SET v = v WHERE id = 1", 0, NULL, &err) == 0;
	for (int i = 0; good && i < MANY / 2; i++) {
		CLEANUP(db_result_freep) struct db_result *res = NULL;

		good = db_receive(db, DB_ONE, &res, NULL, &err) == 0 && strlen(db_get_text(res, 0, 0)) == 20000 &&
			db_receive(db, DB_NONE, NULL, &rows, &err) == 0;
		sum += rows;
	}
	check(good && sum == MANY / 2, "a pipeline of 10,000 statements does not block");
	check(db_receive(db, DB_NONE, NULL, NULL, &err) == -1, "no result without a statement");
	check(db_pipeline_end(db, &err) == 0 && db_commit(db, &err) == 0, "it ends in ordinary mode");

	good = db_pipeline_begin(db, &err) == 0 && db_send(db, "SELECT 1", 0, NULL, &err) == 0 &&
		db_send(db, "SELECT 1/0", 0, NULL, &err) == 0 && db_send(db, "SELECT 2", 0, NULL, &err) == 0;
	check(good && db_receive(db, DB_ONE, NULL, NULL, &err) == 0, "before the error all is well");
	check(db_text(db, DB_ONE, "SELECT 1", 0, NULL, NULL, &err) == -1 && err.code == ERR_FAILED, "no other statement meanwhile");
	check(failed_as(db_receive(db, DB_ONE, NULL, NULL, &err), ERR_FAILED, "22012"), "the error comes in its place");
	check(failed_as(db_receive(db, DB_ONE, NULL, NULL, &err), ERR_FAILED, "22012"), "and again for what came after");
	check(failed_as(db_send(db, "SELECT 3", 0, NULL, &err), ERR_FAILED, "22012"), "nothing more is sent");
	check(failed_as(db_pipeline_end(db, &err), ERR_FAILED, "22012"), "and the end repeats it");
	check(value_is(db, "SELECT 1", "1"), "afterwards the connection works");

	good = db_pipeline_begin(db, &err) == 0 && db_send(db, "SELECT 1/0", 0, NULL, &err) == 0;
	check(good && failed_as(db_pipeline_end(db, &err), ERR_FAILED, "22012"), "an error that nobody received is told at the end");
	good = db_begin(db, &err) == 0 && db_pipeline_begin(db, &err) == 0 &&
		db_send(db, "DELETE FROM app.t", 0, NULL, &err) == 0;
	db_rollback(db);
	check(good && !db_in_transaction(db) && value_is(db, "SELECT count(*) FROM app.t", "3"), "ROLLBACK ends a pipeline");
	good = db_pipeline_begin(db, &err) == 0;
	check(good && db_pipeline_end(db, &err) == 0, "an empty pipeline");
	good = db_pipeline_begin(db, &err) == 0 && db_send(db, "SELECT 1", 0, NULL, &err) == 0;
	check(good && db_receive(db, DB_NONE, NULL, NULL, &err) == -1 && db_pipeline_end(db, &err) == -1, "a wrong shape is an error too");
	err_clear(&err);
}

static void
test_pipeline_lost(void)
{
	pid_t child;
	bool good;

	(void)db_begin(db, &err);
	child = terminate_later(300);
	good = db_pipeline_begin(db, &err) == 0 && db_send(db, "SELECT pg_sleep(30)", 0, NULL, &err) == 0 &&
		db_send(db, "SELECT 1", 0, NULL, &err) == 0;
	check(good && db_receive(db, DB_ONE, NULL, NULL, &err) == -1 && err.code == ERR_LOST, "lost in a pipeline");
	check(db_receive(db, DB_ONE, NULL, NULL, &err) == -1 && err.code == ERR_LOST, "for all that follows");
	check(db_pipeline_end(db, &err) == -1 && err.code == ERR_LOST && db_is_lost(db), "and at its end");
	(void)waitpid(child, NULL, 0);
	reconnect();
	child = terminate_later(300);
	good = db_pipeline_begin(db, &err) == 0 && db_send(db, "UPDATE app.t SET v = v FROM (SELECT pg_sleep(30)) s", 0, NULL, &err) == 0;
	check(good && db_receive(db, DB_NONE, NULL, NULL, &err) == -1 && err.code == ERR_UNKNOWN,
		"outside a transaction it is unknown");
	(void)db_pipeline_end(db, NULL);
	(void)waitpid(child, NULL, 0);
	reconnect();
}

static void
test_copy(void)
{
	CLEANUP(str_release) struct str row = STR_INIT;
	int64_t rows = 0;
	bool good;

	db_copy_escape(&row, "a\tb\\c\nd");
	str_add(&row, "\t");
	db_copy_escape(&row, NULL);
	str_add(&row, "\n");
	good = command(db, "CREATE TEMP TABLE copied (a text, b text)") == 0 &&
		db_copy_in_begin(db, "COPY pg_temp.copied FROM STDIN", &err) == 0 &&
		db_copy_in_put(db, row.s, row.len, &err) == 0;
	check(good && db_copy_in_end(db, &rows, &err) == 0 && rows == 1, "COPY takes rows");
	check(value_is(db, "SELECT (a = E'a\\tb\\\\c\\nd' AND b IS NULL)::text FROM pg_temp.copied", "true"), "as they are");
	good = db_copy_in_begin(db, "COPY app.t FROM STDIN", &err) == 0 && db_copy_in_put(db, "1\tKirk\n", 7, &err) == 0;
	check(good && failed_as(db_copy_in_end(db, &rows, &err), ERR_FAILED, "23505") && strstr(err.msg, "Kirk") == NULL,
		"COPY's errors quote no row");
	good = db_begin(db, &err) == 0 && db_copy_in_begin(db, "COPY pg_temp.copied FROM STDIN", &err) == 0;
	db_rollback(db);
	check(good && !db_is_lost(db) && value_is(db, "SELECT count(*) FROM pg_temp.copied", "1"), "an abandoned COPY is undone");
	check(db_copy_in_begin(db, "SELECT 1", &err) == -1 && db_copy_in_begin(db, "COPY (SELECT 1) TO STDOUT", &err) == -1,
		"COPY FROM only");
	reconnect();
}

static int
add_up(void *ctx, const struct db_result *row, struct err *e)
{
	int64_t *sum = ctx;

	*sum += db_get_int(row, 0, 0);
	return *sum > 10000000 ? err_set(e, ERR_FAILED, "enough") : 0;
}

struct copied {
	struct str text;
	int left; /* rows until it has had enough; -1: never */
};

static int
take_copied(void *ctx, const char *row, size_t n, struct err *ret_err)
{
	struct copied *copied = ctx;

	if (copied->left == 0)
		return err_set(ret_err, ERR_FAILED, "that is enough");
	copied->left -= copied->left > 0;
	str_add_n(&copied->text, row, n);
	return 0;
}

static void
test_copy_out(void)
{
	struct copied copied = { STR_INIT, -1 };
	int64_t rows = 0;

	check(db_copy_out(db, "COPY (VALUES ('a\tb\\c\nd', NULL), ('e', '')) TO STDOUT", take_copied, &copied, &rows, &err) == 0 &&
		rows == 2 && strcmp(copied.text.s, "a\\tb\\\\c\\nd\t\\N\ne\t\n") == 0, "COPY gives rows, as text");
	str_clear(&copied.text);
	check(db_copy_out(db, "COPY (SELECT 1 WHERE false) TO STDOUT", take_copied, &copied, &rows, &err) == 0 && rows == 0 &&
		copied.text.len == 0, "or none");
	copied.left = 3;
	check(db_begin(db, &err) == 0 &&
			failed_as(db_copy_out(db, "COPY (SELECT generate_series(1, 100000000)) TO STDOUT", take_copied, &copied, &rows, &err),
			ERR_FAILED, "") && strcmp(err.msg, "that is enough") == 0 && strcmp(copied.text.s, "1\n2\n3\n") == 0,
		"a COPY that nobody wants any more ends");
	db_rollback(db);
	check(!db_is_lost(db) && value_is(db, "SELECT 1", "1"), "and the connection goes on");
	copied.left = -1;
	check(failed_as(db_copy_out(db, "COPY (SELECT 10 / (5 - n) FROM generate_series(1, 9) n) TO STDOUT", take_copied, &copied,
			&rows, &err), ERR_FAILED, "22012"), "an error behind the first rows is told");
	check(failed_as(db_copy_out(db, "COPY (SELECT", take_copied, &copied, &rows, &err), ERR_FAILED, "42601") &&
			db_copy_out(db, "SELECT 1", take_copied, &copied, &rows, &err) == -1 && !db_is_lost(db) &&
		db_copy_out(db, "COPY app.t FROM STDIN", take_copied, &copied, &rows, &err) == -1, "COPY TO only");
	if (db_is_lost(db))
		reconnect();
	(void)terminate_later(300);
	check(db_copy_out(db, "COPY (SELECT n, pg_sleep(0.1) FROM generate_series(1, 100) n) TO STDOUT", take_copied, &copied, &rows,
		&err) == -1 && err.code == ERR_LOST, "rows that stop coming are not all of them");
	(void)wait(NULL);
	reconnect();
	str_release(&copied.text);
}

static void
test_each(void)
{
	int64_t sum = 0;

	check(db_each(db, "SELECT generate_series(1, $1::int)", 1, DB_PARAMS("1000"), add_up, &sum, &err) == 0 && sum == 500500,
		"rows one at a time");
	sum = 0;
	check(db_each(db, "SELECT generate_series(1, 1000000000)", 0, NULL, add_up, &sum, &err) == -1 &&
			strcmp(err.msg, "enough") == 0,
		"reading stops when asked");
	check(value_is(db, "SELECT 1", "1"), "and the connection still works");
	sum = 0;
	check(failed_as(db_each(db, "SELECT 1/(3 - g) FROM generate_series(1, 5) g", 0, NULL, add_up, &sum, &err), ERR_FAILED, "22012"),
		"an error after some rows");
	check(db_each(db, "SET work_mem = '4MB'", 0, NULL, add_up, &sum, &err) == -1, "a command has no rows");
}

static void
test_read_only(const char *name)
{
	CLEANUP(free_text) char *sql = mem_printf("ALTER DATABASE %s SET default_transaction_read_only = on", name);
	CLEANUP(free_text) char *undo = mem_printf("ALTER DATABASE %s RESET default_transaction_read_only", name);

	check(command(other, sql) == 0, "a database that is read-only by default");
	reconnect();
	check(failed_as(command(db, "DELETE FROM app.t WHERE false"), ERR_FAILED, "25006"), "stays so");
	db_closep(&db);
	options.read_write = options.all_rows = true;
	check(db_open(&db, &options, &err) == 0 && command(db, "DELETE FROM app.t WHERE false") == 0, "unless read_write is asked for");
	check(value_is(db, "SELECT current_setting('row_security')", "off"), "row_security off when asked for");
	options.read_write = options.all_rows = false;
	check(command(other, undo) == 0, "reset");
}

int
main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	options.conninfo = argv[1];
	if (db_open(&db, &options, &err) != 0 || db_open(&other, &options, &err) != 0) {
		check(false, "opening");
		return 1;
	}
	test_session();
	test_values();
	test_errors();
	test_transactions();
	test_locks();
	test_cancel();
	test_copy();
	test_copy_out();
	test_each();
	test_pipeline();
	test_pipeline_lost();
	test_lost();
	test_shapes();
	test_read_only(argv[2]);
	db_closep(&db);
	db_closep(&other);
	return failures == 0 ? 0 : 1;
}

/* lib/svc db: what needs no server. The rest is tests/integration/10-db.sh. */
#include <arpa/inet.h>
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "svc/db.h"
#include "svc/db_error.h"

static const struct {
	struct db_report report;
	enum err_code code;
	const char *msg, *hint;
} report_cases[] = {
	/* names and states may be told */
	{ { "ERROR", "42P01", "relation \"app.note\" does not exist", NULL, NULL, NULL, NULL, NULL, NULL }, ERR_FAILED,
		"plan: relation \"app.note\" does not exist", "" },
	{ { "ERROR", "42501", "permission denied for table note", "Grant it.", NULL, NULL, NULL, NULL, NULL }, ERR_FAILED,
		"plan: permission denied for table note", "Grant it." },
	/* what is worth another try */
	{ { "ERROR", "55P03", "canceling statement due to lock timeout", NULL, NULL, NULL, NULL, NULL, NULL }, ERR_RETRY,
		"plan: canceling statement due to lock timeout", "" },
	{ { "ERROR", "40001", "could not serialize access", NULL, NULL, NULL, NULL, NULL, NULL }, ERR_RETRY,
		"plan: could not serialize access", "" },
	{ { "ERROR", "40P01", "deadlock detected", NULL, NULL, NULL, NULL, NULL, NULL }, ERR_RETRY,
		"plan: deadlock detected", "" },
	{ { "ERROR", "57014", "canceling statement due to user request", NULL, NULL, NULL, NULL, NULL, NULL }, ERR_FAILED,
		"plan: canceling statement due to user request", "" },
	/* the connection is gone */
	{ { "FATAL", "57P01", "terminating connection", NULL, NULL, NULL, NULL, NULL, NULL }, ERR_LOST,
		"plan: terminating connection", "" },
	{ { "FATAL", "25P03", "terminating connection due to time-out", NULL, NULL, NULL, NULL, NULL, NULL }, ERR_LOST,
		"plan: terminating connection due to time-out", "" },
	{ { "ERROR", "08006", "connection failure", NULL, NULL, NULL, NULL, NULL, NULL }, ERR_LOST,
		"plan: connection failure", "" },
	/* our own functions speak for themselves */
	{ { "ERROR", "EX501", "erasure is frozen", "expunge freeze off", NULL, NULL, NULL, NULL, NULL }, ERR_REFUSED,
		"erasure is frozen", "expunge freeze off" },
	{ { "ERROR", "EX201", "request 7 is withdrawn", NULL, NULL, NULL, NULL, NULL, NULL }, ERR_FAILED,
		"request 7 is withdrawn", "" },
	/* messages that quote data are replaced */
	{ { "ERROR", "22P02", "invalid input syntax for type integer: \"Kirk\"", "Kirk", NULL, NULL, NULL, NULL, NULL },
		ERR_FAILED, "plan: a value does not have the form of its type", "" },
	{ { "ERROR", "23505", "duplicate key value: Kirk", NULL, "dem", "names", NULL, "names_key", NULL }, ERR_FAILED,
		"plan: unique key violation, table dem.names, constraint names_key", "" },
	{ { "ERROR", "23502", "null value of Kirk", NULL, "dem", "names", "first", NULL, NULL }, ERR_FAILED,
		"plan: a column must not be null, table dem.names, column first", "" },
	{ { "ERROR", "P0001", "Kirk may not go", "Ask Kirk", NULL, NULL, NULL, NULL,
		  "PL/pgSQL function dem.f(integer) line 3 at RAISE\nSQL statement \"Kirk\"" }, ERR_FAILED,
		"plan: an exception was raised in the database, in PL/pgSQL function dem.f(integer) line 3 at RAISE", "" },
	{ { "ERROR", "P0001", "Kirk may not go", NULL, NULL, NULL, NULL, NULL, "SQL statement \"Kirk\"" }, ERR_FAILED,
		"plan: an exception was raised in the database", "" },
	{ { "ERROR", "UX042", "Kirk", "Kirk", NULL, NULL, NULL, NULL, NULL }, ERR_FAILED,
		"plan: the database reports an error", "" },
	{ { "ERROR", "42601", "syntax error at or near \"Kirk\"", NULL, NULL, NULL, NULL, NULL,
		  "PL/pgSQL function f() line 1 at EXECUTE" }, ERR_FAILED,
		"plan: the database reports an error, in PL/pgSQL function f() line 1 at EXECUTE", "" },
	/* names are left out where an application may have made them up */
	{ { "ERROR", "23505", "Kirk", NULL, "Kirk", "Kirk", "Kirk", "Kirk", "PL/pgSQL function app.f() line 3 at RAISE" }, ERR_FAILED,
		"plan: unique key violation, in PL/pgSQL function app.f() line 3 at RAISE", "" },
	{ { "ERROR", "23505", "Kirk", NULL, "dem", "names", NULL, "names_key",
		  "SQL statement \"Kirk\"\nPL/pgSQL function app.f() line 3 at SQL statement" }, ERR_FAILED,
		"plan: unique key violation, table dem.names, constraint names_key", "" },
	/* nor are its codes ours, or its connections */
	{ { "ERROR", "EX501", "Kirk", "Kirk", NULL, NULL, NULL, NULL, "PL/pgSQL function app.f() line 3 at RAISE" }, ERR_FAILED,
		"the database reports an error, in PL/pgSQL function app.f() line 3 at RAISE", "" },
	{ { "ERROR", "EX501", "Kirk", "Kirk", NULL, "Kirk", NULL, "Kirk", "PL/pgSQL-Funktion app.f() Zeile 3 bei RAISE" }, ERR_FAILED,
		"the database reports an error", "" },
	{ { "FEHLER", "EX503", "request is under hold", "release it", NULL, NULL, NULL, NULL,
		  "PL/pgSQL-Funktion expunge.check_approval(expunge.request,text) Zeile 9 bei RAISE" }, ERR_REFUSED,
		"request is under hold", "release it" },
	{ { "ERROR", "08001", "Kirk", NULL, NULL, NULL, NULL, NULL, "SQL statement \"Kirk\"\nPL/pgSQL function app.f() line 3 at PERFORM" },
		ERR_FAILED, "plan: the database reports an error", "" },
	{ { "FATAL", "57P01", "Kirk", NULL, NULL, NULL, NULL, NULL, "PL/pgSQL function app.f() line 3 at PERFORM" }, ERR_LOST,
		"plan: the database reports an error, in PL/pgSQL function app.f() line 3 at PERFORM", "" },
	/* a server that says too little */
	{ { NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL }, ERR_FAILED, "plan: no message", "" },
};

START_TEST(reports_become_errors_without_values)
{
	struct err err = { 0 };

	ck_assert_int_eq(db_error_set(&err, "plan", &report_cases[_i].report), -1);
	ck_assert_int_eq(err.code, report_cases[_i].code);
	ck_assert_str_eq(err.msg, report_cases[_i].msg);
	ck_assert_str_eq(err.hint, report_cases[_i].hint);
	ck_assert_uint_eq(strlen(err.sqlstate), 5);
	ck_assert_int_eq(db_error_set(NULL, "plan", &report_cases[_i].report), -1);
}
END_TEST

START_TEST(malformed_conninfo_is_not_quoted)
{
	static const char *const bad[] = { "host=x password='s3cret", "s3cret", "postgresql://u:s3cret@[::1", "nosuch=s3cret" };
	struct db_options options = { .conninfo = bad[_i], .name = "test", .connect_timeout_s = 2 };
	struct db *db = NULL;
	struct err err = { 0 };

	ck_assert_int_eq(db_open(&db, &options, &err), -1);
	ck_assert_int_eq(err.code, ERR_USAGE);
	ck_assert_ptr_null(strstr(err.msg, "s3cret"));
	ck_assert_ptr_null(strstr(err.hint, "s3cret"));
	ck_assert_ptr_null(db);
}
END_TEST

static const struct {
	const char *conninfo, *host, *mode; /* the latter two from the environment */
	bool tls;
} tls_cases[] = {
	{ "host=127.0.0.1", NULL, NULL, true },
	{ "host=localhost hostaddr=127.0.0.1", NULL, NULL, true },
	{ "hostaddr=127.0.0.1 host=/tmp", NULL, NULL, true },
	{ "host=/nonexistent,127.0.0.1", NULL, NULL, true },
	{ "postgresql://127.0.0.1/x", NULL, NULL, true },
	{ "dbname=x", "127.0.0.1", NULL, true },
	{ "service=remote", NULL, NULL, true },
	{ "host=127.0.0.1 sslmode=require", NULL, NULL, true },
	{ "host=127.0.0.1 sslmode=disable", NULL, NULL, false },
	{ "host=127.0.0.1 sslmode=prefer", NULL, NULL, false },
	{ "host=127.0.0.1", NULL, "disable", false },
	{ "service=plain", NULL, NULL, false },
};

/* A listener that has no TLS and says so; the caller ends the child. Its port goes to PGPORT. */
static pid_t
start_listener(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	char port[8], bytes[8];
	pid_t child;

	ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(listener, 5), 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &size), 0);
	(void)snprintf(port, sizeof(port), "%d", ntohs(address.sin_port));
	(void)setenv("PGPORT", port, 1);
	child = fork();
	while (child == 0) {
		int fd = accept(listener, NULL, NULL);

		if (read(fd, bytes, sizeof(bytes)) == 8 && write(fd, "N", 1) == 1)
			(void)shutdown(fd, SHUT_WR);
		(void)close(fd);
	}
	(void)close(listener);
	return child;
}

START_TEST(tls_is_demanded_of_every_remote_host)
{
	static const char services[] = "[remote]\nhost=127.0.0.1\n[plain]\nhost=127.0.0.1\nsslmode=disable\n";
	struct db_options options = { .conninfo = tls_cases[_i].conninfo, .name = "test", .connect_timeout_s = 5 };
	char path[] = "/tmp/expunge-service.XXXXXX";
	int fd = mkstemp(path);
	struct db *db = NULL;
	struct err err = { 0 };
	pid_t child = start_listener();

	ck_assert_int_eq(write(fd, services, sizeof(services) - 1), (ssize_t)sizeof(services) - 1);
	(void)close(fd);
	(void)setenv("PGSERVICEFILE", path, 1);
	(void)unsetenv("PGHOST");
	(void)unsetenv("PGHOSTADDR");
	(void)unsetenv("PGSERVICE");
	(void)unsetenv("PGSSLMODE");
	if (tls_cases[_i].host != NULL)
		(void)setenv("PGHOST", tls_cases[_i].host, 1);
	if (tls_cases[_i].mode != NULL)
		(void)setenv("PGSSLMODE", tls_cases[_i].mode, 1);
	ck_assert_int_eq(db_open(&db, &options, &err), -1);
	(void)kill(child, SIGKILL);
	(void)waitpid(child, NULL, 0);
	(void)unlink(path);
	ck_assert_int_eq(err.code, ERR_LOST);
	ck_assert_msg((strstr(err.msg, "SSL was required") != NULL) == tls_cases[_i].tls, "%s", err.msg);
}
END_TEST

START_TEST(copy_text_is_escaped)
{
	CLEANUP(str_release) struct str row = STR_INIT;

	db_copy_escape(&row, "a\\b\tc\nd\re");
	str_add(&row, "\t");
	db_copy_escape(&row, NULL);
	str_add(&row, "\t");
	db_copy_escape(&row, "");
	ck_assert_str_eq(str_cstr(&row), "a\\\\b\\tc\\nd\\re\t\\N\t");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("db");
	TCase *c = tcase_create("db");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(c, reports_become_errors_without_values, 0, (int)(sizeof(report_cases) / sizeof(report_cases[0])));
	tcase_add_loop_test(c, malformed_conninfo_is_not_quoted, 0, 4);
	tcase_add_test(c, copy_text_is_escaped);
	tcase_add_loop_test(c, tls_is_demanded_of_every_remote_host, 0, (int)(sizeof(tls_cases) / sizeof(tls_cases[0])));
	suite_add_tcase(suite, c);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}

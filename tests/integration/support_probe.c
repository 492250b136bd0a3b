/*
 * support_probe: the verdict table of support mode (tests/vectors/support.verdicts) against the functions of a real server,
 * each row in a transaction of its own that is rolled back. The functions that are told the moment are nobody's to call but
 * the schema's owner: the probe is a superuser.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/str.h"
#include "svc/db.h"
#include "svc/listing.h"

#define WORDS 8

static struct db *db;
static char *rows[400];
static int n_rows;

/* What a row has come to. */
struct story {
	char tenant[16], request[37], consent[37], session[37], moment[64];
	char *words[WORDS];
	int n;
};

static const char *
word(const struct story *s, int i)
{
	return i < s->n && strcmp(s->words[i], "-") != 0 && strchr(s->words[i], '=') == NULL && strcmp(s->words[i], "answer") != 0
		? s->words[i] : NULL;
}

static const char *
named(const struct story *s, const char *name)
{
	size_t len = strlen(name);

	for (int i = 0; i < s->n; i++)
		if (strncmp(s->words[i], name, len) == 0 && s->words[i][len] == '=')
			return s->words[i] + len + 1;
	return NULL;
}

static void
full_time(const char *text, char ret[64])
{
	(void)snprintf(ret, 64, "%s%s", strchr(text, 'T') != NULL || text[0] == 'i' ? "" : "2026-06-03T", text);
}

static int
ask(const char *sql, int n, const char *const *params, char ret[37], struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (db_text(db, DB_ONE, sql, n, params, &res, err) != 0)
		return -1;
	if (ret != NULL)
		(void)snprintf(ret, 37, "%s", db_get_text(res, 0, 0));
	return 0;
}

/* function(moment, event of these values, subject); ret: the id that it answers */
static int
call(const struct story *s, const char *function, const char *kind, const char *staff, const char *ticket, const char *scope,
	const char *of, const char *until, const char *reason, char ret[37], struct err *err)
{
	CLEANUP(free_text) char *sql = mem_printf("SELECT expunge.%s($1::timestamptz, jsonb_populate_record(NULL::expunge.support_event,"
		" jsonb_build_object('kind', $2::text, 'tenant', $3::text, 'staff', $4::text, 'ticket', $5::text, 'scope', $6::text,"
		" 'of', $7::text, 'until', $8::text, 'reason', $9::text, 'key', $10::text)), $11::text)", function);

	return ask(sql, 11, DB_PARAMS(s->moment, kind, s->tenant, staff, ticket, scope, of, until, reason, named(s, "key"),
		named(s, "subject")), ret, err);
}

static int
step(struct story *s, struct err *err)
{
	const char *verb = s->words[1], *who = word(s, 2);
	bool answers = strcmp(s->words[s->n - 1], "answer") == 0;
	char until[64];

	full_time(s->words[0], s->moment);
	if (strcmp(verb, "at") == 0)
		return (void)snprintf(s->tenant, sizeof(s->tenant), "%s", who), 0;
	if (strcmp(verb, "ask") == 0)
		return call(s, "support_ask", "consent-requested", who, word(s, 3), word(s, 4), NULL, NULL, "why", s->request, err);
	if (strcmp(verb, "override") == 0)
		return call(s, "support_ask", "override-requested", who, word(s, 3), word(s, 4), NULL, NULL, "why", s->request, err);
	if (strcmp(verb, "open") == 0)
		return call(s, "support_open", "session-opened", who, word(s, 3), word(s, 4), NULL, NULL, "why", s->session, err);
	if (strcmp(verb, "grant") == 0) {
		if (word(s, 4) != NULL)
			full_time(word(s, 4), until);
		return call(s, "support_grant", "consent-granted", word(s, 5), word(s, 2), word(s, 3), answers ? s->request : NULL,
			word(s, 4) == NULL ? NULL : until, NULL, s->consent, err);
	}
	if (strcmp(verb, "confirm") == 0) {
		(void)snprintf(s->consent, sizeof(s->consent), "%s", s->request);
		return ask("SELECT expunge.support_confirm($1, $2, $3)", 3, DB_PARAMS(s->moment, s->request, who), NULL, err);
	}
	if (strcmp(verb, "act") == 0)
		return ask("SELECT expunge.own_session($1, $2, $3)", 3, DB_PARAMS(s->moment, s->session, who), NULL, err);
	if (strcmp(verb, "revoke") == 0)
		return ask("SELECT expunge.support_revoke($1, $2)", 2, DB_PARAMS(s->moment, s->consent), NULL, err);
	if (strcmp(verb, "night") == 0)
		return ask("SELECT count(*) FROM expunge.support_tidy($1)", 1, DB_PARAMS(s->moment), NULL, err);
	if (strcmp(verb, "close") == 0)
		return db_command(db, "INSERT INTO expunge.support_event (at, kind, id, tenant) VALUES ($1, 'session-closed', $2, $3)", 3,
			DB_PARAMS(s->moment, s->session, s->tenant), NULL, err);
	return err_set(err, ERR_FAILED, "no verb %s", verb);
}

static void
split(struct story *s, char *text)
{
	char *rest = NULL;

	s->n = 0;
	for (char *w = strtok_r(text, " ", &rest); w != NULL && s->n < WORDS; w = strtok_r(NULL, " ", &rest))
		s->words[s->n++] = w;
}

START_TEST(row)
{
	struct story s = { .tenant = "1" };
	struct err err = { .code = ERR_NONE };
	CLEANUP(free_text) char *text = mem_copy(rows[_i]);
	char *rest = NULL;

	ck_assert_int_eq(db_begin(db, &err), 0);
	for (char *one = strtok_r(text + strlen("00000 | "), ";", &rest); one != NULL; one = strtok_r(NULL, ";", &rest)) {
		ck_assert_msg(err.code == ERR_NONE, "%s: an earlier step: %s %s", rows[_i], err.sqlstate, err.msg);
		split(&s, one);
		ck_assert_msg(s.n >= 2, "%s: no step", rows[_i]);
		(void)step(&s, &err);
	}
	db_rollback(db);
	ck_assert_msg(err.code == ERR_NONE || err.sqlstate[0] != '\0', "%s: %s", rows[_i], err.msg);
	ck_assert_msg(strncmp(rows[_i], err.code == ERR_NONE ? "00000" : err.sqlstate, 5) == 0, "%s: got %s %s", rows[_i],
		err.code == ERR_NONE ? "00000" : err.sqlstate, err.msg);
	/* a refusal says what to do */
	ck_assert_msg(err.code == ERR_NONE || err.hint[0] != '\0', "%s: no hint", rows[_i]);
}
END_TEST

static int
read_rows(const char *path)
{
	char line[1000];
	FILE *file = fopen(path, "re");

	if (file == NULL)
		return -1;
	while (n_rows < 400 && fgets(line, sizeof(line), file) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] != '#' && line[0] != '\0')
			rows[n_rows++] = mem_copy(line);
	}
	return fclose(file);
}

int
main(int argc, char **argv)
{
	struct db_options options = { .name = "expunge probe", .connect_timeout_s = 10, .conninfo = argv[1] };
	struct err err = { .code = ERR_NONE };
	TCase *tcase = tcase_create("verdicts");
	Suite *suite = suite_create("support");
	SRunner *runner;
	int failed;

	if (argc != 3 || read_rows(argv[2]) != 0 || db_open(&db, &options, &err) != 0) {
		(void)fprintf(stderr, "support_probe CONNINFO TABLE: %s\n", err.msg);
		return 2;
	}
	tcase_add_loop_test(tcase, row, 0, n_rows);
	tcase_set_timeout(tcase, 0);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_set_fork_status(runner, CK_NOFORK);
	srunner_run_all(runner, CK_NORMAL);
	printf("%d rows\n", srunner_ntests_run(runner));
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	db_close(db);
	for (int i = 0; i < n_rows; i++)
		free(rows[i]);
	return failed == 0 && n_rows > 0 ? 0 : 1;
}

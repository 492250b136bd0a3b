/*
 * What a server reports: SQLSTATE, severity, schema, table, column, constraint, hint, message, context, a
 * line each, "-" for none; the rest is context. Text that may quote a row must not reach the message.
 */
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "fuzz.h"
#include "svc/db_error.h"

#define MARK "(what a row holds)"

static const char *
field(char **rest)
{
	const char *text = *rest == NULL ? "-" : fuzz_piece(rest, '\n');

	return strcmp(text, "-") == 0 ? NULL : text;
}

/* Classes whose message may quote a row. */
static bool
may_quote(const char *sqlstate)
{
	static const char *const classes[] = { "21", "22", "23", "27", "44", "P0" };

	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		if (strncmp(sqlstate, classes[i], 2) == 0)
			return true;
	return false;
}

static void
judge(const struct err *err, const struct db_report *r)
{
	REQUIRE(err->code != ERR_NONE && err->code != ERR_USAGE && err->code != ERR_LOCKED && err->code != ERR_UNKNOWN);
	REQUIRE(strlen(err->sqlstate) == 5);
	if (may_quote(err->sqlstate))
		REQUIRE(strstr(err->msg, MARK) == NULL && strstr(err->hint, MARK) == NULL);
	/* an application's own function speaks */
	if (r->context != NULL && strncmp(r->context, "PL/pgSQL function app.", 22) == 0)
		REQUIRE(strstr(err->msg, MARK) == NULL && strstr(err->hint, MARK) == NULL);
}

int
fuzz_error(const uint8_t *data, size_t n)
{
	CLEANUP(free_text) char *text = fuzz_text(data, n);
	CLEANUP(free_text) char *primary = NULL;
	CLEANUP(free_text) char *hint = NULL;
	char *rest = text;
	struct db_report r = { 0 };
	struct err err = { 0 };

	r.sqlstate = field(&rest);
	r.severity = field(&rest);
	r.schema = field(&rest);
	r.table = field(&rest);
	r.column = field(&rest);
	r.constraint = field(&rest);
	hint = mem_printf("%s " MARK, rest == NULL ? "" : fuzz_piece(&rest, '\n'));
	primary = mem_printf(MARK " %s", rest == NULL ? "" : fuzz_piece(&rest, '\n'));
	r.context = rest;
	r.hint = hint;
	r.primary = primary;
	/* names are the server's and may be shown; a row's text in them would be this target's doing */
	for (char *c = text; c < text + n; c++)
		if (*c == '(')
			*c = '<';
	REQUIRE(db_error_set(&err, "a statement", &r) == -1);
	judge(&err, &r);
	r.primary = r.hint = NULL;
	REQUIRE(db_error_set(&err, "a statement", &r) == -1 && db_error_set(NULL, "a statement", &r) == -1);
	return 0;
}

#include "svc/db_error.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/str.h"

static bool
starts(const char *text, const char *prefix)
{
	return text != NULL && strncmp(text, prefix, strlen(prefix)) == 0;
}

/* One line of CONTEXT. Its words come in the server's language (lc_messages), but for the name of a procedural
 * language: "PL/pgSQL function app.f() line 3 at RAISE", "PL/pgSQL-Funktion app.f() Zeile 3 bei RAISE". */
static bool
is_foreign_frame(const char *line)
{
	static const char *const ours[] = { " function expunge.", " function expunge_api.", " function inline_code_block " };
	const char *function = strstr(line, " function ");

	if (function == NULL)
		return strstr(line, "PL/") != NULL && strstr(line, " expunge.") == NULL && strstr(line, " expunge_api.") == NULL &&
			strstr(line, " inline_code_block ") == NULL;
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (starts(function, ours[i]))
			return false;
	return true;
}

/* True when a frame of CONTEXT is a function of neither of our schemas, nor a block of our own scripts. */
static bool
names_foreign_function(const char *context)
{
	for (const char *line = context; line != NULL && *line != '\0';) {
		size_t n = strcspn(line, "\n");
		CLEANUP(free_text) char *frame = mem_copy_n(line, n);

		if (is_foreign_frame(frame))
			return true;
		line += n + (line[n] == '\n' ? 1 : 0);
	}
	return false;
}

/* An application's function may say that a connection of its own is lost, or use a code of ours: that is neither our
 * connection nor our safeguard. */
static enum err_code
code_of(const struct db_report *r)
{
	static const char *const retry[] = { "40001", "40P01", "55P03" };
	static const char *const lost[] = { "08", "57P01", "57P02", "57P03", "57P04", "57P05" };
	bool foreign = names_foreign_function(r->context);

	for (size_t i = 0; i < sizeof(lost) / sizeof(lost[0]) && !foreign; i++)
		if (starts(r->sqlstate, lost[i]))
			return ERR_LOST;
	if (starts(r->severity, "FATAL") || starts(r->severity, "PANIC"))
		return ERR_LOST;
	for (size_t i = 0; i < sizeof(retry) / sizeof(retry[0]); i++)
		if (strcmp(r->sqlstate, retry[i]) == 0)
			return ERR_RETRY;
	return starts(r->sqlstate, "EX5") && !foreign ? ERR_REFUSED : ERR_FAILED;
}

/* A list of what may be copied, not of what may not: applications raise any code of their own. */
static bool
may_copy(const char *sqlstate, const char *context)
{
	static const char *const safe[] = { "EX", "08", "0A", "25", "26", "28", "2B", "2D", "34", "3D", "3F", "40", "42",
		"53", "54", "55", "57", "58", "XX" };

	/* the words of an application's function are its own, whatever code it raises them under */
	if (context != NULL && names_foreign_function(context))
		return false;
	for (size_t i = 0; i < sizeof(safe) / sizeof(safe[0]); i++)
		if (starts(sqlstate, safe[i]))
			return true;
	return false;
}

static const char *
condition_of(const char *sqlstate)
{
	static const struct {
		const char *prefix, *text;
	} conditions[] = {
		{ "21", "wrong number of rows" },
		{ "22001", "a value is too long" },
		{ "22003", "a number is out of range" },
		{ "22007", "a value is not a date or time" },
		{ "22008", "a date or time is out of range" },
		{ "22012", "division by zero" },
		{ "22021", "a value is not valid in the database's encoding" },
		{ "22P02", "a value does not have the form of its type" },
		{ "22P04", "malformed COPY data" },
		{ "22", "bad data" },
		{ "23502", "a column must not be null" },
		{ "23503", "foreign key violation" },
		{ "23505", "unique key violation" },
		{ "23514", "check constraint violation" },
		{ "23P01", "exclusion constraint violation" },
		{ "23", "integrity constraint violation" },
		{ "27", "conflict with a change made by a trigger" },
		{ "44", "violation of a view's check option" },
		{ "P0", "an exception was raised in the database" },
	};

	for (size_t i = 0; i < sizeof(conditions) / sizeof(conditions[0]); i++)
		if (starts(sqlstate, conditions[i].prefix))
			return conditions[i].text;
	return "the database reports an error";
}

/* RAISE sets the names of table, column and constraint to whatever it likes: only what the server itself found wrong
 * with a statement has names that are names. */
static bool
has_true_names(const struct db_report *r)
{
	return !names_foreign_function(r->context) || starts(r->context, "SQL statement ") ||
		starts(r->context, "SQL function ");
}

/* "PL/pgSQL function f(integer) line 3 at RAISE": the innermost frame names code, never values;
 * other lines of CONTEXT may quote statements and rows. */
static int
frame_length(const char *context)
{
	return starts(context, "PL/pgSQL function ") ? (int)strcspn(context, "\n") : 0;
}

static void
describe(struct str *text, const struct db_report *r)
{
	int frame = frame_length(r->context);
	bool names = has_true_names(r);

	str_addf(text, "%s", condition_of(r->sqlstate));
	if (names && r->table != NULL)
		str_addf(text, ", table %s%s%s", r->schema == NULL ? "" : r->schema, r->schema == NULL ? "" : ".", r->table);
	if (names && r->column != NULL)
		str_addf(text, ", column %s", r->column);
	if (names && r->constraint != NULL)
		str_addf(text, ", constraint %s", r->constraint);
	if (frame > 0)
		str_addf(text, ", in %.*s", frame, r->context);
}

int
db_error_set(struct err *err, const char *what, const struct db_report *r)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	struct db_report known = *r;

	if (err == NULL)
		return -1;
	if (known.sqlstate == NULL || strlen(known.sqlstate) != 5)
		known.sqlstate = "XX000";
	if (may_copy(known.sqlstate, known.context))
		str_add(&text, known.primary == NULL ? "no message" : known.primary);
	else
		describe(&text, &known);
	/* what our own functions raise is written for the reader: no statement in front of it */
	if (starts(known.sqlstate, "EX"))
		err_set(err, code_of(&known), "%s", str_cstr(&text));
	else
		err_set(err, code_of(&known), "%s: %s", what, str_cstr(&text));
	(void)snprintf(err->sqlstate, sizeof(err->sqlstate), "%s", known.sqlstate);
	if (known.hint != NULL && may_copy(known.sqlstate, known.context))
		err_hint(err, "%s", known.hint);
	return -1;
}

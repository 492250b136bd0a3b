/* Rows of the database: typed getters, and the listings for people, JSON and CSV. Tabs part cells. */
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/parse.h"
#include "base/str.h"
#include "fuzz.h"
#include "map/plan.h"
#include "svc/listing.h"

#define COLUMNS 5
#define ROWS_MAX 50

static struct db_result *
read_rows(char *text)
{
	static const char *const names[COLUMNS] = { "id", "n_rows", "amount", "done", "note" };
	static const enum db_type types[COLUMNS] = { DB_TYPE_INTEGER, DB_TYPE_TEXT, DB_TYPE_NUMERIC, DB_TYPE_BOOL,
		DB_TYPE_TEXT };
	struct db_result *res = db_result_make(COLUMNS, names, types);

	for (char *rest = text; rest != NULL && db_rows(res) < ROWS_MAX;) {
		char *line = fuzz_piece(&rest, '\n');
		const char *cells[COLUMNS];

		for (int i = 0; i < COLUMNS; i++) {
			cells[i] = line == NULL ? NULL : fuzz_piece(&line, '\t');
			if (cells[i] != NULL && strcmp(cells[i], "\\N") == 0)
				cells[i] = NULL;
		}
		db_result_add(res, cells);
	}
	return res;
}

static void
getters(const struct db_result *res)
{
	for (int row = -1; row <= db_rows(res); row++)
		for (int column = -1; column <= db_columns(res); column++) {
			const char *text = db_get(res, row, column);
			int64_t v = 0;

			REQUIRE(strcmp(db_get_text(res, row, column), text == NULL ? "" : text) == 0);
			REQUIRE(db_get_bool(res, row, column) == (text != NULL && strcmp(text, "t") == 0));
			(void)parse_int64(text == NULL ? "" : text, INT64_MIN, INT64_MAX, &v);
			REQUIRE(db_get_int(res, row, column) == v);
		}
}

/* One field at *p as RFC 4180 has it; *p moves behind its comma or line end. */
static void
read_field(const char **p, struct str *field)
{
	bool quoted = **p == '"';

	str_clear(field);
	for (*p += quoted; **p != '\0'; (*p)++) {
		if (quoted && **p == '"' && *++*p != '"')
			break;
		if (!quoted && (**p == ',' || **p == '\r'))
			break;
		str_add_n(field, *p, 1);
	}
	REQUIRE(**p == ',' || ((*p)[0] == '\r' && (*p)[1] == '\n'));
	*p += **p == ',' ? 1 : 2;
}

static void
csv(const struct db_result *res)
{
	CLEANUP(free_text) char *bytes = NULL;
	CLEANUP(str_release) struct str field = STR_INIT;
	size_t size = 0;
	FILE *out = open_memstream(&bytes, &size);
	const char *p;

	REQUIRE(out != NULL && listing_print_csv(out, res, NULL) == 0);
	(void)fclose(out);
	p = bytes;
	for (int row = -1; row < db_rows(res); row++)
		for (int column = 0; column < db_columns(res); column++) {
			read_field(&p, &field);
			REQUIRE(strcmp(str_cstr(&field), row < 0 ? db_column_name(res, column) : db_get_text(res, row, column)) == 0);
		}
	REQUIRE(*p == '\0');
}

/* Nothing that a terminal would obey, whatever the rows hold. */
static void
listing(const struct db_result *res, bool json, bool one)
{
	CLEANUP(free_text) char *bytes = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&bytes, &size);
	int rc;

	REQUIRE(out != NULL);
	rc = one ? listing_print_one(out, res, json, NULL) : listing_print(out, res, json, NULL);
	(void)fclose(out);
	REQUIRE(rc == 0 || (one && db_rows(res) != 1));
	for (char *rest = bytes; rest != NULL;) {
		const char *line = fuzz_piece(&rest, '\n');

		REQUIRE(line[0] == '\0' || parse_is_plain_text(line, size));
		for (const char *c = line; json && *c != '\0'; c++)
			REQUIRE((unsigned char)*c < 0x80);
	}
}

/* What is taken out of a stored plan is the same when it is taken out again. */
static void
plan(const char *text)
{
	CLEANUP(str_release) struct str rows = STR_INIT;
	CLEANUP(str_release) struct str again = STR_INIT;

	plan_rows_of_document(text, &rows);
	plan_rows_of_document(str_cstr(&rows), &again);
	REQUIRE(rows.len == again.len && strcmp(str_cstr(&rows), str_cstr(&again)) == 0);
}

int
fuzz_result(const uint8_t *data, size_t n)
{
	CLEANUP(free_text) char *text = fuzz_text(data, n);
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	plan(text);
	res = read_rows(text);
	getters(res);
	csv(res);
	listing(res, false, false);
	listing(res, true, false);
	listing(res, false, true);
	listing(res, true, true);
	return 0;
}

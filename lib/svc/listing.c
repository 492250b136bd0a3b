#include "svc/listing.h"

#include <errno.h>
#include <jansson.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/parse.h"
#include "base/str.h"

/* A pipe that closed or a disk that is full is the listing's failure, not a half table and exit 0. */
static int
flush(FILE *out, struct err *err)
{
	if (fflush(out) != 0 || ferror(out))
		return err_sys(err, "writing the listing");
	return 0;
}

/* ---- JSON ---------------------------------------------------------------------------------- */

struct json {
	json_t *value;
};

static struct json *
new_json(json_t *value)
{
	struct json *json = mem_zero(1, sizeof(*json));

	json->value = value;
	return json;
}

static json_t *
text_value(const char *text)
{
	CLEANUP(str_release) struct str shown = STR_INIT;
	json_t *value = text == NULL ? json_null() : json_string(text);

	if (value != NULL)
		return value;
	str_add_visible(&shown, text); /* malformed UTF-8, of a database without an encoding */
	return json_string(str_cstr(&shown));
}

static json_t *
number_value(const char *text)
{
	int64_t whole;
	double real;
	char *end;

	if (parse_int64(text, INT64_MIN, INT64_MAX, &whole) == 0)
		return json_integer(whole);
	errno = 0;
	real = strtod(text, &end);
	if (text[0] == '\0' || *end != '\0' || errno != 0 || !isfinite(real))
		return text_value(text);
	return json_real(real);
}

static bool
is_count(const char *name)
{
	size_t n = strlen(name);

	return strncmp(name, "n_", 2) == 0 || (n > 6 && strcmp(name + n - 6, "_count") == 0);
}

static json_t *
cell_value(const struct db_result *res, int row, int column)
{
	const char *text = db_get(res, row, column);
	enum db_type type = db_column_type(res, column);

	if (text == NULL)
		return json_null();
	if (type == DB_TYPE_BOOL)
		return json_boolean(db_get_bool(res, row, column));
	if (type != DB_TYPE_TEXT || is_count(db_column_name(res, column)))
		return number_value(text);
	return text_value(text);
}

static json_t *
row_value(const struct db_result *res, int row)
{
	json_t *object = json_object();

	for (int c = 0; c < db_columns(res); c++)
		(void)json_object_set_new(object, db_column_name(res, c), cell_value(res, row, c));
	return object;
}

struct json *
json_new_object(void)
{
	return new_json(json_object());
}

struct json *
json_new_array(void)
{
	return new_json(json_array());
}

void
json_set_text(struct json *object, const char *name, const char *text)
{
	(void)json_object_set_new(object->value, name, text_value(text));
}

void
json_set_int(struct json *object, const char *name, long long value)
{
	(void)json_object_set_new(object->value, name, json_integer(value));
}

void
json_set_bool(struct json *object, const char *name, bool value)
{
	(void)json_object_set_new(object->value, name, json_boolean(value));
}

void
json_set(struct json *object, const char *name, struct json *member)
{
	(void)json_object_set_new(object->value, name, member->value);
	free(member);
}

void
json_push(struct json *array, struct json *member)
{
	(void)json_array_append_new(array->value, member->value);
	free(member);
}

void
json_push_text(struct json *array, const char *text)
{
	(void)json_array_append_new(array->value, text_value(text));
}

void
json_free(struct json *json)
{
	if (json == NULL)
		return;
	json_decref(json->value);
	free(json);
}

/* DEL is the one control character that jansson leaves as it is; it can only be inside a string. */
static int
put_json(const char *bytes, size_t n, void *ctx)
{
	FILE *out = ctx;

	while (n > 0) {
		const char *del = memchr(bytes, 0x7f, n);
		size_t plain = del == NULL ? n : (size_t)(del - bytes);

		if (fwrite(bytes, 1, plain, out) != plain || (del != NULL && fputs("\\u007f", out) == EOF))
			return -1;
		bytes += plain + (del != NULL);
		n -= plain + (del != NULL);
	}
	return 0;
}

/* Printable ASCII only, so that no terminal is told to reverse or overwrite what it shows. */
int
json_print(FILE *out, struct json *json, struct err *err)
{
	int failed = json_dump_callback(json->value, put_json, out, JSON_INDENT(2) | JSON_ENSURE_ASCII) != 0 ||
		fputc('\n', out) == EOF;

	json_free(json);
	return failed ? err_sys(err, "writing the listing") : flush(out, err);
}

/* ---- text ---------------------------------------------------------------------------------- */

/* wcwidth knows nothing in the C locale that cron gives, so C.UTF-8 is asked. */
static int
wide_width_of(const char *text, size_t n)
{
	locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	locale_t before = utf8 == (locale_t)0 ? (locale_t)0 : uselocale(utf8);
	int width = 0;

	for (size_t i = 0; i < n;) {
		uint32_t v = 0;
		size_t len = parse_utf8_next(text + i, n - i, &v);
		int w = len == 0 ? 1 : wcwidth((wchar_t)v);

		width += w < 0 ? 1 : w;
		i += len == 0 ? 1 : len;
	}
	if (utf8 != (locale_t)0) {
		(void)uselocale(before);
		freelocale(utf8);
	}
	return width;
}

/* columns that a terminal needs for visible text */
static int
width_of(const char *text)
{
	size_t n = strlen(text), ascii = 0;

	while (ascii < n && (unsigned char)text[ascii] < 0x80)
		ascii++;
	return ascii == n ? (int)n : wide_width_of(text, n);
}

/* the cell as people see it; the caller frees */
static char *
cell_text(const struct db_result *res, int row, int column)
{
	struct str text = STR_INIT;
	const char *value = db_get(res, row, column);

	if (value == NULL)
		str_add(&text, "-");
	else if (db_column_type(res, column) == DB_TYPE_BOOL)
		str_add(&text, db_get_bool(res, row, column) ? "yes" : "no");
	else
		str_add_visible(&text, value);
	return str_take(&text);
}

static bool
is_number(const struct db_result *res, int column)
{
	enum db_type type = db_column_type(res, column);

	return type == DB_TYPE_INTEGER || type == DB_TYPE_NUMERIC;
}

/* Numbers to the right, text to the left; nothing trails the last column. */
static void
put_cell(FILE *out, const char *text, int width, bool right, bool last)
{
	int pad = width - width_of(text);

	(void)fprintf(out, "%*s%s%*s%s", right ? pad : 0, "", text, right || last ? 0 : pad, "", last ? "\n" : "  ");
}

static int
print_table(FILE *out, const struct db_result *res, struct err *err)
{
	int columns = db_columns(res);
	int *width = mem_zero((size_t)columns, sizeof(*width));

	for (int c = 0; c < columns; c++) {
		width[c] = width_of(db_column_name(res, c));
		for (int r = 0; r < db_rows(res); r++) {
			CLEANUP(free_text) char *text = cell_text(res, r, c);
			int w = width_of(text);

			width[c] = w > width[c] ? w : width[c];
		}
	}
	for (int c = 0; c < columns; c++)
		put_cell(out, db_column_name(res, c), width[c], is_number(res, c), c + 1 == columns);
	for (int r = 0; r < db_rows(res); r++) {
		for (int c = 0; c < columns; c++) {
			CLEANUP(free_text) char *text = cell_text(res, r, c);

			put_cell(out, text, width[c], is_number(res, c), c + 1 == columns);
		}
	}
	free(width);
	return flush(out, err);
}

int
listing_print(FILE *out, const struct db_result *res, bool as_json, struct err *err)
{
	struct json *array;

	if (!as_json)
		return print_table(out, res, err);
	array = json_new_array();
	for (int r = 0; r < db_rows(res); r++)
		(void)json_array_append_new(array->value, row_value(res, r));
	return json_print(out, array, err);
}

struct json *
json_of_row(const struct db_result *res, int row)
{
	return new_json(row_value(res, row));
}

int
listing_print_one(FILE *out, const struct db_result *res, bool as_json, struct err *err)
{
	if (db_rows(res) != 1)
		return err_set(err, ERR_FAILED, "showing one row: there are %d", db_rows(res));
	if (as_json)
		return json_print(out, json_of_row(res, 0), err);
	for (int c = 0; c < db_columns(res); c++) {
		CLEANUP(free_text) char *text = cell_text(res, 0, c);

		(void)fprintf(out, "%s: %s\n", db_column_name(res, c), text);
	}
	return flush(out, err);
}

/* ---- CSV ----------------------------------------------------------------------------------- */

static void
put_field(FILE *out, const char *text, bool last)
{
	if (strpbrk(text, ",\"\r\n") == NULL) {
		(void)fputs(text, out);
	} else {
		(void)fputc('"', out);
		for (const char *c = text; *c != '\0'; c++)
			(void)fprintf(out, "%s%c", *c == '"' ? "\"" : "", *c);
		(void)fputc('"', out);
	}
	(void)fputs(last ? "\r\n" : ",", out);
}

int
listing_print_csv(FILE *out, const struct db_result *res, struct err *err)
{
	int columns = db_columns(res);

	for (int c = 0; c < columns; c++)
		put_field(out, db_column_name(res, c), c + 1 == columns);
	for (int r = 0; r < db_rows(res); r++)
		for (int c = 0; c < columns; c++)
			put_field(out, db_get_text(res, r, c), c + 1 == columns);
	return flush(out, err);
}

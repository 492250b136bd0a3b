/* The parser of owner paths. Pure. The grammar is in doc/map.md. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "map/map.h"
#include "map/name.h"

/* What is read so far: text is the whole path (for messages), p the next character. */
struct reader {
	const char *text;
	const char *p;
	struct err *err;
};

static int
fail(struct reader *r, const char *expected)
{
	(void)err_set(r->err, ERR_USAGE, "owner path \"%.200s\": expected %s at character %zu", r->text,
		expected, (size_t)(r->p - r->text) + 1);
	return err_hint(r->err, "write \"column -> schema.table\", \"(a, b) -> schema.table(p, q)\", "
		"\"column <- schema.table(column)\" or \"any(column) -> schema.table\", each with \" when column = 'value'\" if needed");
}

static void
skip_space(struct reader *r)
{
	while (*r->p == ' ' || *r->p == '\t')
		r->p++;
}

/* Space before a token is taken with it, and left alone when the token is not there: the word
 * "when" needs one. */
static bool
take(struct reader *r, const char *token)
{
	const char *start = r->p;

	skip_space(r);
	if (strncmp(r->p, token, strlen(token)) != 0) {
		r->p = start;
		return false;
	}
	r->p += strlen(token);
	return true;
}

static int
read_name(struct reader *r, char **ret)
{
	skip_space(r);
	*ret = name_read(&r->p);
	return *ret == NULL ? fail(r, "a column name") : 0;
}

/* The names after an opening parenthesis, and the closing one. */
static int
read_list(struct reader *r, char ***ret, size_t *ret_n)
{
	size_t n = 0;

	do {
		char **name = MEM_PUSH(*ret, n);

		*ret_n = n;
		if (read_name(r, name) < 0)
			return -1;
	} while (take(r, ","));
	return take(r, ")") ? 0 : fail(r, "',' or ')'");
}

static int
read_source(struct reader *r, struct map_path *path)
{
	const char *start;

	if (take(r, "("))
		return read_list(r, &path->column_names, &path->n_columns);
	skip_space(r);
	start = r->p;
	if (take(r, "any") && take(r, "(")) {
		path->kind = MAP_ARRAY;
		if (read_list(r, &path->column_names, &path->n_columns) < 0)
			return -1;
		return path->n_columns == 1 ? 0 : fail(r, "one array column only, ending");
	}
	r->p = start; /* a column may be called any */
	path->column_names = mem_zero(1, sizeof(*path->column_names));
	path->n_columns = 1;
	return read_name(r, &path->column_names[0]);
}

static int
read_target(struct reader *r, struct map_path *path)
{
	size_t n = 0;
	int rc;

	skip_space(r);
	path->target_name = name_read_table(&r->p);
	if (path->target_name == NULL)
		return fail(r, "schema.table");
	if (!take(r, "("))
		return path->kind == MAP_REVERSE ? fail(r, "'(' and the columns that refer to this table") : 0;
	rc = read_list(r, &path->target_column_names, &n);
	if (rc == 0 && n != path->n_columns)
		rc = fail(r, "as many columns as on the left, ending");
	if (rc < 0) {
		/* map_path_release() takes both lists to hold n_columns names */
		for (size_t i = 0; i < n; i++)
			free(path->target_column_names[i]);
		free(path->target_column_names);
		path->target_column_names = NULL;
	}
	return rc;
}

/* 'text' with '' for a quote, as in SQL. */
static int
read_literal(struct reader *r, char **ret)
{
	CLEANUP(str_release) struct str value = STR_INIT;

	if (!take(r, "'"))
		return fail(r, "a value in single quotes");
	for (; *r->p != '\0' && (*r->p != '\'' || r->p[1] == '\''); r->p++) {
		if (*r->p == '\'')
			r->p++;
		str_add_n(&value, r->p, 1);
	}
	if (*r->p != '\'')
		return fail(r, "a closing single quote");
	r->p++;
	*ret = str_take(&value);
	return 0;
}

static int
read_when(struct reader *r, struct map_path *path)
{
	const char *before = r->p;

	skip_space(r);
	if (*r->p == '\0')
		return 0;
	if (r->p == before || !take(r, "when") || (*r->p != ' ' && *r->p != '\t'))
		return fail(r, "\" when column = 'value'\" or the end");
	if (read_name(r, &path->when_column_name) < 0)
		return -1;
	if (!take(r, "="))
		return fail(r, "'='");
	if (read_literal(r, &path->when_value) < 0)
		return -1;
	skip_space(r);
	return *r->p == '\0' ? 0 : fail(r, "the end");
}

int
map_path_parse(struct map_path *ret, const char *text, struct err *err)
{
	struct reader r = { text, text, err };

	memset(ret, 0, sizeof(*ret));
	ret->target = ret->when_column = -1;
	ret->text = mem_copy(text);
	ret->kind = MAP_FORWARD;
	if (read_source(&r, ret) < 0)
		goto failed;
	if (ret->kind != MAP_ARRAY && take(&r, "<-"))
		ret->kind = MAP_REVERSE;
	else if (!take(&r, "->")) {
		(void)fail(&r, ret->kind == MAP_ARRAY ? "'->'" : "'->' or '<-'");
		goto failed;
	}
	if (read_target(&r, ret) == 0 && read_when(&r, ret) == 0)
		return 0;
failed:
	map_path_release(ret);
	return -1;
}

void
map_path_release(struct map_path *path)
{
	for (size_t i = 0; i < path->n_columns; i++) {
		if (path->column_names != NULL)
			free(path->column_names[i]);
		if (path->target_column_names != NULL)
			free(path->target_column_names[i]);
	}
	free(path->column_names);
	free(path->target_column_names);
	free(path->text);
	free(path->target_name);
	free(path->when_column_name);
	free(path->when_value);
	free(path->columns);
	free(path->target_columns);
	memset(path, 0, sizeof(*path));
}

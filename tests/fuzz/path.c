/* Owner paths and table names of the data map. */
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "fuzz.h"
#include "map/map.h"
#include "map/name.h"

static void
names(const char *text)
{
	CLEANUP(free_text) char *full = name_canonical(text);
	CLEANUP(free_text) char *again = NULL;
	CLEANUP(free_text) char *part = NULL;
	const char *p = text;

	if (full != NULL) {
		again = name_canonical(full);
		REQUIRE(again != NULL && strcmp(again, full) == 0);
	}
	part = name_read(&p);
	if (part != NULL) {
		CLEANUP(str_release) struct str written = STR_INIT;
		CLEANUP(free_text) char *back = NULL;
		const char *q;

		name_add(&written, part);
		q = written.s;
		back = name_read(&q);
		REQUIRE(p > text && back != NULL && *q == '\0' && strcmp(back, part) == 0);
	} else
		REQUIRE(p == text);
}

static void
add_list(struct str *text, char *const *names_of, size_t n)
{
	str_add(text, "(");
	for (size_t i = 0; i < n; i++) {
		str_add(text, i > 0 ? "," : "");
		name_add(text, names_of[i]);
	}
	str_add(text, ")");
}

/* The path, spelt from what was read of it. */
static void
write_path(struct str *text, const struct map_path *path)
{
	str_add(text, path->kind == MAP_ARRAY ? "any" : "");
	add_list(text, path->column_names, path->n_columns);
	str_addf(text, path->kind == MAP_REVERSE ? "<-%s" : "->%s", path->target_name);
	if (path->target_column_names != NULL)
		add_list(text, path->target_column_names, path->n_columns);
	if (path->when_column_name != NULL) {
		str_add(text, " when ");
		name_add(text, path->when_column_name);
		str_add(text, "='");
		for (const char *c = path->when_value; *c != '\0'; c++)
			str_add_n(text, *c == '\'' ? "''" : c, *c == '\'' ? 2 : 1);
		str_add(text, "'");
	}
}

int
fuzz_path(const uint8_t *data, size_t n)
{
	CLEANUP(free_text) char *text = fuzz_text(data, n);
	CLEANUP(map_path_release) struct map_path path = { 0 };
	CLEANUP(map_path_release) struct map_path same = { 0 };
	CLEANUP(str_release) struct str first = STR_INIT;
	CLEANUP(str_release) struct str second = STR_INIT;
	struct err err = { 0 };

	names(text);
	if (map_path_parse(&path, text, &err) != 0) {
		REQUIRE(err.code == ERR_USAGE && err.msg[0] != '\0' && path.text == NULL);
		return 0;
	}
	REQUIRE(path.n_columns > 0 && strcmp(path.text, text) == 0);
	REQUIRE(path.kind != MAP_ARRAY || path.n_columns == 1);
	REQUIRE((path.when_column_name == NULL) == (path.when_value == NULL));
	write_path(&first, &path);
	REQUIRE(map_path_parse(&same, first.s, &err) == 0 && same.kind == path.kind);
	write_path(&second, &same);
	REQUIRE(strcmp(first.s, second.s) == 0);
	return 0;
}

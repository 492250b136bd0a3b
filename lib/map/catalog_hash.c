/*
 * The hash of the schema, which a plan and its approval are bound to.
 *
 * Canonical text: the line "expunge-catalog/1", then one line for each of the things below, sorted
 * bytewise, each ending in a line feed. Fields are separated by a tab; a backslash, tab, line feed
 * or carriage return inside a field is written \\ \t \n \r; a list is separated by commas and its
 * names are in the canonical form of map/name.h; yes or no is t or f; what is absent is "-".
 *
 *   table    name kind root parents key
 *   column   table name declared-type not-null generated has-default
 *   fk       table name columns target target-columns on-delete deferrable
 *   trigger  table name function digest enabled
 *   rule     table name event digest enabled
 *
 * Neither oids nor statistics nor owners nor indexes are in it, and no order of columns: a dump
 * restored elsewhere has the same hash.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "map/catalog.h"
#include "map/name.h"
#include "svc/crypt.h"

struct lines {
	char **items;
	size_t n;
};

static void
lines_release(struct lines *lines)
{
	for (size_t i = 0; i < lines->n; i++)
		free(lines->items[i]);
	free(lines->items);
}

static void
add_field(struct str *line, const char *text)
{
	if (line->len > 0)
		str_add(line, "\t");
	if (text == NULL || *text == '\0')
		text = "-";
	for (; *text != '\0'; text++) {
		static const char special[] = "\\\t\n\r", letter[] = "\\tnr";
		const char *found = strchr(special, *text);

		if (found == NULL)
			str_add_n(line, text, 1);
		else
			str_addf(line, "\\%c", letter[found - special]);
	}
}

static void
add_flag(struct str *line, bool flag)
{
	add_field(line, flag ? "t" : "f");
}

static void
add_columns(struct str *line, const struct cat_table *table, const int *columns, size_t n)
{
	CLEANUP(str_release) struct str list = STR_INIT;

	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			str_add(&list, ",");
		name_add(&list, table->columns[columns[i]].name);
	}
	add_field(line, str_cstr(&list));
}

static void
push(struct lines *lines, struct str *line)
{
	*MEM_PUSH(lines->items, lines->n) = str_take(line);
}

static void
add_table(struct lines *lines, const struct catalog *catalog, const struct cat_table *t)
{
	CLEANUP(str_release) struct str line = STR_INIT;
	CLEANUP(str_release) struct str parents = STR_INIT;
	const char kind[2] = { t->kind, '\0' };

	for (size_t i = 0; i < t->n_parents; i++)
		str_addf(&parents, "%s%s", i > 0 ? "," : "", catalog->tables[t->parents[i]].full);
	add_field(&line, "table");
	add_field(&line, t->full);
	add_field(&line, kind);
	add_field(&line, t->root < 0 ? NULL : catalog->tables[t->root].full);
	add_field(&line, str_cstr(&parents));
	add_columns(&line, t, t->key, t->n_key);
	push(lines, &line);
	for (size_t i = 0; i < t->n_columns; i++) {
		const struct cat_column *c = &t->columns[i];

		add_field(&line, "column");
		add_field(&line, t->full);
		add_field(&line, c->name);
		add_field(&line, c->declared);
		add_flag(&line, c->not_null);
		add_flag(&line, c->generated);
		add_flag(&line, c->has_default);
		push(lines, &line);
	}
}

static void
add_fk(struct lines *lines, const struct catalog *catalog, const struct cat_fk *fk)
{
	CLEANUP(str_release) struct str line = STR_INIT;
	const char on_delete[2] = { fk->on_delete, '\0' };

	add_field(&line, "fk");
	add_field(&line, catalog->tables[fk->table].full);
	add_field(&line, fk->name);
	add_columns(&line, &catalog->tables[fk->table], fk->columns, fk->n_columns);
	add_field(&line, catalog->tables[fk->target].full);
	add_columns(&line, &catalog->tables[fk->target], fk->target_columns, fk->n_columns);
	add_field(&line, on_delete);
	add_flag(&line, fk->deferrable);
	push(lines, &line);
}

static void
add_code(struct lines *lines, const char *what, const char *table, const char *name, const char *detail,
	const char *digest, bool enabled)
{
	CLEANUP(str_release) struct str line = STR_INIT;

	add_field(&line, what);
	add_field(&line, table);
	add_field(&line, name);
	add_field(&line, detail);
	add_field(&line, digest);
	add_flag(&line, enabled);
	push(lines, &line);
}

static int
compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int
catalog_hash(const struct catalog *catalog, char *text, struct err *err)
{
	CLEANUP(lines_release) struct lines lines = { NULL, 0 };
	CLEANUP(str_release) struct str all = STR_INIT;

	for (size_t i = 0; i < catalog->n_tables; i++)
		add_table(&lines, catalog, &catalog->tables[i]);
	for (size_t i = 0; i < catalog->n_fks; i++)
		add_fk(&lines, catalog, &catalog->fks[i]);
	for (size_t i = 0; i < catalog->n_triggers; i++) {
		const struct cat_trigger *t = &catalog->triggers[i];

		add_code(&lines, "trigger", catalog->tables[t->table].full, t->name, t->function, t->digest, t->enabled);
	}
	for (size_t i = 0; i < catalog->n_rules; i++) {
		const struct cat_rule *r = &catalog->rules[i];
		const char event[2] = { r->event, '\0' };

		add_code(&lines, "rule", catalog->tables[r->table].full, r->name, event, r->digest, r->enabled);
	}
	if (lines.n > 0)
		qsort(lines.items, lines.n, sizeof(*lines.items), compare_lines);
	str_add(&all, "expunge-catalog/1\n");
	for (size_t i = 0; i < lines.n; i++) {
		str_add(&all, lines.items[i]);
		str_add(&all, "\n");
	}
	return crypt_sha256_text(all.s, all.len, text, err);
}

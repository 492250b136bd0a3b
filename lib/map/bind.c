/* Resolves the names of a map against the live catalogue. All problems at once. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "map/map.h"
#include "map/name.h"

struct binder {
	struct map *map;
	const struct catalog *catalog;
	struct str *problems;
	size_t n_problems;
};

static void __attribute__((format(printf, 3, 4)))
problem(struct binder *b, int line, const char *fmt, ...)
{
	va_list ap;
	char text[1300];

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	b->n_problems++;
	if (b->problems != NULL)
		str_addf(b->problems, "%s:%d: %s\n", b->map->path, line, text);
}

/* NULL for a table that the database does not have: said once, by bind_tables(). */
static const struct cat_table *
cat_of(const struct binder *b, const struct map_table *table)
{
	return table->cat < 0 ? NULL : &b->catalog->tables[table->cat];
}

static int
column(struct binder *b, int line, const struct cat_table *cat, const char *name, const char *what)
{
	int found = catalog_column(cat, name);

	if (found < 0)
		problem(b, line, "%s: %s names column %s, which does not exist", cat->full, what, name);
	return found;
}

static int *
columns(struct binder *b, int line, const struct cat_table *cat, const struct map_names *names, const char *what)
{
	int *ret;

	if (names->n == 0)
		return NULL;
	ret = mem_zero(names->n, sizeof(*ret));
	for (size_t i = 0; i < names->n; i++)
		ret[i] = column(b, line, cat, names->names[i], what);
	return ret;
}

static int *
tables(struct binder *b, const struct map_table *table, const struct map_names *names, const char *what)
{
	int *ret;

	if (names->n == 0)
		return NULL;
	ret = mem_zero(names->n, sizeof(*ret));
	for (size_t i = 0; i < names->n; i++) {
		ret[i] = map_table(b->map, names->names[i]);
		if (ret[i] < 0)
			problem(b, table->line, "%s: %s names %s, which the map has no line for", table->name, what,
				names->names[i]);
	}
	return ret;
}

static int *
copy_columns(const int *from, size_t n)
{
	int *ret = mem_zero(n, sizeof(*ret));

	if (n > 0)
		memcpy(ret, from, n * sizeof(*ret));
	return ret;
}

static void
bind_key(struct binder *b, struct map_table *table, const struct cat_table *cat)
{
	if (table->key.n > 0) {
		table->key_columns = columns(b, table->line, cat, &table->key, "key");
		table->n_key_columns = table->key.n;
		for (size_t i = 0; i < table->key.n; i++)
			if (table->key_columns[i] >= 0 && !cat->columns[table->key_columns[i]].not_null)
				problem(b, table->line, "%s: column %s may be null and cannot be part of a key", table->name,
					table->key.names[i]);
	} else if (cat->n_key > 0) {
		table->key_columns = copy_columns(cat->key, cat->n_key);
		table->n_key_columns = cat->n_key;
	}
}

/* Values of one column can be looked for in the other: the same category, or one of them is text
 * (polymorphic references keep keys of several types as text). */
static void
judge_types(struct binder *b, const struct map_table *table, const struct map_path *path, size_t i)
{
	const struct cat_column *from = &b->catalog->tables[table->cat].columns[path->columns[i]];
	const struct cat_column *to = &b->catalog->tables[b->map->tables[path->target].cat].columns[path->target_columns[i]];
	char category = from->category;

	if (path->kind == MAP_ARRAY) {
		if (from->element == NULL) {
			problem(b, table->line, "%s: owner path \"%s\": column %s is no array but %s", table->name,
				path->text, from->name, from->type);
			return;
		}
		category = from->element_category;
	}
	if (category != to->category && category != 'S' && to->category != 'S')
		problem(b, table->line, "%s: owner path \"%s\": column %s is %s, but %s is %s", table->name, path->text,
			from->name, from->type, to->name, to->type);
}

/* Without target columns the target's key is meant; a foreign key of these very columns to other
 * ones would make that the wrong rows. */
static void
judge_default(struct binder *b, const struct map_table *table, const struct map_path *path)
{
	int target = b->map->tables[path->target].cat;

	for (size_t i = 0; i < b->catalog->n_fks; i++) {
		const struct cat_fk *fk = &b->catalog->fks[i];

		if (fk->table != table->cat || fk->target != target || fk->n_columns != path->n_columns ||
			memcmp(fk->columns, path->columns, fk->n_columns * sizeof(int)) != 0)
			continue;
		if (memcmp(fk->target_columns, path->target_columns, fk->n_columns * sizeof(int)) == 0)
			return;
		problem(b, table->line, "%s: owner path \"%s\" means the key of %s, but foreign key %s refers to another column: name it in parentheses",
			table->name, path->text, path->target_name, fk->name);
		return;
	}
}

static void
set_target_columns(struct binder *b, const struct map_table *table, struct map_path *path)
{
	const struct map_table *target = &b->map->tables[path->target];
	const struct cat_table *cat = cat_of(b, target);

	path->target_columns = mem_zero(path->n_columns, sizeof(int));
	for (size_t i = 0; i < path->n_columns; i++)
		path->target_columns[i] = -1;
	if (path->target_column_names != NULL) {
		for (size_t i = 0; i < path->n_columns; i++)
			path->target_columns[i] = column(b, table->line, cat, path->target_column_names[i], "an owner path");
		return;
	}
	if (target->n_key_columns != path->n_columns) {
		problem(b, table->line, "%s: owner path \"%s\" has %zu column%s, but the key of %s has %zu: name the target's columns in parentheses",
			table->name, path->text, path->n_columns, path->n_columns == 1 ? "" : "s", target->name,
			target->n_key_columns);
		return;
	}
	memcpy(path->target_columns, target->key_columns, path->n_columns * sizeof(int));
	path->target_column_names = mem_zero(path->n_columns, sizeof(char *));
	for (size_t i = 0; i < path->n_columns; i++)
		if (path->target_columns[i] >= 0)
			path->target_column_names[i] = mem_copy(cat->columns[path->target_columns[i]].name);
}

static void
bind_path(struct binder *b, const struct map_table *table, struct map_path *path)
{
	const struct cat_table *cat = cat_of(b, table);
	bool defaulted = path->target_column_names == NULL, complete = true;

	path->columns = mem_zero(path->n_columns, sizeof(int));
	for (size_t i = 0; i < path->n_columns; i++) {
		path->columns[i] = column(b, table->line, cat, path->column_names[i], "an owner path");
		if (path->columns[i] >= 0 && path->kind == MAP_FORWARD && !cat->columns[path->columns[i]].not_null)
			path->nullable = true;
	}
	path->when_column = path->when_column_name == NULL ? -1 :
		column(b, table->line, cat, path->when_column_name, "\"when\" of an owner path");
	path->target = map_table(b->map, path->target_name);
	if (path->target < 0) {
		problem(b, table->line, "%s: owner path \"%s\": the map has no line for %s", table->name, path->text,
			path->target_name);
		return;
	}
	if (cat_of(b, &b->map->tables[path->target]) == NULL)
		return;
	set_target_columns(b, table, path);
	for (size_t i = 0; i < path->n_columns; i++)
		complete = complete && path->columns[i] >= 0 && path->target_columns[i] >= 0;
	for (size_t i = 0; complete && i < path->n_columns; i++)
		judge_types(b, table, path, i);
	if (complete && defaulted && path->kind == MAP_FORWARD)
		judge_default(b, table, path);
}

/* A log table is owned through the copied key of the table it logs: written out as a path, so that
 * collecting needs no second way. */
static void
bind_log(struct binder *b, struct map_table *table)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	const struct map_table *logged;
	const struct cat_table *logged_cat;
	struct map_path *path;

	table->log_table = map_table(b->map, table->log_of);
	if (table->log_table < 0) {
		problem(b, table->line, "%s: log_of names %s, which the map has no line for", table->name, table->log_of);
		return;
	}
	logged = &b->map->tables[table->log_table];
	logged_cat = cat_of(b, logged);
	if (logged_cat == NULL)
		return;
	if (logged->n_key_columns == 0 || (table->log_key.n > 0 && table->log_key.n != logged->n_key_columns)) {
		problem(b, table->line, "%s: the key of %s has %zu columns, log_key has %zu", table->name, logged->name,
			logged->n_key_columns, table->log_key.n);
		return;
	}
	path = MEM_PUSH(table->paths, table->n_paths);
	path->kind = MAP_FORWARD;
	path->target_name = mem_copy(logged->name);
	path->n_columns = logged->n_key_columns;
	path->column_names = mem_zero(path->n_columns, sizeof(char *));
	for (size_t i = 0; i < path->n_columns; i++) {
		const char *same = logged->key_columns[i] < 0 ? "" : logged_cat->columns[logged->key_columns[i]].name;

		path->column_names[i] = mem_copy(table->log_key.n > 0 ? table->log_key.names[i] : same);
		str_add(&text, i == 0 ? "(" : ", ");
		name_add(&text, path->column_names[i]);
	}
	str_addf(&text, ") -> %s", logged->name);
	path->text = str_take(&text);
	bind_path(b, table, path);
	table->log_columns = copy_columns(path->columns, path->n_columns);
}

/* A mask must be none or nothing: any other text would be taken for the path of a file. */
static void
judge_documents(struct binder *b, const struct map_table *table, const struct map_column *line, const struct cat_column *column)
{
	if (column->category != 'S' || line->lo)
		problem(b, line->line, "%s.%s is %s: it cannot hold the path of a file", table->name, line->name,
			line->lo ? "a large object" : column->type);
	if (table->action == MAP_SHARED)
		problem(b, line->line, "%s.%s: rows of several subjects cannot name documents; only a row that one subject owns can",
			table->name, line->name);
	if (line->mask != NULL && strcmp(line->mask, "null") != 0 && strcmp(line->mask, "empty") != 0 && strcmp(line->mask, "keep") != 0)
		problem(b, line->line, "%s.%s names documents: its mask must be \"null\", \"empty\" or \"keep\"", table->name,
			line->name);
}

static void
judge_mask(struct binder *b, const struct map_table *table, const struct map_column *line, const struct cat_column *column)
{
	if (line->lo && column->category != 'N' && column->category != 'S')
		problem(b, line->line, "%s.%s is %s: it cannot hold the oid of a large object", table->name, line->name,
			column->type);
	if (line->documents != NULL)
		judge_documents(b, table, line, column);
	if (line->mask == NULL || strcmp(line->mask, "keep") == 0)
		return;
	if (column->generated)
		problem(b, line->line, "%s.%s is generated: mask the columns it is made of", table->name, line->name);
	for (size_t i = 0; i < table->n_key_columns; i++)
		if (table->key_columns[i] == line->column)
			problem(b, line->line, "%s.%s is part of the key, by which rows are found again: it cannot be masked",
				table->name, line->name);
	if (strcmp(line->mask, "empty") == 0 && strchr("NDTBE", column->category) != NULL)
		problem(b, line->line, "%s.%s is %s: there is no empty value, use \"null\" or a text to cast", table->name,
			line->name, column->type);
}

static void
bind_columns(struct binder *b, struct map_table *table, const struct cat_table *cat)
{
	for (size_t i = 0; i < table->n_columns; i++) {
		struct map_column *line = &table->columns[i];

		line->column = column(b, line->line, cat, line->name, "columns");
		if (line->column >= 0)
			judge_mask(b, table, line, &cat->columns[line->column]);
	}
	if (table->created != NULL) {
		table->created_column = column(b, table->line, cat, table->created, "created");
		if (table->created_column >= 0 && cat->columns[table->created_column].category != 'D')
			problem(b, table->line, "%s: created names %s, which is no date or time", table->name, table->created);
	}
	table->mention_columns = columns(b, table->line, cat, &table->mentions, "mentions");
}

static void
bind_subject(struct binder *b)
{
	struct map *map = b->map;
	const struct map_table *table;
	const struct cat_table *cat;

	map->subject = map_table(map, map->subject_table);
	table = &map->tables[map->subject];
	cat = cat_of(b, table);
	if (cat == NULL)
		return;
	map->subject_key_column = column(b, table->line, cat, map->subject_key, "subject.key");
	if (map->subject_tenant != NULL)
		map->subject_tenant_column = column(b, table->line, cat, map->subject_tenant, "subject.tenant");
	if (map->subject_merged_into != NULL)
		map->subject_merged_column = column(b, table->line, cat, map->subject_merged_into, "subject.merged_into");
	map->subject_birth_columns = columns(b, table->line, cat, &map->subject_birth, "subject.birth");
}

static void
bind_tenant(struct binder *b)
{
	const struct map *map = b->map;
	int cat;

	if (map->tenant_table == NULL)
		return;
	cat = catalog_table(b->catalog, map->tenant_table);
	if (cat < 0)
		problem(b, 1, "tenant: the database has no table %s", map->tenant_table);
	else
		(void)column(b, 1, &b->catalog->tables[cat], map->tenant_key, "tenant.key");
}

static bool
has_code(const struct catalog *catalog, int cat, const char *rule, const char *trigger)
{
	for (size_t i = 0; rule != NULL && i < catalog->n_rules; i++)
		if (catalog->rules[i].table == cat && strcmp(catalog->rules[i].name, rule) == 0)
			return true;
	for (size_t i = 0; trigger != NULL && i < catalog->n_triggers; i++)
		if (catalog->triggers[i].table == cat && strcmp(catalog->triggers[i].name, trigger) == 0)
			return true;
	return false;
}

static void
bind_disable(struct binder *b, struct map_disable *disable)
{
	disable->cat = catalog_table(b->catalog, disable->table);
	if (disable->cat < 0)
		problem(b, disable->line, "disable: the database has no table %s", disable->table);
	else if (!has_code(b->catalog, disable->cat, disable->rule, disable->trigger))
		problem(b, disable->line, "disable: %s has no %s %s", disable->table,
			disable->rule != NULL ? "rule" : "trigger", disable->rule != NULL ? disable->rule : disable->trigger);
}

/* A time of day or a date is no instant that a session's can be compared with. */
static bool
has_instant(const struct map *map, const struct catalog *catalog)
{
	int table = map->subject < 0 ? -1 : map->tables[map->subject].cat;
	const struct cat_table *cat = table < 0 ? NULL : &catalog->tables[table];

	for (size_t i = 0; cat != NULL && map->subject_birth_columns != NULL && i < map->subject_birth.n; i++)
		if (map->subject_birth_columns[i] >= 0 &&
		    strncmp(cat->columns[map->subject_birth_columns[i]].type, "timestamp", 9) == 0)
			return true;
	return false;
}

static void
bind_support(struct binder *b)
{
	struct map *map = b->map;

	if (map->support_line == 0)
		return;
	if (!has_instant(map, b->catalog))
		problem(b, map->support_line, "support: no column of subject.birth is a timestamp");
	for (size_t i = 0; i < map->n_contacts; i++) {
		struct map_contact *contact = &map->contacts[i];
		int table = map_table(map, contact->name);

		if (table < 0)
			problem(b, contact->line, "contact names %s, which the map has no line for", contact->name);
		else if (map_contact(map, table) != NULL)
			problem(b, contact->line, "contact names %s twice", contact->name);
		else if (contact->by != NULL && table == map->subject)
			problem(b, contact->line, "%s is the subject's table: who changed a row no column of it says; take by away", contact->name);
		else if (contact->by != NULL && cat_of(b, &map->tables[table]) != NULL)
			contact->by_column = column(b, contact->line, cat_of(b, &map->tables[table]), contact->by, "by");
		contact->table = table;
	}
	for (size_t i = 0; i < map->harmless.n; i++) {
		int table = map_table(map, map->harmless.names[i]);

		if (table < 0)
			problem(b, map->support_line, "harmless names %s, which the map has no line for", map->harmless.names[i]);
		else if (map_contact(map, table) != NULL)
			problem(b, map->support_line, "%s is contact, and harmless, too", map->harmless.names[i]);
	}
}

static void
bind_tables(struct binder *b)
{
	struct map *map = b->map;

	for (size_t i = 0; i < map->n_tables; i++) {
		struct map_table *table = &map->tables[i];

		table->cat = catalog_table(b->catalog, table->name);
		if (table->cat < 0)
			problem(b, table->line, "the database has no table %s", table->name);
		else
			bind_key(b, table, cat_of(b, table));
	}
	/* keys first: paths without target columns mean the target's key */
	for (size_t i = 0; i < map->n_tables; i++) {
		struct map_table *table = &map->tables[i];
		const struct cat_table *cat = cat_of(b, table);

		table->before_tables = tables(b, table, &table->before, "before");
		table->after_tables = tables(b, table, &table->after, "after");
		table->creates_tables = tables(b, table, &table->creates, "creates");
		if (cat == NULL)
			continue;
		for (size_t k = 0; k < table->n_paths; k++)
			bind_path(b, table, &table->paths[k]);
		if (table->log_of != NULL)
			bind_log(b, table);
		bind_columns(b, table, cat);
	}
}

int
map_bind(struct map *map, const struct catalog *catalog, struct str *problems, struct err *err)
{
	struct binder b = { map, catalog, problems, 0 };

	if (map->catalog != NULL)
		return err_set(err, ERR_FAILED, "data map %s is bound already", map->path);
	map->catalog = catalog;
	bind_tables(&b);
	bind_subject(&b);
	bind_tenant(&b);
	bind_support(&b);
	for (size_t i = 0; i < map->n_disable; i++)
		bind_disable(&b, &map->disable[i]);
	if (b.n_problems > 0)
		return err_set(err, ERR_USAGE, "data map %s does not fit the database: %zu problem%s", map->path,
			b.n_problems, b.n_problems == 1 ? "" : "s");
	return 0;
}

int *
map_lines(const struct map *map)
{
	size_t n = map->catalog->n_tables;
	int *ret = mem_zero(n, sizeof(*ret));

	for (size_t i = 0; i < n; i++)
		ret[i] = -1;
	for (size_t i = 0; i < map->n_tables; i++)
		if (map->tables[i].cat >= 0)
			ret[map->tables[i].cat] = (int)i;
	for (size_t i = 0; i < n; i++)
		if (ret[i] < 0 && map->catalog->tables[i].root >= 0)
			ret[i] = ret[map->catalog->tables[i].root];
	return ret;
}

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "map/check_part.h"
#include "map/order.h"

void
findings_add(struct findings *findings, enum finding_level level, const char *code, const char *table,
	int line, char *message, char *remedy)
{
	struct finding *finding = MEM_PUSH(findings->items, findings->n);

	*finding = (struct finding){ level, code, mem_copy(table), line, message, remedy };
	if (level == FINDING_ERROR)
		findings->n_errors++;
}

void
findings_release(struct findings *findings)
{
	for (size_t i = 0; i < findings->n; i++) {
		free(findings->items[i].table);
		free(findings->items[i].message);
		free(findings->items[i].remedy);
	}
	free(findings->items);
	memset(findings, 0, sizeof(*findings));
}

void
check_error(struct checker *c, const char *code, const struct map_table *table, char *message, char *remedy)
{
	findings_add(c->findings, FINDING_ERROR, code, table->name, table->line, message, remedy);
}

void
check_warn(struct checker *c, const char *code, const struct map_table *table, char *message, char *remedy)
{
	findings_add(c->findings, FINDING_WARNING, code, table->name, table->line, message, remedy);
}

static void
check_unmapped(struct checker *c, const struct cat_table *cat)
{
	for (size_t i = 0; i < cat->n_parents; i++)
		if (c->line[cat->parents[i]] >= 0) {
			findings_add(c->findings, FINDING_ERROR, "inheritance-child", cat->full, 0,
				mem_printf("%s inherits from %s, whose line does not cover it", cat->full,
					c->catalog->tables[cat->parents[i]].full),
				mem_printf("add a line for %s with an owner and an action of its own", cat->full));
			return;
		}
	findings_add(c->findings, FINDING_ERROR, "unclassified-table", cat->full, 0,
		mem_printf("the map has no line for %s", cat->full),
		mem_printf("add { table = \"%s\"; owner = \"...\"; action = \"...\"; }; `expunge map discover` drafts it", cat->full));
}

static void
check_tables(struct checker *c)
{
	for (size_t i = 0; i < c->catalog->n_tables; i++) {
		const struct cat_table *cat = &c->catalog->tables[i];
		const struct map_table *table = c->line[i] < 0 ? NULL : &c->map->tables[c->line[i]];

		if (table == NULL) {
			check_unmapped(c, cat);
			continue;
		}
		if (cat->root >= 0 && table->cat == (int)i)
			check_error(c, "partition-mapped", table,
				mem_printf("%s is a partition of %s and goes with it", cat->full, c->catalog->tables[cat->root].full),
				mem_printf("take this line away, and have one for %s", c->catalog->tables[cat->root].full));
		if (cat->kind == 'f' && table->action != MAP_NONE && table->action != MAP_REFERENCE)
			check_error(c, "foreign-table", table,
				mem_printf("%s is a foreign table: its rows live in another database", cat->full),
				mem_copy("give it action none with a reason, and erase where the rows live"));
		if (cat->kind == 'm' && table->action != MAP_NONE)
			check_error(c, "materialized-view", table,
				mem_printf("%s is a materialized view: its rows are copies that a refresh makes anew", cat->full),
				mem_copy("give it action none with a reason, and have it refreshed after each night"));
	}
}

static void
check_foreign_key(struct checker *c, const struct cat_fk *fk)
{
	const struct cat_table *cat = &c->catalog->tables[fk->table];
	int from = c->line[fk->table], to = c->line[fk->target];
	const struct map_table *table = from < 0 ? NULL : &c->map->tables[from];
	static const char *const what[] = { ['c'] = "CASCADE", ['n'] = "SET NULL", ['d'] = "SET DEFAULT" };

	if (to < 0 || !map_action_removes(c->map->tables[to].action))
		return;
	if (strchr("cnd", fk->on_delete) != NULL && table != NULL && !map_action_is_owned(table->action)) {
		if (check_is_acknowledged(c, table, fk->name))
			return; /* such rows block the erasure of whom they refer to: the plan looks for them */
		check_error(c, "cascade", table,
			mem_printf("foreign key %s of %s is ON DELETE %s: rows of a table with action %s would %s silently when rows of %s are deleted",
				fk->name, cat->full, what[(int)fk->on_delete], map_action_text(table->action),
				fk->on_delete == 'c' ? "go" : "change", c->map->tables[to].name),
			mem_printf("give %s an owner path and an action for its rows, or add \"%s\" to its acknowledge: then such rows block the erasure",
				cat->full, fk->name));
		return;
	}
	if (table != NULL && map_action_is_owned(table->action) && !map_action_removes(table->action)) {
		bool lets_go = fk->on_delete == 'n' || fk->on_delete == 'd';

		for (size_t i = 0; i < fk->n_columns; i++) {
			const struct map_column *line = map_column(table, fk->columns[i]);

			lets_go = lets_go || (check_lets_go(c, table, fk->columns[i]) &&
				((line != NULL && line->mask != NULL) || check_is_path_column(table, fk->columns[i])));
		}
		for (size_t i = 0; !lets_go && i < fk->n_columns; i++) {
			if (check_is_path_column(table, fk->columns[i]))
				continue; /* said of the path */
			check_error(c, "dangling", table,
				mem_printf("rows of %s stay, and foreign key %s (column %s) ties them to rows of %s that are deleted",
					table->name, fk->name, cat->columns[fk->columns[i]].name, c->map->tables[to].name),
				mem_printf("mask the column, or add an owner path over it"));
		}
	}
}

static void
add_columns(struct str *list, const struct cat_table *cat, const int *columns, size_t n)
{
	for (size_t i = 0; i < n; i++)
		str_addf(list, "%s%s", i > 0 ? ", " : "", cat->columns[columns[i]].quoted);
}

static void
warn_unindexed(struct checker *c, const char *code, const struct map_table *table, const int *columns, size_t n,
	bool array, const char *of)
{
	const struct cat_table *cat = &c->catalog->tables[table->cat];
	CLEANUP(str_release) struct str list = STR_INIT;

	add_columns(&list, cat, columns, n);
	check_warn(c, code, table, mem_printf("no index of %s serves %s: the whole table is read", table->name, of),
		mem_printf("CREATE INDEX CONCURRENTLY ON %s %s(%s);", cat->quoted, array ? "USING gin " : "", str_cstr(&list)));
}

static bool
is_indexed_path(const struct map_table *table, const struct cat_fk *fk)
{
	for (size_t i = 0; i < table->n_paths; i++)
		if (table->paths[i].n_columns == fk->n_columns &&
			memcmp(table->paths[i].columns, fk->columns, fk->n_columns * sizeof(int)) == 0)
			return true; /* said of the path, if it has to be said */
	return false;
}

static void
check_foreign_keys(struct checker *c)
{
	for (size_t i = 0; i < c->catalog->n_fks; i++) {
		const struct cat_fk *fk = &c->catalog->fks[i];
		int from = c->line[fk->table], to = c->line[fk->target];
		CLEANUP(free_text) char *of = NULL;

		check_foreign_key(c, fk);
		if (from < 0 || to < 0 || fk->indexed || !map_action_removes(c->map->tables[to].action) ||
			is_indexed_path(&c->map->tables[from], fk))
			continue;
		of = mem_printf("foreign key %s, which the server looks at for each row deleted from %s", fk->name,
			c->map->tables[to].name);
		warn_unindexed(c, "unindexed-fk", &c->map->tables[from], fk->columns, fk->n_columns, false, of);
	}
}

/* An index that starts with the path's columns, or with those and the column of its "when". */
static bool
is_served(const struct checker *c, const struct map_table *table, const struct map_path *path)
{
	bool array = path->kind == MAP_ARRAY, found = false;
	int *columns;

	if (catalog_is_indexed(c->catalog, table->cat, path->columns, path->n_columns, array))
		return true;
	if (path->when_column < 0)
		return false;
	columns = mem_zero(path->n_columns + 1, sizeof(*columns));
	memcpy(columns, path->columns, path->n_columns * sizeof(*columns));
	columns[path->n_columns] = path->when_column;
	found = catalog_is_indexed(c->catalog, table->cat, columns, path->n_columns + 1, array);
	free(columns);
	return found;
}

static void
check_paths(struct checker *c, const struct map_table *table)
{
	for (size_t i = 0; i < table->n_paths; i++) {
		const struct map_path *path = &table->paths[i];
		CLEANUP(free_text) char *of = mem_printf("owner path \"%s\"", path->text);

		if (!is_served(c, table, path))
			warn_unindexed(c, "unindexed-path", table, path->columns, path->n_columns,
				path->kind == MAP_ARRAY, of);
		if (!map_action_is_owned(c->map->tables[path->target].action))
			check_error(c, "unreachable", table,
				mem_printf("owner path \"%s\" of %s leads to a table with action %s, whose rows no subject owns",
					path->text, table->name, map_action_text(c->map->tables[path->target].action)),
				mem_copy("lead the path to a table that a subject owns, or take it away"));
		if (path->nullable && table->n_paths == 1)
			check_warn(c, "nullable-path", table,
				mem_printf("the only owner path of %s, \"%s\", may be null: such rows belong to nobody and stay",
					table->name, path->text),
				mem_copy("add a second owner path, or make the column NOT NULL"));
	}
}

/* reached[i]: a chain of owner paths leads from the table to the subject's. */
static bool *
reachable(const struct map *map)
{
	bool *reached = mem_zero(map->n_tables, sizeof(*reached)), changed = true;

	reached[map->subject] = true;
	while (changed) {
		changed = false;
		for (size_t i = 0; i < map->n_tables; i++)
			for (size_t k = 0; !reached[i] && k < map->tables[i].n_paths; k++)
				if (reached[map->tables[i].paths[k].target])
					reached[i] = changed = true;
	}
	return reached;
}

static void
check_reachable(struct checker *c)
{
	bool *reached = reachable(c->map);

	for (size_t i = 0; i < c->map->n_tables; i++) {
		const struct map_table *table = &c->map->tables[i];

		if (map_action_is_owned(table->action) && !reached[i])
			check_error(c, "unreachable", table,
				mem_printf("no chain of owner paths leads from %s to %s", table->name, c->map->subject_table),
				mem_copy("correct the owner path: `expunge map explain` shows where it ends"));
	}
	free(reached);
}

static int
check_cycles(struct checker *c, struct err *err)
{
	CLEANUP(map_order_release) struct map_order order = { NULL, NULL, NULL, 0, 0 };

	if (map_remove_order(&order, c->map, err) < 0)
		return -1;
	for (size_t i = 0; i < order.n;) {
		CLEANUP(str_release) struct str names = STR_INIT;
		size_t end = i;

		for (; end < order.n && order.group[end] == order.group[i]; end++)
			str_addf(&names, "%s%s", end > i ? ", " : "", c->map->tables[order.tables[end]].name);
		if (end - i > 1)
			check_warn(c, "cycle", &c->map->tables[order.tables[i]],
				mem_printf("foreign keys tie these tables in a circle: %s", str_cstr(&names)),
				mem_copy("nothing to do: their rows are removed in one statement; `before` or `after` opens the circle if that fails"));
		i = end;
	}
	return 0;
}

static void
check_line(struct checker *c, const struct map_table *table)
{
	check_stale(c, &table->acknowledge, (int)(table - c->map->tables));
	if (table->action == MAP_REFERENCE && table->reason == NULL)
		check_warn(c, "no-reason", table, mem_printf("%s has action reference and no reason", table->name),
			mem_copy("add reason = \"...\": why no row of it is about a person"));
	if (!map_action_is_owned(table->action))
		return;
	if (table->n_key_columns == 0)
		check_warn(c, "no-key", table,
			mem_printf("%s has no key: its rows are found and counted by their owner path", table->name),
			mem_copy("nothing to do; a primary key would make the recount sharper"));
	check_columns(c, table);
	check_paths(c, table);
}

static void
check_subject(struct checker *c)
{
	const struct map *map = c->map;
	const struct map_table *table = &map->tables[map->subject];

	for (size_t i = 0; i < c->catalog->n_indexes; i++) {
		const struct cat_index *index = &c->catalog->indexes[i];

		if (index->table == table->cat && index->unique && index->n_columns == 1 &&
			index->columns[0] == map->subject_key_column)
			return;
	}
	check_error(c, "subject-key", table,
		mem_printf("column %s of %s is not unique: one subject's key could be another's", map->subject_key, table->name),
		mem_copy("name a column that has a unique index"));
}

/* A table that neither list names would say that nobody has used a patient whom somebody did. */
static void
check_contact(struct checker *c)
{
	const struct map *map = c->map;

	for (size_t i = 0; map->support_line > 0 && i < map->n_tables; i++) {
		const struct map_table *table = &map->tables[i];
		bool named = map_contact(map, (int)i) != NULL || !map_action_is_owned(table->action);

		for (size_t k = 0; k < map->harmless.n && !named; k++)
			named = strcmp(map->harmless.names[k], table->name) == 0;
		if (!named)
			check_error(c, "unclassified-contact", table,
				mem_printf("the map does not say whether a row of %s shows that a practice has used a test patient", table->name),
				mem_copy("add it to support.contact, or to support.harmless if the application makes such rows by itself"));
	}
}

int
map_check(struct findings *ret, const struct map *map, struct db *db, struct err *err)
{
	struct checker c = { ret, map, map->catalog, NULL };
	int rc;

	memset(ret, 0, sizeof(*ret));
	if (map->catalog == NULL)
		return err_set(err, ERR_FAILED, "data map %s is not bound", map->path);
	c.line = map_lines(map);
	check_tables(&c);
	check_subject(&c);
	check_contact(&c);
	for (size_t i = 0; i < map->n_tables; i++)
		check_line(&c, &map->tables[i]);
	check_stale(&c, &map->acknowledge, -1);
	check_foreign_keys(&c);
	check_triggers(&c);
	check_rules(&c);
	check_reachable(&c);
	rc = check_cycles(&c, err);
	if (rc == 0 && db != NULL)
		rc = check_session(&c, db, err);
	free(c.line);
	if (rc < 0)
		findings_release(ret);
	return rc;
}

#include <string.h>

#include "base/mem.h"
#include "map/check_part.h"

bool
check_is_path_column(const struct map_table *table, int column)
{
	for (size_t i = 0; i < table->n_paths; i++) {
		const struct map_path *path = &table->paths[i];

		if (path->when_column == column)
			return true;
		for (size_t k = 0; k < path->n_columns; k++)
			if (path->columns[k] == column)
				return true;
	}
	return false;
}

static bool
is_key_column(const struct map_table *table, int column)
{
	for (size_t i = 0; i < table->n_key_columns; i++)
		if (table->key_columns[i] == column)
			return true;
	return false;
}

/* The type oid, or the domain lo of the extension that goes with it. */
static bool
may_be_large_object(const struct cat_column *column)
{
	const char *dot = strrchr(column->type, '.');

	return strcmp(column->type, "oid") == 0 || strcmp(dot == NULL ? column->type : dot + 1, "lo") == 0;
}

static bool
is_kept(const struct map_column *line)
{
	return line != NULL && line->mask != NULL && strcmp(line->mask, "keep") == 0;
}

/* A column that comes from a parent table is no large object either if the parent's line says so. */
static bool
is_kept_by_parent(const struct checker *c, const struct cat_table *cat, const struct cat_column *column)
{
	for (size_t i = 0; column->inherited && i < cat->n_parents; i++) {
		const struct cat_table *parent = &c->catalog->tables[cat->parents[i]];
		int at = catalog_column(parent, column->name), line = c->line[cat->parents[i]];

		if (at >= 0 && ((line >= 0 && is_kept(map_column(&c->map->tables[line], at))) ||
			is_kept_by_parent(c, parent, &parent->columns[at])))
			return true;
	}
	return false;
}

static void
check_column(struct checker *c, const struct map_table *table, const struct cat_column *column, int at)
{
	const struct map_column *line = map_column(table, at);
	bool stays = !map_action_removes(table->action);
	bool is_special = is_key_column(table, at) || check_is_path_column(table, at) || column->generated ||
		table->created_column == at || (table->cat >= 0 && c->map->subject >= 0 &&
		table == &c->map->tables[c->map->subject] &&
		(at == c->map->subject_tenant_column || at == c->map->subject_merged_column || at == c->map->subject_key_column));

	if (stays && !is_special && (line == NULL || line->mask == NULL))
		findings_add(c->findings, FINDING_ERROR, "unclassified-column", table->name,
			line == NULL ? table->line : line->line,
			mem_printf("column %s of %s (%s) %s, and rows of this table stay", column->name, table->name,
				column->declared, line == NULL ? "is not classified" : "has no mask"),
			mem_printf("add { column = \"%s\"; mask = \"...\"; } with null, empty, keep or a text", column->name));
	else if (!stays && may_be_large_object(column) && (line == NULL || !line->lo) && !is_kept(line) &&
		!is_kept_by_parent(c, &c->catalog->tables[table->cat], column))
		findings_add(c->findings, FINDING_ERROR, "unclassified-column", table->name,
			line == NULL ? table->line : line->line,
			mem_printf("column %s of %s is of type %s: a large object would stay behind", column->name,
				table->name, column->type),
			mem_printf("add { column = \"%s\"; lo = true; }, or mask = \"keep\" if it is no large object (a parent table's line will do)", column->name));
	if (line != NULL && line->mask != NULL && strcmp(line->mask, "null") == 0 && column->not_null)
		findings_add(c->findings, FINDING_ERROR, "mask-not-null", table->name, line->line,
			mem_printf("column %s of %s cannot be null, but its mask is \"null\"", column->name, table->name),
			mem_copy("use mask = \"empty\" or a text such as \"erased-{key}\""));
}

bool
check_lets_go(const struct checker *c, const struct map_table *table, int column)
{
	const struct map_column *line = map_column(table, column);

	return line != NULL && line->mask != NULL ? !is_kept(line)
		: !c->catalog->tables[table->cat].columns[column].not_null;
}

/* Rows that stay must let go of rows that leave. */
static void
check_cut(struct checker *c, const struct map_table *table, int at, const char *because)
{
	const struct cat_column *column = &c->catalog->tables[table->cat].columns[at];
	const struct map_column *line = map_column(table, at);
	bool is_replaced = line != NULL && line->mask != NULL && strcmp(line->mask, "null") != 0;

	if (is_kept(line))
		check_error(c, "retain-not-null", table,
			mem_printf("column %s of %s is kept, but refers to rows that are deleted (%s)", column->name,
				table->name, because),
			mem_printf("take mask = \"keep\" away from %s, or keep the rows it refers to", column->name));
	else if (column->not_null && !is_replaced)
		check_error(c, "retain-not-null", table,
			mem_printf("column %s of %s cannot be null, but refers to rows that are deleted (%s)", column->name,
				table->name, because),
			mem_printf("allow null: ALTER TABLE %s ALTER COLUMN %s DROP NOT NULL; or give %s a mask, or the table action delete",
				c->catalog->tables[table->cat].quoted, column->quoted, column->name));
}

static void
check_stays(struct checker *c, const struct map_table *table)
{
	for (size_t i = 0; i < table->n_paths; i++) {
		const struct map_path *path = &table->paths[i];
		/* an array loses elements, and a reference of several columns is none once one has no value */
		bool lets_go = path->kind == MAP_ARRAY && !is_kept(map_column(table, path->columns[0]));

		if (path->kind == MAP_REVERSE || !map_action_removes(c->map->tables[path->target].action))
			continue;
		for (size_t k = 0; k < path->n_columns; k++)
			lets_go = lets_go || check_lets_go(c, table, path->columns[k]);
		for (size_t k = 0; !lets_go && k < path->n_columns; k++)
			check_cut(c, table, path->columns[k], path->text);
	}
}

void
check_columns(struct checker *c, const struct map_table *table)
{
	const struct cat_table *cat = &c->catalog->tables[table->cat];

	for (size_t i = 0; i < cat->n_columns; i++)
		check_column(c, table, &cat->columns[i], (int)i);
	if (!map_action_removes(table->action))
		check_stays(c, table);
}

#include "erasure/sql.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"

/* " AND NOT EXISTS (a row outside this batch that still refers to t)" */
static void
add_not_referred(struct str *sql, const struct program *program, int table, const struct cat_table *child,
	int child_mapped, const int *child_columns, const int *columns, size_t n)
{
	const struct cat_table *cat = program_cat(program, table);

	str_addf(sql, " AND NOT EXISTS (SELECT FROM %s%s x WHERE ", child->kind == 'p' ? "" : "ONLY ", child->quoted);
	for (size_t i = 0; i < n; i++) {
		str_add(sql, i > 0 ? " AND " : "");
		sql_equal(sql, &child->columns[child_columns[i]], "x", &cat->columns[columns[i]], "t");
	}
	if (child_mapped >= 0 && program->tables[child_mapped].removed) {
		str_addf(sql, " AND NOT EXISTS (SELECT FROM expunge.key_set o WHERE o.request_id = ANY($1)"
			" AND o.table_id = %d AND o.via = 0 AND o.key = ", program->tables[child_mapped].id);
		sql_key(sql, program, child_mapped, 0, "x");
		str_add(sql, ")");
	}
	str_add(sql, ")");
}

void
sql_last_owner(struct str *sql, const struct program *program, int table)
{
	const struct map_table *t = &program->map->tables[table];

	for (size_t p = 0; p < t->n_paths; p++)
		if (t->paths[p].kind == MAP_REVERSE)
			add_not_referred(sql, program, table, program_cat(program, t->paths[p].target), t->paths[p].target,
				t->paths[p].target_columns, t->paths[p].columns, t->paths[p].n_columns);
	for (size_t f = 0; f < program->catalog->n_fks; f++) {
		const struct cat_fk *fk = &program->catalog->fks[f];

		if (fk->target == t->cat)
			add_not_referred(sql, program, table, &program->catalog->tables[fk->table],
				program_owned(program, fk->table), fk->columns, fk->target_columns, fk->n_columns);
	}
}

static void
add_delete(struct str *sql, const struct program *program, int table)
{
	str_add(sql, "DELETE FROM ");
	sql_from(sql, program, table, "t");
	str_add(sql, " USING expunge.key_set k WHERE ");
	sql_match(sql, program, table, 0, "t", "k");
	str_addf(sql, " AND k.request_id = ANY($1) AND k.table_id = %d AND k.via = 0 AND k.round >= $2::smallint",
		program->tables[table].id);
	if (program->map->tables[table].action == MAP_SHARED)
		sql_last_owner(sql, program, table);
	/* a shared row is told by its key, for all who list it */
	str_add(sql, program->map->tables[table].action == MAP_SHARED ? " RETURNING k.key" : " RETURNING k.request_id");
}

void
sql_delete_group(struct str *sql, const struct program *program, const int *tables, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		str_addf(sql, "%s d%zu AS (", i == 0 ? "WITH" : ",", i);
		add_delete(sql, program, tables[i]);
		str_add(sql, ")");
	}
	for (size_t i = 0; i < n; i++) {
		str_add(sql, i == 0 ? " " : " UNION ALL ");
		/* a shared row counts for every request that lists it; the total counts it once */
		if (program->map->tables[tables[i]].action == MAP_SHARED)
			str_addf(sql, "SELECT %zu, k.request_id, count(*) FROM expunge.key_set k JOIN d%zu d ON d.key = k.key"
				" WHERE k.request_id = ANY($1) AND k.table_id = %d AND k.via = 0 GROUP BY 2"
				" UNION ALL SELECT %zu, NULL, count(*) FROM d%zu",
				i, i, program->tables[tables[i]].id, i, i);
		else
			str_addf(sql, "SELECT %zu, d.request_id, count(*) FROM d%zu d GROUP BY GROUPING SETS ((d.request_id), ())", i, i);
	}
}

/* "{key}" in a mask stands for the row's key, so that placeholders stay unique. */
static void
add_mask(struct str *sql, const char *mask, const char *type)
{
	if (strcmp(mask, "null") == 0) {
		str_add(sql, "NULL");
		return;
	}
	str_add(sql, "pg_catalog.replace(");
	sql_literal(sql, strcmp(mask, "empty") == 0 ? "" : mask);
	str_add(sql, ", '{key}', pg_catalog.array_to_string(k.key, '-'))::");
	str_add(sql, type);
}

static const struct map_column *
column_line(const struct map_table *t, int column)
{
	for (size_t i = 0; i < t->n_columns; i++)
		if (t->columns[i].column == column)
			return &t->columns[i];
	return NULL;
}

/* A SET list under way: what has been done to each column. */
struct set_list {
	struct str *sql;
	const struct program *program;
	int table;
	int cut[1664]; /* more columns a table cannot have; the table that the column referred to + 1, -1: masked */
};

static void
add_set(struct set_list *set, int column, int done)
{
	set->cut[column] = done;
	str_addf(set->sql, "%s%s = ", set->sql->len > 0 ? ", " : "",
		program_cat(set->program, set->table)->columns[column].quoted);
}

/* "CASE WHEN EXISTS (SELECT FROM the key set o of the target's rows that go WHERE" */
static void
add_if_goes(struct set_list *set, int target, const int *target_columns, size_t n)
{
	str_addf(set->sql, "CASE WHEN EXISTS (SELECT FROM expunge.key_set o WHERE o.request_id = k.request_id"
		" AND o.table_id = %d AND o.via = %d AND ", set->program->tables[target].id,
		program_via(set->program, target, target_columns, n));
}

/* A column that may be set to null, and of which the map does not say what becomes of it. */
static bool
may_cut(const struct set_list *set, int column)
{
	const struct cat_column *cat = &program_cat(set->program, set->table)->columns[column];
	const struct map_column *line = column_line(&set->program->map->tables[set->table], column);

	return !cat->not_null && !cat->generated && (line == NULL || line->mask == NULL);
}

/* The reference of a staying row to a row that goes is cut, unless the map says what becomes of it. */
static void
add_cut(struct set_list *set, const int *columns, int target, const int *target_columns, size_t n,
	const struct map_path *path)
{
	const struct cat_table *cat = program_cat(set->program, set->table);

	/* one column without a value makes a reference of several none */
	for (size_t i = 0; i < n; i++)
		if (set->cut[columns[i]] == target + 1)
			return;
	for (size_t i = 0; i < n; i++) {
		if (set->cut[columns[i]] != 0 || !may_cut(set, columns[i]))
			continue;
		add_set(set, columns[i], target + 1);
		add_if_goes(set, target, target_columns, n);
		sql_refers(set->sql, set->program, cat, columns, target, target_columns, n, "t", "o");
		if (path != NULL)
			sql_when(set->sql, set->program, set->table, path, "t");
		str_addf(set->sql, ") THEN NULL ELSE t.%s END", cat->columns[columns[i]].quoted);
	}
}

/* An array loses the elements that refer to rows that go. */
static void
add_array_cut(struct set_list *set, const struct map_path *path)
{
	const struct program *program = set->program;
	const struct cat_column *column = &program_cat(program, set->table)->columns[path->columns[0]];
	const struct cat_column *target = &program_cat(program, path->target)->columns[path->target_columns[0]];
	const struct map_column *line = column_line(&program->map->tables[set->table], path->columns[0]);
	CLEANUP(free_text) char *array = mem_printf("t.%s", column->quoted);

	if (set->cut[path->columns[0]] != 0 || column->generated || (line != NULL && line->mask != NULL))
		return;
	add_set(set, path->columns[0], path->target + 1);
	add_if_goes(set, path->target, path->target_columns, 1);
	sql_in_array(set->sql, column, target, array, "o.key[1]");
	sql_when(set->sql, program, set->table, path, "t");
	str_addf(set->sql, ") THEN ARRAY(SELECT e.v FROM pg_catalog.unnest(%s) WITH ORDINALITY e(v, n) WHERE NOT EXISTS"
		" (SELECT FROM expunge.key_set o WHERE o.request_id = k.request_id AND o.table_id = %d AND o.via = %d AND ",
		array, program->tables[path->target].id, program_via(program, path->target, path->target_columns, 1));
	sql_in_array(set->sql, column, target, "ARRAY[e.v]", "o.key[1]");
	str_addf(set->sql, ") ORDER BY e.n) ELSE %s END", array);
}

static void
add_set_list(struct str *sql, const struct program *program, int table)
{
	const struct map_table *t = &program->map->tables[table];
	const struct cat_table *cat = program_cat(program, table);
	struct set_list set = { .sql = sql, .program = program, .table = table };

	for (size_t i = 0; i < t->n_columns; i++) {
		const struct map_column *c = &t->columns[i];

		if (c->mask == NULL || strcmp(c->mask, "keep") == 0 || cat->columns[c->column].generated)
			continue;
		add_set(&set, c->column, -1);
		add_mask(sql, c->mask, cat->columns[c->column].type);
	}
	for (size_t p = 0; p < t->n_paths; p++) {
		const struct map_path *path = &t->paths[p];

		if (path->kind == MAP_REVERSE || !program->tables[path->target].removed)
			continue;
		if (path->kind == MAP_ARRAY)
			add_array_cut(&set, path);
		else
			add_cut(&set, path->columns, path->target, path->target_columns, path->n_columns, path);
	}
	for (size_t f = 0; f < program->catalog->n_fks; f++) {
		const struct cat_fk *fk = &program->catalog->fks[f];
		int target = program_owned(program, fk->target);

		if (fk->table == t->cat && target >= 0 && program->tables[target].removed)
			add_cut(&set, fk->columns, target, fk->target_columns, fk->n_columns, NULL);
	}
}

bool
sql_update(struct str *sql, const struct program *program, int table)
{
	CLEANUP(str_release) struct str set = STR_INIT;

	add_set_list(&set, program, table);
	if (set.len == 0)
		return false;
	str_add(sql, "WITH d AS (UPDATE ");
	sql_from(sql, program, table, "t");
	str_addf(sql, " SET %s FROM expunge.key_set k WHERE ", set.s);
	sql_match(sql, program, table, 0, "t", "k");
	str_addf(sql, " AND k.request_id = ANY($1) AND k.table_id = %d AND k.via = 0 AND k.round >= $2::smallint"
		" RETURNING k.request_id) SELECT 0, d.request_id, count(*) FROM d GROUP BY GROUPING SETS ((d.request_id), ())",
		program->tables[table].id);
	return true;
}

void
sql_unlink(struct str *sql, const struct program *program, int table, size_t column_line)
{
	str_addf(sql, "SELECT 0, NULL, count(pg_catalog.lo_unlink(m.oid)) FROM pg_catalog.pg_largeobject_metadata m"
		" WHERE m.oid IN (SELECT k.key[1]::oid FROM expunge.key_set k WHERE k.request_id = ANY($1)"
		" AND k.table_id = %d AND k.via = %d AND k.round >= $2::smallint)",
		program->tables[table].id, program_lo_via(program, table, column_line));
	sql_lo_unheld(sql, program);
}

void
sql_birth(struct str *sql, const struct program *program, const char *alias)
{
	const struct map *map = program->map;

	str_add(sql, "concat_ws(chr(31)");
	for (size_t i = 0; i < map->subject_birth.n; i++)
		str_addf(sql, ", %s.%s::text", alias, program_cat(program, map->subject)->columns[map->subject_birth_columns[i]].quoted);
	str_add(sql, ", '')");
}

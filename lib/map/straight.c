#include "map/straight.h"

#include <stdio.h>

#include "map/tenant_rows.h"

/* ---- which -------------------------------------------------------------------------------------- */

/* The columns are a key that the server itself keeps unique, and no others. */
static bool
is_key(const struct cat_table *cat, const int *columns, size_t n)
{
	size_t found = 0;

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < cat->n_key; k++)
			found += cat->key[k] == columns[i];
	return n > 0 && n == cat->n_key && found == n;
}

static bool
holds_contents(const struct map_table *table)
{
	for (size_t c = 0; c < table->n_columns; c++)
		if (table->columns[c].lo || table->columns[c].documents != NULL)
			return true;
	return false;
}

/* As far as the table itself goes. */
static bool
could_be(const struct program *program, int table)
{
	const struct map *map = program->map;
	const struct map_table *t = &map->tables[table];
	const struct map_path *path = t->paths;

	if (!program->tables[table].owned || program->tables[table].log || holds_contents(t))
		return false;
	if (table == map->subject)
		return t->n_paths == 0 && is_key(program_cat(program, table), &map->subject_key_column, 1);
	return t->n_paths == 1 && path->kind == MAP_FORWARD && path->when_value == NULL && path->target >= 0 && path->target != table &&
		is_key(program_cat(program, path->target), path->target_columns, path->n_columns);
}

/* One that hangs on a table that is not straight is not, nor is one that such a table hangs on. Whether anything changed. */
static bool
take_back(struct program *program)
{
	const struct map *map = program->map;
	bool changed = false;

	for (size_t i = 0; i < map->n_tables; i++)
		for (size_t p = 0; program->tables[i].owned && p < map->tables[i].n_paths; p++) {
			int target = map->tables[i].paths[p].target;

			if (target < 0 || program->tables[i].straight == program->tables[target].straight)
				continue;
			program->tables[i].straight = program->tables[target].straight = false;
			changed = true;
		}
	return changed;
}

/* References that lead round and round never come to the subject. */
static bool
reaches_subject(const struct program *program, int table)
{
	for (size_t steps = 0; steps < program->map->n_tables && table != program->map->subject; steps++)
		table = program->map->tables[table].paths[0].target;
	return table == program->map->subject;
}

void
straight_mark(struct program *program)
{
	for (size_t i = 0; i < program->map->n_tables; i++)
		program->tables[i].straight = could_be(program, (int)i);
	while (take_back(program))
		continue;
	for (size_t i = 0; i < program->map->n_tables; i++)
		if (program->tables[i].straight && !reaches_subject(program, (int)i))
			program->tables[i].straight = false;
}

/* ---- SQL ---------------------------------------------------------------------------------------- */

/* t.invoice_id = c1.id */
static void
add_step(struct str *sql, const struct program *program, int table, const char *alias, const char *target_alias)
{
	const struct map_path *path = &program->map->tables[table].paths[0];
	const struct cat_table *cat = program_cat(program, table), *target = program_cat(program, path->target);

	for (size_t i = 0; i < path->n_columns; i++) {
		str_add(sql, i == 0 ? "" : " AND ");
		sql_equal(sql, &cat->columns[path->columns[i]], alias, &target->columns[path->target_columns[i]], target_alias);
	}
}

/* " JOIN ..." from the table `alias` on; the first alias is c and this number. */
static void
add_chain(struct str *sql, const struct program *program, int table, int number, char alias[16])
{
	while (table != program->map->subject) {
		int target = program->map->tables[table].paths[0].target;
		char next[16];

		(void)snprintf(next, sizeof(next), "c%d", number++);
		str_add(sql, " JOIN ");
		sql_from(sql, program, target, next);
		str_add(sql, " ON ");
		add_step(sql, program, table, alias, next);
		(void)snprintf(alias, 16, "%s", next);
		table = target;
	}
}

void
sql_straight(struct str *sql, const struct program *program, int table, char ret[16])
{
	(void)snprintf(ret, 16, "t");
	str_add(sql, " FROM ");
	sql_from(sql, program, table, "t");
	add_chain(sql, program, table, 1, ret);
}

void
sql_straight_unowned(struct str *sql, const struct program *program, int table)
{
	char alias[16] = "c1";
	int target;

	str_add(sql, " FROM ");
	sql_from(sql, program, table, "t");
	if (table == program->map->subject) {
		str_add(sql, " WHERE (");
		sql_is_subject(sql, program, "t", NULL);
		str_add(sql, ") IS NOT TRUE");
		return;
	}
	target = program->map->tables[table].paths[0].target;
	str_add(sql, " WHERE NOT EXISTS (SELECT FROM ");
	sql_from(sql, program, target, alias);
	add_chain(sql, program, target, 2, alias);
	str_add(sql, " WHERE ");
	add_step(sql, program, table, "t", "c1");
	str_add(sql, " AND ");
	sql_is_subject(sql, program, alias, NULL);
	str_add(sql, ")");
}

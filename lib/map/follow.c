#include "map/follow.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

/* ---- which --------------------------------------------------------------------------------------- */

/* The foreign key that this table's one path goes along, or NULL. */
static const struct cat_fk *
fk_along(const struct program *program, int table)
{
	const struct map_table *t = &program->map->tables[table];
	const struct map_path *path = t->paths;

	for (size_t f = 0; f < program->catalog->n_fks; f++) {
		const struct cat_fk *fk = &program->catalog->fks[f];

		if (fk->table == t->cat && fk->target == program->map->tables[path->target].cat && fk->n_columns == path->n_columns &&
		    memcmp(fk->columns, path->columns, fk->n_columns * sizeof(*fk->columns)) == 0 &&
		    memcmp(fk->target_columns, path->target_columns, fk->n_columns * sizeof(*fk->columns)) == 0)
			return fk;
	}
	return NULL;
}

/* All that finds its way by keys of this table follows it, along foreign keys: without its row none of theirs can be there. */
static bool
is_followed_only(const struct program *program, int table)
{
	const struct map *map = program->map;

	for (size_t f = 0; f < program->catalog->n_fks; f++) {
		const struct cat_fk *fk = &program->catalog->fks[f];
		int from = program_owned(program, fk->table);

		if (fk->target == map->tables[table].cat && (from < 0 || !program->tables[from].follows || fk_along(program, from) != fk))
			return false;
	}
	for (size_t i = 0; i < map->n_tables; i++) {
		if (map->tables[i].log_table == table)
			return false;
		for (size_t p = 0; program->tables[i].owned && p < map->tables[i].n_paths; p++)
			if (map->tables[i].paths[p].target == table &&
			    (!program->tables[i].follows || fk_along(program, (int)i) == NULL))
				return false;
	}
	return true;
}

static bool
holds_contents(const struct map_table *t)
{
	for (size_t c = 0; c < t->n_columns; c++)
		if (t->columns[c].lo || t->columns[c].documents != NULL)
			return true;
	return false;
}

static bool
has_code(const struct catalog *catalog, int cat)
{
	for (size_t i = 0; i < catalog->n_triggers; i++)
		if (catalog->triggers[i].table == cat && catalog->triggers[i].on_delete)
			return true;
	for (size_t i = 0; i < catalog->n_rules; i++)
		if (catalog->rules[i].table == cat && catalog->rules[i].event == '4')
			return true;
	return false;
}

/* As far as the table itself goes. */
static bool
could_follow(const struct program *program, const struct map *map, int table)
{
	const struct program_table *pt = &program->tables[table];
	const struct map_table *t = &program->map->tables[table], *before = &map->tables[table];
	const struct map_path *path = t->paths;

	/* the tenant's own rows have a turn of their own, in pieces */
	if (!pt->owned || pt->log || pt->created || t->action != MAP_DELETE || before->action == MAP_TENANT || table == map->subject)
		return false;
	return t->n_paths == 1 && before->n_paths == 1 && path->kind == MAP_FORWARD && path->when_column_name == NULL &&
		path->target != table && program->tables[path->target].removed &&
		program_via(program, path->target, path->target_columns, path->n_columns) == 0 && !holds_contents(t) &&
		!has_code(program->catalog, t->cat);
}

/* References that lead round and round come to no saved key. */
static bool
reaches_saved(const struct program *program, int table)
{
	for (size_t steps = 0; steps < program->map->n_tables && program->tables[table].follows; steps++)
		table = program->map->tables[table].paths[0].target;
	return !program->tables[table].follows;
}

void
follow_mark(struct program *program, const struct map *map)
{
	bool changed = true;

	for (size_t i = 0; i < map->n_tables; i++)
		program->tables[i].follows = could_follow(program, map, (int)i);
	while (changed) {
		changed = false;
		for (size_t i = 0; i < map->n_tables; i++) {
			if (!program->tables[i].follows || (is_followed_only(program, (int)i) && reaches_saved(program, (int)i)))
				continue;
			program->tables[i].follows = false;
			changed = true;
		}
	}
}

bool
follow_cascades(const struct program *program, int table)
{
	for (; program->tables[table].follows; table = program->map->tables[table].paths[0].target) {
		const struct cat_fk *fk = fk_along(program, table);

		if (fk == NULL || fk->on_delete != 'c')
			return false;
	}
	return true;
}

/* ---- SQL ----------------------------------------------------------------------------------------- */

/* "ONLY app.invoice c1, expunge.key_set k WHERE t.invoice_id = c1.id AND c1.patient_id = k.key[1]::bigint AND ...": what joins rows
 * t with the saved keys that they come to in the end. */
static void
add_owners(struct str *sql, const struct program *program, int table)
{
	CLEANUP(str_release) struct str where = STR_INIT;
	char alias[16] = "t", next[16];

	for (int step = 1;; step++) {
		const struct map_path *path = &program->map->tables[table].paths[0];
		const struct cat_table *cat = program_cat(program, table), *target = program_cat(program, path->target);

		if (!program->tables[path->target].follows) {
			sql_refers(&where, program, cat, path->columns, path->target, path->target_columns, path->n_columns, alias, "k");
			str_addf(sql, "expunge.key_set k WHERE %s AND k.request_id = ANY($1) AND k.table_id = %d AND k.via = 0", where.s,
				program->tables[path->target].id);
			return;
		}
		(void)snprintf(next, sizeof(next), "c%d", step);
		sql_from(sql, program, path->target, next);
		str_add(sql, ", ");
		for (size_t i = 0; i < path->n_columns; i++) {
			sql_equal(&where, &cat->columns[path->columns[i]], alias, &target->columns[path->target_columns[i]], next);
			str_add(&where, " AND ");
		}
		(void)snprintf(alias, sizeof(alias), "%s", next);
		table = path->target;
	}
}

void
sql_follow_count(struct str *sql, const struct program *program, int table)
{
	str_add(sql, "SELECT k.request_id, count(*) FROM ");
	sql_from(sql, program, table, "t");
	str_add(sql, ", ");
	add_owners(sql, program, table);
	str_add(sql, " GROUP BY 1");
}

void
sql_follow_delete(struct str *sql, const struct program *program, int table)
{
	str_add(sql, "WITH d AS (DELETE FROM ");
	sql_from(sql, program, table, "t");
	str_add(sql, " USING ");
	add_owners(sql, program, table);
	/* the round of what is deleted says nothing about the round of its owner */
	str_add(sql, " AND $2::smallint IS NOT NULL RETURNING k.request_id)"
		" SELECT 0, d.request_id, count(*) FROM d GROUP BY GROUPING SETS ((d.request_id), ())");
}

int
follow_count(const struct program *program, struct db *db, const char *requests, int64_t *counts, struct err *err)
{
	for (size_t i = 0; i < program->map->n_tables; i++) {
		CLEANUP(db_result_freep) struct db_result *res = NULL;
		CLEANUP(str_release) struct str sql = STR_INIT;

		counts[i] = 0;
		if (!program->tables[i].follows)
			continue;
		sql_follow_count(&sql, program, (int)i);
		if (db_text(db, DB_MANY, sql.s, 1, DB_PARAMS(requests), &res, err) != 0)
			return -1;
		for (int row = 0; row < db_rows(res); row++)
			counts[i] += db_get_int(res, row, 1);
	}
	return 0;
}

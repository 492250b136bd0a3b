#include "map/closure.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"

/* What a path says that no line of the map does. Told from the map's own by its address. */
static char derived[] = "foreign key";

static bool
has_path(const struct map_table *t, const int *columns, int target, const int *target_columns, size_t n)
{
	for (size_t p = 0; p < t->n_paths; p++) {
		const struct map_path *path = &t->paths[p];

		if (path->kind == MAP_FORWARD && path->target == target && path->n_columns == n && path->when_column_name == NULL &&
		    memcmp(path->columns, columns, n * sizeof(*columns)) == 0 &&
		    memcmp(path->target_columns, target_columns, n * sizeof(*columns)) == 0)
			return true;
	}
	return false;
}

static int *
copy_columns(const int *columns, size_t n)
{
	int *ret = mem_zero(n, sizeof(*ret));

	(void)memcpy(ret, columns, n * sizeof(*ret));
	return ret;
}

static void
add_path(struct map *closure, int table, const int *columns, int target, const int *target_columns, size_t n)
{
	struct map_table *t = &closure->tables[table];
	struct map_path *path;

	if (has_path(t, columns, target, target_columns, n))
		return;
	path = MEM_PUSH(t->paths, t->n_paths);
	*path = (struct map_path){ .text = derived, .kind = MAP_FORWARD, .target_name = closure->tables[target].name, .n_columns = n,
		.target = target, .when_column = -1 };
	path->columns = copy_columns(columns, n);
	path->target_columns = copy_columns(target_columns, n);
}

/* The tables with copies of the paths, which are shared with the map they come from. */
static struct map *
copy(const struct map *map)
{
	struct map *closure = mem_zero(1, sizeof(*closure));

	*closure = *map;
	closure->tables = mem_zero(map->n_tables, sizeof(*closure->tables));
	for (size_t i = 0; i < map->n_tables; i++) {
		struct map_table *t = &closure->tables[i];

		*t = map->tables[i];
		t->paths = NULL;
		t->n_paths = 0;
		for (size_t p = 0; p < map->tables[i].n_paths; p++)
			*MEM_PUSH(t->paths, t->n_paths) = map->tables[i].paths[p];
		/* there is no receipt that rows could have come after */
		t->created_column = -1;
	}
	/* each row of a person is found by itself; those merged into another one refer to it */
	closure->subject_merged_column = -1;
	return closure;
}

/* ---- what becomes of each table ------------------------------------------------------------------ */

static bool
goes(const struct map *closure, int table)
{
	return closure->tables[table].action == MAP_DELETE;
}

/* A foreign key of this table leads to rows that go in any case. */
static bool
has_home(const struct map *closure, const int *line, int table)
{
	const struct catalog *catalog = closure->catalog;

	for (size_t f = 0; f < catalog->n_fks; f++) {
		int target = line[catalog->fks[f].target];

		if (line[catalog->fks[f].table] == table && target >= 0 && target != table && goes(closure, target))
			return true;
	}
	return false;
}

/* Some owner path leads to rows that go. */
static bool
has_owner(const struct map *closure, int table)
{
	const struct map_table *t = &closure->tables[table];

	for (size_t p = 0; p < t->n_paths; p++)
		if (t->paths[p].target != table && goes(closure, t->paths[p].target))
			return true;
	return false;
}

/* Shared rows that are the tenant's by a foreign key of their own, and the tenant's own tables as far as owner paths reach. */
static void
take_more(struct map *closure, const int *line)
{
	bool changed = true;

	while (changed) {
		changed = false;
		for (size_t i = 0; i < closure->n_tables; i++) {
			struct map_table *t = &closure->tables[i];

			if ((t->action == MAP_SHARED && has_home(closure, line, (int)i)) ||
			    (t->action == MAP_TENANT && has_owner(closure, (int)i))) {
				t->action = MAP_DELETE;
				changed = true;
			}
		}
	}
}

static void
set_actions(struct map *closure, int tenant, const int *line)
{
	for (size_t i = 0; i < closure->n_tables; i++) {
		struct map_table *t = &closure->tables[i];

		if (t->action == MAP_MASK || t->action == MAP_TOMBSTONE || t->action == MAP_RETAIN)
			t->action = MAP_DELETE;
	}
	closure->tables[tenant].action = MAP_DELETE;
	take_more(closure, line);
}

/* ---- how their rows are reached ------------------------------------------------------------------ */

/* Paths to tables whose rows stay lead to nothing. */
static void
drop_idle_paths(struct map_table *t, const struct map *closure)
{
	size_t kept = 0;

	for (size_t p = 0; p < t->n_paths; p++)
		if (map_action_is_owned(closure->tables[t->paths[p].target].action))
			t->paths[kept++] = t->paths[p];
	t->n_paths = kept;
}

static void
add_foreign_keys(struct map *closure, const int *line)
{
	const struct catalog *catalog = closure->catalog;

	for (size_t f = 0; f < catalog->n_fks; f++) {
		const struct cat_fk *fk = &catalog->fks[f];
		int table = line[fk->table], target = line[fk->target];

		/* who refers to a shared row lets it go, and does not go with it */
		if (table < 0 || target < 0 || !map_action_is_owned(closure->tables[table].action) || !goes(closure, target) ||
		    closure->tables[table].action == MAP_SHARED)
			continue;
		add_path(closure, table, fk->columns, target, fk->target_columns, fk->n_columns);
	}
}

static int
find_tenant(const struct map *map, int *ret_table, int *ret_column, struct err *err)
{
	int table = map->tenant_table == NULL ? -1 : map_table(map, map->tenant_table);

	if (table < 0) {
		(void)err_set(err, ERR_REFUSED, "the data map names one tenant only: this database is that practice's own");
		return err_hint(err, "such an account is closed by dropping the database, and whatever copies of it there are");
	}
	if (map->tables[table].action != MAP_TENANT && !map_action_removes(map->tables[table].action)) {
		(void)err_set(err, ERR_REFUSED, "%s has action %s in the data map: the row of an account that is closed would stay",
			map->tables[table].name, map_action_text(map->tables[table].action));
		return err_hint(err, "give it action tenant");
	}
	*ret_table = table;
	*ret_column = catalog_column(&map->catalog->tables[map->tables[table].cat], map->tenant_key);
	return 0;
}

int
map_of_closure(struct map **ret, const struct map *map, struct err *err)
{
	struct map *closure;
	int tenant = -1, key = -1, *line;

	if (find_tenant(map, &tenant, &key, err) != 0)
		return -1;
	closure = copy(map);
	line = map_lines(map);
	set_actions(closure, tenant, line);
	for (size_t i = 0; i < closure->n_tables; i++)
		drop_idle_paths(&closure->tables[i], closure);
	add_path(closure, map->subject, &map->subject_tenant_column, tenant, &key, 1);
	if (map->subject_merged_column >= 0)
		add_path(closure, map->subject, &map->subject_merged_column, map->subject, &map->subject_key_column, 1);
	add_foreign_keys(closure, line);
	free(line);
	*ret = closure;
	return 0;
}

void
map_closure_free(struct map *closure)
{
	if (closure == NULL)
		return;
	for (size_t i = 0; i < closure->n_tables; i++) {
		struct map_table *t = &closure->tables[i];

		for (size_t p = 0; p < t->n_paths; p++)
			if (t->paths[p].text == derived) {
				free(t->paths[p].columns);
				free(t->paths[p].target_columns);
			}
		free(t->paths);
	}
	free(closure->tables);
	free(closure);
}

void
map_closure_freep(struct map **closure)
{
	map_closure_free(*closure);
}

#include "map/tenant_rows.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"

static int
tenant_cat(const struct program *program)
{
	return program->map->tenant_table == NULL ? -1 : catalog_table(program->catalog, program->map->tenant_table);
}

bool
tenant_is_nobody(const struct program *program, const char *tenant)
{
	return program->map->tenant_table != NULL && strcmp(tenant, TENANT_NOBODY) == 0;
}

bool
tenant_has_unowned(const struct program *program, const char *tenant)
{
	return program->map->tenant_table == NULL || tenant_is_nobody(program, tenant);
}

static const struct cat_column *
tenant_key(const struct program *program)
{
	const struct cat_table *cat = &program->catalog->tables[tenant_cat(program)];

	return &cat->columns[catalog_column(cat, program->map->tenant_key)];
}

/* alias.column::text = 'tenant', or: is one that there is; other: is none or another than this */
static void
add_named(struct str *sql, const struct program *program, const char *alias, const struct cat_column *column, const char *tenant,
	bool other)
{
	CLEANUP(free_text) char *text = mem_printf("%s.%s::text", alias, column->quoted);

	if (tenant == NULL) {
		sql_is_tenant(sql, program, text);
		return;
	}
	str_addf(sql, "%s COLLATE pg_catalog.\"C\" %s ", text, other ? "IS DISTINCT FROM" : "=");
	sql_literal(sql, tenant);
}

struct walk {
	const struct program *program;
	const char *tenant;
	bool other; /* than this tenant */
	bool *seen; /* by table: it is on the way already */
	int depth;
};

static bool add_condition(struct str *sql, struct walk *walk, int table, const char *alias);

static void
add_join(struct str *sql, const struct program *program, int table, const struct map_path *path, const char *alias,
	const char *target_alias)
{
	const struct cat_table *cat = program_cat(program, table), *target = program_cat(program, path->target);

	for (size_t i = 0; i < path->n_columns; i++) {
		const struct cat_column *own = &cat->columns[path->columns[i]], *other = &target->columns[path->target_columns[i]];

		str_add(sql, i == 0 ? "" : " AND ");
		if (path->kind == MAP_ARRAY) {
			CLEANUP(free_text) char *array = mem_printf("%s.%s", alias, own->quoted);
			CLEANUP(free_text) char *element = mem_printf("%s.%s::text", target_alias, other->quoted);

			sql_in_array(sql, own, other, array, element);
		} else {
			sql_equal(sql, own, alias, other, target_alias);
		}
	}
	sql_when(sql, program, table, path, alias);
}

/* "EXISTS (a row of the target that the path leads to and that is the tenant's)" */
static bool
add_path(struct str *sql, struct walk *walk, int table, const struct map_path *path, const char *alias)
{
	CLEANUP(str_release) struct str condition = STR_INIT;
	CLEANUP(free_text) char *target_alias = mem_printf("o%d", walk->depth);

	if (path->target < 0 || walk->seen[path->target])
		return false;
	walk->depth++;
	if (!add_condition(&condition, walk, path->target, target_alias))
		return false;
	str_add(sql, "EXISTS (SELECT FROM ");
	sql_from(sql, walk->program, path->target, target_alias);
	str_add(sql, " WHERE ");
	add_join(sql, walk->program, table, path, alias, target_alias);
	str_addf(sql, " AND %s)", condition.s);
	return true;
}

static bool
add_condition(struct str *sql, struct walk *walk, int table, const char *alias)
{
	const struct program *program = walk->program;
	const struct map *map = program->map;
	const struct map_table *t = &map->tables[table];
	bool any = false;

	if (t->cat == tenant_cat(program)) {
		add_named(sql, program, alias, tenant_key(program), walk->tenant, walk->other);
		return true;
	}
	if (table == map->subject) {
		add_named(sql, program, alias, &program_cat(program, table)->columns[map->subject_tenant_column], walk->tenant,
			walk->other);
		return true;
	}
	walk->seen[table] = true;
	for (size_t p = 0; p < t->n_paths; p++) {
		CLEANUP(str_release) struct str one = STR_INIT;

		if (!add_path(&one, walk, table, &t->paths[p], alias))
			continue;
		str_addf(sql, "%s%s", any ? " OR " : "(", one.s);
		any = true;
	}
	walk->seen[table] = false;
	if (any)
		str_add(sql, ")");
	return any;
}

static bool
start_walk(struct str *sql, struct walk *walk, int table, const char *alias)
{
	CLEANUP(free_text) char *seen = mem_zero(walk->program->map->n_tables, sizeof(bool));

	walk->seen = (bool *)seen;
	return add_condition(sql, walk, table, alias);
}

bool
sql_of_tenant(struct str *sql, const struct program *program, int table, const char *alias, const char *tenant)
{
	struct walk walk = { .program = program, .tenant = tenant };

	if (tenant_cat(program) < 0) {
		str_add(sql, "true");
		return true;
	}
	return start_walk(sql, &walk, table, alias);
}

bool
sql_of_other(struct str *sql, const struct program *program, int table, const char *alias, const char *tenant)
{
	struct walk walk = { .program = program, .tenant = tenant, .other = true };

	return tenant_cat(program) >= 0 && start_walk(sql, &walk, table, alias);
}

void
sql_tenants(struct str *sql, const struct program *program)
{
	int cat = tenant_cat(program);

	str_add(sql, "SELECT ");
	if (cat < 0) {
		sql_literal(sql, program->map->tenant_constant);
		str_add(sql, "::text");
		return;
	}
	str_addf(sql, "n.name FROM (SELECT t.%s::text AS name, row_number() OVER (ORDER BY t.%s) AS place FROM %s t"
		" UNION ALL SELECT '" TENANT_NOBODY "', NULL) n ORDER BY n.place", tenant_key(program)->quoted, tenant_key(program)->quoted,
		program->catalog->tables[cat].quoted);
}

void
sql_is_subject(struct str *sql, const struct program *program, const char *alias, const char *tenant)
{
	const struct map *map = program->map;
	const struct cat_table *cat = program_cat(program, map->subject);

	str_addf(sql, "%s.%s::text <> '' AND ", alias, cat->columns[map->subject_key_column].quoted);
	if (map->subject_tenant_column >= 0)
		add_named(sql, program, alias, &cat->columns[map->subject_tenant_column], tenant, false);
	else
		str_add(sql, "true");
}

void
sql_subjects(struct str *sql, const struct program *program, const char *tenant)
{
	str_add(sql, " FROM ");
	sql_from(sql, program, program->map->subject, "t");
	str_add(sql, " WHERE ");
	sql_is_subject(sql, program, "t", tenant);
}

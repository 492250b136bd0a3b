#include "map/straight.h"
#include "map/program.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "map/via_numbers.h"
#include "query.h"

const struct cat_table *
program_cat(const struct program *program, int table)
{
	return &program->catalog->tables[program->map->tables[table].cat];
}

int
program_table_by_id(const struct program *program, int id)
{
	for (size_t i = 0; i < program->map->n_tables; i++)
		if (program->tables[i].id == id)
			return (int)i;
	return -1;
}

static bool
same_columns(const struct program_via *via, const int *columns, size_t n)
{
	if (via->n != n)
		return false;
	for (size_t i = 0; i < n; i++) {
		bool found = false;

		for (size_t j = 0; j < n; j++)
			found = found || via->columns[j] == columns[i];
		if (!found)
			return false;
	}
	return true;
}

int
program_via(const struct program *program, int table, const int *columns, size_t n)
{
	const struct program_table *pt = &program->tables[table];

	for (size_t v = 0; v < pt->n_vias; v++)
		if (n > 0 && same_columns(&pt->vias[v], columns, n))
			return (int)v;
	return -1;
}

static void
add_via(struct program *program, int table, const int *columns, size_t n)
{
	struct program_table *pt = &program->tables[table];
	struct program_via *via;

	if (program_via(program, table, columns, n) >= 0)
		return;
	via = MEM_PUSH(pt->vias, pt->n_vias);
	via->columns = mem_zero(n, sizeof(int));
	via->n = n;
	if (n > 0)
		(void)memcpy(via->columns, columns, n * sizeof(int));
}

int
program_lo_via(const struct program *program, int table, size_t column_line)
{
	return PROGRAM_VIA_LO + program_cat(program, table)->columns[program->map->tables[table].columns[column_line].column].number;
}

int
program_document_via(const struct program *program, int table, size_t column_line)
{
	return program_lo_via(program, table, column_line) + (PROGRAM_VIA_DOCUMENT - PROGRAM_VIA_LO);
}

int
program_owned(const struct program *program, int cat)
{
	for (size_t i = 0; i < program->map->n_tables; i++)
		if (program->map->tables[i].cat == cat && program->tables[i].owned)
			return (int)i;
	return -1;
}

static void
mark_references(struct program *program)
{
	const struct map *map = program->map;
	const struct catalog *catalog = program->catalog;

	for (size_t i = 0; i < map->n_tables; i++) {
		const struct map_table *t = &map->tables[i];

		for (size_t p = 0; p < t->n_paths; p++) {
			const struct map_path *path = &t->paths[p];

			if (path->kind == MAP_REVERSE) {
				continue;
			}
			add_via(program, path->target, path->target_columns, path->n_columns);
		}
		for (size_t c = 0; c < map->tables[i].creates.n; c++)
			program->tables[t->creates_tables[c]].created = true;
	}
	/* by which holds name the subject */
	add_via(program, map->subject, &map->subject_key_column, 1);
	for (size_t f = 0; f < catalog->n_fks; f++) {
		int target = program_owned(program, catalog->fks[f].target);

		if (target < 0)
			continue;
		add_via(program, target, catalog->fks[f].target_columns, catalog->fks[f].n_columns);
	}
}

static int
number_tables(struct program *program, struct db *db, struct err *err)
{
	for (size_t i = 0; i < program->map->n_tables; i++) {
		CLEANUP(db_result_freep) struct db_result *res = NULL;

		if (!program->tables[i].owned)
			continue;
		if (db_query(db, &QUERY_MAPPED_TABLE_NUMBER, DB_PARAMS(program->map->tables[i].name), &res, err) != 0)
			return -1;
		program->tables[i].id = (int)db_get_int(res, 0, 0);
	}
	return 0;
}

int
program_make(struct program **ret, const struct map *map, struct db *db, struct err *err)
{
	CLEANUP(program_freep) struct program *program = mem_zero(1, sizeof(*program));

	program->map = map;
	program->catalog = map->catalog;
	program->tables = mem_zero(map->n_tables, sizeof(*program->tables));
	for (size_t i = 0; i < map->n_tables; i++) {
		struct program_table *pt = &program->tables[i];
		const struct map_table *t = &map->tables[i];

		pt->owned = map_action_is_owned(t->action);
		pt->log = t->log_table >= 0;
		pt->created = pt->log;
		pt->removed = t->action == MAP_DELETE || t->action == MAP_SHARED;
		pt->updated = pt->owned && !pt->removed;
		pt->keyless = t->n_key_columns == 0;
		if (pt->owned) {
			struct program_via *key = MEM_PUSH(pt->vias, pt->n_vias);

			key->n = t->n_key_columns;
			key->columns = mem_zero(key->n, sizeof(int));
			if (key->n > 0)
				(void)memcpy(key->columns, t->key_columns, key->n * sizeof(int));
		}
	}
	if (number_tables(program, db, err) != 0 || via_numbers_read(program, db, err) != 0)
		return -1;
	mark_references(program);
	straight_mark(program);
	if (map_collect_order(&program->collect, map, err) != 0 || map_remove_order(&program->remove, map, err) != 0)
		return -1;
	if (catalog_hash(program->catalog, program->schema_hash, err) != 0 || via_numbers_keep(program, db, err) != 0)
		return -1;
	*ret = TAKE_PTR(program);
	return 0;
}

void
program_free(struct program *program)
{
	if (program == NULL)
		return;
	for (size_t i = 0; i < program->map->n_tables; i++) {
		for (size_t v = 0; v < program->tables[i].n_vias; v++)
			free(program->tables[i].vias[v].columns);
		free(program->tables[i].vias);
	}
	map_order_release(&program->collect);
	map_order_release(&program->remove);
	free(program->tables);
	free(program);
}

void
program_freep(struct program **program)
{
	program_free(*program);
}

static bool
goes(const struct program *program, int table, const struct map_column *column)
{
	return program->tables[table].removed || (column->mask != NULL && strcmp(column->mask, "keep") != 0);
}

bool
program_lo_goes(const struct program *program, int table, int column_line)
{
	const struct map_column *column = &program->map->tables[table].columns[column_line];

	return column->lo && goes(program, table, column);
}

bool
program_document_goes(const struct program *program, int table, int column_line)
{
	const struct map_column *column = &program->map->tables[table].columns[column_line];

	return column->documents != NULL && program->tables[table].owned && goes(program, table, column);
}

void
sql_lo_unheld(struct str *sql, const struct program *program)
{
	for (size_t i = 0; i < program->map->n_tables; i++) {
		const struct map_table *t = &program->map->tables[i];

		for (size_t c = 0; c < t->n_columns; c++) {
			const struct cat_column *column;

			if (!t->columns[c].lo)
				continue;
			column = &program_cat(program, (int)i)->columns[t->columns[c].column];
			str_add(sql, " AND NOT EXISTS (SELECT FROM ");
			sql_from(sql, program, (int)i, "x");
			/* some applications keep the number as text */
			str_addf(sql, " WHERE x.%s%s = m.oid%s)", column->quoted, column->category == 'S' ? "::text" : "",
				column->category == 'S' ? "::text" : "");
		}
	}
	/* nor any column of that type in a table that is nobody's: the practice's logo, say */
	for (size_t i = 0; i < program->catalog->n_tables; i++) {
		const struct cat_table *cat = &program->catalog->tables[i];

		if (cat->root >= 0 || (cat->kind != 'r' && cat->kind != 'p') || program_owned(program, (int)i) >= 0)
			continue;
		for (size_t c = 0; c < cat->n_columns; c++)
			if (strcmp(cat->columns[c].type, "oid") == 0 || strcmp(cat->columns[c].type, "lo") == 0)
				str_addf(sql, " AND NOT EXISTS (SELECT FROM %s%s x WHERE x.%s::oid = m.oid)",
					cat->kind == 'p' ? "" : "ONLY ", cat->quoted, cat->columns[c].quoted);
	}
}

void
sql_orphan(struct str *sql, const struct program *program, int table, const char *alias)
{
	const struct map_table *t = &program->map->tables[table];
	const struct map_table *origin = &program->map->tables[t->log_table];

	str_add(sql, " AND NOT EXISTS (SELECT FROM ");
	sql_from(sql, program, t->log_table, "original");
	for (size_t i = 0; i < origin->n_key_columns; i++) {
		str_add(sql, i == 0 ? " WHERE " : " AND ");
		sql_equal(sql, &program_cat(program, t->log_table)->columns[origin->key_columns[i]], "original",
			&program_cat(program, table)->columns[t->log_columns[i]], alias);
	}
	str_add(sql, ")");
}

void
sql_from(struct str *sql, const struct program *program, int table, const char *alias)
{
	const struct cat_table *cat = program_cat(program, table);

	str_addf(sql, "%s%s %s", cat->kind == 'p' ? "" : "ONLY ", cat->quoted, alias);
}

/* What two types are both cast to before they are compared; NULL: nothing, the server has an operator
 * for them. A type of an extension keeps its own idea of equality: "A" = "a" in citext. */
static const char *
common_type(const char *type, char category, const char *equals, const struct cat_column *other)
{
	if (strcmp(type, other->type) == 0)
		return NULL;
	if (equals != NULL || other->equals != NULL)
		return equals != NULL ? type : other->type;
	return category == other->category && strchr("NSD", category) != NULL ? NULL : "text";
}

static const char *
equals_of(const struct cat_column *a, const struct cat_column *b)
{
	const char *equals = a->equals != NULL ? a->equals : b->equals;

	return equals == NULL ? "=" : equals;
}

static void
add_column(struct str *sql, const struct cat_column *column, const char *alias, const char *type)
{
	str_addf(sql, "%s.%s", alias, column->quoted);
	if (type != NULL) {
		str_add(sql, "::");
		sql_type(sql, type);
	}
}

void
sql_equal(struct str *sql, const struct cat_column *a, const char *alias_a, const struct cat_column *b,
	const char *alias_b)
{
	const char *type = common_type(a->type, a->category, a->equals, b);

	add_column(sql, a, alias_a, type);
	str_addf(sql, " %s ", equals_of(a, b));
	add_column(sql, b, alias_b, type);
	if (a->collation != NULL && b->collation != NULL && strcmp(a->collation, b->collation) != 0)
		str_addf(sql, " COLLATE %s", b->collation);
}

void
sql_in_array(struct str *sql, const struct cat_column *column, const struct cat_column *target, const char *array,
	const char *element)
{
	const char *type = common_type(column->element, column->element_category, column->element_equals, target);
	const char *equals = column->element_equals != NULL ? column->element_equals : target->equals;

	str_addf(sql, "%s::", element);
	sql_type(sql, type == NULL ? target->type : type);
	if (column->collation != NULL)
		str_addf(sql, " COLLATE %s", column->collation);
	str_addf(sql, " %s ANY(%s", equals == NULL ? "=" : equals, array);
	if (type != NULL) {
		str_add(sql, "::");
		sql_type(sql, type);
		str_add(sql, "[]");
	}
	str_add(sql, ")");
}

void
sql_when(struct str *sql, const struct program *program, int table, const struct map_path *path, const char *alias)
{
	if (path->when_column_name == NULL)
		return;
	str_addf(sql, " AND %s.%s::text = ", alias, program_cat(program, table)->columns[path->when_column].quoted);
	sql_literal(sql, path->when_value);
}

void
sql_type(struct str *sql, const char *type)
{
	const char *open = strchr(type, '('), *close = open == NULL ? NULL : strchr(open, ')');

	/* "character" alone would mean character(1) */
	if (strncmp(type, "character(", 10) == 0)
		str_add(sql, "bpchar");
	else if (close == NULL)
		str_add(sql, type);
	else {
		str_add_n(sql, type, (size_t)(open - type));
		str_add(sql, close + 1);
	}
}

void
sql_tenant(struct str *sql, const struct program *program, const char *alias)
{
	const struct map *map = program->map;

	if (map->subject_tenant_column >= 0)
		str_addf(sql, "%s.%s::text", alias, program_cat(program, map->subject)->columns[map->subject_tenant_column].quoted);
	else
		sql_literal(sql, map->tenant_constant == NULL ? "" : map->tenant_constant);
}

void
sql_is_tenant(struct str *sql, const struct program *program, const char *expression)
{
	const struct map *map = program->map;
	int cat = map->tenant_table == NULL ? -1 : catalog_table(program->catalog, map->tenant_table);
	int column = cat < 0 ? -1 : catalog_column(&program->catalog->tables[cat], map->tenant_key);

	if (column < 0) {
		str_addf(sql, "(%s = ", expression);
		sql_literal(sql, map->tenant_constant == NULL ? "" : map->tenant_constant);
		str_add(sql, ")");
		return;
	}
	str_addf(sql, "EXISTS (SELECT FROM %s tenant WHERE tenant.%s::text = %s)", program->catalog->tables[cat].quoted,
		program->catalog->tables[cat].columns[column].quoted, expression);
}

void
sql_literal(struct str *sql, const char *text)
{
	str_add(sql, "'");
	for (const char *c = text; *c != '\0'; c++)
		str_add_n(sql, *c == '\'' ? "''" : c, *c == '\'' ? 2 : 1);
	str_add(sql, "'");
}

void
sql_key(struct str *sql, const struct program *program, int table, int via, const char *alias)
{
	const struct program_via *v = &program->tables[table].vias[via];
	const struct cat_table *cat = program_cat(program, table);

	if (v->n == 0) {
		str_addf(sql, "ARRAY[%s.tableoid::text, %s.ctid::text]", alias, alias);
		return;
	}
	str_add(sql, "ARRAY[");
	for (size_t i = 0; i < v->n; i++)
		/* several collations in one array are ambiguous, and another than the index's serves no look-up */
		str_addf(sql, "%s%s.%s::text COLLATE pg_catalog.\"C\"", i > 0 ? ", " : "", alias,
			cat->columns[v->columns[i]].quoted);
	str_add(sql, "]");
}

void
sql_match(struct str *sql, const struct program *program, int table, int via, const char *alias,
	const char *set_alias)
{
	const struct program_via *v = &program->tables[table].vias[via];

	if (v->n == 0)
		str_addf(sql, "%s.tableoid = %s.key[1]::oid AND %s.ctid = %s.key[2]::tid", alias, set_alias, alias,
			set_alias);
	else
		sql_refers(sql, program, program_cat(program, table), v->columns, table, v->columns, v->n, alias,
			set_alias);
}

void
sql_refers(struct str *sql, const struct program *program, const struct cat_table *cat, const int *columns,
	int target, const int *target_columns, size_t n, const char *alias, const char *set_alias)
{
	const struct program_via *v =
		&program->tables[target].vias[program_via(program, target, target_columns, n)];

	for (size_t i = 0; i < n; i++) {
		const struct cat_column *column = &cat->columns[columns[i]];
		const struct cat_column *other = &program_cat(program, target)->columns[target_columns[i]];
		const char *type = common_type(column->type, column->category, column->equals, other);
		size_t position = 0;

		while (v->columns[position] != target_columns[i])
			position++;
		str_add(sql, i > 0 ? " AND " : "");
		add_column(sql, column, alias, type);
		/* of the target's type: the narrower one of a reference could not hold every key */
		str_addf(sql, " %s %s.key[%zu]::", equals_of(column, other), set_alias, position + 1);
		sql_type(sql, type == NULL ? other->type : type);
	}
}

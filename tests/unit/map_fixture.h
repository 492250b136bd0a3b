/* A catalogue put together by hand, for tests of the map without a database. */
#ifndef EXPUNGE_TESTS_MAP_FIXTURE_H
#define EXPUNGE_TESTS_MAP_FIXTURE_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "map/catalog.h"
#include "map/map.h"

/* The type that a letter stands for. */
static inline const char *
fix_type(char letter, const char **ret_element)
{
	*ret_element = NULL;
	switch (letter) {
	case 'N': return "bigint";
	case 'D': return "timestamp with time zone";
	case 'O': return "oid";
	case 'B': return "boolean";
	case 'A': *ret_element = "bigint"; return "bigint[]";
	default: return "text";
	}
}

/* columns: "id:N* patient_id:N! note:S": a type letter (O: oid), then * for a column of the key, ! for
 * not null, = for generated, ^ for inherited. Tables must come in the order of their names. */
static inline int
fix_table(struct catalog *c, const char *full, const char *columns)
{
	struct cat_table *t = MEM_PUSH(c->tables, c->n_tables);
	const char *dot = strchr(full, '.');

	ck_assert_msg(c->n_tables < 2 || strcmp(c->tables[c->n_tables - 2].full, full) < 0, "fixture: %s is out of order", full);
	t->oid = (uint32_t)c->n_tables;
	t->schema = mem_copy_n(full, (size_t)(dot - full));
	t->name = mem_copy(dot + 1);
	t->full = mem_copy(full);
	t->quoted = mem_copy(full);
	t->owner = mem_copy("app_owner");
	t->kind = 'r';
	t->root = -1;
	for (const char *p = columns; *p != '\0';) {
		const char *colon = strchr(p, ':'), *element;
		struct cat_column *col = MEM_PUSH(t->columns, t->n_columns);
		char letter = colon[1];

		col->number = (int)t->n_columns;
		col->name = mem_copy_n(p, (size_t)(colon - p));
		col->quoted = mem_copy(col->name);
		col->type = mem_copy(fix_type(letter, &element));
		col->declared = mem_copy(col->type);
		col->element = mem_copy(element);
		col->category = letter == 'O' ? 'N' : letter;
		col->element_category = element == NULL ? '\0' : 'N';
		for (p = colon + 2; *p != '\0' && *p != ' '; p++) {
			if (*p == '*')
				*MEM_PUSH(t->key, t->n_key) = (int)t->n_columns - 1;
			col->not_null = col->not_null || *p == '*' || *p == '!';
			col->generated = col->generated || *p == '=';
			col->inherited = col->inherited || *p == '^';
		}
		p += *p == ' ';
	}
	if (t->n_key > 0) {
		struct cat_index *index = MEM_PUSH(c->indexes, c->n_indexes);

		index->table = (int)c->n_tables - 1;
		index->columns = mem_zero(t->n_key, sizeof(int));
		memcpy(index->columns, t->key, t->n_key * sizeof(int));
		index->n_columns = t->n_key;
		index->unique = true;
	}
	return (int)c->n_tables - 1;
}

static inline int *
fix_column(const struct cat_table *t, const char *name)
{
	int *ret = mem_zero(1, sizeof(*ret));

	*ret = catalog_column(t, name);
	ck_assert_msg(*ret >= 0, "fixture: %s has no column %s", t->full, name);
	return ret;
}

static inline struct cat_fk *
fix_fk(struct catalog *c, const char *table, const char *column, const char *target, const char *target_column, char on_delete)
{
	struct cat_fk *fk = MEM_PUSH(c->fks, c->n_fks);

	fk->oid = 1000 + (uint32_t)c->n_fks;
	fk->table = catalog_table(c, table);
	fk->target = catalog_table(c, target);
	ck_assert(fk->table >= 0 && fk->target >= 0);
	fk->name = mem_printf("%s_%s_fkey", c->tables[fk->table].name, column);
	fk->columns = fix_column(&c->tables[fk->table], column);
	fk->target_columns = fix_column(&c->tables[fk->target], target_column);
	fk->n_columns = 1;
	fk->on_delete = on_delete;
	fk->indexed = true;
	return fk;
}

static inline void
fix_index(struct catalog *c, const char *table, const char *column, bool gin)
{
	struct cat_index *index = MEM_PUSH(c->indexes, c->n_indexes);

	index->table = catalog_table(c, table);
	index->columns = fix_column(&c->tables[index->table], column);
	index->n_columns = 1;
	index->gin = gin;
}

static inline struct cat_trigger *
fix_trigger(struct catalog *c, const char *table, const char *name)
{
	struct cat_trigger *t = MEM_PUSH(c->triggers, c->n_triggers);

	t->table = catalog_table(c, table);
	t->name = mem_copy(name);
	t->function = mem_copy("app.f");
	t->digest = mem_copy("d");
	t->enabled = t->row_level = true;
	return t;
}

static inline struct cat_rule *
fix_rule(struct catalog *c, const char *table, const char *name, char event)
{
	struct cat_rule *r = MEM_PUSH(c->rules, c->n_rules);

	r->table = catalog_table(c, table);
	r->name = mem_copy(name);
	r->digest = mem_copy("d");
	r->event = event;
	r->instead = r->enabled = true;
	return r;
}

/* The head that most maps of the tests share. */
#define FIX_HEAD \
	"tenant : { constant = \"t\"; };\n" \
	"subject : { table = \"app.patient\"; key = \"id\"; };\n"

/* A map of FIX_HEAD and these lines of tables, bound. */
static inline struct map *
fix_map(const struct catalog *c, const char *tables)
{
	char *text = mem_printf(FIX_HEAD "tables = (\n%s\n);\n", tables);
	struct str problems = STR_INIT;
	struct err err = { .code = ERR_NONE };
	struct map *map = NULL;

	ck_assert_msg(map_read_text(&map, text, "test.conf", &problems, &err) == 0, "%s %s", str_cstr(&problems), err.msg);
	ck_assert_msg(map_bind(map, c, &problems, &err) == 0, "%s %s", str_cstr(&problems), err.msg);
	str_release(&problems);
	free(text);
	return map;
}

#endif

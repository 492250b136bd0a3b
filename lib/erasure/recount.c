#include "erasure/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "erasure/sql.h"
#include "query.h"

/* One count: SQL that answers (request, rows), and whose table it speaks of. */
struct count {
	char *sql;
	int table; /* -1: see cat */
	int cat;
};

struct counts {
	struct count *items;
	size_t n;
};

static void
counts_release(struct counts *counts)
{
	for (size_t i = 0; i < counts->n; i++)
		free(counts->items[i].sql);
	free(counts->items);
	*counts = (struct counts){ 0 };
}

/* The map's owner paths and the catalogue's foreign keys lead to the same statements; each is run once. */
static void
add_count(struct counts *counts, int table, int cat, struct str *sql)
{
	for (size_t i = 0; i < counts->n; i++)
		if (strcmp(counts->items[i].sql, sql->s) == 0) {
			str_release(sql);
			return;
		}
	*MEM_PUSH(counts->items, counts->n) = (struct count){ str_take(sql), table, cat };
}

/* Rows whose own key was saved. */
static void
count_by_key(struct counts *counts, const struct program *program, int table)
{
	const struct cat_table *cat = program_cat(program, table);
	const struct program_via *key = &program->tables[table].vias[0];
	struct str sql = STR_INIT;

	str_add(&sql, "SELECT k.request_id, count(*) FROM ");
	sql_from(&sql, program, table, "x");
	str_add(&sql, " JOIN expunge.key_set k ON (");
	for (size_t i = 0; i < key->n; i++)
		str_addf(&sql, "%sx.%s", i > 0 ? ", " : "", cat->columns[key->columns[i]].quoted);
	str_add(&sql, ") = (");
	for (size_t i = 0; i < key->n; i++) {
		str_addf(&sql, "%sk.key[%zu]::", i > 0 ? ", " : "", i + 1);
		sql_type(&sql, cat->columns[key->columns[i]].type);
	}
	str_addf(&sql, ") WHERE k.request_id = ANY($1) AND k.table_id = %d AND k.via = 0 GROUP BY 1",
		program->tables[table].id);
	add_count(counts, table, program->map->tables[table].cat, &sql);
}

/* Shared rows that nothing refers to any more. */
static void
count_unshared(struct counts *counts, const struct program *program, int table)
{
	struct str sql = STR_INIT;

	str_add(&sql, "SELECT k.request_id, count(*) FROM expunge.key_set k JOIN ");
	sql_from(&sql, program, table, "t");
	str_add(&sql, " ON ");
	sql_match(&sql, program, table, 0, "t", "k");
	str_addf(&sql, " WHERE k.request_id = ANY($1) AND k.table_id = %d AND k.via = 0", program->tables[table].id);
	sql_last_owner(&sql, program, table);
	str_add(&sql, " GROUP BY 1");
	add_count(counts, table, program->map->tables[table].cat, &sql);
}

/* Rows of any table that still hold a saved key in these columns. */
static void
count_by_reference(struct counts *counts, const struct program *program, int table, int cat_index, const int *columns,
	int target, const int *target_columns, size_t n, const char *condition)
{
	const struct cat_table *cat = &program->catalog->tables[cat_index];
	struct str sql = STR_INIT;

	str_addf(&sql, "SELECT k.request_id, count(*) FROM expunge.key_set k JOIN %s%s x ON ",
		cat->kind == 'p' ? "" : "ONLY ", cat->quoted);
	sql_refers(&sql, program, cat, columns, target, target_columns, n, "x", "k");
	str_addf(&sql, " WHERE k.request_id = ANY($1) AND k.table_id = %d AND k.via = %d%s GROUP BY 1",
		program->tables[target].id, program_via(program, target, target_columns, n), condition);
	add_count(counts, table, cat_index, &sql);
}

static void
count_by_array(struct counts *counts, const struct program *program, int table, const struct map_path *path,
	const char *condition)
{
	const struct cat_column *column = &program_cat(program, table)->columns[path->columns[0]];
	CLEANUP(free_text) char *array = mem_printf("x.%s", column->quoted);
	struct str sql = STR_INIT;

	str_add(&sql, "SELECT k.request_id, count(*) FROM expunge.key_set k JOIN ");
	sql_from(&sql, program, table, "x");
	str_add(&sql, " ON ");
	sql_in_array(&sql, column, &program_cat(program, path->target)->columns[path->target_columns[0]], array, "k.key[1]");
	str_addf(&sql, " WHERE k.request_id = ANY($1) AND k.table_id = %d AND k.via = %d%s GROUP BY 1",
		program->tables[path->target].id,
		program_via(program, path->target, path->target_columns, path->n_columns), condition);
	add_count(counts, table, program->map->tables[table].cat, &sql);
}

/* A reference from here to a removed row must be gone, whether the row went or stayed. */
static void
count_by_paths(struct counts *counts, const struct program *program, int table)
{
	const struct map_table *t = &program->map->tables[table];

	for (size_t p = 0; p < t->n_paths; p++) {
		const struct map_path *path = &t->paths[p];
		CLEANUP(str_release) struct str condition = STR_INIT;

		if (path->kind == MAP_REVERSE || (!program->tables[path->target].removed && !program->tables[table].removed))
			continue;
		sql_when(&condition, program, table, path, "x");
		if (program->tables[table].log && path->target != t->log_table)
			sql_orphan(&condition, program, table, "x");
		if (path->kind == MAP_ARRAY) {
			count_by_array(counts, program, table, path, str_cstr(&condition));
			continue;
		}
		count_by_reference(counts, program, table, t->cat, path->columns, path->target, path->target_columns,
			path->n_columns, str_cstr(&condition));
	}
}

/* Masked columns of rows that stay must hold their mask. */
static void
count_unmasked(struct counts *counts, const struct program *program, int table)
{
	const struct map_table *t = &program->map->tables[table];
	const struct cat_table *cat = program_cat(program, table);
	CLEANUP(str_release) struct str any = STR_INIT;
	struct str sql = STR_INIT;

	for (size_t i = 0; i < t->n_columns; i++) {
		const struct map_column *c = &t->columns[i];

		if (c->mask == NULL || strcmp(c->mask, "keep") == 0 || cat->columns[c->column].generated)
			continue;
		str_addf(&any, "%sx.%s", any.len > 0 ? " OR " : "", cat->columns[c->column].quoted);
		if (strcmp(c->mask, "null") == 0) {
			str_add(&any, " IS NOT NULL");
			continue;
		}
		str_add(&any, " IS DISTINCT FROM replace(");
		sql_literal(&any, strcmp(c->mask, "empty") == 0 ? "" : c->mask);
		str_addf(&any, ", '{key}', array_to_string(k.key, '-'))::%s", cat->columns[c->column].type);
	}
	if (any.len == 0)
		return;
	str_add(&sql, "SELECT k.request_id, count(*) FROM expunge.key_set k JOIN ");
	sql_from(&sql, program, table, "x");
	str_add(&sql, " ON ");
	sql_match(&sql, program, table, 0, "x", "k");
	str_addf(&sql, " WHERE k.request_id = ANY($1) AND k.table_id = %d AND k.via = 0 AND (%s) GROUP BY 1",
		program->tables[table].id, any.s);
	add_count(counts, table, t->cat, &sql);
}

static void
count_large_objects(struct counts *counts, const struct program *program, int table)
{
	const struct map_table *t = &program->map->tables[table];

	for (size_t c = 0; c < t->n_columns; c++) {
		struct str sql = STR_INIT;

		/* a shared row may have kept its object */
		if (!program_lo_goes(program, table, (int)c) || t->action == MAP_SHARED)
			continue;
		str_addf(&sql, "SELECT k.request_id, count(*) FROM expunge.key_set k JOIN pg_catalog.pg_largeobject_metadata m"
			" ON m.oid = k.key[1]::oid WHERE k.request_id = ANY($1) AND k.table_id = %d AND k.via = %d",
			program->tables[table].id, program_lo_via(program, table, c));
		sql_lo_unheld(&sql, program);
		str_add(&sql, " GROUP BY 1");
		add_count(counts, table, t->cat, &sql);
	}
}

/* Every count there is to make, from the map and, independent of it, from the catalogue's foreign keys. */
static void
compose(struct counts *counts, const struct program *program)
{
	const struct map *map = program->map;

	for (size_t i = 0; i < map->n_tables; i++) {
		const struct program_table *pt = &program->tables[i];

		if (!pt->owned)
			continue;
		if (pt->removed && !pt->keyless && map->tables[i].action != MAP_SHARED)
			count_by_key(counts, program, (int)i);
		if (map->tables[i].action == MAP_SHARED && !pt->keyless)
			count_unshared(counts, program, (int)i);
		count_by_paths(counts, program, (int)i);
		if (pt->updated && !pt->keyless)
			count_unmasked(counts, program, (int)i);
		count_large_objects(counts, program, (int)i);
	}
	for (size_t f = 0; f < program->catalog->n_fks; f++) {
		const struct cat_fk *fk = &program->catalog->fks[f];
		int target = program_owned(program, fk->target);

		if (target >= 0 && map->tables[target].action == MAP_DELETE)
			count_by_reference(counts, program, program_owned(program, fk->table), fk->table, fk->columns, target,
				fk->target_columns, fk->n_columns, "");
	}
}

static int
receive_count(const struct program *program, struct db *db, const struct count *count, struct recount *ret,
	struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	const char *name = program->catalog->tables[count->cat].full;

	if (db_receive(db, DB_MANY, &res, NULL, err) != 0)
		return err_prefix(err, "recounting %s", name);
	for (int i = 0; i < db_rows(res); i++) {
		struct left_over *left = MEM_PUSH(ret->left, ret->n_left);

		(void)snprintf(left->request, sizeof(left->request), "%s", db_get_text(res, i, 0));
		(void)snprintf(left->name, sizeof(left->name), "%s", name);
		left->table = count->table;
		left->rows = db_get_int(res, i, 1);
	}
	return 0;
}

int
verify_recount(const struct run *run, struct db *db, const char *requests, struct recount *ret, struct err *err)
{
	CLEANUP(counts_release) struct counts counts = { 0 };
	CLEANUP(db_result_freep) struct db_result *now = NULL;
	struct err unused;
	int failed = 0;

	compose(&counts, run->program);
	if (db_query(db, &QUERY_AS_OF, NULL, &now, err) != 0)
		return -1;
	(void)snprintf(ret->as_of, sizeof(ret->as_of), "%s", db_get_text(now, 0, 0));
	(void)snprintf(ret->lsn, sizeof(ret->lsn), "%s", db_get_text(now, 0, 1));
	if (db_pipeline_begin(db, err) != 0)
		return -1;
	for (size_t i = 0; i < counts.n && failed == 0; i++)
		failed = db_send(db, counts.items[i].sql, 1, DB_PARAMS(requests), err);
	for (size_t i = 0; i < counts.n && failed == 0; i++)
		failed = receive_count(run->program, db, &counts.items[i], ret, err);
	if (failed != 0) {
		(void)db_pipeline_end(db, &unused);
		return -1;
	}
	return db_pipeline_end(db, err);
}

void
recount_release(struct recount *recount)
{
	free(recount->left);
	*recount = (struct recount){ 0 };
}

#include "map/collect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "sys/beneath.h"

struct statements {
	char **sql;
	size_t n;
	int round; /* that they collect for */
};

static void
statements_release(struct statements *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->sql[i]);
	free(list->sql);
}

static void
push(struct statements *list, struct str *sql)
{
	*MEM_PUSH(list->sql, list->n) = str_take(sql);
}

static const char *
set_name(enum collect_set set)
{
	switch (set) {
	case COLLECT_CONTROL:
		return "expunge.control_set";
	case COLLECT_SEAL:
	case COLLECT_CROOKED:
		return "pg_temp.seal_set";
	case COLLECT_PLAN:
	case COLLECT_LOCKED:
		break;
	}
	return "expunge.key_set";
}

/* Of a request it matters what came later, and which large objects and files go. */
static bool
is_erasure(enum collect_set set)
{
	return set == COLLECT_PLAN || set == COLLECT_LOCKED;
}

static bool
is_seal(enum collect_set set)
{
	return set == COLLECT_SEAL || set == COLLECT_CROOKED;
}

int
collect_seal_tables(struct db *db, struct err *err)
{
	return db_script(db, "making tables of the session",
		"CREATE TEMPORARY TABLE IF NOT EXISTS seal_owner (id bigint NOT NULL, tenant text NOT NULL, subject text NOT NULL);"
		"CREATE TEMPORARY TABLE IF NOT EXISTS seal_set (request_id bigint NOT NULL, table_id smallint NOT NULL,"
		" via smallint NOT NULL, key text[] NOT NULL, arrived boolean NOT NULL, round smallint NOT NULL);"
		"CREATE UNIQUE INDEX IF NOT EXISTS seal_set_key ON pg_temp.seal_set (request_id, table_id, via, key COLLATE \"C\")",
		err);
}

/* INSERT INTO set ... SELECT request, table, via, key, arrived, round of rows aliased t, k in FROM. */
static void
add_insert(struct str *sql, const struct program *program, enum collect_set set, int table, int via, bool request_joined)
{
	const struct map_table *t = &program->map->tables[table];

	str_addf(sql, "INSERT INTO %s (request_id, table_id, via, key, arrived, round) SELECT k.request_id, %d, %d, ",
		set_name(set), program->tables[table].id, via);
	sql_key(sql, program, table, via, "t");
	if (via == 0 && t->created_column >= 0 && request_joined)
		str_addf(sql, ", COALESCE(t.%s::timestamptz > r.received_at, false), $2::smallint FROM ",
			program_cat(program, table)->columns[t->created_column].quoted);
	else
		str_add(sql, ", false, $2::smallint FROM ");
}

static bool
is_cyclic(const struct program *program, int table)
{
	const struct map_order *order = &program->collect;

	for (size_t i = 0; i < order->n; i++)
		if (order->tables[i] == table)
			return order->cyclic[order->group[i]];
	return true;
}

/* No row of this table can be found twice: one path, by the key of its target, run once, in the first round. Looking for conflicts costs as much as the rest of the statement; should one come
 * after all, the unique index refuses it. */
static bool
found_once(const struct program *program, int table, int round)
{
	const struct map_table *t = &program->map->tables[table];

	if (round > 0 || program->tables[table].created || program->tables[table].log)
		return false;
	if (table == program->map->subject)
		return t->n_paths == 0 && program->map->subject_merged_column < 0;
	return t->n_paths == 1 && t->paths[0].kind == MAP_FORWARD && t->paths[0].target != table &&
		program_via(program, t->paths[0].target, t->paths[0].target_columns, t->paths[0].n_columns) == 0 &&
		!is_cyclic(program, table);
}

/* Every row is locked, also one that nothing refers to: it must not move to another subject before its
 * turn comes. */
static void
add_tail(struct str *sql, enum collect_set set, bool once)
{
	if (set == COLLECT_LOCKED)
		str_add(sql, " FOR UPDATE OF t");
	if (!once)
		str_add(sql, " ON CONFLICT DO NOTHING");
}

/* The subject's own row, named by the request. */
static void
compose_root(struct statements *list, const struct program *program, enum collect_set set)
{
	const struct map *map = program->map;
	const struct cat_table *cat = program_cat(program, map->subject);
	const struct cat_column *key = &cat->columns[map->subject_key_column];
	struct str sql = STR_INIT;
	struct str from = STR_INIT;

	sql_from(&from, program, map->subject, "t");
	str_addf(&sql, "INSERT INTO %s (request_id, table_id, via, key, arrived, round) SELECT r.id, %d, 0, ", set_name(set),
		program->tables[map->subject].id);
	sql_key(&sql, program, map->subject, 0, "t");
	if (is_erasure(set) && map->tables[map->subject].created_column >= 0)
		str_addf(&sql, ", COALESCE(t.%s::timestamptz > r.received_at, false)",
			cat->columns[map->tables[map->subject].created_column].quoted);
	else
		str_add(&sql, ", false");
	str_addf(&sql, ", $2::smallint FROM %s r JOIN %s ON t.%s = r.subject::",
		is_seal(set) ? "pg_temp.seal_owner" : "expunge.request", str_cstr(&from), key->quoted);
	sql_type(&sql, key->type);
	str_add(&sql, " AND r.tenant = ");
	sql_tenant(&sql, program, "t");
	str_add(&sql, " WHERE r.id = ANY($1)");
	add_tail(&sql, set, found_once(program, map->subject, list->round));
	str_release(&from);
	push(list, &sql);
}

/* Merged duplicates are the same person: those merged into a collected subject, and the one it was merged into. */
static void
compose_aliases(struct statements *list, const struct program *program, enum collect_set set)
{
	const struct map *map = program->map;
	const struct cat_table *cat = program_cat(program, map->subject);
	const char *merged, *key;

	if (map->subject_merged_column < 0)
		return;
	merged = cat->columns[map->subject_merged_column].quoted;
	key = cat->columns[map->subject_key_column].quoted;
	for (int up = 0; up < 2; up++) {
		struct str sql = STR_INIT;

		add_insert(&sql, program, set, map->subject, 0, false);
		str_addf(&sql, "%s k JOIN ", set_name(set));
		sql_from(&sql, program, map->subject, "s");
		str_add(&sql, " ON ");
		sql_match(&sql, program, map->subject, 0, "s", "k");
		str_add(&sql, " JOIN ");
		sql_from(&sql, program, map->subject, "t");
		str_addf(&sql, " ON %s.%s = %s.%s", up ? "t" : "s", key, up ? "s" : "t", merged);
		str_addf(&sql, " WHERE k.request_id = ANY($1) AND k.table_id = %d AND k.via = 0",
			program->tables[map->subject].id);
		add_tail(&sql, set, false);
		push(list, &sql);
	}
}

/* Rows t of a table that this owner path leads to, from the rows k of a set. */
static void
add_path(struct str *sql, const struct program *program, const char *set, int table, const struct map_path *path,
	const char *join)
{
	const struct cat_table *cat = program_cat(program, table);
	int via = 0;

	str_addf(sql, "%s k JOIN ", set);
	if (path->kind == MAP_REVERSE) {
		const struct cat_table *child = program_cat(program, path->target);

		sql_from(sql, program, path->target, "c");
		str_add(sql, " ON ");
		sql_match(sql, program, path->target, 0, "c", "k");
		str_add(sql, " JOIN ");
		sql_from(sql, program, table, "t");
		for (size_t i = 0; i < path->n_columns; i++) {
			str_add(sql, i == 0 ? " ON " : " AND ");
			sql_equal(sql, &cat->columns[path->columns[i]], "t", &child->columns[path->target_columns[i]], "c");
		}
	} else {
		via = program_via(program, path->target, path->target_columns, path->n_columns);
		sql_from(sql, program, table, "t");
		str_add(sql, " ON ");
		if (path->kind == MAP_ARRAY) {
			CLEANUP(free_text) char *array = mem_printf("t.%s", cat->columns[path->columns[0]].quoted);

			sql_in_array(sql, &cat->columns[path->columns[0]],
				&program_cat(program, path->target)->columns[path->target_columns[0]], array, "k.key[1]");
		} else
			sql_refers(sql, program, cat, path->columns, path->target, path->target_columns,
				path->n_columns, "t", "k");
	}
	str_addf(sql, "%s WHERE k.request_id = ANY($1) AND k.table_id = %d AND k.via = %d", join,
		program->tables[path->target].id, via);
	if (program->tables[table].log && path->target != program->map->tables[table].log_table)
		sql_orphan(sql, program, table, "t");
	sql_when(sql, program, table, path, "t");
}

static void
compose_path(struct statements *list, const struct program *program, enum collect_set set, int table,
	const struct map_path *path)
{
	bool dated = is_erasure(set) && program->map->tables[table].created_column >= 0;
	struct str sql = STR_INIT;

	add_insert(&sql, program, set, table, 0, dated);
	add_path(&sql, program, set_name(set), table, path,
		dated ? " JOIN expunge.request r ON r.id = k.request_id" : "");
	add_tail(&sql, set, found_once(program, table, list->round));
	push(list, &sql);
}

/* What a column of rows already collected holds, as a via of its own: `key` of rows aliased t, where `condition`. */
static void
compose_held(struct statements *list, const struct program *program, int table, int via, const char *key, const char *condition)
{
	struct str sql = STR_INIT;
	int id = program->tables[table].id;

	str_addf(&sql, "INSERT INTO expunge.key_set (request_id, table_id, via, key, arrived, round) "
		"SELECT k.request_id, %d, %d, %s, false, $2::smallint FROM expunge.key_set k JOIN ", id, via, key);
	sql_from(&sql, program, table, "t");
	str_add(&sql, " ON ");
	sql_match(&sql, program, table, 0, "t", "k");
	str_addf(&sql, " WHERE k.request_id = ANY($1) AND k.table_id = %d AND k.via = 0 AND %s ON CONFLICT DO NOTHING", id, condition);
	push(list, &sql);
}

/* Large objects and files. */
static void
compose_contents(struct statements *list, const struct program *program, int table)
{
	const struct map_table *t = &program->map->tables[table];

	for (size_t c = 0; c < t->n_columns; c++) {
		const char *column = program_cat(program, table)->columns[t->columns[c].column].quoted;
		CLEANUP(free_text) char *key = NULL;
		CLEANUP(free_text) char *condition = NULL;

		if (program_lo_goes(program, table, (int)c)) {
			key = mem_printf("ARRAY[t.%s::text]", column);
			condition = mem_printf("t.%s IS NOT NULL", column);
			compose_held(list, program, table, program_lo_via(program, table, c), key, condition);
		} else if (program_document_goes(program, table, (int)c)) {
			/* no index takes a key of any length, and what is too long for a path is none under another name, too */
			key = mem_printf("ARRAY['%s', CASE WHEN octet_length(t.%s::text) <= %d THEN t.%s::text ELSE '//' || md5(t.%s::text) END]",
				t->columns[c].documents, column, BENEATH_PATH_MAX, column, column);
			condition = mem_printf("t.%s::text <> ''", column);
			compose_held(list, program, table, program_document_via(program, table, c), key, condition);
		}
	}
}

/* Further column lists that something refers to, of rows already collected, and what their columns hold. */
static void
compose_vias(struct statements *list, const struct program *program, enum collect_set set, int table)
{
	const struct program_table *pt = &program->tables[table];

	for (size_t v = 1; v < pt->n_vias; v++) {
		struct str sql = STR_INIT;

		if (pt->vias[v].n == 0)
			continue;
		add_insert(&sql, program, set, table, (int)v, false);
		str_addf(&sql, "%s k JOIN ", set_name(set));
		sql_from(&sql, program, table, "t");
		str_add(&sql, " ON ");
		sql_match(&sql, program, table, 0, "t", "k");
		str_addf(&sql, " WHERE k.request_id = ANY($1) AND k.table_id = %d AND k.via = 0", pt->id);
		for (size_t i = 0; i < pt->vias[v].n; i++)
			str_addf(&sql, " AND t.%s IS NOT NULL",
				program_cat(program, table)->columns[pt->vias[v].columns[i]].quoted);
		str_add(&sql, " ON CONFLICT DO NOTHING");
		push(list, &sql);
	}
	if (is_erasure(set))
		compose_contents(list, program, table);
}

static void
compose_table(struct statements *list, const struct program *program, enum collect_set set, int table)
{
	const struct map_table *t = &program->map->tables[table];

	/* archives join these to their owners */
	if (set == COLLECT_CROOKED && program->tables[table].straight)
		return;
	if (program->tables[table].follows && is_erasure(set))
		return;
	/* other subjects' logs are nobody's witness */
	if (program->tables[table].log && set == COLLECT_CONTROL)
		return;
	if (table == program->map->subject && is_erasure(set))
		compose_aliases(list, program, set);
	for (size_t p = 0; p < t->n_paths; p++)
		compose_path(list, program, set, table, &t->paths[p]);
	compose_vias(list, program, set, table);
}

/* Sends all statements in one go; *ret_rows: how many rows they added together. */
static int
run(const struct statements *list, struct db *db, const char *requests, int64_t *ret_rows, struct err *err)
{
	char number[16];
	int failed = 0;

	*ret_rows = 0;
	if (list->n == 0)
		return 0;
	(void)snprintf(number, sizeof(number), "%d", list->round);
	if (db_pipeline_begin(db, err) != 0)
		return -1;
	for (size_t i = 0; i < list->n && failed == 0; i++)
		failed = db_send(db, list->sql[i], 2, DB_PARAMS(requests, number), err);
	for (size_t i = 0; i < list->n && failed == 0; i++) {
		int64_t rows = 0;

		failed = db_receive(db, DB_NONE, NULL, &rows, err);
		*ret_rows += rows;
	}
	if (failed != 0) {
		struct err unused;

		(void)db_pipeline_end(db, &unused);
		return -1;
	}
	return db_pipeline_end(db, err);
}

static int
run_to_fixpoint(const struct statements *list, struct db *db, const char *requests, int64_t *ret_rows, struct err *err)
{
	int64_t rows;

	*ret_rows = 0;
	do {
		if (run(list, db, requests, &rows, err) != 0)
			return -1;
		*ret_rows += rows;
	} while (rows > 0);
	return 0;
}

int
collect_subjects(const struct program *program, struct db *db, enum collect_set set, const char *requests, int round,
	struct err *err)
{
	const struct map_order *order = &program->collect;
	CLEANUP(statements_release) struct statements root = { .round = round };
	CLEANUP(statements_release) struct statements straight = { .round = round };
	int64_t rows;

	if (set != COLLECT_CONTROL && !(set == COLLECT_CROOKED && program->tables[program->map->subject].straight)) {
		compose_root(&root, program, set);
		if (run(&root, db, requests, &rows, err) != 0)
			return -1;
	}
	for (size_t i = 0; i < order->n;) {
		CLEANUP(statements_release) struct statements cycle = { .round = round };
		int group = order->group[i];
		bool cyclic = order->cyclic[group] ||
			(order->tables[i] == program->map->subject && program->map->subject_merged_column >= 0);

		for (; i < order->n && order->group[i] == group; i++)
			compose_table(cyclic ? &cycle : &straight, program, set, order->tables[i]);
		if (!cyclic)
			continue;
		if (run(&straight, db, requests, &rows, err) != 0 ||
		    run_to_fixpoint(&cycle, db, requests, &rows, err) != 0)
			return -1;
		statements_release(&straight);
		straight = (struct statements){ .round = round };
	}
	return run(&straight, db, requests, &rows, err);
}

int
collect_table(const struct program *program, struct db *db, enum collect_set set, int table, const char *requests,
	int round, int64_t *ret_rows, struct err *err)
{
	CLEANUP(statements_release) struct statements list = { .round = round };

	compose_table(&list, program, set, table);
	return run(&list, db, requests, ret_rows, err);
}

int
collect_created(const struct program *program, struct db *db, const char *requests, int round, int64_t *ret_rows,
	struct err *err)
{
	CLEANUP(statements_release) struct statements list = { .round = round };

	for (size_t i = 0; i < program->collect.n; i++)
		if (program->tables[program->collect.tables[i]].created)
			compose_table(&list, program, COLLECT_LOCKED, program->collect.tables[i]);
	return run_to_fixpoint(&list, db, requests, ret_rows, err);
}

#include "map/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "map/documents.h"
#include "query.h"

void
plan_id_array(struct str *array, const char *const *ids, size_t n)
{
	str_add(array, "{");
	for (size_t i = 0; i < n; i++)
		str_addf(array, "%s%s", i > 0 ? "," : "", ids[i]);
	str_add(array, "}");
}

void
plans_release(struct plans *plans)
{
	for (size_t i = 0; i < plans->n; i++) {
		free(plans->items[i].tables);
		for (size_t f = 0; f < plans->items[i].n_files; f++)
			free(plans->items[i].files[f].kind);
		free(plans->items[i].files);
		str_release(&plans->items[i].obstacles);
	}
	free(plans->items);
	finder_release(&plans->finder);
	*plans = (struct plans){ 0 };
}

struct plan *
plan_of(const struct plans *plans, const char *request)
{
	long i = finder_find(&plans->finder, request);

	return i < 0 ? NULL : &plans->items[i];
}

static int
read_rows(const struct program *program, struct db *db, const char *requests, int round, struct plans *plans,
	struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	char number[16];

	(void)snprintf(number, sizeof(number), "%d", round);
	if (db_query(db, &QUERY_PLAN_ROWS, DB_PARAMS(requests, number), &res, err) != 0)
		return -1;
	for (int i = 0; i < db_rows(res); i++) {
		struct plan *plan = plan_of(plans, db_get_text(res, i, 0));
		int table = program_table_by_id(program, (int)db_get_int(res, i, 1));
		struct plan_table *pt;

		if (plan == NULL)
			continue;
		if (table < 0) {
			(void)err_set(err, ERR_REFUSED, "a key set names a table that the map does not: number %s",
				db_get_text(res, i, 1));
			return err_hint(err, "put the table back into the map until the request is certified");
		}
		pt = MEM_PUSH(plan->tables, plan->n_tables);
		pt->table = table;
		pt->n = db_get_int(res, i, 2);
		pt->n_arrived = db_get_int(res, i, 3);
		if (!program->tables[table].keyless)
			(void)snprintf(pt->hash, sizeof(pt->hash), "%s", db_get_text(res, i, 4));
		if (table == program->map->subject && pt->n > 0 && pt->n_arrived == pt->n)
			str_add(&plan->obstacles, "blocker: the subject was created after the request was received\n");
		if (!program->tables[table].log) {
			plan->n_rows += pt->n;
			plan->n_arrived += pt->n_arrived;
		}
	}
	return 0;
}

/* The subjects' birth columns: a number that was given again does not stand for the same person. */
static int
read_births(const struct program *program, struct db *db, const char *requests, int round, struct plans *plans,
	struct err *err)
{
	const struct map *map = program->map;
	CLEANUP(str_release) struct str sql = STR_INIT;
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	char number[16];

	if (map->subject_birth.n == 0)
		return 0;
	(void)snprintf(number, sizeof(number), "%d", round);
	str_add(&sql, "SELECT k.request_id, 'sha256:' || encode(sha256(convert_to(k.request_id::text || chr(10)"
		" || string_agg(ROW(k.key");
	for (size_t i = 0; i < map->subject_birth.n; i++)
		str_addf(&sql, ", t.%s", program_cat(program, map->subject)->columns[map->subject_birth_columns[i]].quoted);
	str_add(&sql, ")::text, chr(10) ORDER BY k.key::text COLLATE \"C\"), 'UTF8')), 'hex') FROM expunge.key_set k JOIN ");
	sql_from(&sql, program, map->subject, "t");
	str_add(&sql, " ON ");
	sql_match(&sql, program, map->subject, 0, "t", "k");
	str_addf(&sql, " WHERE k.request_id = ANY($1) AND k.table_id = %d AND k.via = 0 AND k.round = $2::smallint GROUP BY 1",
		program->tables[map->subject].id);
	if (db_text(db, DB_MANY, sql.s, 2, DB_PARAMS(requests, number), &res, err) != 0)
		return -1;
	for (int i = 0; i < db_rows(res); i++) {
		struct plan *plan = plan_of(plans, db_get_text(res, i, 0));

		if (plan != NULL)
			(void)snprintf(plan->birth, sizeof(plan->birth), "%s", db_get_text(res, i, 1));
	}
	return 0;
}

/* Rows of the set (k joined to t) one of whose owner paths leads to an owner outside the set. */
static void
compose_contested(struct str *sql, const struct program *program, int table, const struct map_path *path)
{
	const struct cat_table *cat = program_cat(program, table);
	const struct cat_table *target = program_cat(program, path->target);
	int via = path->kind == MAP_REVERSE ? 0 : program_via(program, path->target, path->target_columns, path->n_columns);

	str_add(sql, "SELECT k.request_id, count(*) FROM expunge.key_set k JOIN ");
	sql_from(sql, program, table, "t");
	str_add(sql, " ON ");
	sql_match(sql, program, table, 0, "t", "k");
	str_addf(sql, " WHERE k.request_id = ANY($1) AND k.table_id = %d AND k.via = 0 AND k.round = $2::smallint",
		program->tables[table].id);
	sql_when(sql, program, table, path, "t");
	str_add(sql, " AND EXISTS (SELECT FROM ");
	sql_from(sql, program, path->target, "x");
	str_add(sql, " WHERE ");
	if (path->kind == MAP_ARRAY) {
		CLEANUP(free_text) char *array = mem_printf("t.%s", cat->columns[path->columns[0]].quoted);
		CLEANUP(free_text) char *element = mem_printf("x.%s", target->columns[path->target_columns[0]].quoted);

		sql_in_array(sql, &cat->columns[path->columns[0]], &target->columns[path->target_columns[0]], array, element);
	} else
		for (size_t i = 0; i < path->n_columns; i++) {
			str_add(sql, i == 0 ? "" : " AND ");
			sql_equal(sql, &target->columns[path->target_columns[i]], "x", &cat->columns[path->columns[i]], "t");
		}
	str_addf(sql, " AND NOT EXISTS (SELECT FROM expunge.key_set o WHERE o.request_id = k.request_id"
		" AND o.table_id = %d AND o.via = %d AND o.key = ", program->tables[path->target].id, via);
	sql_key(sql, program, path->target, via, "x");
	str_add(sql, ")) GROUP BY 1 ORDER BY 1");
}

/* Rows of any table that refer by foreign key to a row that would go, and do not go with it. */
static void
compose_blocker(struct str *sql, const struct program *program, int target, const struct cat_fk *fk, int referencing)
{
	const struct cat_table *cat = &program->catalog->tables[fk->table];
	int via = program_via(program, target, fk->target_columns, fk->n_columns);

	str_addf(sql, "SELECT k.request_id, count(*) FROM expunge.key_set k JOIN %s%s x ON ",
		cat->kind == 'p' ? "" : "ONLY ", cat->quoted);
	sql_refers(sql, program, cat, fk->columns, target, fk->target_columns, fk->n_columns, "x", "k");
	str_addf(sql, " WHERE k.request_id = ANY($1) AND k.table_id = %d AND k.via = %d AND $2::smallint >= 0",
		program->tables[target].id, via);
	if (referencing >= 0) {
		str_addf(sql, " AND NOT EXISTS (SELECT FROM expunge.key_set o WHERE o.request_id = k.request_id"
			" AND o.table_id = %d AND o.via = 0 AND o.key = ", program->tables[referencing].id);
		sql_key(sql, program, referencing, 0, "x");
		str_add(sql, ")");
	}
	str_add(sql, " GROUP BY 1 ORDER BY 1");
}

/* Every row that this foreign key can lead to is collected by an owner path of the same columns. */
static bool
is_owner_path(const struct program *program, int table, int target, const struct cat_fk *fk)
{
	const struct map_table *t = &program->map->tables[table];

	for (size_t p = 0; p < t->n_paths; p++) {
		const struct map_path *path = &t->paths[p];
		bool same = path->kind == MAP_FORWARD && path->target == target && path->when_column_name == NULL &&
			path->n_columns == fk->n_columns;

		for (size_t i = 0; same && i < fk->n_columns; i++)
			same = path->columns[i] == fk->columns[i] && path->target_columns[i] == fk->target_columns[i];
		if (same)
			return true;
	}
	return false;
}

/* Runs one of the searches and adds a line to the plan of each request that it finds. */
static int
search(struct db *db, const char *sql, const char *requests, int round, struct plans *plans, const char *word,
	const char *table, const char *of, const char *what, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	char number[16];

	(void)snprintf(number, sizeof(number), "%d", round);
	if (db_text(db, DB_MANY, sql, 2, DB_PARAMS(requests, number), &res, err) != 0)
		return -1;
	for (int i = 0; i < db_rows(res); i++) {
		struct plan *plan = plan_of(plans, db_get_text(res, i, 0));

		if (plan != NULL)
			str_addf(&plan->obstacles, "%s: %s %s %s %s\n", word, table, of, db_get_text(res, i, 1), what);
	}
	return 0;
}

static int
search_contested(const struct program *program, struct db *db, const char *requests, int round, struct plans *plans,
	struct err *err)
{
	const struct map *map = program->map;

	for (size_t i = 0; i < map->n_tables; i++) {
		const struct map_table *t = &map->tables[i];

		if (!program->tables[i].owned || program->tables[i].log)
			continue;
		for (size_t p = 0; p < t->n_paths; p++) {
			CLEANUP(str_release) struct str sql = STR_INIT;

			/* the only forward path of a table names the owner by itself; others may refer to a
			 * shared row, but one that refers to others cannot let go of the subject alone */
			if ((t->n_paths == 1 && t->paths[p].kind == MAP_FORWARD) ||
			    (t->action == MAP_SHARED && t->paths[p].kind == MAP_REVERSE))
				continue;
			compose_contested(&sql, program, (int)i, &t->paths[p]);
			if (search(db, sql.s, requests, round, plans, "contested", t->name, "rows", "belong to another subject too",
				    err) != 0)
				return -1;
		}
	}
	if (map->subject_tenant_column >= 0 && map->subject_merged_column >= 0) {
		CLEANUP(str_release) struct str sql = STR_INIT;

		str_add(&sql, "SELECT k.request_id, count(*) FROM expunge.key_set k JOIN expunge.request r ON r.id = k.request_id JOIN ");
		sql_from(&sql, program, map->subject, "t");
		str_add(&sql, " ON ");
		sql_match(&sql, program, map->subject, 0, "t", "k");
		str_addf(&sql, " WHERE k.request_id = ANY($1) AND k.table_id = %d AND k.via = 0 AND $2::smallint >= 0"
			" AND t.%s::text IS DISTINCT FROM r.tenant GROUP BY 1", program->tables[map->subject].id,
			program_cat(program, map->subject)->columns[map->subject_tenant_column].quoted);
		if (search(db, sql.s, requests, round, plans, "contested", map->tables[map->subject].name,
			    "rows", "were merged across tenants", err) != 0)
			return -1;
	}
	return 0;
}

/* A file that a row names which stays, somebody else's or the subject's own. */
static int
search_shared_files(const struct program *program, struct db *db, const char *requests, int round, struct plans *plans,
	struct err *err)
{
	for (size_t i = 0; i < program->map->n_tables; i++) {
		const struct map_table *t = &program->map->tables[i];

		for (size_t c = 0; c < t->n_columns; c++) {
			CLEANUP(str_release) struct str sql = STR_INIT;

			if (t->columns[c].documents == NULL)
				continue;
			sql_document_shared(&sql, program, (int)i, c);
			if (search(db, sql.s, requests, round, plans, "contested", t->name, "files", "are named by rows that stay", err) != 0)
				return -1;
		}
	}
	return 0;
}

static bool
is_tenant_table(const struct map *map, int cat)
{
	for (size_t i = 0; i < map->n_tables; i++)
		if (map->tables[i].cat == cat)
			return map->tables[i].action == MAP_TENANT;
	return false;
}

static int
search_blockers(const struct program *program, struct db *db, const char *requests, int round, struct plans *plans,
	struct err *err)
{
	for (size_t f = 0; f < program->catalog->n_fks; f++) {
		CLEANUP(str_release) struct str sql = STR_INIT;
		CLEANUP(free_text) char *what = NULL;
		const struct cat_fk *fk = &program->catalog->fks[f];
		int target = program_owned(program, fk->target);
		int referencing = program_owned(program, fk->table);

		if (target < 0 || program->tables[target].log || program->map->tables[target].action == MAP_SHARED)
			continue;
		/* a row that stays may be referred to, but not by the practice's own (staff) rows */
		if (!program->tables[target].removed && !is_tenant_table(program->map, fk->table))
			continue;
		if (referencing >= 0 && is_owner_path(program, referencing, target, fk))
			continue;
		compose_blocker(&sql, program, target, fk, referencing);
		what = mem_printf("refer to %s", program->map->tables[target].name);
		if (search(db, sql.s, requests, round, plans, "blocker", program->catalog->tables[fk->table].full, "rows", what,
			    err) != 0)
			return -1;
	}
	return 0;
}

int
plan_read(const struct program *program, struct db *db, const char *const *ids, size_t n, int round, bool blockers,
	struct plans *ret, struct err *err)
{
	CLEANUP(plans_release) struct plans plans = { .items = mem_zero(n, sizeof(struct plan)), .n = n };
	CLEANUP(str_release) struct str requests = STR_INIT;

	plan_id_array(&requests, ids, n);
	for (size_t i = 0; i < n; i++)
		(void)snprintf(plans.items[i].request, sizeof(plans.items[i].request), "%s", ids[i]);
	finder_make(&plans.finder, plans.items[0].request, n, sizeof(struct plan));
	if (read_rows(program, db, requests.s, round, &plans, err) != 0 ||
	    read_births(program, db, requests.s, round, &plans, err) != 0 ||
	    search_contested(program, db, requests.s, round, &plans, err) != 0 ||
	    search_shared_files(program, db, requests.s, round, &plans, err) != 0)
		return -1;
	if (blockers && search_blockers(program, db, requests.s, round, &plans, err) != 0)
		return -1;
	*ret = plans;
	plans = (struct plans){ 0 };
	return 0;
}

void
plan_rows_text(const struct plan *plan, const struct program *program, struct str *text)
{
	if (plan->birth[0] != '\0')
		str_addf(text, "birth: %s\n", plan->birth);
	for (size_t i = 0; i < plan->n_tables; i++) {
		const struct plan_table *pt = &plan->tables[i];
		const struct map_table *t = &program->map->tables[pt->table];

		if (!program->tables[pt->table].log)
			str_addf(text, "rows: %s %s %lld arrived-later %lld %s\n", t->name, map_action_text(t->action),
				(long long)pt->n, (long long)pt->n_arrived, pt->hash[0] == '\0' ? "counted" : pt->hash);
	}
	for (size_t i = 0; i < plan->n_files; i++)
		str_addf(text, "files: %s %lld %s\n", plan->files[i].kind, (long long)plan->files[i].n, plan->files[i].hash);
}

void
plan_rows_of_document(const char *document, struct str *text)
{
	for (const char *line = document; *line != '\0';) {
		const char *end = strchr(line, '\n');
		size_t n = end == NULL ? strlen(line) : (size_t)(end - line) + 1;

		if (strncmp(line, "rows: ", 6) == 0 || strncmp(line, "birth: ", 7) == 0 || strncmp(line, "files: ", 7) == 0)
			str_add_n(text, line, n);
		line += n;
	}
}

void
plan_document(const struct plan *plan, const struct program *program, const char *out_of_scope, struct str *text)
{
	const struct map *map = program->map;

	str_addf(text, "expunge-plan/v1\nrequest: %s\nmap: %s\nschema: %s\n", plan->request, map->hash,
		program->schema_hash);
	plan_rows_text(plan, program, text);
	for (size_t i = 0; i < plan->n_files; i++)
		if (plan->files[i].n_missing > 0)
			str_addf(text, "missing: %s %lld\n", plan->files[i].kind, (long long)plan->files[i].n_missing);
	for (size_t i = 0; i < map->n_tables; i++)
		if (program->tables[i].log)
			str_addf(text, "follows: %s the rows of %s\n", map->tables[i].name,
				map->tables[map->tables[i].log_table].name);
	for (size_t i = 0; i < map->n_externals; i++)
		str_addf(text, "tells: %s: %s\n", map->externals[i].name, map->externals[i].owner);
	str_add(text, str_cstr(&plan->obstacles));
	str_add(text, out_of_scope);
}

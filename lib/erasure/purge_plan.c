/* purge_plan: what would go with a tenant, and what is in the way. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "erasure/purge_private.h"
#include "evidence/certificate.h"
#include "map/check.h"
#include "map/closure.h"
#include "map/collect.h"
#include "map/documents.h"
#include "map/follow.h"
#include "map/tenant_rows.h"
#include "query.h"
#include "svc/crypt.h"

int
purge_open(struct purge *ret, struct run *run, struct err *err)
{
	*ret = (struct purge){ .run = run };
	if (map_of_closure(&ret->map, run->map, err) != 0)
		return -1;
	ret->tenant = map_table(run->map, run->map->tenant_table);
	if (program_make(&ret->program, ret->map, run->db, err) != 0)
		return -1;
	follow_mark(ret->program, run->map);
	for (size_t i = 0; i < run->map->n_tables; i++)
		ret->program->tables[i].later = ret->program->tables[i].created && run->map->tables[i].action == MAP_TENANT;
	return 0;
}

void
purge_save_all_keys(struct purge *purge)
{
	for (size_t i = 0; i < purge->map->n_tables; i++)
		purge->program->tables[i].follows = false;
}

void
purge_release(struct purge *purge)
{
	program_free(purge->program);
	map_closure_free(purge->map);
	*purge = (struct purge){ 0 };
}

struct run
purge_view(const struct purge *purge)
{
	struct run view = *purge->run;

	view.map = purge->map;
	view.program = purge->program;
	view.workers = NULL;
	view.n_workers = 0;
	return view;
}

void
purge_plan_release(struct purge_plan *plan)
{
	str_release(&plan->document);
	str_release(&plan->obstacles);
	*plan = (struct purge_plan){ 0 };
}

/* ---- roots --------------------------------------------------------------------------------------- */

/* " AND t.practice_id = $2" where an index may serve it: a comparison as text, which decides, is served by none. */
static void
add_indexed(struct str *sql, const struct purge *purge)
{
	const struct map *map = purge->run->map;
	const struct cat_column *column = &program_cat(purge->program, map->subject)->columns[map->subject_tenant_column];

	if (column->equals != NULL)
		return;
	str_addf(sql, " AND t.%s = $2::text::", column->quoted);
	sql_type(sql, column->type);
}

int
purge_pick(const struct purge *purge, const char *set, int table, const char *tenant, int64_t limit, enum purge_lock lock,
	int64_t *ret_rows, struct err *err)
{
	static const char *const locks[] = { "", " FOR UPDATE OF t", " FOR UPDATE OF t SKIP LOCKED" };
	CLEANUP(str_release) struct str sql = STR_INIT;
	char most[24];

	(void)snprintf(most, sizeof(most), "%" PRId64, limit);
	str_addf(&sql, "INSERT INTO expunge.key_set (request_id, table_id, via, key, arrived, round) SELECT $1::uuid, %d, 0, ",
		purge->program->tables[table].id);
	sql_key(&sql, purge->program, table, 0, "t");
	str_add(&sql, ", false, 0 FROM ");
	sql_from(&sql, purge->program, table, "t");
	str_add(&sql, " WHERE $2::text <> '' AND ");
	if (!sql_of_tenant(&sql, purge->run->program, table, "t", tenant))
		return err_set(err, ERR_FAILED, "%s: the data map does not say whose its rows are", purge->map->tables[table].name);
	if (table == purge->map->subject)
		add_indexed(&sql, purge);
	str_addf(&sql, " LIMIT $3::bigint%s", locks[lock]);
	return db_command(purge->run->db, sql.s, 3, DB_PARAMS(set, tenant, most), ret_rows, err);
}

/* ---- what is in the way -------------------------------------------------------------------------- */

/* All rows of this table were reached by its one owner path: they are whose its target's rows are. */
static bool
follows_owner(const struct purge *purge, int table)
{
	const struct map_table *before = &purge->run->map->tables[table], *now = &purge->map->tables[table];

	return table != purge->map->subject && table != purge->tenant && before->n_paths == 1 && now->n_paths == 1 &&
		before->paths[0].kind == MAP_FORWARD;
}

int
purge_find_foreign(const struct purge *purge, const char *set, const char *tenant, struct str *lines, struct err *err)
{
	for (size_t i = 0; i < purge->map->n_tables; i++) {
		CLEANUP(db_result_freep) struct db_result *res = NULL;
		CLEANUP(str_release) struct str sql = STR_INIT;
		CLEANUP(str_release) struct str other = STR_INIT;

		/* what is shared goes with its last owner, whoever that is */
		if (!purge->program->tables[i].owned || purge->map->tables[i].action == MAP_SHARED || follows_owner(purge, (int)i))
			continue;
		if (!sql_of_other(&other, purge->run->program, (int)i, "t", tenant))
			return err_set(err, ERR_FAILED, "%s: the data map does not say whose its rows are", purge->map->tables[i].name);
		str_add(&sql, "SELECT count(*) FROM expunge.key_set k JOIN ");
		sql_from(&sql, purge->program, (int)i, "t");
		str_add(&sql, " ON ");
		sql_match(&sql, purge->program, (int)i, 0, "t", "k");
		str_addf(&sql, " WHERE k.request_id = $1::uuid AND k.table_id = %d AND k.via = 0 AND %s", purge->program->tables[i].id,
			other.s);
		if (db_text(purge->run->db, DB_ONE, sql.s, 1, DB_PARAMS(set), &res, err) != 0)
			return -1;
		if (db_get_int(res, 0, 0) > 0)
			str_addf(lines, "foreign: %s rows %s belong to another tenant\n", purge->map->tables[i].name, db_get_text(res, 0, 0));
	}
	return 0;
}

static int
find_referring(const struct purge *purge, const char *set, const struct cat_fk *fk, int target, struct str *lines, struct err *err)
{
	const struct program *program = purge->program;
	const struct cat_table *cat = &program->catalog->tables[fk->table];
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	CLEANUP(str_release) struct str sql = STR_INIT;

	str_addf(&sql, "SELECT count(*) FROM expunge.key_set k JOIN %s%s x ON ", cat->kind == 'p' ? "" : "ONLY ", cat->quoted);
	sql_refers(&sql, program, cat, fk->columns, target, fk->target_columns, fk->n_columns, "x", "k");
	str_addf(&sql, " WHERE k.request_id = $1::uuid AND k.table_id = %d AND k.via = %d", program->tables[target].id,
		program_via(program, target, fk->target_columns, fk->n_columns));
	if (db_text(purge->run->db, DB_ONE, sql.s, 1, DB_PARAMS(set), &res, err) != 0)
		return -1;
	if (db_get_int(res, 0, 0) > 0)
		str_addf(lines, "blocker: %s rows %s refer to %s\n", cat->full, db_get_text(res, 0, 0), purge->map->tables[target].name);
	return 0;
}

static int
find_shared_files(const struct purge *purge, const char *set, struct str *lines, struct err *err)
{
	CLEANUP(free_text) char *sets = mem_printf("{%s}", set);

	for (size_t i = 0; i < purge->map->n_tables; i++)
		for (size_t c = 0; c < purge->map->tables[i].n_columns; c++) {
			CLEANUP(db_result_freep) struct db_result *res = NULL;
			CLEANUP(str_release) struct str sql = STR_INIT;

			if (purge->map->tables[i].columns[c].documents == NULL)
				continue;
			sql_document_shared(&sql, purge->program, (int)i, c);
			if (db_text(purge->run->db, DB_MANY, sql.s, 2, DB_PARAMS(sets, "0"), &res, err) != 0)
				return -1;
			if (db_rows(res) > 0)
				str_addf(lines, "blocker: %s files %s are named by rows that stay\n", purge->map->tables[i].name,
					db_get_text(res, 0, 1));
		}
	return 0;
}

int
purge_find_blockers(const struct purge *purge, const char *set, struct str *lines, struct err *err)
{
	const struct catalog *catalog = purge->program->catalog;

	for (size_t f = 0; f < catalog->n_fks; f++) {
		int target = program_owned(purge->program, catalog->fks[f].target);

		if (target < 0 || purge->map->tables[target].action == MAP_SHARED ||
		    program_owned(purge->program, catalog->fks[f].table) >= 0)
			continue;
		if (find_referring(purge, set, &catalog->fks[f], target, lines, err) != 0)
			return -1;
	}
	return find_shared_files(purge, set, lines, err);
}

/* Rules, triggers and privileges that matter only now that these rows are deleted, too. */
static int
find_code(const struct purge *purge, struct str *lines, struct err *err)
{
	static const char *const codes[] = { "delete-rule", "delete-trigger", "deferred-trigger", "privilege", "row-security", "lo-owner" };
	struct findings findings = { 0 };

	if (map_check(&findings, purge->map, purge->run->db, err) != 0)
		return -1;
	for (size_t i = 0; i < findings.n; i++)
		for (size_t c = 0; c < sizeof(codes) / sizeof(codes[0]); c++)
			if (findings.items[i].level == FINDING_ERROR && strcmp(findings.items[i].code, codes[c]) == 0)
				str_addf(lines, "blocker: %s: %s\n", findings.items[i].table, findings.items[i].message);
	findings_release(&findings);
	return 0;
}

/* ---- the document -------------------------------------------------------------------------------- */

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Lines are sorted, so that equal accounts have equal plans. */
static void
add_sorted(struct str *text, char **lines, size_t n)
{
	if (n > 0)
		qsort(lines, n, sizeof(*lines), by_name);
	for (size_t i = 0; i < n; i++) {
		str_add(text, lines[i]);
		free(lines[i]);
	}
	free(lines);
}

void
purge_plan_rows(const struct purge *purge, const int64_t *counts, struct purge_plan *plan)
{
	char **rows = NULL, **kept = NULL;
	size_t n_rows = 0, n_kept = 0;

	for (size_t i = 0; i < purge->map->n_tables; i++) {
		const struct map_table *before = &purge->run->map->tables[i];
		int64_t n = counts[i];

		if (n == 0)
			continue;
		if ((int)i == purge->map->subject)
			plan->n_subjects = n;
		plan->n_rows += n;
		*MEM_PUSH(rows, n_rows) = mem_printf("rows: %s %s %" PRId64 "\n", before->name, map_action_text(before->action), n);
		if (before->action == MAP_RETAIN)
			*MEM_PUSH(kept, n_kept) = mem_printf("retained-until-now: %s %s %" PRId64 "\n", before->name,
				before->class[0] == '\0' ? "-" : before->class, n);
	}
	str_addf(&plan->document, "subjects: %" PRId64 "\n", plan->n_subjects);
	add_sorted(&plan->document, rows, n_rows);
	add_sorted(&plan->document, kept, n_kept);
}

void
purge_counts_make(struct purge_counts *ret, const struct purge *purge)
{
	ret->all = mem_zero(purge->map->n_tables, sizeof(*ret->all));
	ret->following = mem_zero(purge->map->n_tables, sizeof(*ret->following));
}

void
purge_counts_release(struct purge_counts *counts)
{
	free(counts->all);
	free(counts->following);
}

int
purge_count_rows(const struct purge *purge, const char *sets, int round, struct purge_counts *ret, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *collected = NULL;
	char number[16];

	(void)snprintf(number, sizeof(number), "%d", round);
	if (follow_count(purge->program, purge->run->db, sets, ret->following, err) != 0 ||
	    db_query(purge->run->db, &QUERY_KEY_SET_COUNTS, DB_PARAMS(sets, number), &collected, err) != 0)
		return -1;
	(void)memcpy(ret->all, ret->following, purge->map->n_tables * sizeof(*ret->all));
	for (int i = 0; i < db_rows(collected); i++)
		ret->all[program_table_by_id(purge->program, (int)db_get_int(collected, i, 1))] += db_get_int(collected, i, 2);
	return 0;
}

static void
add_rest(const struct purge *purge, const struct db_result *files, struct purge_plan *plan)
{
	const struct map *map = purge->run->map;

	for (int i = 0; files != NULL && i < db_rows(files); i++)
		str_addf(&plan->document, "files: %s %s\n", db_get_text(files, i, 0), db_get_text(files, i, 1));
	for (size_t i = 0; i < map->n_tables; i++)
		if (map->tables[i].action == MAP_TENANT && !purge->program->tables[i].owned)
			str_addf(&plan->document, "stays: %s: the data map does not say whose its rows are\n", map->tables[i].name);
	for (size_t i = 0; i < map->n_externals; i++)
		str_addf(&plan->document, "%s: %s: %s\n", map->externals[i].account.n > 0 ? "tells" : "to-tell", map->externals[i].name,
			map->externals[i].owner);
	str_add(&plan->document, str_cstr(&plan->obstacles));
}

static int
collect(const struct purge *purge, const char *closure, const char *set, const char *tenant, struct purge_plan *plan, struct err *err)
{
	bool dormant = false;
	CLEANUP(free_text) char *sets = mem_printf("{%s}", set);
	CLEANUP(purge_counts_release) struct purge_counts counts = { 0 };
	CLEANUP(db_result_freep) struct db_result *files = NULL;
	struct db *db = purge->run->db;
	int64_t n = 0;
	char via[16];

	purge_counts_make(&counts, purge);
	(void)snprintf(via, sizeof(via), "%d", PROGRAM_VIA_DOCUMENT);
	if (purge_pick(purge, set, purge->tenant, tenant, 2, PURGE_UNLOCKED, &n, err) != 0)
		return -1;
	if (purge_plan_dormant(purge, closure, plan, &dormant, err) != 0)
		return -1;
	if (dormant && n == 0) {
		add_rest(purge, NULL, plan);
		return 0;
	}
	if (n != 1 || dormant) {
		str_addf(&plan->obstacles, "blocker: %s rows %" PRId64 " are this tenant\n", purge->map->tables[purge->tenant].name, n);
		return 0;
	}
	if (collect_subjects(purge->program, db, COLLECT_PLAN, sets, 0, err) != 0 ||
	    purge_find_foreign(purge, set, tenant, &plan->obstacles, err) != 0 ||
	    purge_find_blockers(purge, set, &plan->obstacles, err) != 0 || find_code(purge, &plan->obstacles, err) != 0 ||
	    purge_count_rows(purge, sets, 0, &counts, err) != 0 ||
	    db_query(db, &QUERY_PURGE_FILES, DB_PARAMS(set, via), &files, err) != 0)
		return -1;
	purge_plan_rows(purge, counts.all, plan);
	add_rest(purge, files, plan);
	return 0;
}

int
purge_plan(const struct purge *purge, const char *closure, const char *tenant, struct purge_plan *ret, struct err *err)
{
	struct purge_plan plan = { .document = STR_INIT, .obstacles = STR_INIT };
	char set[37];
	int failed;

	str_addf(&plan.document, "expunge-closure-plan/v1\nclosure: %s\ntenant: ", closure);
	certificate_add_name(&plan.document, tenant);
	str_addf(&plan.document, "\nmap: %s\nschema: %s\n", purge->run->map->hash, purge->program->schema_hash);
	if (crypt_uuid(set, err) != 0 || db_begin(purge->run->db, err) != 0) {
		purge_plan_release(&plan);
		return -1;
	}
	failed = collect(purge, closure, set, tenant, &plan, err);
	db_rollback(purge->run->db);
	if (failed == 0 && plan.n_rows == 0)
		str_add(&plan.document, str_cstr(&plan.obstacles));
	if (failed != 0 || crypt_sha256_text(plan.document.s, plan.document.len, plan.hash, err) != 0) {
		purge_plan_release(&plan);
		return -1;
	}
	*ret = plan;
	return 0;
}

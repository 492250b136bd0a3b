#include "erasure/draft.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "erasure/certify.h"
#include "erasure/documents.h"
#include "evidence/certificate.h"
#include "evidence/lint.h"
#include "keys/root_config.h"
#include "map/documents.h"
#include "map/plan.h"
#include "query.h"
#include "svc/crypt.h"

/* Shorter values are found everywhere and say nothing. */
#define VALUE_MIN 4

/* The subject's own words, wiped when done with. */
struct values {
	char **items;
	size_t n;
};

static void
values_release(struct values *values)
{
	for (size_t i = 0; i < values->n; i++) {
		secret_wipe(values->items[i], strlen(values->items[i]));
		free(values->items[i]);
	}
	free(values->items);
	*values = (struct values){ 0 };
}

/* Reads the identifying columns of the collected rows; ret[i] for the nth request of the finder's list. */
static int
read_values(const struct run *run, const char *array, const struct finder *finder, struct values *ret, struct err *err)
{
	const struct program *program = run->program;

	for (size_t i = 0; i < run->map->n_tables; i++) {
		const struct map_table *t = &run->map->tables[i];

		for (size_t c = 0; c < t->n_columns; c++) {
			CLEANUP(str_release) struct str sql = STR_INIT;
			CLEANUP(db_result_freep) struct db_result *res = NULL;
			const char *column;

			if (!t->columns[c].identifying || !program->tables[i].owned || program->tables[i].log)
				continue;
			column = program_cat(program, (int)i)->columns[t->columns[c].column].quoted;
			str_addf(&sql, "SELECT DISTINCT k.request_id, t.%s::text FROM expunge.key_set k JOIN ", column);
			sql_from(&sql, program, (int)i, "t");
			str_add(&sql, " ON ");
			sql_match(&sql, program, (int)i, 0, "t", "k");
			str_addf(&sql, " WHERE k.request_id = ANY($1) AND k.table_id = %d AND k.via = 0"
				" AND pg_catalog.length(t.%s::text) >= %d", program->tables[i].id, column, VALUE_MIN);
			if (db_text(run->db, DB_MANY, sql.s, 1, DB_PARAMS(array), &res, err) != 0)
				return -1;
			for (int r = 0; r < db_rows(res); r++) {
				long at = finder_find(finder, db_get_text(res, r, 0));

				if (at >= 0)
					*MEM_PUSH(ret[at].items, ret[at].n) = mem_copy(db_get_text(res, r, 1));
			}
		}
	}
	return 0;
}

/* The same for one request. */
static int
read_values_of(const struct run *run, const char *request, struct values *ret, struct err *err)
{
	CLEANUP(str_release) struct str array = STR_INIT;
	CLEANUP(finder_release) struct finder finder = { 0 };

	plan_id_array(&array, &request, 1);
	finder_make(&finder, request, 1, 0);
	return read_values(run, array.s, &finder, ret, err);
}

/* The identifying values as a sub-select, so that they travel in no parameter that a server may log. */
static void
values_select(const struct run *run, struct str *sql)
{
	const struct program *program = run->program;

	for (size_t i = 0; i < run->map->n_tables; i++) {
		const struct map_table *t = &run->map->tables[i];

		for (size_t c = 0; c < t->n_columns; c++) {
			if (!t->columns[c].identifying || !program->tables[i].owned || program->tables[i].log)
				continue;
			str_addf(sql, "%sSELECT s.%s::text AS value FROM expunge.key_set k JOIN ", sql->len == 0 ? "" : " UNION ",
				program_cat(program, (int)i)->columns[t->columns[c].column].quoted);
			sql_from(sql, program, (int)i, "s");
			str_add(sql, " ON ");
			sql_match(sql, program, (int)i, 0, "s", "k");
			str_addf(sql, " WHERE k.request_id = ANY($1) AND k.table_id = %d AND k.via = 0", program->tables[i].id);
		}
	}
}

/* Rows of one table outside the plan whose column holds one of the values. */
static int
count_mentions(const struct run *run, int cat, int table, int column, const char *request_array, const char *values,
	int64_t *ret, struct err *err)
{
	const struct cat_table *ct = &run->catalog->tables[cat];
	CLEANUP(str_release) struct str sql = STR_INIT;
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	str_addf(&sql, "WITH v AS MATERIALIZED (SELECT DISTINCT lower(x.value) AS value FROM (%s) x WHERE length(x.value) >= %d)"
		" SELECT count(*) FROM %s%s t WHERE EXISTS (SELECT FROM v WHERE strpos(lower(t.%s::text), v.value) > 0)",
		values, VALUE_MIN, ct->kind == 'p' ? "" : "ONLY ", ct->quoted, ct->columns[column].quoted);
	if (table >= 0 && run->program->tables[table].owned) {
		str_addf(&sql, " AND NOT EXISTS (SELECT FROM expunge.key_set k WHERE k.request_id = ANY($1)"
			" AND k.table_id = %d AND k.via = 0 AND k.key = ", run->program->tables[table].id);
		sql_key(&sql, run->program, table, 0, "t");
		str_add(&sql, ")");
	}
	if (db_text(run->db, DB_ONE, sql.s, 1, DB_PARAMS(request_array), &res, err) != 0)
		return -1;
	*ret = db_get_int(res, 0, 0);
	return 0;
}

static void
add_mention(struct str *lines, const struct map_table *table, const char *column, int64_t n)
{
	CLEANUP(free_text) char *name = mem_printf("%s.%s", table->name, column);

	str_add(lines, "out-of-scope: ");
	certificate_add_mention(lines, name, n);
	str_add(lines, "\n");
}

/* "out-of-scope: ..." lines: what every certificate leaves out, and where free text names the subject. */
static int
compose_scope(const struct run *run, const char *array, const struct values *values, struct str *lines, struct err *err)
{
	CLEANUP(str_release) struct str select = STR_INIT;
	bool documents = documents_are_named(run->map);

	values_select(run, &select);
	for (size_t i = 0; i < run->map->n_tables && values->n > 0; i++) {
		const struct map_table *t = &run->map->tables[i];

		for (size_t m = 0; m < t->mentions.n; m++) {
			int64_t n;

			if (count_mentions(run, t->cat, (int)i, t->mention_columns[m], array, select.s, &n, err) != 0)
				return -1;
			if (n > 0)
				add_mention(lines, t, t->mentions.names[m], n);
		}
	}
	for (size_t i = 0; certificate_standard_scope(i, documents) != NULL; i++)
		str_addf(lines, "out-of-scope: %s\n", certificate_standard_scope(i, documents));
	if (root_config_names_token(run->config))
		str_addf(lines, "out-of-scope: %s\n", certificate_token_scope);
	return 0;
}

int
draft_residue(struct run *run, const char *request, struct str *lines, struct err *err)
{
	CLEANUP(values_release) struct values values = { 0 };
	CLEANUP(str_release) struct str array = STR_INIT;
	CLEANUP(str_release) struct str select = STR_INIT;
	int *mapped = map_lines(run->map);
	int failed;

	plan_id_array(&array, &request, 1);
	failed = read_values_of(run, request, &values, err);
	values_select(run, &select);
	for (size_t i = 0; i < run->catalog->n_tables && values.n > 0 && failed == 0; i++) {
		const struct cat_table *cat = &run->catalog->tables[i];

		if (cat->root >= 0 || cat->kind == 'f')
			continue;
		for (size_t c = 0; c < cat->n_columns && failed == 0; c++) {
			int64_t n = 0;

			if (cat->columns[c].category != 'S')
				continue;
			failed = count_mentions(run, (int)i, mapped[i], (int)c, array.s, select.s, &n, err);
			if (n > 0)
				str_addf(lines, "%s.%s: %lld rows\n", cat->full, cat->columns[c].name, (long long)n);
		}
	}
	free(mapped);
	return failed;
}

/* The words of the certificate to come must not carry the subject's: found out now, not after the removal. */
static int
lint(struct run *run, const struct plan *plan, const char *document, const struct values *values, struct err *err)
{
	CLEANUP(str_release) struct str text = STR_INIT;

	if (certify_foresee(run, plan, document, &text, err) != 0)
		return -1;
	if (lint_text(text.s, (const char *const *)values->items, values->n, err) == 0)
		return 0;
	(void)err_prefix(err, "the certificate that this plan would lead to");
	return err_hint(err, "a name in the data map, the configuration or the tenant looks like personal data: rename it");
}

static int
next_round(struct run *run, const char *array, int *ret, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (db_query(run->db, &QUERY_KEY_SET_ROUND, DB_PARAMS(array), &res, err) != 0)
		return -1;
	*ret = (int)db_get_int(res, 0, 0);
	return 0;
}

/* The words of the first plan: once the subject's rows are gone, nobody can look for its values again. */
static int
keep_scope(struct run *run, const char *request, struct str *lines, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	static const char key[] = "out-of-scope: ";

	if (db_query(run->db, &QUERY_PLAN_SHOW, DB_PARAMS(request), &res, err) != 0)
		return -1;
	if (db_rows(res) == 0)
		return err_set(err, ERR_FAILED, "request %s: its first plan is gone", request);
	for (const char *line = db_get_text(res, 0, 0); *line != '\0';) {
		const char *end = strchr(line, '\n');
		size_t n = end == NULL ? strlen(line) : (size_t)(end - line) + 1;

		if (strncmp(line, key, sizeof(key) - 1) == 0)
			str_add_n(lines, line, n);
		line += n;
	}
	return 0;
}

/* After a removal, a row with the subject's key is somebody else's: the key was given again. */
static int
find_again(struct run *run, const char *array, struct str *obstacles, struct err *err)
{
	CLEANUP(str_release) struct str sql = STR_INIT;
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	int table = run->map->subject;

	if (!run->program->tables[table].removed)
		return 0;
	str_add(&sql, "SELECT count(*) FROM ");
	sql_from(&sql, run->program, table, "t");
	str_add(&sql, " JOIN expunge.key_set k ON ");
	sql_match(&sql, run->program, table, 0, "t", "k");
	str_addf(&sql, " WHERE k.request_id = ANY($1) AND k.table_id = %d AND k.via = 0", run->program->tables[table].id);
	if (db_text(run->db, DB_ONE, sql.s, 1, DB_PARAMS(array), &res, err) != 0)
		return -1;
	if (db_get_int(res, 0, 0) > 0)
		str_add(obstacles, "blocker: the subject's key is in use again, perhaps by somebody else\n");
	return 0;
}

/* Some of its rows may not be there to be planned. */
static int
find_dormant(struct run *run, const char *request, struct str *obstacles, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (db_query(run->db, &QUERY_DORMANCY_OF_REQUEST, DB_PARAMS(request), &res, err) != 0)
		return -1;
	if (db_rows(res) > 0)
		str_addf(obstacles, "blocker: the account is %s: its rows are sealed, and go with its purge from %s on; to erase these earlier, let it "
			"come back (expunge account reactivate)\n", db_get_text(res, 0, 0), db_get_text(res, 0, 1));
	return 0;
}

/* The document from the plan and what was found besides. */
static int
finish(struct run *run, struct plan *plan, int round, const struct values *values, const char *scope, struct draft *ret,
	struct err *err)
{
	if (find_dormant(run, plan->request, &ret->obstacles, err) != 0)
		return -1;
	if (plan->n_rows == 0 && ret->obstacles.len == 0)
		str_add(&ret->obstacles, round == 0 ? "blocker: there is no such subject in this tenant\n"
		                                    : "blocker: nothing is left that was not removed\n");
	str_add(&plan->obstacles, str_cstr(&ret->obstacles));
	plan_document(plan, run->program, scope, &ret->document);
	str_clear(&ret->obstacles);
	str_add(&ret->obstacles, str_cstr(&plan->obstacles));
	if (lint(run, plan, ret->document.s, values, err) != 0)
		return -1;
	ret->n_rows = plan->n_rows;
	ret->n_arrived = plan->n_arrived;
	return crypt_sha256_text(ret->document.s, ret->document.len, ret->hash, err);
}

static int
compose(struct run *run, const char *request, const char *array, int round, struct draft *ret, struct err *err)
{
	CLEANUP(plans_release) struct plans plans = { 0 };
	CLEANUP(values_release) struct values values = { 0 };
	CLEANUP(str_release) struct str scope = STR_INIT;

	if (collect_subjects(run->program, run->db, COLLECT_PLAN, array, round, err) != 0) {
		/* 22P02, 22003: the subject's text is no key of this type */
		if (strncmp(err->sqlstate, "22", 2) != 0)
			return -1;
		err_clear(err);
		str_add(&ret->obstacles, "blocker: the subject is not a key of the subject table\n");
		if (db_command(run->db, "ROLLBACK TO SAVEPOINT draft", 0, NULL, NULL, err) != 0)
			return -1;
	}
	if (plan_read(run->program, run->db, &request, 1, round, true, &plans, err) != 0 ||
	    documents_plan(run, array, round, &plans, err) != 0 ||
	    read_values_of(run, request, &values, err) != 0 ||
	    (round == 0 ? compose_scope(run, array, &values, &scope, err) : keep_scope(run, request, &scope, err)) != 0)
		return -1;
	if (round > 0 && find_again(run, array, &ret->obstacles, err) != 0)
		return -1;
	return finish(run, &plans.items[0], round, &values, scope.s, ret, err);
}

/* Stores plans; *ret_kept lists the requests whose plan was kept: the others were decided meanwhile. */
static int
store_plans(struct run *run, const char *const *requests, size_t n, const struct draft *drafts,
	struct db_result **ret_kept, struct err *err)
{
	enum { REQUEST, HASH, DOCUMENT, ROWS, ARRIVED, OBSTACLES, COLUMNS };
	struct str columns[COLUMNS] = { 0 };
	const char *params[COLUMNS];
	int failed;

	for (size_t i = 0; i < n; i++) {
		array_add(&columns[REQUEST], requests[i]);
		array_add(&columns[HASH], drafts[i].hash);
		array_add(&columns[DOCUMENT], str_cstr(&drafts[i].document));
		array_add_int(&columns[ROWS], drafts[i].n_rows);
		array_add_int(&columns[ARRIVED], drafts[i].n_arrived);
		array_add(&columns[OBSTACLES], str_cstr(&drafts[i].obstacles));
	}
	for (int c = 0; c < COLUMNS; c++)
		params[c] = array_end(&columns[c]);
	failed = db_query(run->db, &QUERY_PLAN_STORE, params, ret_kept, err);
	for (int c = 0; c < COLUMNS; c++)
		str_release(&columns[c]);
	return failed;
}

static int
store_plan(struct run *run, const char *request, const struct draft *draft, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *kept = NULL;

	if (store_plans(run, &request, 1, draft, &kept, err) != 0)
		return -1;
	return db_rows(kept) == 1 ? 0 : err_set(err, ERR_RETRY, "request %s was decided while it was planned", request);
}

/* What waits for no approval keeps the plan that it has. */
static int
check_state(struct run *run, const char *request, const char *array, bool store, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	const char *state;

	if (db_query(run->db, &QUERY_REQUEST_STATES, DB_PARAMS(array), &res, err) != 0)
		return -1;
	if (db_rows(res) == 0)
		return err_set(err, ERR_FAILED, "there is no request %s", request);
	state = db_get_text(res, 0, 1);
	if (strcmp(state, "certified") != 0 && (!store || strcmp(state, "received") == 0 ||
	    strcmp(state, "identified") == 0 || strcmp(state, "blocked") == 0 ||
	    (strcmp(state, "failed") == 0 && db_get_bool(res, 0, 2))))
		return 0;
	(void)err_set(err, ERR_FAILED, "request %s is %s and waits for no plan", request, state);
	return err_hint(err, "expunge request show prints the plan it has; erase --dry-run --request plans without keeping it");
}

int
draft_plan(struct run *run, const char *request, bool store, struct draft *ret, struct err *err)
{
	CLEANUP(str_release) struct str array = STR_INIT;
	int round = 0;

	plan_id_array(&array, &request, 1);
	if (db_begin(run->db, err) != 0)
		return -1;
	if (check_state(run, request, array.s, store, err) != 0 || next_round(run, array.s, &round, err) != 0 ||
	    db_command(run->db, "SAVEPOINT draft", 0, NULL, NULL, err) != 0 ||
	    compose(run, request, array.s, round, ret, err) != 0)
		goto failed;
	if (!store) {
		db_rollback(run->db);
		return 0;
	}
	if (db_command(run->db, "ROLLBACK TO SAVEPOINT draft", 0, NULL, NULL, err) != 0 ||
	    store_plan(run, request, ret, err) != 0 || db_commit(run->db, err) != 0)
		goto failed;
	return 0;
failed:
	db_rollback(run->db);
	return -1;
}

void
draft_release(struct draft *draft)
{
	str_release(&draft->document);
	str_release(&draft->obstacles);
	*draft = (struct draft){ 0 };
}

/* Plans of several requests of which nothing was collected yet, between BEGIN and the savepoint's end. */
static int
compose_many(struct run *run, const char *const *requests, size_t n, struct draft *ret, struct values *values,
	struct err *err)
{
	CLEANUP(plans_release) struct plans plans = { 0 };
	CLEANUP(str_release) struct str array = STR_INIT;

	plan_id_array(&array, requests, n);
	if (collect_subjects(run->program, run->db, COLLECT_PLAN, array.s, 0, err) != 0 ||
	    plan_read(run->program, run->db, requests, n, 0, true, &plans, err) != 0 ||
	    documents_plan(run, array.s, 0, &plans, err) != 0 ||
	    read_values(run, array.s, &plans.finder, values, err) != 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		CLEANUP(str_release) struct str one = STR_INIT;
		CLEANUP(str_release) struct str scope = STR_INIT;

		plan_id_array(&one, &requests[i], 1);
		if (compose_scope(run, one.s, &values[i], &scope, err) != 0 ||
		    finish(run, &plans.items[i], 0, &values[i], scope.s, &ret[i], err) != 0)
			return -1;
	}
	return 0;
}

int
draft_many(struct run *run, const char *const *requests, size_t n, struct draft *ret, struct db_result **ret_kept,
	struct err *err)
{
	struct values *values = mem_zero(n, sizeof(*values));
	int failed = db_begin(run->db, err) != 0 || db_command(run->db, "SAVEPOINT draft", 0, NULL, NULL, err) != 0 ||
		compose_many(run, requests, n, ret, values, err) != 0 ||
		db_command(run->db, "ROLLBACK TO SAVEPOINT draft", 0, NULL, NULL, err) != 0 ||
		store_plans(run, requests, n, ret, ret_kept, err) != 0 || db_commit(run->db, err) != 0;

	for (size_t i = 0; i < n; i++)
		values_release(&values[i]);
	free(values);
	if (failed)
		db_rollback(run->db);
	return failed ? -1 : 0;
}

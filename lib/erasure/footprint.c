#include "erasure/footprint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "query.h"

enum { INSERTED, UPDATED, DELETED, KINDS };

/* More than a batch has, and few among four thousand million. */
#define SUBTRANSACTIONS 1000000

static int
table_of(const struct catalog *catalog, int64_t oid)
{
	for (size_t i = 0; i < catalog->n_tables; i++)
		if (catalog->tables[i].oid == oid)
			return (int)i;
	return -1;
}

/* Which files the tables lie in: TRUNCATE gives a table a new one, and counts nothing. */
static int
read_files(char *files, struct db *db, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (db_query(db, &QUERY_TABLE_FILES, NULL, &res, err) != 0)
		return -1;
	(void)snprintf(files, 72, "%s", db_get_text(res, 0, 0));
	return 0;
}

int
footprint_take(struct footprint *ret, const struct catalog *catalog, struct db *db, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (read_files(ret->files, db, err) != 0)
		return -1;

	if (db_query(db, &QUERY_FOOTPRINT, NULL, &res, err) != 0)
		return -1;
	ret->catalog = catalog;
	ret->counts = mem_zero(catalog->n_tables * KINDS, sizeof(int64_t));
	for (int i = 0; i < db_rows(res); i++) {
		int table = table_of(catalog, db_get_int(res, i, 0));

		if (table < 0)
			return err_set(err, ERR_FAILED, "a table that was made during the run was written to (oid %s)",
				db_get_text(res, i, 0));
		if (catalog->tables[table].root >= 0)
			table = catalog->tables[table].root;
		for (int k = 0; k < KINDS; k++)
			ret->counts[table * KINDS + k] += db_get_int(res, i, 1 + k);
	}
	return 0;
}

void
footprint_release(struct footprint *footprint)
{
	free(footprint->counts);
	footprint->counts = NULL;
}

/* Rows were inserted or updated on the way (triggers, ON DELETE SET NULL): none may be left. A row that a
 * block with an exception handler wrote bears a number of its own, younger than this transaction's: one
 * of those still in progress, or one behind the last that has completed, and not so far that it must be
 * the number of a frozen row from before a wrap-around. Others' rows that we can see were committed. */
static int
refuse_left_behind(const struct program *program, struct db *db, int table, struct err *err)
{
	CLEANUP(str_release) struct str sql = STR_INIT;
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	str_add(&sql, "SELECT count(*) FROM ");
	sql_from(&sql, program, table, "t");
	str_addf(&sql, ", (SELECT pg_current_xact_id()::text::bigint AS id, age(pg_current_xact_id()::xid)::bigint AS age,"
		" pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS open) own,"
		" LATERAL (SELECT own.age - age(t.xmin) AS younger) x"
		" WHERE x.younger = 0 OR (x.younger BETWEEN 1 AND %d AND CASE WHEN own.id + x.younger < own.open"
		" THEN pg_xact_status((own.id + x.younger)::text::xid8) = 'in progress' ELSE true END)", SUBTRANSACTIONS);
	if (db_text(db, DB_ONE, sql.s, 0, NULL, &res, err) != 0)
		return -1;
	if (db_get_int(res, 0, 0) == 0)
		return 0;
	(void)err_set(err, ERR_FAILED, "%s: the removal wrote %s rows that it did not remove again",
		program->map->tables[table].name, db_get_text(res, 0, 0));
	return err_hint(err, "a trigger or foreign key action writes there; see `creates` in the data map");
}

static int
refuse(const struct cat_table *cat, enum err_code code, const int64_t *got, int64_t updated, int64_t deleted, struct err *err)
{
	(void)err_set(err, code, "%s: the server counts %lld inserted, %lld updated, %lld deleted; "
		"%lld updates and %lld deletes were meant", cat->full, (long long)got[INSERTED], (long long)got[UPDATED],
		(long long)got[DELETED], (long long)updated, (long long)deleted);
	return err_hint(err, "something else than the plan changed this table: a trigger, a rule or a cascade; "
		"nothing was changed, see expunge map check");
}

static int
compare_table(const struct program *program, struct db *db, int cat, int table, const int64_t *got, const int64_t *done,
	const int64_t *created, struct err *err)
{
	const struct program_table *pt = table < 0 ? NULL : &program->tables[table];
	bool removed = pt != NULL && pt->removed, updated = pt != NULL && pt->updated;
	int64_t deletes = removed ? done[table] : 0, updates = updated ? done[table] : 0;
	int64_t inserts = removed ? created[table] : 0;
	/* rows that nobody has locked may go by another hand meanwhile */
	enum err_code code = pt != NULL && pt->follows && got[INSERTED] + got[UPDATED] == 0 ? ERR_RETRY : ERR_FAILED;

	if (got[DELETED] != deletes || (!removed && (got[INSERTED] != 0 || got[UPDATED] != updates)))
		return refuse(&program->catalog->tables[cat], code, got, updates, deletes, err);
	if (!removed || (got[INSERTED] == inserts && got[UPDATED] == 0))
		return 0;
	if (pt->later && got[UPDATED] == 0)
		return 0;
	if (!pt->created && got[INSERTED] > 0)
		return refuse(&program->catalog->tables[cat], code, got, updates, deletes, err);
	return refuse_left_behind(program, db, table, err);
}

int
footprint_compare(const struct footprint *before, const struct program *program, struct db *db, const int64_t *done,
	const int64_t *created, struct err *err)
{
	struct footprint after = { 0 };
	int *mapped = mem_zero(program->catalog->n_tables, sizeof(int));
	int failed = footprint_take(&after, program->catalog, db, err);

	if (failed == 0 && strcmp(before->files, after.files) != 0)
		failed = err_set(err, ERR_RETRY, "a table was emptied or written anew as a whole during the removal (TRUNCATE?)");
	for (size_t i = 0; i < program->map->n_tables; i++)
		if (program->tables[i].owned)
			mapped[program->map->tables[i].cat] = (int)i + 1;
	for (size_t i = 0; i < program->catalog->n_tables && failed == 0; i++) {
		int64_t got[KINDS];

		for (int k = 0; k < KINDS; k++)
			got[k] = after.counts[i * KINDS + (size_t)k] - before->counts[i * KINDS + (size_t)k];
		failed = compare_table(program, db, (int)i, mapped[i] - 1, got, done, created, err);
	}
	free(mapped);
	footprint_release(&after);
	return failed;
}

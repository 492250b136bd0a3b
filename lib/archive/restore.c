#include "archive/restore_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive/fill.h"
#include "base/cleanup.h"
#include "base/mem.h"

static void
target_release(struct target *target)
{
	loading_release(&target->loading);
	restore_streams_release(target);
	unpack_release(&target->place);
}

/* ---- does it fit? -------------------------------------------------------------------------------- */

static bool
is_rows(const struct archive_table *table)
{
	return strcmp(table->name, FILL_LO) != 0 && strcmp(table->name, FILL_DOCUMENTS) != 0;
}

static int
look(struct target *target, struct err *err)
{
	struct restore *restore = target->restore;

	target->n = archive_tables(restore->archive);
	if (loading_begin(&target->loading, restore->db, target->n, err) != 0)
		return -1;
	for (size_t i = 0; i < target->n; i++)
		if (is_rows(archive_table(restore->archive, i)) &&
		    loading_fit(&target->loading, (uint32_t)i, archive_table(restore->archive, i), err) != 0)
			return -1;
	return loading_prepare(&target->loading, restore->disable_triggers, err);
}

/* ---- rows ---------------------------------------------------------------------------------------- */

void
restore_add_columns(struct str *sql, const struct target *target, uint32_t number, const char *prefix)
{
	const struct archive_table *table = archive_table(target->restore->archive, number);
	const struct cat_table *cat = &target->loading.catalog->tables[target->loading.tables[number]];

	for (size_t c = 0; c < table->n_columns; c++)
		str_addf(sql, "%s%s%s", c == 0 ? "" : ", ", prefix, cat->columns[catalog_column(cat, table->columns[c].name)].quoted);
}

/* Which of the loaded rows is which: by the table's key; where it has none, the nth of the same rows of one owner is the
 * nth of another's. */
static void
add_distinct(struct str *sql, const struct target *target, uint32_t number)
{
	const struct cat_table *cat = &target->loading.catalog->tables[target->loading.tables[number]];
	char staged[64];

	restore_staged(number, staged);
	if (archive_table(target->restore->archive, number)->one_owner) {
		str_addf(sql, "SELECT t.* FROM %s t", staged);
		return;
	}
	str_add(sql, "SELECT DISTINCT ON (");
	for (size_t k = 0; k < cat->n_key; k++)
		str_addf(sql, "%st.%s", k == 0 ? "" : ", ", cat->columns[cat->key[k]].quoted);
	if (cat->n_key > 0) {
		str_addf(sql, ") t.* FROM %s t", staged);
		return;
	}
	str_add(sql, "t.expunge_row, t.expunge_nth) t.* FROM (SELECT r.*, row_number() OVER (PARTITION BY r.expunge_leaf, r.expunge_row)"
		" AS expunge_nth FROM (SELECT l.*, ROW(");
	restore_add_columns(sql, target, number, "l.");
	str_addf(sql, ")::text AS expunge_row FROM %s l) r) t", staged);
}

int
restore_say_remedy(const char *table, struct err *err)
{
	(void)err_prefix(err, "loading %s", table);
	if (strcmp(err->sqlstate, "23503") == 0)
		return err_hint(err, "rows that these refer to are not in the target: load the tables that the data map calls reference first "
			"(pg_dump --data-only -t TABLE)");
	if (strcmp(err->sqlstate, "23505") == 0)
		return err_hint(err, "the target has rows of this practice already: make an empty one");
	return -1;
}

static int
insert_rows(struct target *target, uint32_t number, int64_t *ret_rows, struct err *err)
{
	const struct cat_table *cat = &target->loading.catalog->tables[target->loading.tables[number]];
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	CLEANUP(str_release) struct str sql = STR_INIT;

	str_add(&sql, "WITH source AS (");
	add_distinct(&sql, target, number);
	str_addf(&sql, "), loaded AS (INSERT INTO %s (", cat->quoted);
	restore_add_columns(&sql, target, number, "");
	str_add(&sql, ") OVERRIDING SYSTEM VALUE SELECT ");
	restore_add_columns(&sql, target, number, "s.");
	str_add(&sql, " FROM source s RETURNING 1) SELECT (SELECT count(*) FROM source), (SELECT count(*) FROM loaded)");
	if (db_text(target->restore->db, DB_ONE, sql.s, 0, NULL, &res, err) != 0)
		return restore_say_remedy(cat->full, err);
	*ret_rows = db_get_int(res, 0, 1);
	return *ret_rows == db_get_int(res, 0, 0) ? 0
		: err_set(err, ERR_FAILED, "loading %s: %" PRId64 " rows of %" PRId64 " went in", cat->full, *ret_rows, db_get_int(res, 0, 0));
}

/* What the next row would get must be behind what was restored: of sequences that a column owns, and of those that its
 * default draws from, as columns of inherited tables do from their parent's. */
static int
advance_sequences(struct target *target, uint32_t number, struct err *err)
{
	const struct cat_table *cat = &target->loading.catalog->tables[target->loading.tables[number]];

	for (size_t c = 0; c < cat->n_columns; c++) {
		CLEANUP(free_text) char *sql = NULL;

		if (cat->columns[c].category != 'N')
			continue;
		/* the table is read only where there is such a sequence */
		sql = mem_printf("SELECT setval(s.oid::regclass, m.top) FROM pg_class s,"
			" LATERAL (SELECT max(t.%s)::bigint AS top FROM %s t WHERE s.oid > 0) m WHERE s.relkind = 'S' AND m.top > coalesce(pg_sequence_last_value(s.oid), 0) AND s.oid IN"
			" (SELECT pg_get_serial_sequence($1, $2)::regclass UNION SELECT d.refobjid FROM pg_depend d JOIN pg_attrdef f ON f.oid = d.objid"
			" JOIN pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum WHERE d.classid = 'pg_attrdef'::regclass"
			" AND d.refclassid = 'pg_class'::regclass AND f.adrelid = $1::regclass AND a.attname = $2)",
			cat->columns[c].quoted, cat->quoted);
		if (db_text(target->restore->db, DB_MANY, sql, 2, DB_PARAMS(cat->quoted, cat->columns[c].name), NULL, err) != 0)
			return err_prefix(err, "sequence of %s", cat->full);
	}
	return 0;
}

/* One restore at a time, to its end: the other's rows are not to be seen before, and a sequence must not go back. */
static int
advance_all(struct target *target, struct err *err)
{
	if (db_text(target->restore->db, DB_ONE, "SELECT pg_advisory_xact_lock(hashtextextended('expunge/restore', 0))", 0, NULL, NULL, err) != 0)
		return -1;
	for (uint32_t i = 0; i < target->n; i++)
		if (target->loading.tables[i] >= 0 && advance_sequences(target, i, err) != 0)
			return -1;
	return 0;
}

static int
drop_staged(struct target *target, uint32_t number, struct err *err)
{
	CLEANUP(free_text) char *sql = NULL;
	char staged[64];

	restore_staged(number, staged);
	sql = mem_printf("DROP TABLE %s", staged);
	return db_command(target->restore->db, sql, 0, NULL, NULL, err);
}

static int
load_table(struct target *target, uint32_t number, struct restore_result *ret, struct err *err)
{
	bool direct = target->streams[number].direct;
	int64_t rows = target->streams[number].arrived;

	if (!direct && insert_rows(target, number, &rows, err) != 0)
		return -1;
	ret->rows += rows;
	return direct ? 0 : drop_staged(target, number, err);
}

static int
load_large_objects(struct target *target, uint32_t number, struct err *err)
{
	CLEANUP(free_text) char *make = NULL;
	CLEANUP(free_text) char *fill = NULL;
	char staged[64];

	restore_staged(number, staged);
	make = mem_printf("SELECT lo_create(t.loid) FROM (SELECT DISTINCT loid FROM %s) t", staged);
	fill = mem_printf("SELECT lo_put(t.loid, t.start, t.data) FROM (SELECT DISTINCT ON (loid, start) * FROM %s) t", staged);
	if (db_text(target->restore->db, DB_MANY, make, 0, NULL, NULL, err) != 0 ||
	    db_text(target->restore->db, DB_MANY, fill, 0, NULL, NULL, err) != 0)
		return err_prefix(err, "large objects");
	return drop_staged(target, number, err);
}

static bool
is_documents(const struct target *target, size_t number)
{
	return strcmp(archive_table(target->restore->archive, number)->name, FILL_DOCUMENTS) == 0;
}

/* Found out before the first row is loaded. */
static int
check_documents(struct target *target, struct restore_result *ret, struct err *err)
{
	for (size_t i = 0; i < target->n; i++)
		ret->has_documents = ret->has_documents || (is_documents(target, i) && archive_table(target->restore->archive, i)->rows > 0);
	if (!ret->has_documents)
		return 0;
	if (target->restore->documents != NULL)
		return unpack_prepare(target->restore->documents, &target->place, err);
	(void)err_set(err, ERR_FAILED, "its rows name document files, which are in it, too");
	return err_hint(err, "say with --documents DIRECTORY where they are to go: a new directory, or an empty one");
}

/* What is neither a table nor large objects. */
static int
load_other(struct target *target, uint32_t number, struct restore_result *ret, struct err *err)
{
	if (!is_documents(target, number))
		return load_large_objects(target, number, err);
	if (!ret->has_documents)
		return 0;
	return unpack_files(target->restore->archive, number, target->restore->leaves, target->restore->documents, &ret->documents, err) == 0
		? 0 : err_prefix(err, "document files");
}

static int
load_all(struct target *target, struct restore_result *ret, struct err *err)
{
	if (loading_put_aside(&target->loading, err) != 0 || db_command(target->restore->db, "SET CONSTRAINTS ALL DEFERRED", 0, NULL, NULL, err) != 0 ||
	    restore_read(target, &ret->tally, err) != 0)
		return -1;
	for (size_t i = 0; i < target->n; i++) {
		uint32_t number = target->loading.order[i];

		if ((target->loading.tables[number] < 0 ? load_other(target, number, ret, err) : load_table(target, number, ret, err)) != 0)
			return -1;
	}
	if (advance_all(target, err) != 0)
		return -1;
	/* what waits for its check holds its table */
	return db_command(target->restore->db, "SET CONSTRAINTS ALL IMMEDIATE", 0, NULL, NULL, err) != 0 ? -1 : loading_put_back(&target->loading, err);
}

/* Files in clear whose rows are nowhere. Where nobody knows whether the rows are there, the files stay, and are named. */
static int
undo_documents(const struct target *target, const struct restore_result *result, struct err *err)
{
	const char *directory = target->restore->documents;
	struct err why = { 0 };

	if (!result->has_documents)
		return -1;
	if (err->code == ERR_UNKNOWN)
		return err_hint(err, "the files in %s belong to the rows: if these are not there, remove them", directory);
	if (unpack_undo(directory, &target->place, &why) != 0)
		return err_hint(err, "%s: remove what is there", why.msg);
	return -1;
}

int
restore_load(struct restore *restore, struct restore_result *ret, struct err *err)
{
	CLEANUP(target_release) struct target target = { .restore = restore };

	*ret = (struct restore_result){ 0 };
	if (look(&target, err) != 0 || restore_streams(&target, err) != 0 || check_documents(&target, ret, err) != 0)
		return -1;
	if (db_begin(restore->db, err) != 0)
		return undo_documents(&target, ret, err);
	if (load_all(&target, ret, err) == 0 && db_commit(restore->db, err) == 0)
		return 0;
	db_rollback(restore->db);
	return undo_documents(&target, ret, err);
}

#include "archive/restore_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive/fill.h"
#include "base/array.h"
#include "base/cleanup.h"
#include "base/mem.h"

/* columns of what is out of the way: commands to have it so, and back */
enum { S_TABLE, S_NAME, S_ASIDE, S_BACK };

static void
target_release(struct target *target)
{
	catalog_free(target->catalog);
	db_result_free(target->triggers);
	db_result_free(target->constraints);
	free(target->tables);
	free(target->order);
	restore_streams_release(target);
	unpack_release(&target->place);
}

/* ---- does it fit? -------------------------------------------------------------------------------- */

static int
find_table(struct target *target, size_t number, struct err *err)
{
	const struct archive_table *table = archive_table(target->restore->archive, number);
	const struct cat_table *cat;

	target->tables[number] = -1;
	if (strcmp(table->name, FILL_LO) == 0 || strcmp(table->name, FILL_DOCUMENTS) == 0)
		return 0;
	target->tables[number] = catalog_table(target->catalog, table->name);
	if (target->tables[number] < 0) {
		(void)err_set(err, ERR_FAILED, "the archive has table %s, and the target does not", table->name);
		return err_hint(err, "make the application's tables in the target first, as they were when the archive was taken");
	}
	cat = &target->catalog->tables[target->tables[number]];
	for (size_t c = 0; c < table->n_columns; c++)
		if (catalog_column(cat, table->columns[c].name) < 0) {
			(void)err_set(err, ERR_FAILED, "the archive has column %s of %s (%s), and the target does not", table->columns[c].name,
				table->name, table->columns[c].type);
			return err_hint(err, "add the column to the target for the restore; the application's own migration can follow");
		}
	return 0;
}

/* ---- in which order ------------------------------------------------------------------------------- */

static int
number_of(const struct target *target, int cat)
{
	for (size_t i = 0; i < target->n; i++)
		if (target->tables[i] == cat && cat >= 0)
			return (int)i;
	return -1;
}

/* True while a table that this one refers to has not had its turn. */
static bool
waits(const struct target *target, size_t number, const bool *done)
{
	for (size_t f = 0; f < target->catalog->n_fks; f++) {
		const struct cat_fk *fk = &target->catalog->fks[f];
		int parent = fk->table == target->tables[number] ? number_of(target, fk->target) : -1;

		if (parent >= 0 && (size_t)parent != number && !done[parent])
			return true;
	}
	return false;
}

/* Parents first; tables of a cycle in the archive's order. */
static void
find_order(struct target *target)
{
	CLEANUP(free_text) char *memory = mem_zero(target->n + 1, sizeof(bool));
	bool *done = (bool *)(void *)memory;

	for (size_t at = 0; at < target->n; at++) {
		size_t next = target->n;

		for (size_t i = 0; i < target->n; i++) {
			if (done[i])
				continue;
			if (next == target->n || !waits(target, i, done))
				next = i;
			if (!waits(target, next, done))
				break;
		}
		done[next] = true;
		target->order[at] = (uint32_t)next;
	}
}

/* ---- what stands in the way ----------------------------------------------------------------------- */

/* A trigger that fires on INSERT writes what is not in the archive, or not what is. On the tables and their partitions. */
static int
find_triggers(struct target *target, struct err *err)
{
	CLEANUP(str_release) struct str oids = STR_INIT;

	for (size_t i = 0; i < target->n; i++)
		if (target->tables[i] >= 0)
			array_add_int(&oids, target->catalog->tables[target->tables[i]].oid);
	if (db_text(target->restore->db, DB_MANY, "SELECT t.tgrelid::regclass, t.tgname,"
		" format('ALTER TABLE ONLY %s DISABLE TRIGGER %I', t.tgrelid::regclass, t.tgname),"
		" format('ALTER TABLE ONLY %s ENABLE %s TRIGGER %I', t.tgrelid::regclass, CASE t.tgenabled WHEN 'A' THEN 'ALWAYS' END, t.tgname)"
		" FROM pg_trigger t WHERE NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') AND t.tgtype::int & 4 <> 0 AND t.tgrelid IN"
		" (SELECT o.oid FROM unnest($1::oid[]) o (oid) UNION SELECT p.relid FROM unnest($1::oid[]) o (oid), pg_partition_tree(o.oid) p)"
		" ORDER BY t.tgrelid, t.tgname", 1, DB_PARAMS(array_end(&oids)), &target->triggers, err) != 0)
		return -1;
	if (target->restore->disable_triggers || db_rows(target->triggers) == 0)
		return 0;
	(void)err_set(err, ERR_REFUSED, "trigger %s of %s would fire for every restored row", db_get_text(target->triggers, 0, S_NAME),
		db_get_text(target->triggers, 0, S_TABLE));
	return err_hint(err, "with --disable-triggers it is switched off for the time of the restore");
}

static size_t
turn_of(const struct target *target, int number)
{
	size_t at = 0;

	while (at < target->n && target->order[at] != (uint32_t)number)
		at++;
	return at;
}

/* In a cycle some table comes before one that it refers to: such a foreign key is checked behind the last row. */
static int
find_constraints(struct target *target, struct err *err)
{
	CLEANUP(str_release) struct str oids = STR_INIT;

	for (size_t f = 0; f < target->catalog->n_fks; f++) {
		const struct cat_fk *fk = &target->catalog->fks[f];
		int child = number_of(target, fk->table), parent = number_of(target, fk->target);

		if (!fk->deferrable && child >= 0 && parent >= 0 && turn_of(target, child) < turn_of(target, parent))
			array_add_int(&oids, fk->oid);
	}
	return db_text(target->restore->db, DB_MANY, "SELECT c.conrelid::regclass, c.conname,"
		" format('ALTER TABLE %s ALTER CONSTRAINT %I DEFERRABLE', c.conrelid::regclass, c.conname),"
		" format('ALTER TABLE %s ALTER CONSTRAINT %I NOT DEFERRABLE', c.conrelid::regclass, c.conname)"
		" FROM pg_constraint c WHERE c.oid = ANY ($1::oid[]) ORDER BY c.oid", 1, DB_PARAMS(array_end(&oids)), &target->constraints, err);
}

/* how: S_ASIDE or S_BACK */
static int
put(struct target *target, int how, struct err *err)
{
	const struct db_result *both[] = { target->triggers, target->constraints };

	for (size_t b = 0; b < 2; b++)
		for (int i = 0; i < db_rows(both[b]); i++)
			if (db_command(target->restore->db, db_get_text(both[b], i, how), 0, NULL, NULL, err) != 0)
				return err_prefix(err, "%s of %s", db_get_text(both[b], i, S_NAME), db_get_text(both[b], i, S_TABLE));
	return 0;
}

static int
look(struct target *target, struct err *err)
{
	target->n = archive_tables(target->restore->archive);
	target->tables = mem_zero(target->n + 1, sizeof(*target->tables));
	target->order = mem_zero(target->n + 1, sizeof(*target->order));
	if (catalog_read(&target->catalog, target->restore->db, err) != 0)
		return -1;
	for (size_t i = 0; i < target->n; i++)
		if (find_table(target, i, err) != 0)
			return -1;
	find_order(target);
	return find_triggers(target, err) != 0 ? -1 : find_constraints(target, err);
}

/* ---- rows ---------------------------------------------------------------------------------------- */

void
restore_add_columns(struct str *sql, const struct target *target, uint32_t number, const char *prefix)
{
	const struct archive_table *table = archive_table(target->restore->archive, number);
	const struct cat_table *cat = &target->catalog->tables[target->tables[number]];

	for (size_t c = 0; c < table->n_columns; c++)
		str_addf(sql, "%s%s%s", c == 0 ? "" : ", ", prefix, cat->columns[catalog_column(cat, table->columns[c].name)].quoted);
}

/* Which of the loaded rows is which: by the table's key; where it has none, the nth of the same rows of one owner is the
 * nth of another's. */
static void
add_distinct(struct str *sql, const struct target *target, uint32_t number)
{
	const struct cat_table *cat = &target->catalog->tables[target->tables[number]];
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
	const struct cat_table *cat = &target->catalog->tables[target->tables[number]];
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
	const struct cat_table *cat = &target->catalog->tables[target->tables[number]];

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
		if (target->tables[i] >= 0 && advance_sequences(target, i, err) != 0)
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
	if (put(target, S_ASIDE, err) != 0 || db_command(target->restore->db, "SET CONSTRAINTS ALL DEFERRED", 0, NULL, NULL, err) != 0 ||
	    restore_read(target, &ret->tally, err) != 0)
		return -1;
	for (size_t i = 0; i < target->n; i++) {
		uint32_t number = target->order[i];

		if ((target->tables[number] < 0 ? load_other(target, number, ret, err) : load_table(target, number, ret, err)) != 0)
			return -1;
	}
	if (advance_all(target, err) != 0)
		return -1;
	/* what waits for its check holds its table */
	return db_command(target->restore->db, "SET CONSTRAINTS ALL IMMEDIATE", 0, NULL, NULL, err) != 0 ? -1 : put(target, S_BACK, err);
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

#include "archive/loading.h"

#include <stdlib.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/mem.h"

/* columns of what is out of the way: commands to have it so, and back */
enum { S_TABLE, S_NAME, S_ASIDE, S_BACK };

void
loading_release(struct loading *loading)
{
	catalog_free(loading->catalog);
	db_result_free(loading->triggers);
	db_result_free(loading->constraints);
	free(loading->tables);
	free(loading->order);
	*loading = (struct loading){ 0 };
}

/* ---- does it fit? -------------------------------------------------------------------------------- */

int
loading_begin(struct loading *ret, struct db *db, size_t n, struct err *err)
{
	*ret = (struct loading){ .db = db, .n = n };
	ret->tables = mem_zero(n + 1, sizeof(*ret->tables));
	ret->order = mem_zero(n + 1, sizeof(*ret->order));
	for (size_t i = 0; i < n; i++)
		ret->tables[i] = -1;
	return catalog_read(&ret->catalog, db, err);
}

int
loading_fit(struct loading *loading, uint32_t number, const struct archive_table *table, struct err *err)
{
	const struct cat_table *cat;

	loading->tables[number] = catalog_table(loading->catalog, table->name);
	if (loading->tables[number] < 0) {
		(void)err_set(err, ERR_FAILED, "the archive has table %s, and the target does not", table->name);
		return err_hint(err, "make the application's tables in the target first, as they were when the archive was taken");
	}
	cat = &loading->catalog->tables[loading->tables[number]];
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
number_of(const struct loading *loading, int cat)
{
	for (size_t i = 0; i < loading->n; i++)
		if (loading->tables[i] == cat && cat >= 0)
			return (int)i;
	return -1;
}

/* True while a table that this one refers to has not had its turn. */
static bool
waits(const struct loading *loading, size_t number, const bool *done)
{
	for (size_t f = 0; f < loading->catalog->n_fks; f++) {
		const struct cat_fk *fk = &loading->catalog->fks[f];
		int parent = fk->table == loading->tables[number] ? number_of(loading, fk->target) : -1;

		if (parent >= 0 && (size_t)parent != number && !done[parent])
			return true;
	}
	return false;
}

/* Parents first; tables of a cycle in the archive's order. */
static void
find_order(struct loading *loading)
{
	CLEANUP(free_text) char *memory = mem_zero(loading->n + 1, sizeof(bool));
	bool *done = (bool *)(void *)memory;

	for (size_t at = 0; at < loading->n; at++) {
		size_t next = loading->n;

		for (size_t i = 0; i < loading->n; i++) {
			if (done[i])
				continue;
			if (next == loading->n || !waits(loading, i, done))
				next = i;
			if (!waits(loading, next, done))
				break;
		}
		done[next] = true;
		loading->order[at] = (uint32_t)next;
	}
}

/* ---- what stands in the way ----------------------------------------------------------------------- */

/* A trigger that fires on INSERT writes what is not in the archive, or not what is. On the tables and their partitions. */
static int
find_triggers(struct loading *loading, bool disable, struct err *err)
{
	CLEANUP(str_release) struct str oids = STR_INIT;

	for (size_t i = 0; i < loading->n; i++)
		if (loading->tables[i] >= 0)
			array_add_int(&oids, loading->catalog->tables[loading->tables[i]].oid);
	if (db_text(loading->db, DB_MANY, "SELECT t.tgrelid::regclass, t.tgname,"
		" format('ALTER TABLE ONLY %s DISABLE TRIGGER %I', t.tgrelid::regclass, t.tgname),"
		" format('ALTER TABLE ONLY %s ENABLE %s TRIGGER %I', t.tgrelid::regclass, CASE t.tgenabled WHEN 'A' THEN 'ALWAYS' END, t.tgname)"
		" FROM pg_trigger t WHERE NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') AND t.tgtype::int & 4 <> 0 AND t.tgrelid IN"
		" (SELECT o.oid FROM unnest($1::oid[]) o (oid) UNION SELECT p.relid FROM unnest($1::oid[]) o (oid), pg_partition_tree(o.oid) p)"
		" ORDER BY t.tgrelid, t.tgname", 1, DB_PARAMS(array_end(&oids)), &loading->triggers, err) != 0)
		return -1;
	if (disable || db_rows(loading->triggers) == 0)
		return 0;
	(void)err_set(err, ERR_REFUSED, "trigger %s of %s would fire for every restored row", db_get_text(loading->triggers, 0, S_NAME),
		db_get_text(loading->triggers, 0, S_TABLE));
	return err_hint(err, "with --disable-triggers it is switched off for the time of the restore");
}

static size_t
turn_of(const struct loading *loading, int number)
{
	size_t at = 0;

	while (at < loading->n && loading->order[at] != (uint32_t)number)
		at++;
	return at;
}

/* In a cycle some table comes before one that it refers to: such a foreign key is checked behind the last row. */
static int
find_constraints(struct loading *loading, struct err *err)
{
	CLEANUP(str_release) struct str oids = STR_INIT;

	for (size_t f = 0; f < loading->catalog->n_fks; f++) {
		const struct cat_fk *fk = &loading->catalog->fks[f];
		int child = number_of(loading, fk->table), parent = number_of(loading, fk->target);

		if (!fk->deferrable && child >= 0 && parent >= 0 && turn_of(loading, child) < turn_of(loading, parent))
			array_add_int(&oids, fk->oid);
	}
	return db_text(loading->db, DB_MANY, "SELECT c.conrelid::regclass, c.conname,"
		" format('ALTER TABLE %s ALTER CONSTRAINT %I DEFERRABLE', c.conrelid::regclass, c.conname),"
		" format('ALTER TABLE %s ALTER CONSTRAINT %I NOT DEFERRABLE', c.conrelid::regclass, c.conname)"
		" FROM pg_constraint c WHERE c.oid = ANY ($1::oid[]) ORDER BY c.oid", 1, DB_PARAMS(array_end(&oids)), &loading->constraints, err);
}

/* how: S_ASIDE or S_BACK */
static int
put(struct loading *loading, int how, struct err *err)
{
	const struct db_result *both[] = { loading->triggers, loading->constraints };

	for (size_t b = 0; b < 2; b++)
		for (int i = 0; i < db_rows(both[b]); i++)
			if (db_command(loading->db, db_get_text(both[b], i, how), 0, NULL, NULL, err) != 0)
				return err_prefix(err, "%s of %s", db_get_text(both[b], i, S_NAME), db_get_text(both[b], i, S_TABLE));
	return 0;
}

int
loading_prepare(struct loading *loading, bool disable, struct err *err)
{
	find_order(loading);
	return find_triggers(loading, disable, err) != 0 ? -1 : find_constraints(loading, err);
}

int
loading_put_aside(struct loading *loading, struct err *err)
{
	return put(loading, S_ASIDE, err);
}

int
loading_put_back(struct loading *loading, struct err *err)
{
	return put(loading, S_BACK, err);
}

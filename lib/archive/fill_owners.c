/* Rows of patients, batch by batch: of tables that can be joined to them, of a set of keys, large objects. */
#include <stdlib.h>
#include <string.h>

#include "archive/fill_private.h"
#include "base/array.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "map/collect.h"
#include "map/straight.h"
#include "map/tenant_rows.h"

#define LO_PIECE "262144"

/* ---- tables ------------------------------------------------------------------------------------- */

/* A key whose order, and whose text, are the same to everybody. */
static bool
is_plain_key(const struct program *program)
{
	static const char *const types[] = { "smallint", "integer", "bigint", "uuid" };
	const char *type = program_cat(program, program->map->subject)->columns[program->map->subject_key_column].type;

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(type, types[i]) == 0)
			return true;
	return false;
}

static bool
is_ranged(const struct fill *fill, size_t table)
{
	return fill->program->tables[table].straight && is_plain_key(fill->program);
}

/* A straight table, joined to its owners: these are all there are from the first to the last, so nobody need list them to the
 * server, which knows from its statistics how to find them. Sorted, for an owner's rows are to stand together. */
static void
add_ranged(struct str *sql, const struct fill *fill, size_t table)
{
	const struct program *program = fill->program;
	const struct cat_column *key = &program_cat(program, program->map->subject)->columns[program->map->subject_key_column];
	CLEANUP(str_release) struct str from = STR_INIT;
	char subject[16];

	sql_straight(&from, program, (int)table, subject);
	str_addf(sql, "COPY (SELECT %s.%s", subject, key->quoted);
	fill_add_columns(sql, program, table);
	str_addf(sql, "%s WHERE ", from.s);
	sql_is_subject(sql, program, subject, fill->tenant);
	str_addf(sql, " AND %s.%s BETWEEN ", subject, key->quoted);
	sql_literal(sql, fill->first);
	str_addf(sql, "::%s AND ", key->type);
	sql_literal(sql, fill->last);
	str_addf(sql, "::%s ORDER BY 1) TO STDOUT", key->type);
}

/* Joined to a list of them. */
static void
add_straight(struct str *sql, const struct program *program, size_t table)
{
	const struct map *map = program->map;
	const struct cat_column *key = &program_cat(program, map->subject)->columns[map->subject_key_column];
	char subject[16];

	str_add(sql, "COPY (SELECT k.id");
	fill_add_columns(sql, program, table);
	sql_straight(sql, program, (int)table, subject);
	str_addf(sql, " JOIN pg_temp.seal_owner k ON %s.%s = k.subject::", subject, key->quoted);
	sql_type(sql, key->type);
	str_add(sql, " AND k.tenant = ");
	sql_tenant(sql, program, subject);
	str_add(sql, " ORDER BY 1) TO STDOUT");
}

static int
copy_table(struct fill *fill, size_t table, struct err *err)
{
	CLEANUP(str_release) struct str sql = STR_INIT;
	int64_t before = fill->rows;

	fill->by_subject = fill->n_owners > 0 && is_ranged(fill, table);
	if (fill->by_subject)
		add_ranged(&sql, fill, table);
	else if (fill->program->tables[table].straight)
		add_straight(&sql, fill->program, table);
	else {
		str_add(&sql, "COPY (SELECT k.request_id");
		fill_add_columns(&sql, fill->program, table);
		fill_add_set(&sql, fill->program, table, "");
		str_add(&sql, " ORDER BY 1) TO STDOUT");
	}
	if (fill_copy(fill, fill->numbers[table], sql.s, err) != 0)
		return err_prefix(err, "%s", fill->program->map->tables[table].name);
	/* each is asked for by the bounds of a batch: that nobody fell through is seen, and not believed */
	if (fill->by_subject && (int)table == fill->program->map->subject && fill->rows - before != (int64_t)fill->n_leaves)
		return err_set(err, ERR_FAILED, "%zu subjects were to be sealed, and %lld rows of them came", fill->n_leaves,
			(long long)(fill->rows - before));
	fill->by_subject = false;
	return 0;
}

void
fill_add_held(struct str *sql, const struct program *program)
{
	bool first = true;

	for (size_t i = 0; i < program->map->n_tables; i++) {
		const struct map_table *t = &program->map->tables[i];

		for (size_t c = 0; program->tables[i].owned && c < t->n_columns; c++) {
			const struct cat_column *column;
			CLEANUP(free_text) char *join = NULL;

			if (!t->columns[c].lo)
				continue;
			column = &program_cat(program, (int)i)->columns[t->columns[c].column];
			/* some applications keep the number as text; one that is no large object's is no large object */
			join = mem_printf(" JOIN pg_catalog.pg_largeobject_metadata m ON m.oid%s = t.%s",
				column->category == 'S' ? "::text" : "", column->quoted);
			str_addf(sql, "%sSELECT k.request_id, m.oid", first ? "" : " UNION ");
			fill_add_set(sql, program, i, join);
			first = false;
		}
	}
}

/* In pieces, because one value of the server holds a gigabyte at most, and takes its memory. */
static int
copy_lo(struct fill *fill, struct err *err)
{
	CLEANUP(str_release) struct str sql = STR_INIT;

	if (fill->lo == FILL_NOT_THERE)
		return 0;
	str_add(&sql, "COPY (WITH RECURSIVE held (owner, oid) AS (");
	fill_add_held(&sql, fill->program);
	str_add(&sql, "), piece (owner, oid, start, data) AS ("
		"SELECT h.owner, h.oid, 0::bigint, lo_get(h.oid, 0, " LO_PIECE ") FROM held h UNION ALL "
		"SELECT p.owner, p.oid, p.start + " LO_PIECE ", lo_get(p.oid, p.start + " LO_PIECE ", " LO_PIECE ") FROM piece p "
		"WHERE length(p.data) = " LO_PIECE ") "
		"SELECT p.owner, p.oid, p.start, p.data FROM piece p ORDER BY 1, 2, 3) TO STDOUT");
	return fill_copy(fill, fill->lo, sql.s, err) == 0 ? 0 : err_prefix(err, "large objects");
}

/* ---- owners ------------------------------------------------------------------------------------- */

int
fill_empty_tables(struct db *db, struct err *err)
{
	return db_command(db, "TRUNCATE pg_temp.seal_owner, pg_temp.seal_set", 0, NULL, NULL, err);
}

static int
put_owners(struct fill *fill, const struct leaf *leaves, const char *const *subjects, size_t n, struct str *ids, struct err *err)
{
	CLEANUP(str_release) struct str texts = STR_INIT;

	for (size_t i = 0; i < n; i++)
		if (leaves[i].state == LEAF_LIVING) {
			array_add_int(ids, leaves[i].id);
			array_add(&texts, subjects[i]);
		}
	return db_command(fill->db, "INSERT INTO pg_temp.seal_owner (id, tenant, subject)"
		" SELECT o.id, $3::text, o.subject FROM unnest($1::bigint[], $2::text[]) AS o (id, subject)",
		3, DB_PARAMS(array_end(ids), array_end(&texts), fill->tenant), NULL, err);
}

int
fill_copy_owned(struct fill *fill, struct err *err)
{
	for (size_t i = 0; i < fill->program->collect.n; i++)
		if (copy_table(fill, (size_t)fill->program->collect.tables[i], err) != 0)
			return -1;
	return copy_lo(fill, err) != 0 || fill_documents(fill, err) != 0 ? -1 : fill_flush(fill, err);
}

/* Everybody of a batch, by subject; those who are not to be sealed without a leaf. */
static void
note_owners(struct fill *fill, const struct leaf *leaves, const char *const *subjects, size_t n)
{
	fill->owners = mem_zero(n, sizeof(*fill->owners));
	fill->n_owners = n;
	fill->owner = NULL;
	fill->first = subjects[0];
	fill->last = subjects[n - 1];
	for (size_t i = 0; i < n; i++)
		fill->owners[i] = (struct fill_owner){ subjects[i], strlen(subjects[i]), leaves[i].state == LEAF_LIVING ? leaves[i].id : 0 };
	qsort(fill->owners, n, sizeof(*fill->owners), fill_by_subject);
}

static void
forget_owners(struct fill *fill)
{
	leaf_wipe((struct leaf *)(uintptr_t)fill->leaves, fill->n_leaves);
	free((struct leaf *)(uintptr_t)fill->leaves);
	free(fill->owners);
	fill->leaves = NULL;
	fill->owners = NULL;
	fill->n_leaves = fill->n_owners = 0;
}

/* The living by their leaves' numbers. */
static void
note_leaves(struct fill *fill, const struct leaf *leaves, size_t n)
{
	struct leaf *sorted = mem_zero(n, sizeof(*sorted));

	fill->n_leaves = 0;
	for (size_t i = 0; i < n; i++)
		if (leaves[i].state == LEAF_LIVING)
			sorted[fill->n_leaves++] = leaves[i];
	if (fill->n_leaves > 0)
		qsort(sorted, fill->n_leaves, sizeof(*sorted), fill_by_leaf);
	fill->leaves = sorted;
}

/* Of tables that are joined to a list of owners, or to a set of what is theirs. */
static int
list_owners(struct fill *fill, const struct leaf *leaves, const char *const *subjects, size_t n, struct err *err)
{
	CLEANUP(str_release) struct str ids = STR_INIT;

	if (fill_all_straight(fill->program) && is_plain_key(fill->program))
		return 0;
	return fill_empty_tables(fill->db, err) != 0 || put_owners(fill, leaves, subjects, n, &ids, err) != 0 ? -1
		: collect_subjects(fill->program, fill->db, COLLECT_CROOKED, ids.s, 0, err);
}

int
fill_subjects(struct fill *fill, const struct leaf *leaves, const char *const *subjects, size_t n, struct err *err)
{
	int failed = 0;

	if (n == 0)
		return 0;
	note_leaves(fill, leaves, n);
	note_owners(fill, leaves, subjects, n);
	if (fill->n_leaves > 0)
		failed = list_owners(fill, leaves, subjects, n, err) != 0 || fill_copy_owned(fill, err) != 0;
	forget_owners(fill);
	return failed ? -1 : 0;
}

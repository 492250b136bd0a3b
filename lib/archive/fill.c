#include "archive/fill_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive/content.h"
#include "archive/format.h"
#include "base/array.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/secret.h"
#include "map/collect.h"
#include "map/straight.h"
#include "map/tenant_rows.h"

#define LO_PIECE "262144"
#define PROGRESS_ROWS 1024

static bool
is_tenants(const struct program *program, size_t table)
{
	return program->map->tables[table].action == MAP_TENANT;
}

static bool
has_lo(const struct program *program, size_t table)
{
	const struct map_table *t = &program->map->tables[table];

	for (size_t c = 0; c < t->n_columns; c++)
		if (program->tables[table].owned && t->columns[c].lo)
			return true;
	return false;
}

/* ---- tables ------------------------------------------------------------------------------------- */

static int
add_table(struct fill *fill, size_t table, struct err *err)
{
	const struct cat_table *cat = program_cat(fill->program, (int)table);
	CLEANUP(free_text) char *memory = mem_zero(cat->n_columns + 1, sizeof(struct archive_column));
	struct archive_table one = { .name = cat->full, .columns = (struct archive_column *)(void *)memory,
		.one_owner = fill->program->tables[table].straight || is_tenants(fill->program, table) };

	for (size_t c = 0; c < cat->n_columns; c++)
		if (!cat->columns[c].generated)
			one.columns[one.n_columns++] = (struct archive_column){ cat->columns[c].name, cat->columns[c].declared };
	return archive_write_table(fill->writer, &one, &fill->numbers[table], err);
}

static int
add_lo_table(struct fill *fill, struct err *err)
{
	char name[] = FILL_LO, loid[] = "loid", start[] = "start", data[] = "data", oid[] = "oid", bigint[] = "bigint", bytea[] = "bytea";
	struct archive_column columns[] = { { loid, oid }, { start, bigint }, { data, bytea } };
	const struct archive_table one = { .name = name, .columns = columns, .n_columns = 3 };

	return archive_write_table(fill->writer, &one, &fill->lo, err);
}

int
fill_tables(struct fill *fill, struct err *err)
{
	const struct program *program = fill->program;
	bool lo = false;

	fill->numbers = mem_zero(program->map->n_tables, sizeof(*fill->numbers));
	for (size_t i = 0; i < program->map->n_tables; i++) {
		fill->numbers[i] = FILL_NOT_THERE;
		lo = lo || has_lo(program, i);
	}
	fill->lo = FILL_NOT_THERE;
	if ((lo && add_lo_table(fill, err) != 0) || fill_documents_table(fill, err) != 0)
		return -1;
	for (size_t i = 0; i < program->map->n_tables; i++)
		if (is_tenants(program, i) && add_table(fill, i, err) != 0)
			return -1;
	for (size_t i = 0; i < program->collect.n; i++)
		if (add_table(fill, (size_t)program->collect.tables[i], err) != 0)
			return -1;
	return 0;
}

void
fill_release(struct fill *fill)
{
	free(fill->numbers);
	free(fill->runs);
	if (fill->text != NULL)
		secret_wipe(fill->text, fill->n_text);
	free(fill->text);
	documents_release(&fill->documents);
	*fill = (struct fill){ 0 };
}

/* ---- rows --------------------------------------------------------------------------------------- */

static int
by_id(const void *a, const void *b)
{
	int64_t one = ((const struct leaf *)a)->id, other = ((const struct leaf *)b)->id;

	return one < other ? -1 : one > other;
}

/* Rows of one owner and table that stand one behind the other in the buffer. */
struct fill_run {
	int64_t leaf;
	uint32_t table;
	size_t at, n;
};

static int
by_owner(const void *a, const void *b)
{
	const struct fill_run *one = a, *other = b;

	if (one->leaf != other->leaf)
		return one->leaf < other->leaf ? -1 : 1;
	return one->at < other->at ? -1 : one->at > other->at;
}

static int
write_frame(struct fill *fill, const struct leaf *leaf, const struct content *parts, size_t n, const uint8_t tag[ARCHIVE_TAG_SIZE],
	struct err *err)
{
	if (archive_write_frame_begin(fill->writer, leaf->id, leaf->key, err) != 0)
		return -1;
	archive_write_frame_tag(fill->writer, tag);
	for (size_t i = 0; i < n; i++)
		if (archive_write_frame_table(fill->writer, parts[i].table, err) != 0 ||
		    archive_write_frame_text(fill->writer, parts[i].text, parts[i].n, err) != 0)
			return -1;
	return archive_write_frame_end(fill->writer, err);
}

/* 1; 0: there is no earlier frame with these rows. */
static int
write_reference(struct fill *fill, const struct leaf *leaf, const struct content *parts, size_t n, const uint8_t tag[ARCHIVE_TAG_SIZE],
	struct err *err)
{
	struct archive_reference reference = { 0 };
	struct archive_share *shares = NULL;
	int rc = fill->earlier == NULL ? 0 : earlier_find(fill->earlier, fill->writer, leaf->id, leaf->key, tag, &reference, err);

	if (rc <= 0)
		return rc;
	for (size_t i = 0; i < n; i++)
		*MEM_PUSH(shares, reference.n_shares) =
			(struct archive_share){ parts[i].table, format_rows(parts[i].text, parts[i].n), parts[i].n };
	reference.shares = shares;
	rc = archive_write_reference(fill->writer, &reference, err) != 0 ? -1 : 1;
	free(shares);
	return rc;
}

/* Rows of one owner: one frame, or a reference to one. */
static int
write_owner(struct fill *fill, int64_t id, const struct content *parts, size_t n, struct err *err)
{
	const struct leaf wanted = { .id = id };
	const struct leaf *leaf = bsearch(&wanted, fill->leaves, fill->n_leaves, sizeof(*leaf), by_id);
	uint8_t tag[ARCHIVE_TAG_SIZE];
	int rc;

	if (leaf == NULL)
		return err_set(err, ERR_FAILED, "a row of leaf key %" PRId64 ", which was not asked for", id);
	if (content_tag(leaf->key, parts, n, tag, err) != 0)
		return -1;
	rc = write_reference(fill, leaf, parts, n, tag, err);
	return rc != 0 ? (rc > 0 ? 0 : -1) : write_frame(fill, leaf, parts, n, tag, err);
}

/* What is in the buffer, a frame for each owner; the buffer is empty then. */
static int
flush(struct fill *fill, struct err *err)
{
	CLEANUP(free_text) char *memory = mem_zero(fill->n_runs + 1, sizeof(struct content));
	struct content *parts = (struct content *)(void *)memory;
	int failed = 0;

	if (fill->n_runs > 0)
		qsort(fill->runs, fill->n_runs, sizeof(*fill->runs), by_owner);
	for (size_t i = 0, first = 0; i < fill->n_runs && failed == 0; i++) {
		const struct fill_run *run = &fill->runs[i];

		parts[i] = (struct content){ run->table, fill->text + run->at, run->n };
		if (i + 1 < fill->n_runs && run[1].leaf == run->leaf)
			continue;
		failed = write_owner(fill, run->leaf, parts + first, i + 1 - first, err);
		first = i + 1;
	}
	free(fill->runs);
	fill->runs = NULL;
	fill->n_runs = 0;
	if (fill->text != NULL)
		secret_wipe(fill->text, fill->n_text);
	fill->n_text = 0;
	return failed;
}

/* A row that is larger than the buffer has a frame of its own. */
static int
write_alone(struct fill *fill, const struct fill_run *run, const char *text, struct err *err)
{
	return write_owner(fill, run->leaf, &(struct content){ run->table, text, run->n }, 1, err);
}

int
fill_keep_row(struct fill *fill, int64_t leaf, const char *text, size_t n, struct err *err)
{
	struct fill_run run = { .leaf = leaf, .table = fill->table, .n = n };
	struct fill_run *last;

	if (fill->n_text + n > FILL_MEMORY && flush(fill, err) != 0)
		return -1;
	if (n > FILL_MEMORY)
		return write_alone(fill, &run, text, err);
	if (fill->text == NULL)
		fill->text = mem_zero(FILL_MEMORY, 1);
	(void)memcpy(fill->text + fill->n_text, text, n);
	run.at = fill->n_text;
	fill->n_text += n;
	last = fill->n_runs == 0 ? NULL : &fill->runs[fill->n_runs - 1];
	if (last != NULL && last->leaf == leaf && last->table == run.table)
		last->n += n;
	else
		*MEM_PUSH(fill->runs, fill->n_runs) = run;
	return 0;
}

int
fill_count_row(struct fill *fill, struct err *err)
{
	if (++fill->rows % PROGRESS_ROWS != 0)
		return 0;
	if (fill->progress != NULL)
		fill->progress(PROGRESS_ROWS);
	return fill->stop != NULL && fill->stop() ? err_set(err, ERR_FAILED, "stopped") : 0;
}

/* A row begins with the id of its owner's leaf, which is not part of it. */
static int
take_row(void *ctx, const char *row, size_t n, struct err *err)
{
	struct fill *fill = ctx;
	int64_t id = 0;
	size_t at = 0;

	for (; at < n && row[at] >= '0' && row[at] <= '9' && id < INT64_MAX / 10 - 1; at++)
		id = 10 * id + (row[at] - '0');
	if (at == 0 || at == n || (row[at] != '\t' && row[at] != '\n'))
		return err_set(err, ERR_FAILED, "a row without its owner");
	at += row[at] == '\t';
	return fill_count_row(fill, err) != 0 ? -1 : fill_keep_row(fill, id, row + at, n - at, err);
}

static int
copy(struct fill *fill, uint32_t table, const char *sql, struct err *err)
{
	fill->table = table;
	return db_copy_out(fill->db, sql, take_row, fill, NULL, err);
}

static void
add_columns(struct str *sql, const struct program *program, size_t table)
{
	const struct cat_table *cat = program_cat(program, (int)table);

	for (size_t c = 0; c < cat->n_columns; c++)
		if (!cat->columns[c].generated)
			str_addf(sql, ", t.%s", cat->columns[c].quoted);
}

bool
fill_add_own(struct str *sql, const struct fill *fill, size_t table)
{
	bool nobodys = tenant_is_nobody(fill->program, fill->tenant);
	CLEANUP(str_release) struct str condition = STR_INIT;
	bool told = sql_of_tenant(&condition, fill->program, (int)table, "t", nobodys ? NULL : fill->tenant);

	str_add(sql, " FROM ");
	sql_from(sql, fill->program, (int)table, "t");
	if (told)
		str_addf(sql, " WHERE (%s) IS %s", condition.s, nobodys ? "NOT TRUE" : "TRUE");
	return told || nobodys;
}

static int
copy_own(struct fill *fill, int64_t leaf, struct err *err)
{
	const struct program *program = fill->program;

	for (size_t i = 0; i < program->map->n_tables; i++) {
		CLEANUP(str_release) struct str sql = STR_INIT;

		if (!is_tenants(program, i))
			continue;
		str_addf(&sql, "COPY (SELECT %" PRId64, leaf);
		add_columns(&sql, program, i);
		if (!fill_add_own(&sql, fill, i))
			continue;
		str_add(&sql, ") TO STDOUT");
		if (copy(fill, fill->numbers[i], sql.s, err) != 0)
			return err_prefix(err, "%s", program->map->tables[i].name);
	}
	return fill_own_documents(fill, leaf, err) != 0 ? -1 : flush(fill, err);
}

void
fill_add_set(struct str *sql, const struct program *program, size_t table, const char *join)
{
	str_add(sql, " FROM pg_temp.seal_set k JOIN ");
	sql_from(sql, program, (int)table, "t");
	str_add(sql, " ON ");
	sql_match(sql, program, (int)table, 0, "t", "k");
	str_addf(sql, "%s WHERE k.table_id = %d AND k.via = 0", join, program->tables[table].id);
}

/* A straight table, joined to its owners. */
static void
add_straight(struct str *sql, const struct program *program, size_t table)
{
	const struct map *map = program->map;
	const struct cat_column *key = &program_cat(program, map->subject)->columns[map->subject_key_column];
	char subject[16];

	sql_straight(sql, program, (int)table, subject);
	str_addf(sql, " JOIN pg_temp.seal_owner k ON %s.%s = k.subject::", subject, key->quoted);
	sql_type(sql, key->type);
	str_add(sql, " AND k.tenant = ");
	sql_tenant(sql, program, subject);
}

static int
copy_table(struct fill *fill, size_t table, struct err *err)
{
	bool straight = fill->program->tables[table].straight;
	CLEANUP(str_release) struct str sql = STR_INIT;

	str_addf(&sql, "COPY (SELECT k.%s", straight ? "id" : "request_id");
	add_columns(&sql, fill->program, table);
	if (straight)
		add_straight(&sql, fill->program, table);
	else
		fill_add_set(&sql, fill->program, table, "");
	str_add(&sql, " ORDER BY 1) TO STDOUT");
	if (copy(fill, fill->numbers[table], sql.s, err) != 0)
		return err_prefix(err, "%s", fill->program->map->tables[table].name);
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
	return copy(fill, fill->lo, sql.s, err) == 0 ? 0 : err_prefix(err, "large objects");
}

/* ---- owners ------------------------------------------------------------------------------------- */

static int
empty_tables(struct db *db, struct err *err)
{
	return db_command(db, "TRUNCATE pg_temp.seal_owner, pg_temp.seal_set", 0, NULL, NULL, err);
}

static int
put_owners(struct fill *fill, const struct leaf *leaves, const char *const *subjects, size_t n, struct str *ids, struct err *err)
{
	CLEANUP(str_release) struct str texts = STR_INIT;

	for (size_t i = 0; i < n; i++) {
		array_add_int(ids, leaves[i].id);
		array_add(&texts, subjects[i]);
	}
	return db_command(fill->db, "INSERT INTO pg_temp.seal_owner (id, tenant, subject)"
		" SELECT o.id, $3::text, o.subject FROM unnest($1::bigint[], $2::text[]) AS o (id, subject)",
		3, DB_PARAMS(array_end(ids), array_end(&texts), fill->tenant), NULL, err);
}

static int
copy_owned(struct fill *fill, struct err *err)
{
	for (size_t i = 0; i < fill->program->collect.n; i++)
		if (copy_table(fill, (size_t)fill->program->collect.tables[i], err) != 0)
			return -1;
	return copy_lo(fill, err) != 0 || fill_documents(fill, err) != 0 ? -1 : flush(fill, err);
}

int
fill_subjects(struct fill *fill, const struct leaf *leaves, const char *const *subjects, size_t n, struct err *err)
{
	CLEANUP(str_release) struct str ids = STR_INIT;
	struct leaf *sorted;
	int failed;

	if (n == 0)
		return 0;
	if (empty_tables(fill->db, err) != 0 || put_owners(fill, leaves, subjects, n, &ids, err) != 0 ||
	    collect_subjects(fill->program, fill->db, COLLECT_CROOKED, ids.s, 0, err) != 0)
		return -1;
	sorted = mem_zero(n, sizeof(*sorted));
	(void)memcpy(sorted, leaves, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), by_id);
	fill->leaves = sorted;
	fill->n_leaves = n;
	failed = copy_owned(fill, err);
	leaf_wipe(sorted, n);
	free(sorted);
	fill->leaves = NULL;
	return failed;
}

/* ---- rows that belong to nobody ------------------------------------------------------------------ */

/* Everybody as one owner, 0, which is no leaf's number. */
static int
collect_everybody(struct fill *fill, enum collect_set set, struct err *err)
{
	const struct program *program = fill->program;
	const struct map *map = program->map;
	const struct cat_table *cat = program_cat(program, map->subject);
	CLEANUP(str_release) struct str sql = STR_INIT;

	str_add(&sql, "INSERT INTO pg_temp.seal_owner (id, tenant, subject) SELECT 0, ");
	sql_tenant(&sql, program, "t");
	str_addf(&sql, ", t.%s::text", cat->columns[map->subject_key_column].quoted);
	sql_subjects(&sql, program, NULL);
	return empty_tables(fill->db, err) != 0 || db_command(fill->db, sql.s, 0, NULL, NULL, err) != 0 ? -1
		: collect_subjects(program, fill->db, set, "{0}", 0, err);
}

/* What of this table is in nobody's set becomes the leaf's. */
static int
take_unowned(struct fill *fill, size_t table, int64_t leaf, struct err *err)
{
	const struct program *program = fill->program;
	int id = program->tables[table].id;
	CLEANUP(str_release) struct str sql = STR_INIT;

	str_addf(&sql, "INSERT INTO pg_temp.seal_set (request_id, table_id, via, key, arrived, round) SELECT %" PRId64 ", %d, 0, ", leaf, id);
	sql_key(&sql, program, (int)table, 0, "t");
	str_add(&sql, ", false, 0 FROM ");
	sql_from(&sql, program, (int)table, "t");
	str_addf(&sql, " WHERE NOT EXISTS (SELECT FROM pg_temp.seal_set k WHERE k.request_id = 0 AND k.table_id = %d AND k.via = 0 AND ", id);
	sql_match(&sql, program, (int)table, 0, "t", "k");
	str_add(&sql, ")");
	return db_command(fill->db, sql.s, 0, NULL, NULL, err);
}

/* Every table, straight or not, for who reads the set. */
int
fill_collect_unowned(struct fill *fill, int64_t leaf, struct err *err)
{
	if (collect_everybody(fill, COLLECT_SEAL, err) != 0)
		return -1;
	for (size_t i = 0; i < fill->program->collect.n; i++)
		if (take_unowned(fill, (size_t)fill->program->collect.tables[i], leaf, err) != 0)
			return -1;
	return db_command(fill->db, "DELETE FROM pg_temp.seal_set WHERE request_id = 0", 0, NULL, NULL, err);
}

static bool
all_straight(const struct program *program)
{
	for (size_t i = 0; i < program->collect.n; i++)
		if (!program->tables[program->collect.tables[i]].straight)
			return false;
	return true;
}

/* Of a straight table: what hangs on nobody. */
static int
copy_unowned_straight(struct fill *fill, size_t table, int64_t leaf, struct err *err)
{
	CLEANUP(str_release) struct str sql = STR_INIT;

	str_addf(&sql, "COPY (SELECT %" PRId64, leaf);
	add_columns(&sql, fill->program, table);
	sql_straight_unowned(&sql, fill->program, (int)table);
	str_add(&sql, ") TO STDOUT");
	return copy(fill, fill->numbers[table], sql.s, err) == 0 ? 0 : err_prefix(err, "%s", fill->program->map->tables[table].name);
}

static int
copy_unowned(struct fill *fill, int64_t leaf, struct err *err)
{
	const struct map_order *tables = &fill->program->collect;
	bool straight = all_straight(fill->program);

	if ((straight ? empty_tables(fill->db, err) : collect_everybody(fill, COLLECT_CROOKED, err)) != 0)
		return -1;
	for (size_t i = 0; i < tables->n; i++) {
		size_t table = (size_t)tables->tables[i];

		if ((fill->program->tables[table].straight ? copy_unowned_straight : take_unowned)(fill, table, leaf, err) != 0)
			return -1;
	}
	/* straight tables are joined to owners, of whom there are none here */
	if (!straight && (db_command(fill->db, "DELETE FROM pg_temp.seal_set WHERE request_id = 0", 0, NULL, NULL, err) != 0 ||
				 db_command(fill->db, "TRUNCATE pg_temp.seal_owner", 0, NULL, NULL, err) != 0))
		return -1;
	return copy_owned(fill, err);
}

int
fill_tenant(struct fill *fill, const struct leaf *leaf, struct err *err)
{
	int failed;

	fill->leaves = leaf;
	fill->n_leaves = 1;
	failed = copy_own(fill, leaf->id, err);
	if (failed == 0 && tenant_has_unowned(fill->program, fill->tenant))
		failed = copy_unowned(fill, leaf->id, err);
	fill->leaves = NULL;
	return failed;
}

/* ---- the snapshot ------------------------------------------------------------------------------- */

int
fill_lock(const struct program *program, struct db *db, struct err *err)
{
	CLEANUP(str_release) struct str sql = STR_INIT;

	for (size_t i = 0; i < program->map->n_tables; i++) {
		const struct cat_table *cat = program_cat(program, (int)i);

		if (program->tables[i].owned || is_tenants(program, i))
			str_addf(&sql, "%s%s%s", sql.len == 0 ? "LOCK TABLE " : ", ", cat->kind == 'p' ? "" : "ONLY ", cat->quoted);
	}
	str_add(&sql, " IN ACCESS SHARE MODE");
	return db_command(db, sql.s, 0, NULL, NULL, err);
}

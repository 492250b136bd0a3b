#include "archive/fill_private.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "archive/content.h"
#include "archive/format.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/secret.h"
#include "map/tenant_rows.h"

#define SUBJECT_MAX 40 /* characters of a number or a uuid */
#define PROGRESS_ROWS 1024

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
		.one_owner = fill->program->tables[table].straight || fill_is_tenants(fill->program, table) };

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
		if (fill_is_tenants(program, i) && add_table(fill, i, err) != 0)
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

int
fill_by_leaf(const void *a, const void *b)
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
	const struct leaf *leaf = bsearch(&wanted, fill->leaves, fill->n_leaves, sizeof(*leaf), fill_by_leaf);
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
int
fill_flush(struct fill *fill, struct err *err)
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

	if (fill->n_text + n > FILL_MEMORY && fill_flush(fill, err) != 0)
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

int
fill_by_subject(const void *a, const void *b)
{
	return strcmp(((const struct fill_owner *)a)->subject, ((const struct fill_owner *)b)->subject);
}

/* Whose key the row begins with: rows of one owner stand together. */
static const struct fill_owner *
owner_of(struct fill *fill, const char *row, size_t n)
{
	char subject[SUBJECT_MAX + 1];
	const struct fill_owner wanted = { .subject = subject };

	if (fill->owner != NULL && fill->owner->n == n && memcmp(fill->owner->subject, row, n) == 0)
		return fill->owner;
	if (n > SUBJECT_MAX)
		return NULL;
	(void)memcpy(subject, row, n);
	subject[n] = '\0';
	fill->owner = bsearch(&wanted, fill->owners, fill->n_owners, sizeof(wanted), fill_by_subject);
	return fill->owner;
}

static int
take_subjects_row(struct fill *fill, const char *row, size_t n, struct err *err)
{
	const char *tab = memchr(row, '\t', n);
	const struct fill_owner *owner = tab == NULL ? NULL : owner_of(fill, row, (size_t)(tab - row));

	if (owner == NULL)
		return err_set(err, ERR_FAILED, "a row of a subject who was not asked for");
	if (owner->leaf == 0)
		return 0;
	return fill_count_row(fill, err) != 0 ? -1 : fill_keep_row(fill, owner->leaf, tab + 1, n - (size_t)(tab + 1 - row), err);
}

/* A row begins with the id of its owner's leaf, or with the subject, which is not part of it. */
static int
take_row(void *ctx, const char *row, size_t n, struct err *err)
{
	struct fill *fill = ctx;
	int64_t id = 0;
	size_t at = 0;

	if (fill->by_subject)
		return take_subjects_row(fill, row, n, err);
	for (; at < n && row[at] >= '0' && row[at] <= '9' && id < INT64_MAX / 10 - 1; at++)
		id = 10 * id + (row[at] - '0');
	if (at == 0 || at == n || (row[at] != '\t' && row[at] != '\n'))
		return err_set(err, ERR_FAILED, "a row without its owner");
	at += row[at] == '\t';
	return fill_count_row(fill, err) != 0 ? -1 : fill_keep_row(fill, id, row + at, n - at, err);
}

int
fill_copy(struct fill *fill, uint32_t table, const char *sql, struct err *err)
{
	fill->table = table;
	return db_copy_out(fill->db, sql, take_row, fill, NULL, err);
}

void
fill_add_columns(struct str *sql, const struct program *program, size_t table)
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

		if (!fill_is_tenants(program, i))
			continue;
		str_addf(&sql, "COPY (SELECT %" PRId64, leaf);
		fill_add_columns(&sql, program, i);
		if (!fill_add_own(&sql, fill, i))
			continue;
		str_add(&sql, ") TO STDOUT");
		if (fill_copy(fill, fill->numbers[i], sql.s, err) != 0)
			return err_prefix(err, "%s", program->map->tables[i].name);
	}
	return fill_own_documents(fill, leaf, err) != 0 ? -1 : fill_flush(fill, err);
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

int
fill_tenant(struct fill *fill, const struct leaf *leaf, struct err *err)
{
	int failed;

	fill->leaves = leaf;
	fill->n_leaves = 1;
	failed = copy_own(fill, leaf->id, err);
	if (failed == 0 && tenant_has_unowned(fill->program, fill->tenant))
		failed = fill_copy_unowned(fill, leaf->id, err);
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

		if (program->tables[i].owned || fill_is_tenants(program, i))
			str_addf(&sql, "%s%s%s", sql.len == 0 ? "LOCK TABLE " : ", ", cat->kind == 'p' ? "" : "ONLY ", cat->quoted);
	}
	str_add(&sql, " IN ACCESS SHARE MODE");
	return db_command(db, sql.s, 0, NULL, NULL, err);
}

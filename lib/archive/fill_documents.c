/* The files that rows name, as rows of a table FILL_DOCUMENTS. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archive/fill_private.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/secret.h"
#include "sys/file.h"

#define FETCH "FETCH 1000 FROM seal_documents"

/* columns of the list */
enum { L_OWNER, L_KIND, L_PATH, L_TABLE };

int
fill_documents_table(struct fill *fill, struct err *err)
{
	char name[] = FILL_DOCUMENTS, kind[] = "kind", path[] = "path", start[] = "start", data[] = "data";
	char text[] = "text", bigint[] = "bigint", bytea[] = "bytea";
	struct archive_column columns[] = { { kind, text }, { path, text }, { start, bigint }, { data, bytea } };
	const struct archive_table one = { .name = name, .columns = columns, .n_columns = 4 };

	fill->documents_table = FILL_NOT_THERE;
	return documents_are_named(fill->program->map) ? archive_write_table(fill->writer, &one, &fill->documents_table, err) : 0;
}

void
fill_add_named(struct str *sql, const struct fill *fill, int64_t leaf)
{
	const struct program *program = fill->program;

	for (size_t i = 0; i < program->map->n_tables; i++) {
		const struct map_table *t = &program->map->tables[i];

		if (leaf > 0 ? t->action != MAP_TENANT : !program->tables[i].owned)
			continue;
		for (size_t c = 0; c < t->n_columns; c++) {
			const char *column = program_cat(program, (int)i)->columns[t->columns[c].column].quoted;
			CLEANUP(str_release) struct str from = STR_INIT;

			if (t->columns[c].documents == NULL)
				continue;
			if (leaf == 0)
				fill_add_set(&from, program, i, "");
			else if (!fill_add_own(&from, fill, i))
				continue;
			str_addf(sql, "%sSELECT ", sql->len == 0 ? "" : " UNION ALL ");
			if (leaf == 0)
				str_add(sql, "k.request_id");
			else
				str_addf(sql, "%" PRId64, leaf);
			str_addf(sql, ", '%s', t.%s::text COLLATE \"C\", ", t->columns[c].documents, column);
			sql_literal(sql, t->name);
			str_add(sql, from.s);
		}
	}
}

/* ---- one file ----------------------------------------------------------------------------------- */

/* One file under way. */
struct reading {
	struct fill *fill;
	const char *kind, *path;
	int64_t leaf;
	uint8_t *bytes; /* a piece of it */
	char *row;      /* the same as a row of COPY text */
	size_t row_size;
};

/* What COPY text is read for. A path that is fit has nothing else to be escaped. */
static size_t
add_escaped(char *row, size_t at, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\\')
			row[at++] = '\\';
		row[at++] = *text;
	}
	return at;
}

/* The row up to the number of its piece; where that goes. */
static size_t
begin_row(struct reading *r)
{
	size_t at = add_escaped(r->row, 0, r->kind);

	r->row[at++] = '\t';
	at = add_escaped(r->row, at, r->path);
	r->row[at++] = '\t';
	return at;
}

static int
end_row(struct reading *r, size_t at, struct err *err)
{
	r->row[at++] = '\n';
	return fill_count_row(r->fill, err) != 0 ? -1 : fill_keep_row(r->fill, r->leaf, r->row, at, err);
}

static int
keep_missing(struct reading *r, struct err *err)
{
	size_t at = begin_row(r);

	at += (size_t)snprintf(r->row + at, r->row_size - at, "\\N\t\\N");
	return end_row(r, at, err);
}

/* The first n of r->bytes, which begin at `start`. */
static int
keep_piece(struct reading *r, int64_t start, size_t n, struct err *err)
{
	static const char hex[] = "0123456789abcdef";
	size_t at = begin_row(r);

	at += (size_t)snprintf(r->row + at, r->row_size - at, "%" PRId64 "\t\\\\x", start);
	for (size_t i = 0; i < n; i++) {
		r->row[at++] = hex[r->bytes[i] >> 4];
		r->row[at++] = hex[r->bytes[i] & 15];
	}
	return end_row(r, at, err);
}

/* To its end, wherever that is by now; an empty file has one piece, too. */
static int
read_file(struct reading *r, int fd, struct err *err)
{
	ssize_t n;
	int64_t start = 0;

	do {
		n = file_read_all(fd, r->bytes, FILL_PIECE);
		if (n < 0)
			return err_sys(err, "reading a file of documents %s", r->kind);
		if ((n > 0 || start == 0) && keep_piece(r, start, (size_t)n, err) != 0)
			return -1;
		start += n;
	} while (n == FILL_PIECE);
	return 0;
}

/* *ret_unfit: it is no regular file in its directory. */
static int
keep_file(struct reading *r, bool *ret_unfit, struct err *err)
{
	struct beneath *beneath;
	enum beneath_verdict verdict;
	int fd = -1, failed = 0;

	if (documents_find(&r->fill->documents, r->kind, &beneath, err) != 0 || beneath_read(beneath, r->path, &fd, &verdict, err) != 0)
		return -1;
	*ret_unfit = verdict == BENEATH_UNFIT;
	if (verdict == BENEATH_MISSING) {
		r->fill->n_missing++;
		failed = keep_missing(r, err);
	} else if (verdict == BENEATH_FILE) {
		failed = read_file(r, fd, err);
		(void)close(fd);
	}
	return failed;
}

/* ---- all of them -------------------------------------------------------------------------------- */

/* What could not be taken: of the first table, how many. */
struct refused {
	char table[200], kind[64];
	int64_t n;
};

static void
count_refused(struct refused *refused, const struct db_result *rows, int row)
{
	if (refused->n == 0) {
		(void)snprintf(refused->table, sizeof(refused->table), "%s", db_get_text(rows, row, L_TABLE));
		(void)snprintf(refused->kind, sizeof(refused->kind), "%s", db_get_text(rows, row, L_KIND));
	}
	refused->n += strcmp(refused->table, db_get_text(rows, row, L_TABLE)) == 0 && strcmp(refused->kind, db_get_text(rows, row, L_KIND)) == 0;
}

static int
keep_page(struct reading *r, const struct db_result *rows, struct refused *refused, struct err *err)
{
	for (int i = 0; i < db_rows(rows); i++) {
		bool unfit = false;

		r->leaf = db_get_int(rows, i, L_OWNER);
		r->kind = db_get_text(rows, i, L_KIND);
		r->path = db_get_text(rows, i, L_PATH);
		if (keep_file(r, &unfit, err) != 0)
			return -1;
		if (unfit)
			count_refused(refused, rows, i);
	}
	return 0;
}

static int
keep_all(struct reading *r, struct refused *refused, struct err *err)
{
	struct db *db = r->fill->db;
	int n;

	do {
		CLEANUP(db_result_freep) struct db_result *rows = NULL;

		if (db_text(db, DB_MANY, FETCH, 0, NULL, &rows, err) != 0)
			return -1;
		n = db_rows(rows);
		if (keep_page(r, rows, refused, err) != 0)
			return -1;
	} while (n > 0);
	return db_command(db, "CLOSE seal_documents", 0, NULL, NULL, err);
}

/* Through a cursor, not COPY: the server need not wait for the disk with half a message sent. A directory that is not there
 * costs this tenant its backup, and nobody else. */
static int
keep_named(struct fill *fill, const struct str *named, struct err *err)
{
	CLEANUP(free_text) char *sql = mem_printf("DECLARE seal_documents NO SCROLL CURSOR FOR SELECT n.owner, n.kind, n.path, min(n.name)"
		" FROM (%s) n (owner, kind, path, name) WHERE n.path <> '' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3", named->s);
	struct reading r = { .fill = fill, .row_size = 2 * FILL_PIECE + 2 * BENEATH_PATH_MAX + 200 };
	struct refused refused = { 0 };
	int failed;

	fill->table = fill->documents_table;
	r.bytes = mem_zero(FILL_PIECE, 1);
	r.row = mem_zero(r.row_size, 1);
	failed = db_command(fill->db, sql, 0, NULL, NULL, err) != 0 || keep_all(&r, &refused, err) != 0;
	secret_wipe(r.bytes, FILL_PIECE);
	secret_wipe(r.row, r.row_size);
	free(r.bytes);
	free(r.row);
	if (failed) {
		err->code = err->code == ERR_REFUSED ? ERR_FAILED : err->code;
		return -1;
	}
	if (refused.n == 0)
		return 0;
	return err_set(err, ERR_FAILED, "%s: %" PRId64 " files are no regular files in the directory of %s", refused.table, refused.n,
		refused.kind);
}

int
fill_documents(struct fill *fill, struct err *err)
{
	CLEANUP(str_release) struct str named = STR_INIT;

	fill_add_named(&named, fill, 0);
	return named.len == 0 ? 0 : keep_named(fill, &named, err);
}

int
fill_own_documents(struct fill *fill, int64_t leaf, struct err *err)
{
	CLEANUP(str_release) struct str named = STR_INIT;

	fill_add_named(&named, fill, leaf);
	return named.len == 0 ? 0 : keep_named(fill, &named, err);
}

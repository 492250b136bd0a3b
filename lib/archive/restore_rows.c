/* The rows of an archive into tables, in one pass: a frame has rows of all tables, so each has a buffer, and the fullest one goes. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive/fill.h"
#include "archive/format.h"
#include "archive/restore_private.h"
#include "base/array.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/secret.h"

#define BUFFER_SIZE ((size_t)64 * 1024) /* of one table, at first */
#define BUFFER_KEPT ((size_t)4 * 1024 * 1024) /* what it may have when it is empty; one that had more had a large row */
#define WAITING_MAX ((size_t)2 * 1024 * 1024)
#define PROGRESS_ROWS 1000

void
restore_staged(uint32_t number, char ret[64])
{
	(void)snprintf(ret, 64, "pg_temp.expunge_restore_%" PRIu32, number);
}

/* ---- where to ------------------------------------------------------------------------------------- */

/* Rows come owner by owner, not table by table: what refers to another table would be looked up too early. */
static bool
refers(const struct target *target, int table)
{
	for (size_t f = 0; f < target->loading.catalog->n_fks; f++) {
		const struct cat_fk *fk = &target->loading.catalog->fks[f];

		if (fk->table != table || fk->deferrable)
			continue;
		for (size_t i = 0; i < target->n; i++)
			if (target->loading.tables[i] == fk->target)
				return true;
	}
	return false;
}

/* COPY knows neither rules nor policies. */
static int
find_hindered(struct target *target, struct db_result **ret, struct err *err)
{
	CLEANUP(str_release) struct str oids = STR_INIT;

	for (size_t i = 0; i < target->n; i++)
		if (target->loading.tables[i] >= 0)
			array_add_int(&oids, target->loading.catalog->tables[target->loading.tables[i]].oid);
	return db_text(target->restore->db, DB_MANY, "SELECT c.oid FROM pg_class c WHERE c.oid = ANY ($1::oid[])"
		" AND (c.relhasrules OR row_security_active(c.oid))", 1, DB_PARAMS(array_end(&oids)), ret, err);
}

static bool
is_among(uint32_t oid, const struct db_result *oids)
{
	for (int i = 0; i < db_rows(oids); i++)
		if (db_get_int(oids, i, 0) == (int64_t)oid)
			return true;
	return false;
}

int
restore_streams(struct target *target, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *hindered = NULL;

	target->streams = mem_zero(target->n + 1, sizeof(*target->streams));
	if (find_hindered(target, &hindered, err) != 0)
		return -1;
	for (size_t i = 0; i < target->n; i++) {
		const struct archive_table *table = archive_table(target->restore->archive, i);
		int cat = target->loading.tables[i];

		target->streams[i].wanted = strcmp(table->name, FILL_DOCUMENTS) != 0;
		target->streams[i].direct = cat >= 0 && table->one_owner && !refers(target, cat) &&
			!is_among(target->loading.catalog->tables[cat].oid, hindered);
	}
	return 0;
}

/* ---- on their way --------------------------------------------------------------------------------- */

static int
fail(const struct target *target, uint32_t number, struct err *err)
{
	return restore_say_remedy(archive_table(target->restore->archive, number)->name, err);
}

static int
open_stream(struct target *target, uint32_t number, struct err *err)
{
	CLEANUP(str_release) struct str sql = STR_INIT;
	struct restore_stream *stream = &target->streams[number];
	char staged[64];

	if (stream->open)
		return 0;
	restore_staged(number, staged);
	str_addf(&sql, "COPY %s", stream->direct ? target->loading.catalog->tables[target->loading.tables[number]].quoted : staged);
	if (stream->direct && archive_table(target->restore->archive, number)->n_columns > 0) {
		str_add(&sql, " (");
		restore_add_columns(&sql, target, number, "");
		str_add(&sql, ")");
	}
	str_add(&sql, " FROM STDIN");
	if (db_copy_in_begin(target->restore->db, sql.s, err) != 0)
		return fail(target, number, err);
	stream->open = true;
	return 0;
}

static int
close_stream(struct target *target, uint32_t number, struct err *err)
{
	struct restore_stream *stream = &target->streams[number];
	int64_t rows = 0;

	if (!stream->open || stream->in_row)
		return 0;
	stream->open = false;
	if (db_copy_in_end(target->restore->db, &rows, err) != 0)
		return fail(target, number, err);
	stream->arrived += rows;
	return 0;
}

static void
empty(struct restore_stream *stream)
{
	if (stream->text != NULL)
		secret_wipe(stream->text, stream->n);
	stream->n = 0;
	if (stream->room <= BUFFER_KEPT)
		return;
	free(stream->text);
	stream->text = NULL;
	stream->room = 0;
}

/* A row that is not all there keeps its COPY open: what comes next is the rest of it. */
static int
send_waiting(struct target *target, uint32_t number, struct err *err)
{
	struct restore_stream *stream = &target->streams[number];

	if (stream->n == 0)
		return close_stream(target, number, err);
	if (open_stream(target, number, err) != 0)
		return -1;
	if (db_copy_in_put(target->restore->db, stream->text, stream->n, err) != 0)
		return fail(target, number, err);
	target->waiting -= stream->n;
	empty(stream);
	return close_stream(target, number, err);
}

static int
send_fullest(struct target *target, struct err *err)
{
	uint32_t fullest = 0;

	for (uint32_t i = 1; i < target->n; i++)
		if (target->streams[i].n > target->streams[fullest].n)
			fullest = i;
	return send_waiting(target, fullest, err);
}

static void
make_room(struct restore_stream *stream, size_t n)
{
	size_t room = stream->room == 0 ? BUFFER_SIZE : stream->room;
	char *more;

	while (room - stream->n < n)
		room *= 2;
	if (room == stream->room)
		return;
	more = mem_zero(room, 1);
	if (stream->n > 0) {
		(void)memcpy(more, stream->text, stream->n);
		secret_wipe(stream->text, stream->n);
	}
	free(stream->text);
	stream->text = more;
	stream->room = room;
}

static int
put(struct target *target, uint32_t number, const char *text, size_t n, struct err *err)
{
	struct restore_stream *stream = &target->streams[number];

	make_room(stream, n);
	(void)memcpy(stream->text + stream->n, text, n);
	stream->n += n;
	target->waiting += n;
	if (stream->open) /* the rest of a row */
		return send_waiting(target, number, err);
	return target->waiting > WAITING_MAX ? send_fullest(target, err) : 0;
}

/* Each row behind the number of its owner's leaf. */
static int
put_staged(struct target *target, uint32_t number, int64_t leaf_id, const char *text, size_t n, struct err *err)
{
	struct restore_stream *stream = &target->streams[number];
	const char *at = text, *end = text + n;
	char leaf[24];
	int n_leaf = snprintf(leaf, sizeof(leaf), "%" PRId64 "%s", leaf_id,
		archive_table(target->restore->archive, number)->n_columns > 0 ? "\t" : "");

	while (at < end) {
		const char *line_end = memchr(at, '\n', (size_t)(end - at));
		const char *stop = line_end == NULL ? end : line_end + 1;
		bool began = stream->in_row;

		stream->in_row = true;
		if (!began && put(target, number, leaf, (size_t)n_leaf, err) != 0)
			return -1;
		stream->in_row = line_end == NULL;
		if (put(target, number, at, (size_t)(stop - at), err) != 0)
			return -1;
		at = stop;
	}
	return 0;
}

static int
take_text(void *ctx, const struct archive_frame *frame, uint32_t table, const void *text, size_t n, struct err *err)
{
	struct target *target = ctx;
	struct restore_stream *stream = &target->streams[table];
	int64_t before = stream->rows / PROGRESS_ROWS;

	if (!stream->wanted)
		return 0;
	stream->rows += (int64_t)format_rows(text, n);
	if (target->restore->progress != NULL && stream->rows / PROGRESS_ROWS > before)
		target->restore->progress((stream->rows / PROGRESS_ROWS - before) * PROGRESS_ROWS);
	if (!stream->direct)
		return put_staged(target, table, frame->leaf, text, n, err);
	stream->in_row = ((const char *)text)[n - 1] != '\n';
	return put(target, table, text, n, err);
}

static int
give_key(void *ctx, int64_t leaf, uint8_t ret_key[ARCHIVE_KEY_SIZE], struct err *err)
{
	const struct target *target = ctx;

	return leaf_keys_give((void *)(uintptr_t)target->restore->leaves, leaf, ret_key, err);
}

static int
make_staged(struct target *target, uint32_t number, struct err *err)
{
	CLEANUP(str_release) struct str sql = STR_INIT;
	char staged[64];

	restore_staged(number, staged);
	str_addf(&sql, "CREATE TEMPORARY TABLE %s ", staged + strlen("pg_temp."));
	if (target->loading.tables[number] < 0)
		str_add(&sql, "(expunge_leaf bigint, loid oid, start bigint, data bytea) ON COMMIT DROP");
	else {
		str_add(&sql, "ON COMMIT DROP AS SELECT 0::bigint AS expunge_leaf");
		if (archive_table(target->restore->archive, number)->n_columns > 0)
			str_add(&sql, ", ");
		restore_add_columns(&sql, target, number, "t.");
		str_addf(&sql, " FROM %s t WITH NO DATA", target->loading.catalog->tables[target->loading.tables[number]].quoted);
	}
	return db_command(target->restore->db, sql.s, 0, NULL, NULL, err);
}

int
restore_read(struct target *target, struct archive_tally *ret, struct err *err)
{
	const struct archive_reading reading = { .key = give_key, .text = take_text, .ctx = target };
	enum archive_verdict verdict;

	for (uint32_t i = 0; i < target->n; i++)
		if (target->streams[i].wanted && !target->streams[i].direct && make_staged(target, i, err) != 0)
			return -1;
	if (archive_read(target->restore->archive, ARCHIVE_SEVERAL, &reading, ret, &verdict, err) != 0)
		return -1;
	for (uint32_t i = 0; i < target->n; i++) {
		const struct restore_stream *stream = &target->streams[i];

		if (send_waiting(target, i, err) != 0)
			return -1;
		if (stream->wanted && stream->arrived != stream->rows)
			return err_set(err, ERR_FAILED, "%s: %" PRId64 " rows arrived of %" PRId64,
				archive_table(target->restore->archive, i)->name, stream->arrived, stream->rows);
	}
	return 0;
}

void
restore_streams_release(struct target *target)
{
	for (size_t i = 0; target->streams != NULL && i < target->n; i++) {
		if (target->streams[i].text != NULL)
			secret_wipe(target->streams[i].text, target->streams[i].n);
		free(target->streams[i].text);
	}
	free(target->streams);
	target->streams = NULL;
}

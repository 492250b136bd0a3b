#include "archive/write.h"

#include <stdlib.h>
#include <string.h>

#include "archive/seal.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/mem.h"

#define OUT_SIZE ((size_t)256 * 1024)
#define PART_SIZE ((size_t)FORMAT_PART_RECORDS * FORMAT_RECORD_SIZE)

enum state { BETWEEN, IN_FRAME, SPOILT, DONE };

struct archive_writer {
	enum state state;
	struct archive_header header;
	uint8_t binding[SHA256_SIZE]; /* of the header */
	struct archive_sink sinks[ARCHIVE_SINKS_MAX];
	size_t n_sinks;
	struct sealer sealer;
	struct digest *digest;
	struct secret keys; /* struct keys */

	uint8_t *out; /* sealed bytes on their way to the sinks */
	size_t n_out;
	uint8_t *sealed; /* one chunk */
	uint64_t at;     /* bytes of the file so far */

	struct secret text; /* the chunk that is being filled */
	size_t n_text;
	size_t piece;       /* where the head of the open piece is, if one is */
	bool in_piece, has_table, in_row;
	uint32_t table;
	struct archive_frame frame;
	uint32_t chunk;

	struct format_contents contents;
	size_t n_tables_bytes;
	uint8_t *part; /* entries of the index that are not sealed yet */
	uint64_t rows, total, referred;
};

struct keys {
	uint8_t generation[ARCHIVE_KEY_SIZE];
	uint8_t leaf[ARCHIVE_KEY_SIZE];
	uint8_t frame[ARCHIVE_KEY_SIZE];
};

static struct keys *
keys_of(struct archive_writer *w)
{
	return (struct keys *)(void *)w->keys.bytes;
}

/* Spoils the writer, for the caller's return. */
static int
spoil(struct archive_writer *w, struct err *err)
{
	w->state = SPOILT;
	return err_prefix(err, "writing an archive");
}

static int
expect(struct archive_writer *w, enum state state, struct err *err)
{
	if (w->state == state)
		return 0;
	if (w->state == SPOILT)
		return err_set(err, ERR_FAILED, "writing an archive: it has failed before");
	(void)err_set(err, ERR_FAILED, "called out of order");
	return spoil(w, err);
}

/* ---- bytes out ----------------------------------------------------------------------------- */

static int
flush(struct archive_writer *w, struct err *err)
{
	size_t n = w->n_out;

	w->n_out = 0;
	for (size_t i = 0; n > 0 && i < w->n_sinks; i++)
		if (w->sinks[i].write(w->sinks[i].ctx, w->out, n, err) != 0)
			return -1;
	return 0;
}

static int
emit_plain(struct archive_writer *w, const uint8_t *bytes, size_t n, struct err *err)
{
	w->at += n;
	while (n > 0) {
		size_t some = n < OUT_SIZE - w->n_out ? n : OUT_SIZE - w->n_out;

		(void)memcpy(w->out + w->n_out, bytes, some);
		w->n_out += some;
		bytes += some;
		n -= some;
		if (w->n_out == OUT_SIZE && flush(w, err) != 0)
			return -1;
	}
	return 0;
}

static int
emit(struct archive_writer *w, const uint8_t *bytes, size_t n, struct err *err)
{
	return crypt_digest_add(w->digest, bytes, n, err) != 0 ? -1 : emit_plain(w, bytes, n, err);
}

static int
emit_chunk(struct archive_writer *w, const struct seal_place *place, const void *text, size_t n, struct err *err)
{
	size_t n_sealed = 0;

	if (seal_chunk(&w->sealer, place, text, n, w->sealed, &n_sealed, err) != 0)
		return -1;
	return emit(w, w->sealed, n_sealed, err);
}

/* ---- begin --------------------------------------------------------------------------------- */

static int
begin(struct archive_writer *w, const uint8_t *generation_key, struct err *err)
{
	uint8_t bytes[FORMAT_HEADER_SIZE];

	(void)memcpy(keys_of(w)->generation, generation_key, ARCHIVE_KEY_SIZE);
	if (kcv_of(generation_key, w->header.generation_check, err) != 0 || crypt_digest_begin(&w->digest, err) != 0)
		return -1;
	if (format_header_encode(&w->header, bytes) != 0)
		return err_set(err, ERR_FAILED, "its header has an instance that is no uuid, a kind that is none, or a "
			"generation or time below what is possible");
	if (crypt_sha256(bytes, sizeof(bytes), w->binding, err) != 0)
		return -1;
	return emit(w, bytes, sizeof(bytes), err);
}

int
archive_write_begin(struct archive_writer **ret, const struct archive_header *header,
	const uint8_t generation_key[ARCHIVE_KEY_SIZE], const struct archive_sink *sinks, size_t n_sinks, struct err *err)
{
	CLEANUP(archive_writer_freep) struct archive_writer *w = NULL;

	*ret = NULL;
	if (n_sinks < 1 || n_sinks > ARCHIVE_SINKS_MAX)
		return err_set(err, ERR_FAILED, "writing an archive: to %zu places, 1 to %d", n_sinks, ARCHIVE_SINKS_MAX);
	w = mem_zero(1, sizeof(*w));
	w->header = *header;
	(void)memcpy(w->sinks, sinks, n_sinks * sizeof(*sinks));
	w->n_sinks = n_sinks;
	sealer_init(&w->sealer, ARCHIVE_LEVEL);
	secret_new(&w->keys, sizeof(struct keys));
	secret_new(&w->text, FORMAT_CHUNK_TEXT);
	w->out = mem_zero(OUT_SIZE, 1);
	w->sealed = mem_zero(FORMAT_CHUNK_HEAD + FORMAT_CHUNK_SEALED, 1);
	w->part = mem_zero(PART_SIZE, 1);
	if (begin(w, generation_key, err) != 0)
		return spoil(w, err);
	*ret = TAKE_PTR(w);
	return 0;
}

int
archive_write_table(struct archive_writer *w, const struct archive_table *table, uint32_t *ret_number, struct err *err)
{
	struct archive_table *t;

	if (expect(w, BETWEEN, err) != 0)
		return -1;
	w->n_tables_bytes += format_table_size(table);
	if (!format_table_is_valid(table) || w->contents.n_tables == ARCHIVE_TABLES_MAX ||
	    w->n_tables_bytes > ARCHIVE_CONTENTS_MAX / 2) {
		(void)err_set(err, ERR_FAILED, "table %zu has a name or a type that is not UTF-8 of 1 to %d bytes, or there are "
			"too many tables or columns", w->contents.n_tables, ARCHIVE_NAME_MAX);
		return spoil(w, err);
	}
	*ret_number = (uint32_t)w->contents.n_tables;
	t = MEM_PUSH(w->contents.tables, w->contents.n_tables);
	t->name = mem_copy(table->name);
	t->one_owner = table->one_owner;
	t->n_columns = table->n_columns;
	t->columns = mem_zero(table->n_columns, sizeof(*t->columns));
	for (size_t i = 0; i < table->n_columns; i++) {
		t->columns[i].name = mem_copy(table->columns[i].name);
		t->columns[i].type = mem_copy(table->columns[i].type);
	}
	return 0;
}

/* ---- frames -------------------------------------------------------------------------------- */

int
archive_write_frame_begin(struct archive_writer *w, int64_t leaf, const uint8_t leaf_key[ARCHIVE_KEY_SIZE],
	struct err *err)
{
	if (expect(w, BETWEEN, err) != 0)
		return -1;
	if (leaf <= 0 || w->contents.frames == FORMAT_FRAMES_MAX) {
		(void)err_set(err, ERR_FAILED, "frame %llu of leaf %lld", (unsigned long long)w->contents.frames,
			(long long)leaf);
		return spoil(w, err);
	}
	(void)memcpy(keys_of(w)->leaf, leaf_key, ARCHIVE_KEY_SIZE);
	if (crypt_random(keys_of(w)->frame, ARCHIVE_KEY_SIZE, err) != 0)
		return spoil(w, err);
	w->frame = (struct archive_frame){ .number = w->contents.frames, .leaf = leaf, .table = ARCHIVE_SEVERAL,
		.sealed_as = w->contents.frames, .offset = w->at };
	w->chunk = 0;
	w->has_table = false;
	w->state = IN_FRAME;
	return 0;
}

static void
end_piece(struct archive_writer *w)
{
	struct format_piece piece = { w->table, 0, NULL };

	if (!w->in_piece)
		return;
	piece.n = (uint32_t)(w->n_text - w->piece - FORMAT_PIECE_HEAD);
	format_piece_encode(&piece, w->text.bytes + w->piece);
	w->in_piece = false;
}

static int
end_chunk(struct archive_writer *w, bool last, struct err *err)
{
	uint8_t leaf[8];
	struct seal_place place = { SEAL_FRAME, keys_of(w)->frame, w->header.id, leaf, sizeof(leaf), w->frame.number,
		w->chunk, last };

	end_piece(w);
	bytes_put_u64(leaf, (uint64_t)w->frame.leaf);
	if (emit_chunk(w, &place, w->text.bytes, w->n_text, err) != 0)
		return -1;
	w->chunk++;
	w->n_text = 0;
	return 0;
}

int
archive_write_frame_table(struct archive_writer *w, uint32_t table, struct err *err)
{
	if (expect(w, IN_FRAME, err) != 0)
		return -1;
	if (table >= w->contents.n_tables || w->in_row) {
		(void)err_set(err, ERR_FAILED, "frame %llu: table %u %s", (unsigned long long)w->frame.number, (unsigned)table,
			w->in_row ? "begins within a row of another" : "was not declared");
		return spoil(w, err);
	}
	if (w->has_table && w->table == table)
		return 0;
	end_piece(w);
	w->frame.table = w->has_table ? ARCHIVE_SEVERAL : table;
	w->table = table;
	w->has_table = true;
	return 0;
}

/* As much of the text as the chunk has room for, into the open piece. */
static size_t
add_text(struct archive_writer *w, const char *text, size_t n)
{
	size_t room;

	if (!w->in_piece) {
		w->piece = w->n_text;
		w->n_text += FORMAT_PIECE_HEAD;
		w->in_piece = true;
	}
	room = FORMAT_CHUNK_TEXT - w->n_text;
	n = n < room ? n : room;
	(void)memcpy(w->text.bytes + w->n_text, text, n);
	w->n_text += n;
	return n;
}

int
archive_write_frame_text(struct archive_writer *w, const void *text, size_t n, struct err *err)
{
	struct archive_table *table;
	const char *at = text;
	uint64_t rows;

	if (expect(w, IN_FRAME, err) != 0)
		return -1;
	if (!w->has_table) {
		(void)err_set(err, ERR_FAILED, "frame %llu: rows of no table", (unsigned long long)w->frame.number);
		return spoil(w, err);
	}
	for (size_t left = n; left > 0;) {
		size_t taken;

		/* a piece begins where there is room for its head and one byte at least */
		if (w->n_text + (w->in_piece ? 0 : FORMAT_PIECE_HEAD) >= FORMAT_CHUNK_TEXT && end_chunk(w, false, err) != 0)
			return spoil(w, err);
		taken = add_text(w, at, left);
		at += taken;
		left -= taken;
	}
	rows = format_rows(text, n);
	table = &w->contents.tables[w->table];
	w->in_row = n == 0 ? w->in_row : at[-1] != '\n';
	w->frame.text += n;
	w->frame.rows += rows;
	table->text += n;
	table->rows += rows;
	return 0;
}

static int
end_part(struct archive_writer *w, size_t n_records, struct err *err)
{
	struct seal_place place = { SEAL_INDEX, keys_of(w)->generation, w->header.id, w->binding, sizeof(w->binding),
		w->contents.n_parts, 0, true };

	*MEM_PUSH(w->contents.parts, w->contents.n_parts) = w->at;
	return emit_chunk(w, &place, w->part, n_records * FORMAT_RECORD_SIZE, err);
}

/* The entry of w->frame, whose key is wrapped. */
static int
enter_frame(struct archive_writer *w, const uint8_t *leaf_key, const uint8_t *frame_key, struct err *err)
{
	size_t n_records = (size_t)(w->contents.frames % FORMAT_PART_RECORDS);

	if (seal_wrap(w->header.id, leaf_key, keys_of(w)->generation, &w->frame, frame_key, err) != 0)
		return -1;
	format_record_encode(&w->frame, w->part + n_records * FORMAT_RECORD_SIZE);
	w->contents.frames++;
	w->rows += w->frame.rows;
	w->total += w->frame.text;
	return n_records + 1 == FORMAT_PART_RECORDS ? end_part(w, n_records + 1, err) : 0;
}

static int
end_frame(struct archive_writer *w, struct err *err)
{
	int failed;

	if (end_chunk(w, true, err) != 0)
		return -1;
	w->frame.length = w->at - w->frame.offset;
	failed = enter_frame(w, keys_of(w)->leaf, keys_of(w)->frame, err);
	secret_wipe(keys_of(w)->leaf, ARCHIVE_KEY_SIZE);
	secret_wipe(keys_of(w)->frame, ARCHIVE_KEY_SIZE);
	return failed;
}

void
archive_write_frame_tag(struct archive_writer *w, const uint8_t tag[ARCHIVE_TAG_SIZE])
{
	(void)memcpy(w->frame.tag, tag, ARCHIVE_TAG_SIZE);
}

int
archive_write_frame_end(struct archive_writer *w, struct err *err)
{
	if (expect(w, IN_FRAME, err) != 0)
		return -1;
	if (w->in_row)
		(void)err_set(err, ERR_FAILED, "frame %llu: its last row has no end", (unsigned long long)w->frame.number);
	if (w->in_row || end_frame(w, err) != 0)
		return spoil(w, err);
	w->state = BETWEEN;
	return 0;
}

/* ---- references ---------------------------------------------------------------------------- */

int
archive_write_file(struct archive_writer *w, const struct archive_file *file, uint32_t *ret_number, struct err *err)
{
	if (expect(w, BETWEEN, err) != 0)
		return -1;
	if (w->contents.n_files == ARCHIVE_FILES_MAX) {
		(void)err_set(err, ERR_FAILED, "it refers to more than %d others", ARCHIVE_FILES_MAX);
		return spoil(w, err);
	}
	*MEM_PUSH(w->contents.files, w->contents.n_files) = *file;
	*ret_number = (uint32_t)w->contents.n_files;
	return 0;
}

/* The shares are all of it, and each of a table there is. */
static bool
adds_up(const struct archive_writer *w, const struct archive_reference *reference)
{
	const struct archive_frame *frame = &reference->frame;
	uint64_t rows = 0, text = 0;

	for (size_t i = 0; i < reference->n_shares; i++) {
		if (reference->shares[i].table >= w->contents.n_tables)
			return false;
		rows += reference->shares[i].rows;
		text += reference->shares[i].text;
	}
	return frame->leaf > 0 && frame->file >= 1 && frame->file <= w->contents.n_files && rows == frame->rows && text == frame->text &&
		w->contents.frames < FORMAT_FRAMES_MAX;
}

int
archive_write_reference(struct archive_writer *w, const struct archive_reference *reference, struct err *err)
{
	if (expect(w, BETWEEN, err) != 0)
		return -1;
	if (!adds_up(w, reference)) {
		(void)err_set(err, ERR_FAILED, "frame %llu is not what it refers to", (unsigned long long)w->contents.frames);
		return spoil(w, err);
	}
	w->frame = reference->frame;
	w->frame.number = w->contents.frames;
	if (enter_frame(w, reference->leaf_key, reference->frame_key, err) != 0)
		return spoil(w, err);
	for (size_t i = 0; i < reference->n_shares; i++) {
		w->contents.tables[reference->shares[i].table].rows += reference->shares[i].rows;
		w->contents.tables[reference->shares[i].table].text += reference->shares[i].text;
	}
	w->referred++;
	return 0;
}

const struct archive_table *
archive_writer_tables(const struct archive_writer *w, size_t *ret_n)
{
	*ret_n = w->contents.n_tables;
	return w->contents.tables;
}

const struct archive_file *
archive_writer_files(const struct archive_writer *w, size_t *ret_n)
{
	*ret_n = w->contents.n_files;
	return w->contents.files;
}

/* ---- end ----------------------------------------------------------------------------------- */

static int
write_contents(struct archive_writer *w, struct err *err)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	struct seal_place place = { SEAL_CONTENTS, keys_of(w)->generation, w->header.id, w->binding, sizeof(w->binding),
		0, 0, false };

	format_contents_encode(&w->contents, &text);
	for (size_t at = 0; !place.last; place.chunk++) {
		size_t n = text.len - at < FORMAT_CHUNK_TEXT ? text.len - at : FORMAT_CHUNK_TEXT;

		place.last = at + n == text.len;
		if (emit_chunk(w, &place, text.s + at, n, err) != 0)
			return -1;
		at += n;
	}
	return 0;
}

static int
end(struct archive_writer *w, const struct signer *signer, struct archive_summary *ret, struct err *err)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	struct format_footer footer = { 0 };
	uint8_t bytes[FORMAT_FOOTER_SIZE];
	size_t n_records = (size_t)(w->contents.frames % FORMAT_PART_RECORDS);

	if (n_records > 0 && end_part(w, n_records, err) != 0)
		return -1;
	footer.contents = w->at;
	if (write_contents(w, err) != 0)
		return -1;
	(void)memcpy(footer.id, w->header.id, ARCHIVE_ID_SIZE);
	footer.n_contents = w->at - footer.contents;
	footer.size = w->at + FORMAT_FOOTER_SIZE;
	if (crypt_digest_end(w->digest, footer.hash, err) != 0 || crypt_signer_public(signer, footer.signer, err) != 0)
		return -1;
	format_footer_signed(&footer, &text);
	if (crypt_sign(signer, text.s, text.len, footer.signature, err) != 0)
		return -1;
	format_footer_encode(&footer, bytes);
	if (emit_plain(w, bytes, sizeof(bytes), err) != 0 || flush(w, err) != 0)
		return -1;
	*ret = (struct archive_summary){ .size = footer.size, .frames = w->contents.frames, .rows = w->rows, .text = w->total,
		.referred = w->referred };
	(void)memcpy(ret->hash, footer.hash, SHA256_SIZE);
	return 0;
}

int
archive_write_end(struct archive_writer *w, const struct signer *signer, struct archive_summary *ret, struct err *err)
{
	if (expect(w, BETWEEN, err) != 0)
		return -1;
	if (end(w, signer, ret, err) != 0)
		return spoil(w, err);
	w->state = DONE;
	return 0;
}

void
archive_writer_free(struct archive_writer *w)
{
	if (w == NULL)
		return;
	sealer_release(&w->sealer);
	crypt_digest_free(w->digest);
	secret_erase(&w->keys);
	secret_erase(&w->text);
	format_contents_release(&w->contents);
	free(w->out);
	free(w->sealed);
	free(w->part);
	free(w);
}

void
archive_writer_freep(struct archive_writer **writer)
{
	archive_writer_free(*writer);
	*writer = NULL;
}

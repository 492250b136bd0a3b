/* What is behind the keys: the index, and the rows. */
#include <stdlib.h>
#include <string.h>

#include "archive/read_private.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/mem.h"

#define PART_SIZE ((size_t)FORMAT_PART_RECORDS * FORMAT_RECORD_SIZE)
#define REMEMBERED_MAX 4194304 /* frames of one file that a check remembers, 16 to 32 bytes each */
#define REMEMBERED_MIN ((size_t)64)

/* The chunk at *at of a file, which must end at `end` or before, opened into a->text; *at behind it. */
static int
open_chunk(struct archive *a, uint32_t file, struct seal_place *place, uint64_t *at, uint64_t end, size_t *ret_n,
	enum archive_verdict *ret_verdict, struct err *err)
{
	const uint8_t *bytes;
	bool authentic = false;
	uint32_t n = 0;

	if (*at > end || end - *at < FORMAT_CHUNK_HEAD)
		return archive_refuse(ret_verdict, ARCHIVE_ALTERED, err, "no chunk has room at byte %llu",
			(unsigned long long)*at);
	bytes = archive_fetch(a, file, *at, FORMAT_CHUNK_HEAD, end, ret_verdict, err);
	if (bytes == NULL)
		return -1;
	if (format_chunk_decode(bytes, &n, &place->last) != 0 || n > end - *at - FORMAT_CHUNK_HEAD)
		return archive_refuse(ret_verdict, ARCHIVE_ALTERED, err, "the chunk at byte %llu has no possible length",
			(unsigned long long)*at);
	bytes = archive_fetch(a, file, *at + FORMAT_CHUNK_HEAD, n, end, ret_verdict, err);
	if (bytes == NULL)
		return -1;
	if (seal_open_chunk(&a->sealer, place, bytes, n, a->text.bytes, ret_n, &authentic, err) != 0) {
		*ret_verdict = authentic ? ARCHIVE_ALTERED : ARCHIVE_UNREADABLE;
		return err_prefix(err, "%s", archive_verdict_text(*ret_verdict));
	}
	/* the key has been proved to be the right one before */
	if (!authentic)
		return archive_refuse(ret_verdict, ARCHIVE_ALTERED, err, "the chunk at byte %llu does not open in its place",
			(unsigned long long)*at);
	*at += (uint64_t)FORMAT_CHUNK_HEAD + n;
	return 0;
}

/* ---- index --------------------------------------------------------------------------------- */

static struct seal_place
place_of(const struct archive *a, const char *domain, uint64_t number)
{
	return (struct seal_place){ domain, a->key.bytes, a->header.id, a->binding, sizeof(a->binding), number, 0, false };
}

static int
read_contents(struct archive *a, enum archive_verdict *ret_verdict, struct err *err)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	struct seal_place place = place_of(a, SEAL_CONTENTS, 0);
	uint64_t at = a->footer.contents, end = at + a->footer.n_contents;
	size_t n = 0;

	for (; !place.last; place.chunk++) {
		if (open_chunk(a, 0, &place, &at, end, &n, ret_verdict, err) != 0)
			return -1;
		if (text.len + n > ARCHIVE_CONTENTS_MAX)
			return archive_refuse(ret_verdict, ARCHIVE_ALTERED, err, "its contents are longer than any can be");
		str_add_n(&text, (const char *)a->text.bytes, n);
	}
	if (at != end || format_contents_decode((const uint8_t *)text.s, text.len, &a->contents) != 0)
		return archive_refuse(ret_verdict, ARCHIVE_ALTERED, err, "its contents are malformed");
	if (a->contents.frames == 0 && a->footer.contents != FORMAT_HEADER_SIZE)
		return archive_refuse(ret_verdict, ARCHIVE_ALTERED, err, "it has no frames, and bytes for some");
	return 0;
}

int
archive_unlock(struct archive *a, const uint8_t generation_key[ARCHIVE_KEY_SIZE], enum archive_verdict *ret_verdict,
	struct err *err)
{
	uint8_t check[KCV_SIZE];

	*ret_verdict = ARCHIVE_OK;
	if (a->is_unlocked)
		return err_set(err, ERR_FAILED, "the archive is unlocked already");
	if (kcv_of(generation_key, check, err) != 0) {
		*ret_verdict = ARCHIVE_UNREADABLE;
		return -1;
	}
	if (!secret_equal(check, a->header.generation_check, KCV_SIZE))
		return archive_refuse(ret_verdict, ARCHIVE_WRONG_KEY, err, "this is not the key of its generation, leaf %lld",
			(long long)a->header.generation);
	sealer_init(&a->sealer, 1);
	secret_new(&a->key, ARCHIVE_KEY_SIZE);
	(void)memcpy(a->key.bytes, generation_key, ARCHIVE_KEY_SIZE);
	secret_new(&a->text, FORMAT_CHUNK_TEXT);
	a->part = mem_zero(PART_SIZE, 1);
	if (read_contents(a, ret_verdict, err) != 0) {
		archive_lock(a);
		return -1;
	}
	a->sources = mem_zero(a->contents.n_files + 1, sizeof(*a->sources)); /* NOLINT(bugprone-sizeof-expression): pointers, as meant */
	a->is_unlocked = true;
	return 0;
}

void
archive_lock(struct archive *a)
{
	sealer_release(&a->sealer);
	secret_erase(&a->key);
	secret_erase(&a->text);
	format_contents_release(&a->contents);
	free(TAKE_PTR(a->sources));
	free(TAKE_PTR(a->part));
}

size_t
archive_tables(const struct archive *a)
{
	return a->contents.n_tables;
}

const struct archive_table *
archive_table(const struct archive *a, size_t number)
{
	return &a->contents.tables[number];
}

uint64_t
archive_frames(const struct archive *a)
{
	return a->contents.frames;
}

size_t
archive_files(const struct archive *a)
{
	return a->contents.n_files;
}

const struct archive_file *
archive_file(const struct archive *a, size_t i)
{
	return &a->contents.files[i];
}

void
archive_attach(struct archive *a, size_t number, struct archive_source *source)
{
	a->sources[number] = source;
}

int
archive_frame_key(const struct archive *a, const struct archive_frame *frame, const uint8_t leaf_key[ARCHIVE_KEY_SIZE],
	uint8_t ret[ARCHIVE_KEY_SIZE], bool *ret_authentic, struct err *err)
{
	return seal_unwrap(a->header.id, leaf_key, a->key.bytes, frame, ret, ret_authentic, err);
}

/* Where the part ends that is before part p: frames begin there. */
static int
part_begin(struct archive *a, uint64_t p, uint64_t *ret, enum archive_verdict *ret_verdict, struct err *err)
{
	const uint8_t *bytes;
	uint32_t n = 0;
	bool last;

	*ret = p == 0 ? FORMAT_HEADER_SIZE : a->part_end;
	if (p == 0 || a->next_part == p)
		return 0;
	bytes = archive_fetch(a, 0, a->contents.parts[p - 1], FORMAT_CHUNK_HEAD, a->size, ret_verdict, err);
	if (bytes == NULL)
		return -1;
	if (format_chunk_decode(bytes, &n, &last) != 0)
		return archive_refuse(ret_verdict, ARCHIVE_ALTERED, err, "part %llu of its index has no possible length",
			(unsigned long long)(p - 1));
	*ret = a->contents.parts[p - 1] + FORMAT_CHUNK_HEAD + n;
	return 0;
}

/* Frames of this file lie one behind the other and end where their part of the index begins, which is just before the
 * frames of the next: no byte belongs to nobody. */
static int
check_part(struct archive *a, uint64_t p, size_t n_records, uint64_t end, enum archive_verdict *ret_verdict,
	struct err *err)
{
	bool is_last = p + 1 == a->contents.n_parts;
	struct archive_frame f;
	uint64_t at = 0;

	if (part_begin(a, p, &at, ret_verdict, err) != 0)
		return -1;
	for (size_t i = 0; i < n_records; i++) {
		uint64_t number = p * FORMAT_PART_RECORDS + i;

		if (format_record_decode(a->part + i * FORMAT_RECORD_SIZE, number, &f) != 0 ||
		    (f.table >= a->contents.n_tables && f.table != ARCHIVE_SEVERAL) || f.file > a->contents.n_files ||
		    (f.file == 0 && f.offset != at))
			return archive_refuse(ret_verdict, ARCHIVE_ALTERED, err, "entry %llu of its index is malformed",
				(unsigned long long)number);
		at += f.file == 0 ? f.length : 0;
	}
	if (at != a->contents.parts[p] || (is_last && end != a->footer.contents))
		return archive_refuse(ret_verdict, ARCHIVE_ALTERED, err, "frames and part %llu of its index do not meet",
			(unsigned long long)p);
	return 0;
}

static int
load_part(struct archive *a, uint64_t p, enum archive_verdict *ret_verdict, struct err *err)
{
	struct seal_place place = place_of(a, SEAL_INDEX, p);
	uint64_t left = a->contents.frames - p * FORMAT_PART_RECORDS, at = a->contents.parts[p];
	size_t n_records = left < FORMAT_PART_RECORDS ? (size_t)left : FORMAT_PART_RECORDS, n = 0;

	a->has_part = false;
	if (open_chunk(a, 0, &place, &at, a->footer.contents, &n, ret_verdict, err) != 0)
		return -1;
	if (!place.last || n != n_records * FORMAT_RECORD_SIZE)
		return archive_refuse(ret_verdict, ARCHIVE_ALTERED, err, "part %llu of its index is malformed",
			(unsigned long long)p);
	(void)memcpy(a->part, a->text.bytes, n);
	if (check_part(a, p, n_records, at, ret_verdict, err) != 0)
		return -1;
	a->part_number = p;
	a->has_part = true;
	a->next_part = p + 1;
	a->part_end = at;
	return 0;
}

int
archive_frame(struct archive *a, uint64_t number, struct archive_frame *ret, enum archive_verdict *ret_verdict,
	struct err *err)
{
	uint64_t p = number / FORMAT_PART_RECORDS;

	*ret_verdict = ARCHIVE_OK;
	if (number >= a->contents.frames)
		return err_set(err, ERR_FAILED, "the archive has no frame %llu", (unsigned long long)number);
	if ((!a->has_part || a->part_number != p) && load_part(a, p, ret_verdict, err) != 0)
		return -1;
	return format_record_decode(a->part + number % FORMAT_PART_RECORDS * FORMAT_RECORD_SIZE, number, ret);
}

/* ---- rows ---------------------------------------------------------------------------------- */

/* What was read of one frame. */
struct progress {
	const struct archive_frame *frame;
	const struct archive_reading *reading;
	uint32_t only; /* a table, or ARCHIVE_SEVERAL */
	uint64_t rows, text;
};

static int
take_pieces(struct archive *a, struct progress *progress, size_t n, enum archive_verdict *ret_verdict, struct err *err)
{
	const struct archive_frame *f = progress->frame;
	const struct archive_reading *reading = progress->reading;
	struct format_piece piece;
	size_t at = 0;
	int more;

	while ((more = format_piece_next(a->text.bytes, n, &at, &piece)) > 0) {
		if (piece.table >= a->contents.n_tables || (f->table != ARCHIVE_SEVERAL && f->table != piece.table))
			break;
		progress->text += piece.n;
		progress->rows += format_rows(piece.text, piece.n);
		if (reading->text != NULL && (progress->only == ARCHIVE_SEVERAL || progress->only == piece.table) &&
		    reading->text(reading->ctx, f, piece.table, piece.text, piece.n, err) != 0) {
			*ret_verdict = ARCHIVE_OK;
			return -1;
		}
	}
	if (more != 0)
		return archive_refuse(ret_verdict, ARCHIVE_ALTERED, err, "frame %llu holds malformed text",
			(unsigned long long)f->number);
	return 0;
}

static int
read_chunks(struct archive *a, struct progress *progress, const uint8_t *key, enum archive_verdict *ret_verdict,
	struct err *err)
{
	const struct archive_frame *f = progress->frame;
	uint8_t leaf[8];
	struct seal_place place = { SEAL_FRAME, key, f->file == 0 ? a->header.id : a->sources[f->file]->file.id, leaf, sizeof(leaf),
		f->sealed_as, 0, false };
	uint64_t at = f->offset, end = f->offset + f->length;
	size_t n = 0;

	bytes_put_u64(leaf, (uint64_t)f->leaf);
	for (; !place.last; place.chunk++)
		if (open_chunk(a, f->file, &place, &at, end, &n, ret_verdict, err) != 0 ||
		    take_pieces(a, progress, n, ret_verdict, err) != 0)
			return -1;
	if (at != end || progress->rows != f->rows || progress->text != f->text)
		return archive_refuse(ret_verdict, ARCHIVE_ALTERED, err, "frame %llu is not what its index says",
			(unsigned long long)f->number);
	return 0;
}

/* The frame's own key: 1; 0 when the leaf's is not there any more. */
static int
frame_key(struct archive *a, const struct progress *progress, uint8_t ret[ARCHIVE_KEY_SIZE],
	enum archive_verdict *ret_verdict, struct err *err)
{
	const struct archive_frame *f = progress->frame;
	uint8_t leaf_key[ARCHIVE_KEY_SIZE] = { 0 };
	bool authentic = false;
	int rc = progress->reading->key(progress->reading->ctx, f->leaf, leaf_key, err);

	if (rc > 0 && archive_frame_key(a, f, leaf_key, ret, &authentic, err) != 0) {
		*ret_verdict = ARCHIVE_UNREADABLE;
		rc = -1;
	} else if (rc > 0 && !authentic)
		rc = archive_refuse(ret_verdict, ARCHIVE_WRONG_KEY, err, "frame %llu does not open with this key of leaf %lld",
			(unsigned long long)f->number, (long long)f->leaf);
	secret_wipe(leaf_key, sizeof(leaf_key));
	return rc;
}

/* What a check remembers of a frame: its key, and all that an entry says of it, whichever index that is in. */
static int
mark_of(const struct archive_frame *f, const uint8_t *key, uint64_t *ret)
{
	struct archive_frame anywhere = *f;
	uint8_t text[FORMAT_RECORD_SIZE + ARCHIVE_KEY_SIZE], hash[SHA256_SIZE];
	struct err unused;
	int failed;

	anywhere.file = 0;
	format_record_encode(&anywhere, text);
	(void)memcpy(text + FORMAT_RECORD_CLEAR, key, ARCHIVE_KEY_SIZE);
	failed = crypt_sha256(text, FORMAT_RECORD_CLEAR + ARCHIVE_KEY_SIZE, hash, &unused);
	secret_wipe(text, sizeof(text));
	*ret = bytes_get_u64(hash) | 1;
	return failed;
}

/* Where a mark is, or belongs. */
static uint64_t *
place_of_mark(const struct archive_source *source, uint64_t mark)
{
	size_t at = (size_t)(mark >> 1) & (source->room - 1);

	while (source->opened[at] != 0 && source->opened[at] != mark)
		at = (at + 1) & (source->room - 1);
	return &source->opened[at];
}

/* At most half of the room is taken. What there is no room for is opened again the next time. */
static void
remember(struct archive_source *source, uint64_t mark)
{
	struct archive_source more = *source;

	if (source->n_opened == REMEMBERED_MAX)
		return;
	if (2 * (source->n_opened + 1) > source->room) {
		more.room = source->room == 0 ? REMEMBERED_MIN : 2 * source->room;
		more.opened = mem_zero(more.room, sizeof(*more.opened));
		for (size_t i = 0; i < source->room; i++)
			if (source->opened[i] != 0)
				*place_of_mark(&more, source->opened[i]) = source->opened[i];
		free(source->opened);
		*source = more;
	}
	*place_of_mark(source, mark) = mark;
	source->n_opened++;
}

/* A check opens a frame once, under whichever archive's index that is. */
static int
open_frame(struct archive *a, struct progress *progress, const uint8_t *key, enum archive_verdict *ret_verdict, struct err *err)
{
	struct archive_source *source = a->sources[progress->frame->file];
	uint64_t mark = 0;
	bool remembers = progress->reading->text == NULL && source != NULL && mark_of(progress->frame, key, &mark) == 0;

	if (remembers && source->room > 0 && *place_of_mark(source, mark) == mark) {
		progress->rows = progress->frame->rows;
		progress->text = progress->frame->text;
		return 0;
	}
	if (read_chunks(a, progress, key, ret_verdict, err) != 0)
		return -1;
	if (remembers)
		remember(source, mark);
	return 0;
}

static int
read_frame(struct archive *a, struct progress *progress, struct archive_tally *tally, enum archive_verdict *ret_verdict,
	struct err *err)
{
	const struct archive_frame *f = progress->frame;
	uint8_t key[ARCHIVE_KEY_SIZE] = { 0 };
	int rc;

	rc = frame_key(a, progress, key, ret_verdict, err);
	if (rc == 0) {
		tally->withheld++;
		tally->withheld_rows += f->rows;
		return 0;
	}
	if (rc > 0 && f->file > 0 && (f->file > a->contents.n_files || a->sources[f->file] == NULL))
		rc = archive_refuse(ret_verdict, ARCHIVE_UNREADABLE, err, "frame %llu lies in another archive, which is not at hand",
			(unsigned long long)f->number);
	else if (rc > 0)
		rc = open_frame(a, progress, key, ret_verdict, err);
	secret_wipe(key, sizeof(key));
	if (rc != 0)
		return -1;
	tally->frames++;
	tally->rows += progress->rows;
	tally->text += progress->text;
	return 0;
}

int
archive_read_frame(struct archive *a, const struct archive_frame *frame, const struct archive_reading *reading,
	struct archive_tally *tally, enum archive_verdict *ret_verdict, struct err *err)
{
	struct progress progress = { frame, reading, ARCHIVE_SEVERAL, 0, 0 };

	*ret_verdict = ARCHIVE_OK;
	return read_frame(a, &progress, tally, ret_verdict, err);
}

int
archive_read(struct archive *a, uint32_t table, const struct archive_reading *reading, struct archive_tally *ret,
	enum archive_verdict *ret_verdict, struct err *err)
{
	*ret_verdict = ARCHIVE_OK;
	*ret = (struct archive_tally){ 0 };
	if (!a->is_unlocked)
		return err_set(err, ERR_FAILED, "the archive is not unlocked");
	for (uint64_t i = 0; i < a->contents.frames; i++) {
		struct archive_frame frame;
		struct progress progress = { &frame, reading, table, 0, 0 };

		if (archive_frame(a, i, &frame, ret_verdict, err) != 0)
			return -1;
		if (table != ARCHIVE_SEVERAL && frame.table != ARCHIVE_SEVERAL && frame.table != table)
			continue;
		if (read_frame(a, &progress, ret, ret_verdict, err) != 0)
			return -1;
	}
	return 0;
}

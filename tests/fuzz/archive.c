/*
 * Sealed archives. What a hash, a signature or a seal would keep from the parsers is made to fit, so that they meet
 * hostile bytes all the same. The first byte says what the rest is:
 *
 *     F   a file, as it is
 *     S   a file, whose hash and signature are made to fit
 *     C   the text of the contents, sealed into a file without frames
 *     I   a byte, so many bytes of body, and entries of the index, sealed into a file
 *     T   the text of a chunk, sealed into the one frame of a file
 *
 * Keys are as in tests/unit/archive_fixture.h. Whose signature it is, the file itself says.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "archive/read.h"
#include "archive/seal.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "fuzz.h"

static void
key_of(const char *name, uint8_t ret[32])
{
	REQUIRE(crypt_sha256(name, strlen(name), ret, NULL) == 0);
}

static int
give_key(void *ctx, int64_t leaf, uint8_t ret_key[32], struct err *err)
{
	CLEANUP(free_text) char *name = mem_printf("leaf %lld", (long long)leaf);

	(void)ctx;
	(void)err;
	key_of(name, ret_key);
	return leaf % 16 == 15 ? 0 : 1;
}

struct seen {
	const struct archive *archive;
	uint64_t text;
};

static int
take_text(void *ctx, const struct archive_frame *frame, uint32_t table, const void *text, size_t n, struct err *err)
{
	struct seen *seen = ctx;

	(void)err;
	REQUIRE(n > 0 && text != NULL && table < archive_tables(seen->archive));
	REQUIRE(frame->table == table || frame->table == ARCHIVE_SEVERAL);
	seen->text += n;
	return 0;
}

static void
refused(enum archive_verdict verdict, const struct err *err)
{
	const char *words = archive_verdict_text(verdict);

	REQUIRE(verdict != ARCHIVE_OK && strncmp(err->msg, words, strlen(words)) == 0);
}

static void
read_all(const struct str *file)
{
	CLEANUP(archive_closep) struct archive *archive = NULL;
	uint8_t signer[1][ED25519_KEY_SIZE] = { { 0 } }, key[32];
	struct seen seen = { NULL, 0 };
	struct archive_reading reading = { give_key, take_text, &seen };
	struct archive_tally tally;
	enum archive_verdict verdict;
	struct err err = { 0 };
	int fd = memfd_create("archive", MFD_CLOEXEC);

	REQUIRE(fd >= 0 && write(fd, str_cstr(file), file->len) == (ssize_t)file->len);
	if (file->len >= FORMAT_FOOTER_SIZE)
		(void)memcpy(signer[0], file->s + file->len - FORMAT_FOOTER_SIZE + 112, ED25519_KEY_SIZE);
	key_of("generation", key);
	if (archive_open(&archive, fd, signer, 1, &verdict, &err) != 0)
		REQUIRE(archive == NULL);
	else if (archive_unlock(archive, key, &verdict, &err) != 0)
		REQUIRE(archive_tables(archive) == 0 && archive_frames(archive) == 0);
	else {
		seen.archive = archive;
		if (archive_read(archive, ARCHIVE_SEVERAL, &reading, &tally, &verdict, &err) == 0)
			REQUIRE(verdict == ARCHIVE_OK && tally.text == seen.text && tally.frames + tally.withheld == archive_frames(archive));
	}
	if (err.msg[0] != '\0')
		refused(verdict, &err);
	(void)close(fd);
}

/* ---- files put together -------------------------------------------------------------------- */

static const struct signer *
signer_of_ours(void)
{
	static struct signer *signer;

	if (signer == NULL)
		REQUIRE(crypt_signer_generate(&signer, NULL) == 0);
	return signer;
}

/* Adds or renews the footer behind what is signed. */
static void
sign(struct str *file, struct format_footer *footer)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	uint8_t bytes[FORMAT_FOOTER_SIZE];

	REQUIRE(crypt_sha256(str_cstr(file), file->len, footer->hash, NULL) == 0);
	REQUIRE(crypt_signer_public(signer_of_ours(), footer->signer, NULL) == 0);
	footer->size = file->len + FORMAT_FOOTER_SIZE;
	format_footer_signed(footer, &text);
	REQUIRE(crypt_sign(signer_of_ours(), text.s, text.len, footer->signature, NULL) == 0);
	format_footer_encode(footer, bytes);
	str_add_n(file, (const char *)bytes, sizeof(bytes));
}

struct maker {
	struct str file;
	struct sealer sealer;
	struct archive_header header;
	uint8_t key[32], binding[SHA256_SIZE];
};

static void
begin(struct maker *m)
{
	uint8_t bytes[FORMAT_HEADER_SIZE];

	*m = (struct maker){ .header = { .instance = "0b54f3a8-7c1d-4e2b-9a60-5d8f1c2e3b4a", .kind = ARCHIVE_BACKUP,
				     .generation = 900 } };
	key_of("generation", m->key);
	REQUIRE(kcv_of(m->key, m->header.generation_check, NULL) == 0);
	REQUIRE(format_header_encode(&m->header, bytes) == 0);
	REQUIRE(crypt_sha256(bytes, sizeof(bytes), m->binding, NULL) == 0);
	str_add_n(&m->file, (const char *)bytes, sizeof(bytes));
	sealer_init(&m->sealer, 1);
}

static void
add_chunk(struct maker *m, const char *domain, const void *text, size_t n)
{
	struct seal_place place = { domain, m->key, m->header.id, m->binding, sizeof(m->binding), 0, 0, true };
	uint8_t leaf[8] = { 0, 0, 0, 0, 0, 0, 0, 7 }, *sealed = mem_zero(FORMAT_CHUNK_HEAD + compress_bound(n) + GCM_TAG_SIZE, 1);
	size_t n_sealed = 0;

	if (strcmp(domain, SEAL_FRAME) == 0) {
		place.binding = leaf;
		place.n_binding = sizeof(leaf);
	}
	REQUIRE(seal_chunk(&m->sealer, &place, text, n, sealed, &n_sealed, NULL) == 0);
	str_add_n(&m->file, (const char *)sealed, n_sealed);
	free(sealed);
}

static void
end(struct maker *m, const void *contents, size_t n)
{
	struct format_footer footer = { .contents = m->file.len };

	add_chunk(m, SEAL_CONTENTS, contents, n);
	footer.n_contents = m->file.len - footer.contents;
	sign(&m->file, &footer);
	read_all(&m->file);
	str_release(&m->file);
	sealer_release(&m->sealer);
}

/* The contents of a file with one table and so many frames in one part of the index. */
static void
end_frames(struct maker *m, uint64_t part, uint64_t frames)
{
	struct archive_table table = { (char *)(uintptr_t) "a", NULL, 0, false, 0, 0 };
	struct format_contents contents = { &table, 1, NULL, 0, frames, &part, frames > 0 ? 1 : 0 };
	CLEANUP(str_release) struct str text = STR_INIT;

	format_contents_encode(&contents, &text);
	end(m, text.s, text.len);
}

/* ---- targets ------------------------------------------------------------------------------- */

static void
file_made_to_fit(const uint8_t *data, size_t n)
{
	CLEANUP(str_release) struct str file = STR_INIT;
	struct format_footer footer;

	str_add_n(&file, (const char *)data, n);
	if (n >= FORMAT_FOOTER_SIZE && format_footer_decode(data + n - FORMAT_FOOTER_SIZE, &footer) == 0) {
		file.len -= FORMAT_FOOTER_SIZE;
		sign(&file, &footer);
	}
	read_all(&file);
}

static void
contents_text(const uint8_t *data, size_t n)
{
	struct format_contents contents;
	CLEANUP(str_release) struct str again = STR_INIT;
	struct maker m;

	if (n > FORMAT_CHUNK_TEXT)
		return;
	if (format_contents_decode(data, n, &contents) == 0) {
		format_contents_encode(&contents, &again);
		REQUIRE(again.len == n && memcmp(again.s, data, n) == 0);
		format_contents_release(&contents);
	} else
		REQUIRE(contents.tables == NULL && contents.n_tables == 0);
	begin(&m);
	end(&m, data, n);
}

static void
index_entries(const uint8_t *data, size_t n)
{
	size_t n_body = n > 0 && data[0] < n ? data[0] : 0;
	uint8_t again[FORMAT_RECORD_SIZE];
	struct archive_frame frame;
	uint64_t part;
	struct maker m;

	if (n == 0 || n > (size_t)FORMAT_PART_RECORDS * FORMAT_RECORD_SIZE)
		return;
	begin(&m);
	str_add_n(&m.file, (const char *)data + 1, n_body);
	data += 1 + n_body;
	n -= 1 + n_body;
	for (size_t i = 0; i < n / FORMAT_RECORD_SIZE; i++)
		if (format_record_decode(data + i * FORMAT_RECORD_SIZE, i, &frame) == 0) {
			format_record_encode(&frame, again);
			REQUIRE(memcmp(again, data + i * FORMAT_RECORD_SIZE, FORMAT_RECORD_SIZE) == 0);
		}
	part = m.file.len;
	add_chunk(&m, SEAL_INDEX, data, n);
	end_frames(&m, part, n / FORMAT_RECORD_SIZE);
}

static void
chunk_text(const uint8_t *data, size_t n)
{
	struct archive_frame frame = { .leaf = 7, .table = ARCHIVE_SEVERAL, .offset = FORMAT_HEADER_SIZE };
	uint8_t record[FORMAT_RECORD_SIZE], leaf_key[32];
	struct format_piece piece;
	size_t at = 0;
	struct maker m;

	if (n > FORMAT_CHUNK_TEXT)
		return;
	while (format_piece_next(data, n, &at, &piece) > 0) {
		REQUIRE(piece.text + piece.n <= data + n);
		frame.text += piece.n;
		frame.rows += format_rows(piece.text, piece.n);
	}
	begin(&m);
	add_chunk(&m, SEAL_FRAME, data, n); /* the generation's key does for the frame's */
	frame.length = m.file.len - FORMAT_HEADER_SIZE;
	key_of("leaf 7", leaf_key);
	REQUIRE(seal_wrap(m.header.id, leaf_key, m.key, &frame, m.key, NULL) == 0);
	format_record_encode(&frame, record);
	add_chunk(&m, SEAL_INDEX, record, sizeof(record));
	end_frames(&m, FORMAT_HEADER_SIZE + frame.length, 1);
}

int
fuzz_archive(const uint8_t *data, size_t n)
{
	CLEANUP(str_release) struct str file = STR_INIT;

	switch (n == 0 ? 0 : data[0]) {
	case 'S':
		file_made_to_fit(data + 1, n - 1);
		break;
	case 'C':
		contents_text(data + 1, n - 1);
		break;
	case 'I':
		index_entries(data + 1, n - 1);
		break;
	case 'T':
		chunk_text(data + 1, n - 1);
		break;
	default:
		str_add_n(&file, (const char *)data + (n > 0), n - (n > 0));
		read_all(&file);
		break;
	}
	return 0;
}

/*
 * Archives in memory, for tests. Keys are SHA-256 of their names: "generation", "leaf 7"; the signing key is Ed25519 of
 * the seed SHA-256("signer").
 */
#ifndef EXPUNGE_TESTS_ARCHIVE_FIXTURE_H
#define EXPUNGE_TESTS_ARCHIVE_FIXTURE_H

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "archive/read.h"
#include "archive/seal.h"
#include "archive/write.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/mem.h"

#define LEAVES 4
#define DROPPED 3 /* an owner whose key some tests withhold */

static inline void
named_key(const char *name, uint8_t ret[32])
{
	ck_assert_int_eq(crypt_sha256(name, strlen(name), ret, NULL), 0);
}

static inline void
leaf_key(int64_t leaf, uint8_t ret[32])
{
	CLEANUP(free_text) char *name = mem_printf("leaf %lld", (long long)leaf);

	named_key(name, ret);
}

/* by its PKCS#8 form (RFC 8410) */
static inline struct signer *
named_signer(const char *name)
{
	uint8_t der[48] = { 0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20 };
	CLEANUP(str_release) struct str pem = STR_INIT;
	struct signer *signer = NULL;

	named_key(name, der + 16);
	str_add(&pem, "-----BEGIN PRIVATE KEY-----\n");
	bytes_add_base64(&pem, der, sizeof(der));
	str_add(&pem, "\n-----END PRIVATE KEY-----\n");
	ck_assert_int_eq(crypt_signer_from_pem(&signer, pem.s, pem.len, NULL), 0);
	return signer;
}

static inline void
named_public(const char *name, uint8_t ret[ED25519_KEY_SIZE])
{
	CLEANUP(crypt_signer_freep) struct signer *signer = named_signer(name);

	ck_assert_int_eq(crypt_signer_public(signer, ret, NULL), 0);
}

static inline struct archive_header
fix_header(const char *id)
{
	struct archive_header h = { .instance = "0b54f3a8-7c1d-4e2b-9a60-5d8f1c2e3b4a", .kind = ARCHIVE_BACKUP, .generation = 900,
		.created = 1790000000, .system_identifier = 7443985601234567890, .lsn = 0x16B3748 };

	named_key(id, h.id);
	named_key("map", h.map_hash);
	named_key("schema", h.schema_hash);
	return h;
}

static inline int
add_to_str(void *ctx, const void *bytes, size_t n, struct err *err)
{
	(void)err;
	str_add_n(ctx, bytes, n);
	return 0;
}

static inline struct archive_sink
str_sink(struct str *str)
{
	return (struct archive_sink){ add_to_str, str };
}

/* A writer that has its header and two tables: app.patient(id, name), app.note(patient_id, body). */
static inline struct archive_writer *
fix_writer(const char *id, struct str *ret)
{
	static struct archive_column patient[] = { { (char *)(uintptr_t) "id", (char *)(uintptr_t) "bigint" },
		{ (char *)(uintptr_t) "name", (char *)(uintptr_t) "text" } };
	static struct archive_column note[] = { { (char *)(uintptr_t) "patient_id", (char *)(uintptr_t) "bigint" },
		{ (char *)(uintptr_t) "body", (char *)(uintptr_t) "character varying(200)" } };
	const struct archive_table tables[] = { { (char *)(uintptr_t) "app.patient", patient, 2, true, 0, 0 },
		{ (char *)(uintptr_t) "app.note", note, 2, false, 0, 0 } };
	struct archive_header header = fix_header(id);
	struct archive_sink sink = str_sink(ret);
	struct archive_writer *writer = NULL;
	struct err err = { 0 };
	uint8_t key[32];

	named_key("generation", key);
	ck_assert_msg(archive_write_begin(&writer, &header, key, &sink, 1, &err) == 0, "%s", err.msg);
	for (uint32_t i = 0; i < 2; i++) {
		uint32_t number = 9;

		ck_assert_msg(archive_write_table(writer, &tables[i], &number, &err) == 0, "%s", err.msg);
		ck_assert_uint_eq(number, i);
	}
	return writer;
}

static inline void
fix_frame(struct archive_writer *writer, int64_t leaf, uint32_t table, const char *text, size_t n)
{
	struct err err = { 0 };
	uint8_t key[32];

	leaf_key(leaf, key);
	ck_assert_msg(archive_write_frame_begin(writer, leaf, key, &err) == 0 &&
			archive_write_frame_table(writer, table, &err) == 0 && archive_write_frame_text(writer, text, n, &err) == 0 &&
		archive_write_frame_end(writer, &err) == 0, "%s", err.msg);
}

static inline struct archive_summary
fix_end(struct archive_writer *writer)
{
	CLEANUP(crypt_signer_freep) struct signer *signer = named_signer("signer");
	struct archive_summary summary;
	struct err err = { 0 };

	ck_assert_msg(archive_write_end(writer, signer, &summary, &err) == 0, "%s", err.msg);
	archive_writer_free(writer);
	return summary;
}

/* Four patients, each with a row, a frame of notes for each but the second, and one frame of both tables. The rows of
 * an owner are as long as those of another. */
static inline struct archive_summary
fix_archive(const char *id, struct str *ret)
{
	struct archive_writer *writer = fix_writer(id, ret);

	for (int64_t leaf = 1; leaf <= LEAVES; leaf++) {
		CLEANUP(free_text) char *row = mem_printf("%lld\tpatient number %lld\n", (long long)leaf, (long long)leaf);

		fix_frame(writer, leaf, 0, row, strlen(row));
	}
	for (int64_t leaf = 1; leaf <= LEAVES; leaf++) {
		CLEANUP(free_text) char *rows = mem_printf("%lld\tsleeps badly\n%lld\tsleeps %s\n", (long long)leaf, (long long)leaf,
			leaf % 2 == 0 ? "well" : "less");

		if (leaf != 2)
			fix_frame(writer, leaf, 1, rows, strlen(rows));
	}
	return fix_end(writer);
}

/* ---- read ---------------------------------------------------------------------------------- */

static inline int
fd_of(const char *bytes, size_t n)
{
	int fd = memfd_create("archive", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	for (size_t at = 0; at < n;) {
		ssize_t done = write(fd, bytes + at, n - at);

		ck_assert_int_gt(done, 0);
		at += (size_t)done;
	}
	return fd;
}

/* What a reading gives, by table; the owner whose key is withheld, 0 for none; the one whose key is wrong. */
struct reader {
	struct str tables[2];
	int64_t withheld, wrong;
	size_t n_keys, n_texts;
};

static inline int
give_key(void *ctx, int64_t leaf, uint8_t ret_key[32], struct err *err)
{
	struct reader *reader = ctx;

	reader->n_keys++;
	if (reader->withheld == -1)
		return err_set(err, ERR_LOST, "the key store is away");
	leaf_key(reader->wrong == leaf ? leaf + 1 : leaf, ret_key);
	return reader->withheld == leaf ? 0 : 1;
}

static inline int
take_text(void *ctx, const struct archive_frame *frame, uint32_t table, const void *text, size_t n, struct err *err)
{
	struct reader *reader = ctx;

	(void)err;
	ck_assert(frame->table == table || frame->table == ARCHIVE_SEVERAL);
	ck_assert_uint_lt(table, 2);
	str_add_n(&reader->tables[table], text, n);
	reader->n_texts++;
	return 0;
}

static inline struct archive_reading
reading_of(struct reader *reader)
{
	return (struct archive_reading){ give_key, take_text, reader };
}

static inline void
reader_release(struct reader *reader)
{
	str_release(&reader->tables[0]);
	str_release(&reader->tables[1]);
}

/* All of an archive, with the usual keys: the verdict of the first step that fails. */
static inline enum archive_verdict
read_all(int fd, struct reader *reader, struct archive_tally *ret, struct err *err)
{
	CLEANUP(archive_closep) struct archive *archive = NULL;
	struct archive_reading reading = reading_of(reader);
	enum archive_verdict verdict = ARCHIVE_OK;
	uint8_t signer[1][ED25519_KEY_SIZE], key[32];

	named_public("signer", signer[0]);
	named_key("generation", key);
	if (archive_open(&archive, fd, signer, 1, &verdict, err) != 0)
		ck_assert(archive == NULL && verdict != ARCHIVE_OK);
	else if (archive_unlock(archive, key, &verdict, err) == 0 &&
		archive_read(archive, ARCHIVE_SEVERAL, &reading, ret, &verdict, err) == 0)
		ck_assert_int_eq(verdict, ARCHIVE_OK);
	else
		ck_assert(err->msg[0] != '\0');
	return verdict;
}

static inline enum archive_verdict
judge(const char *bytes, size_t n, struct err *err)
{
	CLEANUP(reader_release) struct reader reader = { 0 };
	struct archive_tally tally;
	int fd = fd_of(bytes, n);
	enum archive_verdict verdict = read_all(fd, &reader, &tally, err);

	(void)close(fd);
	return verdict;
}

/* ---- forged -------------------------------------------------------------------------------- */

/* Makes hash and signature fit what the bytes have become, as somebody could who has the signing key. */
static inline void
sign_again(struct str *bytes)
{
	CLEANUP(crypt_signer_freep) struct signer *signer = named_signer("signer");
	CLEANUP(str_release) struct str text = STR_INIT;
	uint8_t *at = (uint8_t *)bytes->s + bytes->len - FORMAT_FOOTER_SIZE;
	struct format_footer footer;

	ck_assert_int_eq(format_footer_decode(at, &footer), 0);
	ck_assert_int_eq(crypt_sha256(bytes->s, bytes->len - FORMAT_FOOTER_SIZE, footer.hash, NULL), 0);
	footer.size = bytes->len;
	format_footer_signed(&footer, &text);
	ck_assert_int_eq(crypt_sign(signer, text.s, text.len, footer.signature, NULL), 0);
	format_footer_encode(&footer, at);
}

/* The index of an archive, for what is done to it: entries by number. */
static inline void
index_of(const struct str *bytes, struct archive_frame *ret, size_t n)
{
	CLEANUP(archive_closep) struct archive *archive = NULL;
	enum archive_verdict verdict;
	uint8_t signer[1][ED25519_KEY_SIZE], key[32];
	int fd = fd_of(bytes->s, bytes->len);

	named_public("signer", signer[0]);
	named_key("generation", key);
	ck_assert_int_eq(archive_open(&archive, fd, signer, 1, &verdict, NULL), 0);
	ck_assert_int_eq(archive_unlock(archive, key, &verdict, NULL), 0);
	ck_assert_uint_eq(archive_frames(archive), n);
	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(archive_frame(archive, i, &ret[i], &verdict, NULL), 0);
	(void)close(fd);
}

static inline size_t
stride(void)
{
	const char *text = getenv("EXPUNGE_TEST_STRIDE");

	return text == NULL ? 1 : (size_t)strtoul(text, NULL, 10);
}

#endif

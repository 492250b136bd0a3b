#include "archive/format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "base/parse.h"

#define MAGIC_SIZE 16
#define LAST_CHUNK 0x80000000u
#define FOOTER_UNSIGNED 144 /* bytes of the footer before the signature */
#define FOOTER_END (FOOTER_UNSIGNED + ED25519_SIGNATURE_SIZE)

static const char header_magic[] = "expunge/archive\n";
static const char footer_magic[] = "expunge/footer.\n";
static const char end_magic[] = "expunge/archend\n";
static const char footer_domain[] = "expunge/archive/footer/v1";

const char *
archive_verdict_text(enum archive_verdict verdict)
{
	switch (verdict) {
	case ARCHIVE_OK:
		return "ok";
	case ARCHIVE_TRUNCATED:
		return "truncated";
	case ARCHIVE_ALTERED:
		return "altered";
	case ARCHIVE_NEWER_FORMAT:
		return "newer format";
	case ARCHIVE_WRONG_SIGNER:
		return "wrong signer";
	case ARCHIVE_WRONG_KEY:
		return "key destroyed or wrong";
	case ARCHIVE_UNREADABLE:
		break;
	}
	return "unreadable";
}

/* ---- fields -------------------------------------------------------------------------------- */

void
format_add_field(struct str *text, const void *bytes, size_t n)
{
	uint8_t size[4];

	bytes_put_u32(size, (uint32_t)n);
	str_add_n(text, (const char *)size, sizeof(size));
	str_add_n(text, bytes, n);
}

void
format_add_u64(struct str *text, uint64_t v)
{
	uint8_t bytes[8];

	bytes_put_u64(bytes, v);
	str_add_n(text, (const char *)bytes, sizeof(bytes));
}

void
format_add_u32(struct str *text, uint32_t v)
{
	uint8_t bytes[4];

	bytes_put_u32(bytes, v);
	str_add_n(text, (const char *)bytes, sizeof(bytes));
}

/* ---- both ends of the file ----------------------------------------------------------------- */

bool
format_is_header(const uint8_t bytes[FORMAT_END_SIZE], uint32_t *ret_version)
{
	*ret_version = bytes_get_u32(bytes + MAGIC_SIZE);
	return memcmp(bytes, header_magic, MAGIC_SIZE) == 0;
}

bool
format_begins_header(const uint8_t *bytes, size_t n)
{
	return memcmp(bytes, header_magic, n < MAGIC_SIZE ? n : MAGIC_SIZE) == 0;
}

bool
format_is_end(const uint8_t bytes[FORMAT_END_SIZE], uint32_t *ret_version)
{
	*ret_version = bytes_get_u32(bytes + 4);
	return memcmp(bytes + 8, end_magic, MAGIC_SIZE) == 0;
}

bool
format_is_footer(const uint8_t bytes[FORMAT_FOOTER_SIZE])
{
	return memcmp(bytes, footer_magic, MAGIC_SIZE) == 0;
}

/* ---- header -------------------------------------------------------------------------------- */

static int
uuid_to_bytes(const char *uuid, uint8_t ret[16])
{
	char hex[33];

	if (!parse_is_uuid(uuid))
		return -1;
	(void)snprintf(hex, sizeof(hex), "%.8s%.4s%.4s%.4s%.12s", uuid, uuid + 9, uuid + 14, uuid + 19, uuid + 24);
	return bytes_from_hex(hex, ret, 16);
}

static void
uuid_to_text(const uint8_t bytes[16], char ret[37])
{
	char hex[33];

	bytes_to_hex(bytes, 16, hex);
	(void)snprintf(ret, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

static bool
header_is_valid(const struct archive_header *header)
{
	return header->kind >= ARCHIVE_BACKUP && header->kind <= ARCHIVE_RETAINED && header->generation > 0 &&
		header->created >= 0;
}

int
format_header_encode(const struct archive_header *header, uint8_t ret[FORMAT_HEADER_SIZE])
{
	(void)memset(ret, 0, FORMAT_HEADER_SIZE);
	if (!header_is_valid(header) || uuid_to_bytes(header->instance, ret + 56) != 0)
		return -1;
	(void)memcpy(ret, header_magic, MAGIC_SIZE);
	bytes_put_u32(ret + 16, ARCHIVE_VERSION);
	bytes_put_u32(ret + 20, FORMAT_HEADER_SIZE);
	(void)memcpy(ret + 24, header->id, ARCHIVE_ID_SIZE);
	bytes_put_u32(ret + 72, (uint32_t)header->kind);
	bytes_put_u64(ret + 80, (uint64_t)header->generation);
	bytes_put_u64(ret + 88, (uint64_t)header->created);
	bytes_put_u64(ret + 96, header->system_identifier);
	bytes_put_u64(ret + 104, header->lsn);
	(void)memcpy(ret + 112, header->map_hash, SHA256_SIZE);
	(void)memcpy(ret + 144, header->schema_hash, SHA256_SIZE);
	(void)memcpy(ret + 176, header->generation_check, KCV_SIZE);
	return 0;
}

int
format_header_decode(const uint8_t bytes[FORMAT_HEADER_SIZE], struct archive_header *ret)
{
	uint32_t version, kind = bytes_get_u32(bytes + 72);

	if (!format_is_header(bytes, &version) || version != ARCHIVE_VERSION || kind > ARCHIVE_RETAINED ||
	    bytes_get_u32(bytes + 20) != FORMAT_HEADER_SIZE || bytes_get_u32(bytes + 76) != 0)
		return -1;
	(void)memset(ret, 0, sizeof(*ret));
	(void)memcpy(ret->id, bytes + 24, ARCHIVE_ID_SIZE);
	uuid_to_text(bytes + 56, ret->instance);
	ret->kind = (enum archive_kind)kind;
	ret->generation = (int64_t)bytes_get_u64(bytes + 80);
	ret->created = (int64_t)bytes_get_u64(bytes + 88);
	ret->system_identifier = bytes_get_u64(bytes + 96);
	ret->lsn = bytes_get_u64(bytes + 104);
	(void)memcpy(ret->map_hash, bytes + 112, SHA256_SIZE);
	(void)memcpy(ret->schema_hash, bytes + 144, SHA256_SIZE);
	(void)memcpy(ret->generation_check, bytes + 176, KCV_SIZE);
	return header_is_valid(ret) ? 0 : -1;
}

/* ---- footer -------------------------------------------------------------------------------- */

void
format_footer_encode(const struct format_footer *footer, uint8_t ret[FORMAT_FOOTER_SIZE])
{
	(void)memcpy(ret, footer_magic, MAGIC_SIZE);
	(void)memcpy(ret + 16, footer->id, ARCHIVE_ID_SIZE);
	bytes_put_u64(ret + 48, footer->contents);
	bytes_put_u64(ret + 56, footer->n_contents);
	bytes_put_u64(ret + 64, footer->size);
	bytes_put_u64(ret + 72, 0);
	(void)memcpy(ret + 80, footer->hash, SHA256_SIZE);
	(void)memcpy(ret + 112, footer->signer, ED25519_KEY_SIZE);
	(void)memcpy(ret + FOOTER_UNSIGNED, footer->signature, ED25519_SIGNATURE_SIZE);
	bytes_put_u32(ret + FOOTER_END, FORMAT_FOOTER_SIZE);
	bytes_put_u32(ret + FOOTER_END + 4, ARCHIVE_VERSION);
	(void)memcpy(ret + FOOTER_END + 8, end_magic, MAGIC_SIZE);
}

int
format_footer_decode(const uint8_t bytes[FORMAT_FOOTER_SIZE], struct format_footer *ret)
{
	uint32_t version;

	if (!format_is_footer(bytes) || !format_is_end(bytes + FOOTER_END, &version) || version != ARCHIVE_VERSION ||
	    bytes_get_u32(bytes + FOOTER_END) != FORMAT_FOOTER_SIZE || bytes_get_u64(bytes + 72) != 0)
		return -1;
	(void)memcpy(ret->id, bytes + 16, ARCHIVE_ID_SIZE);
	ret->contents = bytes_get_u64(bytes + 48);
	ret->n_contents = bytes_get_u64(bytes + 56);
	ret->size = bytes_get_u64(bytes + 64);
	(void)memcpy(ret->hash, bytes + 80, SHA256_SIZE);
	(void)memcpy(ret->signer, bytes + 112, ED25519_KEY_SIZE);
	(void)memcpy(ret->signature, bytes + FOOTER_UNSIGNED, ED25519_SIGNATURE_SIZE);
	return 0;
}

void
format_footer_signed(const struct format_footer *footer, struct str *ret)
{
	uint8_t bytes[FORMAT_FOOTER_SIZE];

	format_footer_encode(footer, bytes);
	str_clear(ret);
	format_add_field(ret, footer_domain, sizeof(footer_domain) - 1);
	str_add_n(ret, (const char *)bytes, FOOTER_UNSIGNED);
	str_add_n(ret, (const char *)bytes + FOOTER_END, FORMAT_END_SIZE);
}

/* ---- index --------------------------------------------------------------------------------- */

void
format_record_encode(const struct archive_frame *frame, uint8_t ret[FORMAT_RECORD_SIZE])
{
	bytes_put_u64(ret, (uint64_t)frame->leaf);
	bytes_put_u32(ret + 8, frame->table);
	bytes_put_u32(ret + 12, frame->file);
	bytes_put_u64(ret + 16, frame->sealed_as);
	bytes_put_u64(ret + 24, frame->offset);
	bytes_put_u64(ret + 32, frame->length);
	bytes_put_u64(ret + 40, frame->text);
	bytes_put_u64(ret + 48, frame->rows);
	(void)memcpy(ret + 56, frame->tag, ARCHIVE_TAG_SIZE);
	(void)memcpy(ret + FORMAT_RECORD_CLEAR, frame->wrapped, ARCHIVE_WRAPPED_SIZE);
}

int
format_record_decode(const uint8_t bytes[FORMAT_RECORD_SIZE], uint64_t number, struct archive_frame *ret)
{
	ret->number = number;
	ret->leaf = (int64_t)bytes_get_u64(bytes);
	ret->table = bytes_get_u32(bytes + 8);
	ret->file = bytes_get_u32(bytes + 12);
	ret->sealed_as = bytes_get_u64(bytes + 16);
	ret->offset = bytes_get_u64(bytes + 24);
	ret->length = bytes_get_u64(bytes + 32);
	ret->text = bytes_get_u64(bytes + 40);
	ret->rows = bytes_get_u64(bytes + 48);
	(void)memcpy(ret->tag, bytes + 56, ARCHIVE_TAG_SIZE);
	(void)memcpy(ret->wrapped, bytes + FORMAT_RECORD_CLEAR, ARCHIVE_WRAPPED_SIZE);
	if (ret->leaf <= 0 || (ret->file == 0 && ret->sealed_as != number) || ret->sealed_as >= FORMAT_FRAMES_MAX ||
	    ret->offset > INT64_MAX || ret->length > INT64_MAX || ret->text > INT64_MAX || ret->rows > INT64_MAX)
		return -1;
	return 0;
}

/* ---- chunks -------------------------------------------------------------------------------- */

uint64_t
format_rows(const void *text, size_t n)
{
	const char *at = text, *end = at + n;
	uint64_t rows = 0;

	while (at < end && (at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		at++;
		rows++;
	}
	return rows;
}

void
format_piece_encode(const struct format_piece *piece, uint8_t ret[FORMAT_PIECE_HEAD])
{
	bytes_put_u32(ret, piece->table);
	bytes_put_u32(ret + 4, piece->n);
}

int
format_piece_next(const uint8_t *text, size_t n, size_t *at, struct format_piece *ret)
{
	size_t left = n - *at;

	if (left == 0)
		return 0;
	if (left < FORMAT_PIECE_HEAD)
		return -1;
	ret->table = bytes_get_u32(text + *at);
	ret->n = bytes_get_u32(text + *at + 4);
	ret->text = text + *at + FORMAT_PIECE_HEAD;
	if (ret->n == 0 || ret->n > left - FORMAT_PIECE_HEAD)
		return -1;
	*at += FORMAT_PIECE_HEAD + ret->n;
	return 1;
}

void
format_chunk_encode(uint32_t n, bool last, uint8_t ret[FORMAT_CHUNK_HEAD])
{
	bytes_put_u32(ret, n | (last ? LAST_CHUNK : 0));
}

int
format_chunk_decode(const uint8_t bytes[FORMAT_CHUNK_HEAD], uint32_t *ret_n, bool *ret_last)
{
	uint32_t head = bytes_get_u32(bytes);

	*ret_last = (head & LAST_CHUNK) != 0;
	*ret_n = head & ~LAST_CHUNK;
	return *ret_n <= GCM_TAG_SIZE || *ret_n > FORMAT_CHUNK_SEALED ? -1 : 0;
}

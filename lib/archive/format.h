/*
 * format: the bytes of a sealed archive, taken apart and put together. Pure: no file, no key, no memory that an input
 * could make grow beyond ARCHIVE_CONTENTS_MAX. Integers are big-endian. doc/archive.md is the same in words.
 *
 * Decoders take hostile bytes; they return 0, or -1 without a message: what was wrong with the bytes is the reader's to
 * say. What is decoded encodes to the same bytes again.
 */
#ifndef EXPUNGE_ARCHIVE_FORMAT_H
#define EXPUNGE_ARCHIVE_FORMAT_H

#include <stdbool.h>

#include "archive/archive.h"
#include "base/str.h"

#define FORMAT_HEADER_SIZE 192
#define FORMAT_FOOTER_SIZE 232
#define FORMAT_RECORD_SIZE 120 /* an entry of the index, with its wrapped key */
#define FORMAT_RECORD_CLEAR 72 /* the entry without it */
#define FORMAT_PART_RECORDS 1024
#define FORMAT_FRAMES_MAX ((uint64_t)1 << 28)
#define FORMAT_PIECE_HEAD 8
#define FORMAT_CHUNK_TEXT 1048576                   /* most bytes of text in a chunk, with the heads of its pieces */
#define FORMAT_CHUNK_SEALED (1048576 + 4096 + GCM_TAG_SIZE) /* most bytes behind a chunk's head */
#define FORMAT_CHUNK_HEAD 4

/* The first and the last bytes of the file, the same in every version of the format: which version, and that both ends
 * are there. */
#define FORMAT_END_SIZE 24
bool format_is_header(const uint8_t bytes[FORMAT_END_SIZE], uint32_t *ret_version);
/* The same of the first n bytes of a file that has no more. */
bool format_begins_header(const uint8_t *bytes, size_t n);
bool format_is_end(const uint8_t bytes[FORMAT_END_SIZE], uint32_t *ret_version);
bool format_is_footer(const uint8_t bytes[FORMAT_FOOTER_SIZE]);

int format_header_encode(const struct archive_header *header, uint8_t ret[FORMAT_HEADER_SIZE]);
int format_header_decode(const uint8_t bytes[FORMAT_HEADER_SIZE], struct archive_header *ret);

struct format_footer {
	uint8_t id[ARCHIVE_ID_SIZE]; /* that of the header */
	uint64_t contents, n_contents; /* offset and length of the closing part of the index */
	uint64_t size;               /* of the whole file */
	uint8_t hash[SHA256_SIZE];   /* of everything before the footer */
	uint8_t signer[ED25519_KEY_SIZE]; /* public key */
	uint8_t signature[ED25519_SIGNATURE_SIZE];
};

void format_footer_encode(const struct format_footer *footer, uint8_t ret[FORMAT_FOOTER_SIZE]);
int format_footer_decode(const uint8_t bytes[FORMAT_FOOTER_SIZE], struct format_footer *ret);
/* What is signed: a domain and every byte of the footer but the signature. */
void format_footer_signed(const struct format_footer *footer, struct str *ret);

/* number is not in the bytes: it is where they stand. */
void format_record_encode(const struct archive_frame *frame, uint8_t ret[FORMAT_RECORD_SIZE]);
int format_record_decode(const uint8_t bytes[FORMAT_RECORD_SIZE], uint64_t number, struct archive_frame *ret);

/* The closing part of the index. */
struct format_contents {
	struct archive_table *tables;
	size_t n_tables;
	struct archive_file *files; /* other archives whose frames this index lists */
	size_t n_files;
	uint64_t frames;
	uint64_t *parts; /* offset of each part of the index; each but the last has FORMAT_PART_RECORDS entries */
	size_t n_parts;
};

#define FORMAT_CONTENTS_INIT { NULL, 0, NULL, 0, 0, NULL, 0 }

/* Bytes that a table's entry takes. */
size_t format_table_size(const struct archive_table *table);
/* Names and types are UTF-8 of 1 to ARCHIVE_NAME_MAX bytes, and there are not too many columns. */
bool format_table_is_valid(const struct archive_table *table);
void format_contents_encode(const struct format_contents *contents, struct str *ret);
int format_contents_decode(const uint8_t *bytes, size_t n, struct format_contents *ret);
void format_contents_release(struct format_contents *contents);

/* A chunk's text is pieces, one behind the other: rows of one table, or a part of a row. */
struct format_piece {
	uint32_t table;
	uint32_t n; /* >= 1 */
	const uint8_t *text; /* within the chunk */
};

/* Rows that end in a text: COPY text has one line end for each, and none within. */
uint64_t format_rows(const void *text, size_t n);

void format_piece_encode(const struct format_piece *piece, uint8_t ret[FORMAT_PIECE_HEAD]);
/* The piece at *at, and *at behind it. 1; 0 at the end of the text; -1. */
int format_piece_next(const uint8_t *text, size_t n, size_t *at, struct format_piece *ret);

/* A chunk's head: bytes behind it, and whether it is the last of its row. */
void format_chunk_encode(uint32_t n, bool last, uint8_t ret[FORMAT_CHUNK_HEAD]);
int format_chunk_decode(const uint8_t bytes[FORMAT_CHUNK_HEAD], uint32_t *ret_n, bool *ret_last);

/* Adds a field as its length, 4 bytes, and itself: what is hashed, derived from or authenticated is made of such. */
void format_add_field(struct str *text, const void *bytes, size_t n);
void format_add_u64(struct str *text, uint64_t v);
void format_add_u32(struct str *text, uint32_t v);

#endif

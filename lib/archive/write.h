/*
 * write: seals rows into an archive, from its first byte to its last, to one or more places at once. Takes about 9 MiB
 * (measured), whatever the size of the archive, and a chunk at a time; nothing in clear leaves it.
 *
 *     archive_write_begin                     the header goes out
 *     archive_write_table                     each table, before its first row
 *     archive_write_frame_begin               rows of one owner
 *         archive_write_frame_table           what follows is of this table
 *         archive_write_frame_text ...        COPY text, as it comes
 *     archive_write_frame_end
 *     archive_write_reference                 or: rows of one owner that lie in an earlier archive
 *     archive_write_end                       index and footer go out
 *
 * An error of any of these spoils the writer: every later call fails, and no footer is ever written. What the sinks
 * have got then is no archive; the caller gives it no name.
 */
#ifndef EXPUNGE_ARCHIVE_WRITE_H
#define EXPUNGE_ARCHIVE_WRITE_H

#include "archive/archive.h"

/* The level of zstd. In frames of one patient's rows, 3 makes an archive smaller by a sixtieth and takes a third longer
 * (tests/bench/README.md). */
#define ARCHIVE_LEVEL 1

/* Where sealed bytes go. write takes all n bytes, in order, or fails: -1 with err set, and the archive is spoilt. A
 * caller who wants the other places finished although one is full remembers that itself and returns 0. */
struct archive_sink {
	int (*write)(void *ctx, const void *bytes, size_t n, struct err *err);
	void *ctx;
};

#define ARCHIVE_SINKS_MAX 16

struct archive_writer;

/* header: all but generation_check is the caller's; id fresh from crypt_random. generation_key: ARCHIVE_KEY_SIZE bytes,
 * copied, and wiped at the end. sinks: 1 to ARCHIVE_SINKS_MAX; the list is copied, what ctx points to must live on. */
int archive_write_begin(struct archive_writer **ret, const struct archive_header *header,
	const uint8_t generation_key[ARCHIVE_KEY_SIZE], const struct archive_sink *sinks, size_t n_sinks, struct err *err);

/* rows and text of the table are ignored. The names are copied. *ret_number: from 0. */
int archive_write_table(struct archive_writer *writer, const struct archive_table *table, uint32_t *ret_number,
	struct err *err);

/* leaf: the id of the owner's leaf key, > 0. The key is copied and wiped at the end of the frame. One owner may have
 * any number of frames. */
int archive_write_frame_begin(struct archive_writer *writer, int64_t leaf, const uint8_t leaf_key[ARCHIVE_KEY_SIZE],
	struct err *err);
int archive_write_frame_table(struct archive_writer *writer, uint32_t table, struct err *err);
/* n bytes of COPY text: whole rows, each with its line end, or parts of one, as they come. */
int archive_write_frame_text(struct archive_writer *writer, const void *text, size_t n, struct err *err);
/* Of what is in this frame (content.h), so that a later archive can refer to it; without, none ever does. */
void archive_write_frame_tag(struct archive_writer *writer, const uint8_t tag[ARCHIVE_TAG_SIZE]);
/* A row that has no line end is an error, here and before another table. */
int archive_write_frame_end(struct archive_writer *writer, struct err *err);

/* Another archive, before the first reference to it. *ret_number: what a frame calls it, from 1. At most ARCHIVE_FILES_MAX. */
int archive_write_file(struct archive_writer *writer, const struct archive_file *file, uint32_t *ret_number, struct err *err);

/* How much of a frame is of one table. */
struct archive_share {
	uint32_t table;
	uint64_t rows, text;
};

/* A frame that lies in an earlier archive, with the same tables; its key is wrapped anew. */
struct archive_reference {
	struct archive_frame frame; /* as that archive's index has it, but for `file`: the number of archive_write_file */
	const uint8_t *leaf_key, *frame_key; /* ARCHIVE_KEY_SIZE each */
	const struct archive_share *shares;
	size_t n_shares;
};
int archive_write_reference(struct archive_writer *writer, const struct archive_reference *reference, struct err *err);

/* What the catalogue is told. */
struct archive_summary {
	uint64_t size, frames, rows, text; /* bytes of the file; text: bytes of COPY text */
	uint64_t referred;                 /* frames of these that lie in earlier archives */
	uint8_t hash[SHA256_SIZE];         /* of everything before the footer: what is signed */
};

/* Every byte has been handed to every sink when this returns 0; syncing, reading back and naming are the caller's. */
int archive_write_end(struct archive_writer *writer, const struct signer *signer, struct archive_summary *ret,
	struct err *err);

/* The tables and the other archives that it has been told of. */
const struct archive_table *archive_writer_tables(const struct archive_writer *writer, size_t *ret_n);
const struct archive_file *archive_writer_files(const struct archive_writer *writer, size_t *ret_n);

/* Wipes keys and clear text, and frees; at any time. NULL is fine. */
void archive_writer_free(struct archive_writer *writer);
void archive_writer_freep(struct archive_writer **writer);

#endif

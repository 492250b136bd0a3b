/*
 * read: opens sealed archives. Nothing of a file is believed before its footer, its hash and its signature have been
 * checked, and nothing is handed out that did not open under its keys. Takes about 5 MiB (measured), whatever the size
 * of the archive.
 *
 * Every function that can fail says in *ret_verdict what is wrong with the archive, besides the error, whose message
 * begins with the verdict's words; both without anything of a row. ARCHIVE_OK with -1: nothing is known against the
 * archive; a callback failed, or the call was out of order.
 */
#ifndef EXPUNGE_ARCHIVE_READ_H
#define EXPUNGE_ARCHIVE_READ_H

#include <stdbool.h>

#include "archive/archive.h"

struct archive;

/* Reads the whole file once: both ends, the signature, the hash, the header. Needs no key but those of the signers
 * that are trusted. fd: a regular file, read with pread() only; stays the caller's and must stay open. *ret is NULL
 * on failure. */
int archive_open(struct archive **ret, int fd, const uint8_t (*signers)[ED25519_KEY_SIZE], size_t n_signers,
	enum archive_verdict *ret_verdict, struct err *err);
/* The same without the hash of it all: of what is read, the header and the index are still certain, because they open under
 * the generation's key only as they were written; of the frames' bytes each is when it opens. */
int archive_open_index(struct archive **ret, int fd, const uint8_t (*signers)[ED25519_KEY_SIZE], size_t n_signers,
	enum archive_verdict *ret_verdict, struct err *err);
/* Wipes keys and clear text, and frees. NULL is fine. */
void archive_close(struct archive *archive);
void archive_closep(struct archive **archive);

/* Owned by the archive; so with all that follows. */
const struct archive_header *archive_header(const struct archive *archive);
/* Bytes of the file. */
uint64_t archive_size(const struct archive *archive);
/* The hash that is signed: of everything before the footer. */
const uint8_t *archive_hash(const struct archive *archive);
/* The trusted key that has signed it. */
const uint8_t *archive_signer(const struct archive *archive);

/* Opens the index. ARCHIVE_WRONG_KEY when the key is not the one whose check value the header has. The key is copied. */
int archive_unlock(struct archive *archive, const uint8_t generation_key[ARCHIVE_KEY_SIZE],
	enum archive_verdict *ret_verdict, struct err *err);

/* Of an archive that is unlocked; else there are none. */
size_t archive_tables(const struct archive *archive);
const struct archive_table *archive_table(const struct archive *archive, size_t number);
uint64_t archive_frames(const struct archive *archive);
/* The entry of the index. Entries are read fastest in their order. */
int archive_frame(struct archive *archive, uint64_t number, struct archive_frame *ret, enum archive_verdict *ret_verdict,
	struct err *err);

/* The other archives that frames of this one lie in. */
size_t archive_files(const struct archive *archive);
const struct archive_file *archive_file(const struct archive *archive, size_t i);

/* A file that frames are read from, and which of them have been opened: who only checks need not open them again for the
 * next archive that refers to them (sources.h). */
struct archive_source {
	struct archive_file file;
	int fd; /* -1: open() gives one when it is needed */
	int (*open)(void *ctx, struct archive_source *source, struct err *err);
	void *ctx;
	uint64_t *opened; /* a hash table: of each frame, part of a hash of its key and entry; 0: nothing */
	size_t n_opened, room;
};
/* number 0: itself; n: archive_file(n - 1), of which the source is known to be. The source must live as long. Frames in
 * files that are not attached cannot be read. */
void archive_attach(struct archive *archive, size_t number, struct archive_source *source);
/* The key that a frame was sealed under. *ret_authentic false: these keys do not open it. */
int archive_frame_key(const struct archive *archive, const struct archive_frame *frame, const uint8_t leaf_key[ARCHIVE_KEY_SIZE],
	uint8_t ret[ARCHIVE_KEY_SIZE], bool *ret_authentic, struct err *err);

/* What a reading calls. */
struct archive_reading {
	/* The key of a leaf: 1 with ret_key, which is wiped after use; 0 when there is none any more (shredded): the
	 * frame is counted as withheld; -1 with err when that could not be found out. */
	int (*key)(void *ctx, int64_t leaf, uint8_t ret_key[ARCHIVE_KEY_SIZE], struct err *err);
	/* n bytes of COPY text of a table, in order; a row may go on in the next call. text is gone after the call.
	 * -1 with err ends the reading. NULL: nothing is handed out, all is checked. */
	int (*text)(void *ctx, const struct archive_frame *frame, uint32_t table, const void *text, size_t n,
		struct err *err);
	void *ctx;
};

/* All counts are of what was read, none of what was left out by `table`. */
struct archive_tally {
	uint64_t frames, rows, text; /* opened; text in bytes */
	uint64_t withheld, withheld_rows; /* frames and rows whose leaf key was not given */
};

/* One frame. Rows that were handed out before an error are genuine, but not all of the frame. The archive must not be
 * used from within the callbacks. *tally is added to. */
int archive_read_frame(struct archive *archive, const struct archive_frame *frame,
	const struct archive_reading *reading, struct archive_tally *tally, enum archive_verdict *ret_verdict, struct err *err);
/* Every frame in the order of the index; of a table number, only frames with rows of that table, of which text is
 * given only what is of the table. ARCHIVE_SEVERAL: every table. Stops at the first error. */
int archive_read(struct archive *archive, uint32_t table, const struct archive_reading *reading,
	struct archive_tally *ret, enum archive_verdict *ret_verdict, struct err *err);

#endif

/* read_private: what the two halves of the reader share. */
#ifndef EXPUNGE_ARCHIVE_READ_PRIVATE_H
#define EXPUNGE_ARCHIVE_READ_PRIVATE_H

#include "archive/read.h"
#include "archive/seal.h"

#define WINDOW_SIZE ((size_t)FORMAT_CHUNK_HEAD + FORMAT_CHUNK_SEALED)

struct archive {
	int fd;
	uint64_t size;
	bool in_part; /* only both ends and the index were read: nothing is known of the frames' bytes */
	struct archive_header header;
	struct format_footer footer;
	uint8_t binding[SHA256_SIZE]; /* of the header */

	uint8_t *window; /* bytes of a file, from window_at on */
	uint32_t window_file;
	uint64_t window_at;
	size_t n_window;

	bool is_unlocked; /* what follows is there */
	struct secret key; /* the generation's */
	struct sealer sealer;
	struct secret text; /* one chunk */
	struct format_contents contents;
	struct archive_source **sources; /* by number: itself and the other files, those that were attached */
	uint8_t *part; /* the part of the index that is at hand, if one is */
	uint64_t part_number;
	bool has_part;
	uint64_t next_part, part_end; /* the part behind the one that was read last, and where its frames begin */
};

/* Sets verdict and error ("altered: what is wrong"). Returns -1. */
int archive_refuse(enum archive_verdict *ret_verdict, enum archive_verdict verdict, struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* n <= WINDOW_SIZE bytes of a file, until the next call; NULL when they cannot be read. file: 0, itself; n: one that is
 * attached. end: what is behind it is not wanted next. */
const uint8_t *archive_fetch(struct archive *archive, uint32_t file, uint64_t at, size_t n, uint64_t end,
	enum archive_verdict *ret_verdict, struct err *err);
/* Wipes and frees what archive_unlock has made. */
void archive_lock(struct archive *archive);

#endif

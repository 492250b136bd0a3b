/* copy: an archive of the catalogue, opened wherever there is a whole copy of it, with all that it refers to. */
#ifndef EXPUNGE_ARCHIVE_COPY_H
#define EXPUNGE_ARCHIVE_COPY_H

#include "archive/read.h"
#include "archive/sources.h"
#include "base/str.h"

/* What the catalogue says of it. */
struct archive_copy_name {
	const char *id, *hash;    /* hexadecimal */
	const char *destinations; /* a line each */
	uint64_t size;
};

struct archive_copy {
	struct archive *archive; /* unlocked */
	struct sources sources;
	int fd;
};
#define ARCHIVE_COPY_INIT { .fd = -1 }

/* Directories first, then commands that give archives back. notes: a line for each destination that was passed over. */
int archive_copy_open(struct archive_copy *ret, const struct keys *keys, const struct archive_copy_name *name,
	const uint8_t generation_key[ARCHIVE_KEY_SIZE], bool (*stop)(void), struct str *notes, struct err *err);
void archive_copy_close(struct archive_copy *copy);

#endif

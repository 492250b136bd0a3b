/*
 * numbered: the rows of an archive one by one, each with its place, by which it is known as long as the archive is there: the
 * number of its frame in the index, and which of the frame's rows of its table it is. Frames that are withheld move nobody.
 */
#ifndef EXPUNGE_ARCHIVE_NUMBERED_H
#define EXPUNGE_ARCHIVE_NUMBERED_H

#include "archive/leaf_keys.h"
#include "archive/read.h"

/* A frame is written of a buffer of 32 MiB, or is one row. */
#define NUMBERED_FRAME_BITS 26

/* row: COPY text with its line end, gone after the call. */
typedef int numbered_row(void *ctx, uint32_t table, int64_t place, const char *row, size_t n, struct err *err);
/* Of one table, or of all (ARCHIVE_SEVERAL). *ret: what was opened and withheld. */
int numbered_read(struct archive *archive, uint32_t table, const struct leaf_keys *leaves, numbered_row *row, void *ctx,
	struct archive_tally *ret, struct err *err);

#endif

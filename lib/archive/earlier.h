/*
 * earlier: the latest archive of a tenant, of which the next one takes over what has not changed: a frame whose rows are the
 * same is referred to where it lies, in that archive's file or in one that it refers to itself, and its key is wrapped anew.
 *
 * A file is referred to only while it is whole in length in every directory that the next archive goes to, and younger than
 * archives.reuse_days: so every so often all is written again, and a destination that is new gets everything.
 *
 * The caller holds the lock of keys until the next archive is in the catalogue: what is referred to cannot expire meanwhile.
 */
#ifndef EXPUNGE_ARCHIVE_EARLIER_H
#define EXPUNGE_ARCHIVE_EARLIER_H

#include "archive/destination.h"
#include "archive/write.h"

struct earlier;

/* *ret is NULL where there is none to take anything from: the first, a day for all to be written again, or one that cannot be
 * read, which *ret_why says then. -1: the catalogue could not be asked. */
int earlier_open(struct earlier **ret, const struct keys *keys, struct keyring *ring, const char *tenant, int64_t now, struct err *ret_why,
	struct err *err);
/* Whether it has the very same tables and columns as the writer has been told of: else its frames mean something else. */
bool earlier_has_tables(struct earlier *earlier, const struct archive_writer *writer);
/* The frame of a leaf with this tag. 1: *ret is what to refer to, but for the shares; 0: there is none. */
int earlier_find(struct earlier *earlier, struct archive_writer *writer, int64_t leaf, const uint8_t leaf_key[ARCHIVE_KEY_SIZE],
	const uint8_t tag[ARCHIVE_TAG_SIZE], struct archive_reference *ret, struct err *err);
void earlier_free(struct earlier *earlier);

#endif

/*
 * content: tells whether an owner's rows are the same as those of an earlier frame, without either being at hand in clear. The
 * tag of a frame is a keyed hash of its rows, each table's in the order of their bytes: the server may give them in any. Its key
 * is derived from the owner's leaf key, so that nobody can try guesses on what a shredded owner's rows were.
 */
#ifndef EXPUNGE_ARCHIVE_CONTENT_H
#define EXPUNGE_ARCHIVE_CONTENT_H

#include "archive/archive.h"

/* Whole rows of one table, as COPY text. */
struct content {
	uint32_t table; /* its number in the archive */
	const char *text;
	size_t n;
};

/* The first ARCHIVE_TAG_SIZE bytes of HMAC-SHA-256 under HKDF-Expand(leaf key, "expunge/archive/content/v1", 32) of SHA-256 of,
 * for each part: number of the table (4 bytes), length of the text (8 bytes), its rows sorted by memcmp. */
int content_tag(const uint8_t leaf_key[ARCHIVE_KEY_SIZE], const struct content *parts, size_t n, uint8_t ret[ARCHIVE_TAG_SIZE],
	struct err *err);

#endif

/*
 * compress: the only file that speaks zstd (RFC 8878). Blocks only: each is compressed by itself, so that nothing of one
 * block can be found in another, and what is opened can never grow beyond the room that was given for it.
 */
#ifndef EXPUNGE_SVC_COMPRESS_H
#define EXPUNGE_SVC_COMPRESS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* The working memory of both directions, used again for each block; about 4 MiB for blocks of 1 MiB. One thread at
 * a time. It has held what was compressed: compressor_free wipes nothing of it. */
struct compressor;

struct compressor *compressor_new(void);
void compressor_free(struct compressor *compressor);

/* Room that n bytes need at most. */
size_t compress_bound(size_t n);
/* n bytes as one zstd frame that states their number. level: 1 (fast) to 19; max: the room at ret. */
int compress_block(struct compressor *compressor, int level, const void *bytes, size_t n, uint8_t *ret, size_t max,
	size_t *ret_n, struct err *err);
/* n bytes that must be one zstd frame, whole and with nothing behind it, of at most max bytes of text. On failure
 * nothing of ret is to be used. */
int decompress_block(struct compressor *compressor, const uint8_t *bytes, size_t n, void *ret, size_t max,
	size_t *ret_n, struct err *err);

#endif

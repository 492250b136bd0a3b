/*
 * seal: chunks of text compressed and sealed, and the keys of frames wrapped. Every key and nonce is derived for one
 * chunk of one place in one archive, by HKDF-Expand (RFC 5869) over length-prefixed fields, and seals once.
 */
#ifndef EXPUNGE_ARCHIVE_SEAL_H
#define EXPUNGE_ARCHIVE_SEAL_H

#include <stdbool.h>

#include "archive/format.h"
#include "base/secret.h"
#include "svc/compress.h"

#define SEAL_FRAME "expunge/archive/chunk/v1"
#define SEAL_INDEX "expunge/archive/index/v1"
#define SEAL_CONTENTS "expunge/archive/contents/v1"

/* Where a chunk belongs; all of it is authenticated with the chunk. */
struct seal_place {
	const char *domain; /* SEAL_FRAME, _INDEX or _CONTENTS */
	const uint8_t *key; /* ARCHIVE_KEY_SIZE: the frame's for a frame, else the generation's */
	const uint8_t *archive; /* ARCHIVE_ID_SIZE: of the file that holds the chunk */
	const void *binding; /* a frame: its leaf id, 8 bytes; index and contents: SHA-256 of the header */
	size_t n_binding;
	uint64_t number; /* of the frame, or of the part of the index; 0 for the contents */
	uint32_t chunk;  /* within these, from 0 */
	bool last;
};

/* Working memory, about 6 MiB once used both ways. Clear text in it is wiped at the end. */
struct sealer {
	struct compressor *compressor;
	struct secret packed; /* a chunk between compression and encryption */
	int level;
};

/* level: of zstd. The sealer is released by the caller. */
void sealer_init(struct sealer *sealer, int level);
void sealer_release(struct sealer *sealer);

/* A chunk of at most FORMAT_CHUNK_TEXT bytes as it stands in the file, with its head, at ret: room for
 * FORMAT_CHUNK_HEAD + FORMAT_CHUNK_SEALED bytes. */
int seal_chunk(struct sealer *sealer, const struct seal_place *place, const void *text, size_t n, uint8_t *ret,
	size_t *ret_n, struct err *err);
/* n bytes behind a chunk's head into ret, room for FORMAT_CHUNK_TEXT. *ret_authentic false: not sealed there under
 * that key. -1 when it could not be tried, or opened and is no text of ours. */
int seal_open_chunk(struct sealer *sealer, const struct seal_place *place, const uint8_t *bytes, size_t n, void *ret,
	size_t *ret_n, bool *ret_authentic, struct err *err);

/* A frame's key under leaf key and generation key together: both are needed to open it. archive: the id of the file
 * whose index it is. All of the frame but `wrapped` must be set, and is authenticated. */
int seal_wrap(const uint8_t archive[ARCHIVE_ID_SIZE], const uint8_t leaf_key[ARCHIVE_KEY_SIZE],
	const uint8_t generation_key[ARCHIVE_KEY_SIZE], struct archive_frame *frame,
	const uint8_t frame_key[ARCHIVE_KEY_SIZE], struct err *err);
int seal_unwrap(const uint8_t archive[ARCHIVE_ID_SIZE], const uint8_t leaf_key[ARCHIVE_KEY_SIZE],
	const uint8_t generation_key[ARCHIVE_KEY_SIZE], const struct archive_frame *frame,
	uint8_t ret_key[ARCHIVE_KEY_SIZE], bool *ret_authentic, struct err *err);

#endif

/*
 * root_record: what a root store keeps, as bytes: a share of a root (the record), one sealed by a token, and the file that makes a directory a
 * place for shares (the marker). doc/keys.md gives both byte by byte. Pure: nothing is opened here.
 */
#ifndef EXPUNGE_KEYS_ROOT_RECORD_H
#define EXPUNGE_KEYS_ROOT_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "keys/kcv.h"

#define ROOT_SIZE 32 /* of a root, and of each of its shares */
#define ROOT_SHARES_MAX 8
#define ROOT_REPLICAS_MAX 8 /* of one share */
#define ROOT_RECORD_SIZE 144
#define ROOT_SEALED_HEAD 60  /* of a record that a token has sealed: what it says in clear, the additional data */
#define ROOT_SEALED_SIZE 264
#define ROOT_SEALED_NONCE 12
#define ROOT_SEALED_BODY (ROOT_RECORD_SIZE + 16)
#define ROOT_MARKER_NAME "expunge-root-share"

/* A root is known by its epoch and by the attempt that made it. */
struct root_id {
	int64_t epoch;
	char attempt[33]; /* 32 lower-case hexadecimal digits */
};

struct root_ids {
	struct root_id *ids;
	size_t n;
};

struct root_record {
	char instance[37];
	struct root_id id;
	uint32_t share, n_shares; /* share 1 to n_shares */
	uint8_t kcv[KCV_SIZE];    /* of the whole root */
	uint8_t bytes[ROOT_SIZE]; /* the share: whoever holds it wipes it */
};

/* What a sealed record says in clear. */
struct root_sealed {
	char instance[37];
	struct root_id id;
	uint32_t share;
};

struct root_marker {
	char instance[37];
	uint32_t share, replica; /* from 1 */
};

/* False for an epoch below 0 and for another attempt than 32 lower-case hexadecimal digits. */
bool root_id_is_valid(const struct root_id *id);
bool root_id_equal(const struct root_id *a, const struct root_id *b);
/* Adds one unless it is there. */
void root_ids_add(struct root_ids *ids, const struct root_id *id);
bool root_ids_have(const struct root_ids *ids, const struct root_id *id);
void root_ids_release(struct root_ids *ids);

/* "root.<epoch>.<attempt>", and ".root.<epoch>.<attempt>.new" for one that is being written; the caller frees. */
char *root_record_name(const struct root_id *id, bool temporary);
/* Whether a file's name is one of those. */
bool root_record_name_parse(const char *name, struct root_id *ret);

/* ret is secret. */
int root_record_write(const struct root_record *record, uint8_t ret[ROOT_RECORD_SIZE], struct err *err);
/* Refuses every sequence of bytes that root_record_write does not make; ret is written only on success. */
int root_record_parse(const uint8_t *bytes, size_t n, struct root_record *ret, struct err *err);

/* The head; nonce and body are put behind it, and then the sum. */
int root_sealed_head(const struct root_sealed *sealed, uint8_t ret[ROOT_SEALED_SIZE], struct err *err);
uint8_t *root_sealed_nonce(uint8_t *bytes);
uint8_t *root_sealed_body(uint8_t *bytes);
int root_sealed_sum(uint8_t bytes[ROOT_SEALED_SIZE], struct err *err);
int root_sealed_parse(const uint8_t *bytes, size_t n, struct root_sealed *ret, struct err *err);

/* Whether bytes that begin like this (n of them, ROOT_SEALED_SIZE suffice) are a record of either kind, of this instance. */
bool root_record_is_in(const uint8_t *bytes, size_t n, const char *instance, struct root_id *ret);

int root_marker_write(const struct root_marker *marker, struct str *ret, struct err *err);
int root_marker_parse(const char *text, size_t n, struct root_marker *ret, struct err *err);

#endif

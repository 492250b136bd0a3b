/*
 * journal_segment: a segment of the key journal as text. doc/keys.md gives it line by line. Pure.
 *
 *     expunge-key-journal/v1          and the header's lines, "key: value", in this order
 *     (empty line)
 *     page, leaf, dead, gone, archive, certificate, sequence       rows, one a line
 *     end <rows>
 *     head <sha256 of the header, the empty line included>
 *     hash <sha256 of all lines before this one>
 *     signature <base64 of Ed25519 over "expunge/key-journal/v1", head, hash>
 */
#ifndef EXPUNGE_KEYS_JOURNAL_SEGMENT_H
#define EXPUNGE_KEYS_JOURNAL_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "keys/leaf_name.h"
#include "keys/root_record.h"
#include "keys/tree.h"
#include "svc/crypt.h"

#define JOURNAL_LINE_MAX (1 << 20) /* a certificate has a line for each class of each table */
#define JOURNAL_HEADER_MAX 2048
#define JOURNAL_TRAILER_MAX 512

struct journal_header {
	char instance[37];
	int64_t segment; /* from 1, without gaps */
	bool base;       /* all rows; else those that changed since the previous one */
	int64_t base_segment; /* the newest base: this one, or the one that this one goes on from */
	uint8_t previous[SHA256_SIZE]; /* the hash of the segment before; of the first one, zeros */
	int64_t key_seq; /* of the last transaction that is in it */
	int64_t serial;  /* of the last certificate that is in it; 0: none yet */
	struct root_id root; /* what opens it */
	char nonce[33];
	char made[21];   /* RFC 3339, UTC */
};

struct journal_trailer {
	int64_t rows;
	uint8_t head[SHA256_SIZE], hash[SHA256_SIZE];
	uint8_t signature[ED25519_SIGNATURE_SIZE];
};

/* A leaf, or its tombstone. Texts point into the line that was parsed. */
struct journal_leaf {
	int64_t id;
	char *tenant, *kind;
	int incarnation;
	uint8_t kcv[KCV_SIZE];
	int64_t made_epoch;
	int64_t shredded_epoch; /* 0: it lives */
	int64_t page;           /* of a living one */
	int slot;
	uint8_t sealed_name[LEAF_NAME_SEALED_MAX];
	size_t n_sealed_name;
	char *name_hash; /* of a tombstone */
};

/* A tenant that was shredded as a whole: of its pages and leaves those that were written before this epoch are dead. */
struct journal_gone {
	char *tenant;
	int64_t epoch;
};

/* The kinds below these are for whoever adopts the journal, which takes them from the text. */
enum journal_row_kind { JOURNAL_PAGE = 1, JOURNAL_LEAF, JOURNAL_GONE, JOURNAL_ARCHIVE, JOURNAL_CERTIFICATE, JOURNAL_SEQUENCE };

struct journal_row {
	enum journal_row_kind kind;
	const char *text;      /* the whole line, as it stands in the file; of whoever reads it */
	struct tree_page page; /* its tenant points into the line */
	struct journal_leaf leaf;
	struct journal_gone gone;
};

/* The header with its empty line. */
void journal_header_format(const struct journal_header *header, struct str *ret);
/* n bytes that start with a header; *ret_n: how long it is. */
int journal_header_parse(const char *text, size_t n, struct journal_header *ret, size_t *ret_n, struct err *err);

/* What is signed. */
void journal_signed_bytes(const struct journal_trailer *trailer, uint8_t ret[22 + 2 * SHA256_SIZE]);
/* "end" and "head", which the hash covers, and the two lines after them. */
void journal_trailer_format_hashed(const struct journal_trailer *trailer, struct str *ret);
void journal_trailer_format_rest(const struct journal_trailer *trailer, struct str *ret);
/* The last lines of a segment: text is its end, of at most JOURNAL_TRAILER_MAX bytes. *ret_n: how many bytes the trailer
 * has, *ret_hashed: how many of them the hash covers. */
int journal_trailer_parse(const char *text, size_t n, struct journal_trailer *ret, size_t *ret_n, size_t *ret_hashed,
	struct err *err);

/* Takes a row apart, in place. Lines are composed by the database: see sql/query/journal_rows.sql. */
int journal_row_parse(char *line, struct journal_row *ret, struct err *err);

#endif

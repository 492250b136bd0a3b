/*
 * archive: the words of a sealed archive. One file holds the rows of one tenant at one moment: as a backup, as a dormant
 * account, or as a retained record. doc/archive.md has its bytes; write.h and read.h write and read them, with a memory
 * that does not grow with the file.
 *
 *     header    in clear: which archive of which database. Nothing personal
 *     frames    rows of one owner and nobody else, each frame under a random key of its own
 *     index     in parts between the frames, and contents at the end, under the generation's key: where each frame is,
 *               and its key, wrapped under leaf key and generation key together
 *     footer    SHA-256 of all before it, and the archive signer's signature
 *
 * Whoever shreds a leaf key makes that owner's frames unreadable, in every copy of the file; whoever shreds the
 * generation's key, the whole file. Neither touches a byte of it.
 */
#ifndef EXPUNGE_ARCHIVE_ARCHIVE_H
#define EXPUNGE_ARCHIVE_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keys/kcv.h"
#include "svc/crypt.h"

#define ARCHIVE_VERSION 1
#define ARCHIVE_ID_SIZE 32
#define ARCHIVE_KEY_SIZE 32
#define ARCHIVE_WRAPPED_SIZE (ARCHIVE_KEY_SIZE + GCM_TAG_SIZE)
#define ARCHIVE_TABLES_MAX 65535
#define ARCHIVE_COLUMNS_MAX 1664     /* of one table; PostgreSQL has at most 1600 */
#define ARCHIVE_NAME_MAX 1000        /* bytes of a name or a type */
#define ARCHIVE_CONTENTS_MAX 8388608 /* bytes of the closing part of the index; tables and columns may take half */
#define ARCHIVE_SEVERAL UINT32_MAX /* a frame's table, when it holds rows of more than one */
#define ARCHIVE_TAG_SIZE 16
#define ARCHIVE_FILES_MAX 1000 /* earlier archives whose frames one may refer to */

enum archive_kind { ARCHIVE_BACKUP = 1, ARCHIVE_DORMANT = 2, ARCHIVE_RETAINED = 3 };

/* What is wrong with an archive; the words of architecture and formats. */
enum archive_verdict {
	ARCHIVE_OK,           /* nothing is known against it */
	ARCHIVE_TRUNCATED,    /* its end is missing: a copy that broke off */
	ARCHIVE_ALTERED,      /* bytes are not those that were written, or not where they were */
	ARCHIVE_NEWER_FORMAT, /* written by a later release */
	ARCHIVE_WRONG_SIGNER, /* whole, and signed by a key that is not trusted */
	ARCHIVE_WRONG_KEY,    /* whole, and the key given is not its own: destroyed since, or another's */
	ARCHIVE_UNREADABLE    /* cannot be read, or is no archive at all: says nothing of what it holds */
};

/* "truncated", "altered", "newer format", "wrong signer", "key destroyed or wrong", "unreadable"; "ok". Static. */
const char *archive_verdict_text(enum archive_verdict verdict);

/* In clear at the start of the file, and authenticated by its signature and by every seal of the index. */
struct archive_header {
	uint8_t id[ARCHIVE_ID_SIZE]; /* random, of this attempt to write an archive; never used twice */
	char instance[37];           /* uuid, lower case */
	enum archive_kind kind;
	int64_t generation;          /* leaf id of the generation's key; > 0 */
	uint8_t generation_check[KCV_SIZE]; /* that key's check value; the writer sets it */
	int64_t created;             /* seconds since 1970-01-01 UTC */
	uint64_t system_identifier;  /* pg_control_system() */
	uint64_t lsn;                /* position of the snapshot in the write-ahead log */
	uint8_t map_hash[SHA256_SIZE], schema_hash[SHA256_SIZE];
};

struct archive_column {
	char *name, *type; /* as the server writes it: "numeric(10,2)" */
};

/* A table whose rows are in the archive, as COPY text with this list of columns. */
struct archive_table {
	char *name; /* as the data map writes it: "app.patient" */
	struct archive_column *columns;
	size_t n_columns;
	bool one_owner; /* no row of it is in frames of several owners */
	uint64_t rows, text; /* in the whole archive; text in bytes. The writer counts */
};

void archive_table_release(struct archive_table *table);

/* Another archive, with frames that this one refers to. */
struct archive_file {
	uint8_t id[ARCHIVE_ID_SIZE];
	uint8_t hash[SHA256_SIZE]; /* of everything before its footer */
	uint64_t size;             /* bytes */
};

/* One entry of the index. */
struct archive_frame {
	uint64_t number; /* in the index, from 0 */
	int64_t leaf;    /* whose rows these are: id of the leaf key; > 0 */
	uint32_t table;  /* number of the table, or ARCHIVE_SEVERAL */
	uint32_t file;   /* 0: this one; n: the nth of the other files, from 1, where an unchanged frame was written */
	uint64_t sealed_as; /* the number under which it was sealed; that of the index while file is 0 */
	uint64_t offset, length; /* bytes, in the file */
	uint64_t text, rows;     /* bytes of COPY text, without what separates pieces */
	uint8_t tag[ARCHIVE_TAG_SIZE]; /* of its rows, under the leaf key (content.h); zeros: never referred to */
	uint8_t wrapped[ARCHIVE_WRAPPED_SIZE];
};

#endif

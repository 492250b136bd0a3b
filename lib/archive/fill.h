/*
 * fill: a tenant's rows out of one snapshot into an archive, each under the leaves of all who own it. Rows are COPY text
 * with every column but the generated ones. The server gives them table by table; they wait in a buffer, so that an owner's
 * rows of all tables share a frame, which makes the archive smaller and faster to write (tests/bench/README.md). Whoever
 * has more rows than fit has several frames.
 *
 * A file that a column names (documents = "...") is rows of a table FILL_DOCUMENTS: the word for its kind, its path, where a
 * piece of it starts, and the piece; one that is missing is a row without the last two. A large object that a column of the map names (lo = true) is rows of a table FILL_LO: its oid, where a piece of it
 * starts, and the piece.
 */
#ifndef EXPUNGE_ARCHIVE_FILL_H
#define EXPUNGE_ARCHIVE_FILL_H

#include "archive/earlier.h"
#include "keys/leaf.h"
#include "map/documents.h"
#include "map/program.h"

#define FILL_LO "pg_catalog.pg_largeobject"
#define FILL_DOCUMENTS "expunge.document"
#define FILL_PIECE 262144 /* bytes of a file in one row, but for its last */
#define FILL_OWNERS_MAX 1024 /* at a time */
#define FILL_MEMORY ((size_t)32 * 1024 * 1024) /* bytes of the buffer */

struct fill {
	const struct program *program;
	struct db *db; /* in the transaction of the snapshot, with the tables of collect_seal_tables */
	struct archive_writer *writer;
	struct earlier *earlier; /* what has not changed since is referred to; NULL: all is written */
	const char *tenant;
	void (*progress)(int64_t rows); /* so many more; may be NULL */
	bool (*stop)(void);             /* may be NULL */
	struct documents documents;     /* where the files are */
	int64_t n_missing;              /* files that were not there, of all calls */
	/* its own */
	uint32_t *numbers; /* in the archive, by table of the map */
	uint32_t lo, documents_table;
	const struct leaf *leaves; /* at hand, by id */
	size_t n_leaves;
	struct fill_owner *owners; /* of a batch, by subject */
	size_t n_owners;
	const struct fill_owner *owner; /* of the row before */
	const char *first, *last; /* subjects */
	bool by_subject; /* rows come with their subject in front, and not with the leaf's number */
	uint32_t table; /* whose rows are coming */
	char *text;     /* the buffer: rows that wait */
	size_t n_text;
	struct fill_run *runs; /* whose they are */
	size_t n_runs;
	int64_t rows; /* counted so far */
};

/* Tells the writer of every table. Once, before the others. */
int fill_tables(struct fill *fill, struct err *err);
/* The rows of the tenant's own tables, and, as map/tenant_rows.h says for which tenant, those of the others that belong to
 * no subject of any tenant: an invoice that outlives its patient. */
int fill_tenant(struct fill *fill, const struct leaf *leaf, struct err *err);
/* All rows of these subjects, leaves[i] being the key of subjects[i]; those whose leaf is not living are left out. They are all
 * there are in the snapshot between the first and the last, in the order of the subjects' key, and at most FILL_OWNERS_MAX. */
int fill_subjects(struct fill *fill, const struct leaf *leaves, const char *const *subjects, size_t n, struct err *err);
void fill_release(struct fill *fill);

/* Locks every table that rows are taken from against a change of its shape: before the snapshot is taken, because what
 * rewrites or empties a table does so for older snapshots, too. */
int fill_lock(const struct program *program, struct db *db, struct err *err);

#endif

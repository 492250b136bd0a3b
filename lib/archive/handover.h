/*
 * handover: a tenant's data in open form, for a practice that leaves: a file of comma-separated values for each table, one JSON
 * object for each patient, its large objects and document files, and SHA256SUMS, which `sha256sum -c` reads. In clear: the
 * directory is for its user only.
 *
 *   manifest.json            whose, when, from which snapshot, and which columns and how many rows each table has
 *   tables/NAME.csv          RFC 4180, UTF-8, with a header line
 *   patients/NNNNNNNN.json   { "subject": KEY, "tables": { NAME: [ { column: value } ] } }
 *   objects/OID              large objects
 *   documents/KIND/PATH      files that rows name
 *   SHA256SUMS
 */
#ifndef EXPUNGE_ARCHIVE_HANDOVER_H
#define EXPUNGE_ARCHIVE_HANDOVER_H

#include "map/program.h"
#include "svc/config.h"

struct handover {
	const struct config *config;
	const struct program *program;
	struct db *db;        /* that only reads; nothing is under way on it */
	const char *instance; /* whose mark the directories of documents bear */
	const char *tenant;
	const char *directory; /* new, or empty */
	void (*progress)(int64_t rows); /* so many so far; may be NULL */
	bool (*stop)(void);             /* may be NULL */
};

struct handover_result {
	int64_t subjects, rows, files;
	int64_t missing; /* document files that rows name and that are not there */
	char made_at[21]; /* its snapshot: RFC 3339, UTC */
	char sha256[65];  /* of SHA256SUMS: whoever has this can tell the whole of it */
};

/* All of one snapshot; durable when this returns 0. After a failure nothing of it is left, or the hint names what is. A tenant
 * that there is not is ERR_FAILED. */
int handover_write(const struct handover *handover, struct handover_result *ret, struct err *err);

#endif

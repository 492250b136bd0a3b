/*
 * documents: the files outside the database that columns of the data map name. The map gives each kind of them a word, the
 * configuration gives that word a directory on this host, and `init` leaves a mark in it by which it is known again: where
 * the mark is missing (a disk that is not mounted), nothing is taken for gone.
 */
#ifndef EXPUNGE_MAP_DOCUMENTS_H
#define EXPUNGE_MAP_DOCUMENTS_H

#include "map/program.h"
#include "svc/config.h"
#include "sys/beneath.h"

/* What plan, tally and certificate call files of a kind: this and its word. */
#define DOCUMENTS_CLASS "documents:"
#define DOCUMENTS_MARK ".expunge-documents" /* a file in the directory */

struct documents_place {
	char *kind;
	struct beneath *beneath;
};

struct documents {
	const struct config *config;
	char instance[37];
	struct documents_place *items; /* opened so far */
	size_t n;
};

void documents_init(struct documents *documents, const struct config *config, const char *instance);
void documents_release(struct documents *documents);
/* The directory of a kind, opened at first use. ERR_REFUSED: it is not declared, is not there, or does not bear our mark. */
int documents_find(struct documents *documents, const char *kind, struct beneath **ret, struct err *err);
/* Before the first delete: every kind that the map names can be found, and written to. *ret_n: how many. */
int documents_check(const struct map *map, const struct config *config, const char *instance, size_t *ret_n, struct err *err);
/* For `init`: leaves a mark in each declared directory that never had one. ERR_REFUSED where files of removed rows are still to
 * be taken away: a new directory has none of them. */
int documents_mark(const struct config *config, struct db *db, const char *instance, struct err *err);

bool documents_are_named(const struct map *map);

/* Rows (request, n): so many of the files that would go are named by other rows of this table than those that go. Of a column
 * line that names documents; $1 requests, $2 round. */
void sql_document_shared(struct str *sql, const struct program *program, int table, size_t column_line);
/* The same after the removal, by any row and of all rounds; $1 requests. */
void sql_document_named(struct str *sql, const struct program *program, int table, size_t column_line);

#endif

/* sql: the statements of a removal, composed from the map. $1 requests, $2 round; every one answers
 * rows (request or NULL for the total, number of rows). */
#ifndef EXPUNGE_ERASURE_SQL_H
#define EXPUNGE_ERASURE_SQL_H

#include "map/program.h"

/* Deletes the collected rows of all tables of one group of the removal order, in one statement.
 * Rows (number of the table in the group, request or NULL, n). */
void sql_delete_group(struct str *sql, const struct program *program, const int *tables, size_t n);
/* The SET list of a table whose rows stay: masks, and references to removed rows cut. False when
 * there is nothing to set. */
bool sql_update(struct str *sql, const struct program *program, int table);
/* The text of a subject's declared birth columns, as the ledger hashes it. */
void sql_birth(struct str *sql, const struct program *program, const char *alias);
/* Unlinks the large objects of removed rows that no declared column refers to any more. */
void sql_unlink(struct str *sql, const struct program *program, int table, size_t column_line);
/* " AND NOT EXISTS (what refers to t and does not go with these requests)": a shared row goes when
 * nothing outside the batch refers to it any more. $1 is the uuid[] of requests. */
void sql_last_owner(struct str *sql, const struct program *program, int table);

#endif

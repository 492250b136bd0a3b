/*
 * follow: tables whose rows are known by their owner's. Of a whole account no key of theirs is saved: their one owner path leads to
 * rows whose keys are, perhaps through such tables, and by these they are counted before, deleted, and looked for afterwards. That
 * is most rows of most applications (notes, invoices and their lines), and saving a key costs several times what deleting the
 * row does. Whatever refers to such a table follows it along a foreign key: the server itself lets no row of it outlive its owner.
 */
#ifndef EXPUNGE_MAP_FOLLOW_H
#define EXPUNGE_MAP_FOLLOW_H

#include "map/program.h"

/* Marks them in the program of a whole account, `map` being the one that it was made of: their one path is the map's own; no
 * logs, no contents outside the row, and no rule or trigger on deletion. */
void follow_mark(struct program *program, const struct map *map);
/* Foreign keys delete them with the row whose key is saved. */
bool follow_cascades(const struct program *program, int table);

/* Per request how many there are: rows (request, n). */
void sql_follow_count(struct str *sql, const struct program *program, int table);
/* Deletes them, of whatever round their owner is: rows (0, request or NULL for the total, n). */
void sql_follow_delete(struct str *sql, const struct program *program, int table);
/* counts[table] of the map: how many there are of these requests (uuid[] text) together. */
int follow_count(const struct program *program, struct db *db, const char *requests, int64_t *counts, struct err *err);

#endif

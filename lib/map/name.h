/*
 * name: table and column names as people write them in a data map.
 *
 * A part is bare (letters, digits, _, $ and bytes above 127) or in double quotes as in SQL, with
 * "" for a quote. Nothing is folded to lower case: app.Patient is the table that SQL calls
 * app."Patient". The canonical form quotes a part only where it must be, so that two spellings of
 * one table compare equal.
 */
#ifndef EXPUNGE_MAP_NAME_H
#define EXPUNGE_MAP_NAME_H

#include "base/err.h"
#include "base/str.h"

/* Adds one part, quoted where needed. */
void name_add(struct str *str, const char *part);
/* "schema.name"; the caller frees. */
char *name_full(const char *schema, const char *name);
/* Reads one part at *p and moves *p behind it; NULL (and *p unmoved) when there is none. The
 * caller frees. */
char *name_read(const char **p);
/* Reads schema.name at *p and gives its canonical form; NULL when malformed. The caller frees. */
char *name_read_table(const char **p);
/* The canonical form of a text that is one table name and nothing else; NULL when malformed. */
char *name_canonical(const char *text);

#endif

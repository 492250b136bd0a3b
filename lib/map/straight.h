/*
 * straight: tables whose rows have one owner, told by one chain of references from key to key up to the subject. Archives join
 * them to their owners; all others are collected first (collect.h), which costs a row of a set for each of theirs.
 */
#ifndef EXPUNGE_MAP_STRAIGHT_H
#define EXPUNGE_MAP_STRAIGHT_H

#include "map/program.h"

/* Marks them in the program: one forward path, without "when", to the key of a table that is straight itself, and nothing that is
 * not straight hangs on it; no large objects, no documents. */
void straight_mark(struct program *program);

/* " FROM ONLY app.line t JOIN ONLY app.invoice c1 ON t.invoice_id = c1.id JOIN ONLY app.patient c2 ON ...": a straight table with all
 * that it hangs on; `ret` is what the subject is called in it. */
void sql_straight(struct str *sql, const struct program *program, int table, char ret[16]);
/* " FROM ONLY app.line t WHERE ...": its rows that hang on no subject of any tenant there is. */
void sql_straight_unowned(struct str *sql, const struct program *program, int table);

#endif

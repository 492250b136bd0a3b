/*
 * via_numbers: the numbers of column lists in key_set.via, kept in expunge.mapped_via. Keys that a removal has saved
 * are read by later runs, perhaps under another map or schema: a number never changes its meaning.
 */
#ifndef EXPUNGE_MAP_VIA_NUMBERS_H
#define EXPUNGE_MAP_VIA_NUMBERS_H

#include "map/program.h"

/* Puts the column lists that have numbers into the vias of their tables, whose ids are known and whose key stands
 * there already; a place without columns stands for a list of columns that are gone. ERR_REFUSED when rows
 * of a table were saved by another key than the present one. */
int via_numbers_read(struct program *program, struct db *db, struct err *err);
/* Keeps the numbers of all vias; ERR_RETRY when another run gave them otherwise at the same time. */
int via_numbers_keep(const struct program *program, struct db *db, struct err *err);

#endif

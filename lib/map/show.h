/* show: the map in words, for people. */
#ifndef EXPUNGE_MAP_SHOW_H
#define EXPUNGE_MAP_SHOW_H

#include <stdio.h>

#include "map/map.h"

/* A line a table: action, class, owner paths, what is masked. */
int map_show(FILE *out, const struct map *map, bool json, struct err *err);
/* Who owns a row of this table and why, as a chain up to the subject ("app.note belongs to the
 * patient because appointment_id -> app.appointment, and there patient_id -> app.patient"), what
 * happens to it, what it waits for in the order of removal. ERR_USAGE for a table not mapped. */
int map_explain(FILE *out, const struct map *map, const char *table, bool json, struct err *err);

#endif

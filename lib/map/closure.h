/*
 * closure: the map of what goes with a whole account, made of the data map of its subjects.
 *
 * Nothing stays: rows that an erasure masks or retains are deleted like the others, and so are the tenant's own. A row is
 * reached by its owner paths, and besides by every foreign key to a row that goes: what refers to it cannot stay. Whether a
 * row that is reached so is another tenant's, the data map's own owner paths say (sql_of_other in map/tenant_rows.h). Shared
 * rows of which nothing but those who share them says whose they are go with the last of them; code lists stay, and so do the
 * tenant's own tables of which the map does not say whose rows are whose.
 */
#ifndef EXPUNGE_MAP_CLOSURE_H
#define EXPUNGE_MAP_CLOSURE_H

#include "map/map.h"

/* Of a bound map, which must outlive it. ERR_REFUSED: the database has one tenant only, or the map does not say that the
 * tenant's own row may go. */
int map_of_closure(struct map **ret, const struct map *map, struct err *err);
void map_closure_free(struct map *closure);
void map_closure_freep(struct map **closure);

#endif

/* order: in which sequence tables are collected (owners first) and removed (referencing first). */
#ifndef EXPUNGE_MAP_ORDER_H
#define EXPUNGE_MAP_ORDER_H

#include "map/map.h"

/* Groups of tables (indexes into map->tables). A group of more than one table, or of one that
 * refers to itself, is a cycle. */
struct map_order {
	int *tables;   /* every owned table once, group after group */
	int *group;    /* group number of tables[i], ascending */
	bool *cyclic;  /* by group number */
	size_t n;
	size_t n_groups;
};

/* Owners before what they own, along owner paths; log tables after the table they log. */
int map_collect_order(struct map_order *ret, const struct map *map, struct err *err);
/* Referencing tables before referenced ones, along foreign keys of the catalogue, changed by
 * `before`, `after`, `creates` (a created table after its creator); log tables last. */
int map_remove_order(struct map_order *ret, const struct map *map, struct err *err);
/* Which tables go directly before this one in the order of removal: by a foreign key, a wish of the
 * map or a creation. As many as map->tables; the caller frees. NULL with err for an unbound map. */
bool *map_removed_before(const struct map *map, int table, struct err *err);
void map_order_release(struct map_order *order);

#endif

/* discover: drafts a map from the live schema, marking what it is unsure of. */
#ifndef EXPUNGE_MAP_DISCOVER_H
#define EXPUNGE_MAP_DISCOVER_H

#include "map/map.h"

/* The text of a map in libconfig syntax that map_read() accepts: subject and tenant tables as given
 * (NULL: guessed from names and foreign keys, with a comment), owner paths from foreign keys by the
 * shortest way to the subject, actions, `created`, `identifying` and `lo` columns guessed from names
 * and types, log tables from names (log_, audit, history) and like columns, DELETE rules and triggers
 * listed. Every guess ends in a comment "# unsure: why". */
int map_discover(struct str *ret, const struct catalog *catalog, const char *subject_table,
	const char *tenant_table, struct err *err);

#endif

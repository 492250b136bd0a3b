/*
 * check: everything that must be known before rows are removed by a map. Fails closed: a table or
 * column that is not classified, a DELETE rule or trigger that nobody acknowledged, is an error.
 */
#ifndef EXPUNGE_MAP_CHECK_H
#define EXPUNGE_MAP_CHECK_H

#include "map/map.h"

enum finding_level { FINDING_WARNING, FINDING_ERROR };

struct finding {
	enum finding_level level;
	const char *code; /* stable word: "unclassified-table", "unclassified-column", "unindexed-path", "nullable-path",
	                   * "cycle", "unreachable", "delete-rule", "delete-trigger", "deferred-trigger", "cascade",
	                   * "no-key", "retain-not-null", "mask-not-null", "lo-owner", "foreign-table", "materialized-view", "partition-mapped",
	                   * "privilege", "row-security", "inheritance-child", "stale-acknowledge",
	                   * "dangling", "unclassified-contact", "no-reason", "subject-key", "constraint", "unindexed-fk" */
	char *table;
	int line; /* of the map; 0 when the map has no line for it */
	char *message;
	char *remedy;
};

struct findings {
	struct finding *items;
	size_t n;
	size_t n_errors;
};

/* The map must be bound. db: for privileges (has_table_privilege of the session's login). */
int map_check(struct findings *ret, const struct map *map, struct db *db, struct err *err);
void findings_release(struct findings *findings);

#endif

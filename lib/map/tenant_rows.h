/*
 * tenant_rows: whose the rows of the tenant's own tables (action "tenant") are, as SQL. Their owner paths lead to the
 * tenant's table, or to the subject's, whose rows name their tenant; in a database of one tenant all are its own.
 */
#ifndef EXPUNGE_MAP_TENANT_ROWS_H
#define EXPUNGE_MAP_TENANT_ROWS_H

#include "map/program.h"

/* A condition: the row `alias` of the table is this tenant's; tenant NULL: of any that there is. False, and nothing added,
 * when the map does not say whose its rows are. A path that leads back to a table that it came through is not followed. */
bool sql_of_tenant(struct str *sql, const struct program *program, int table, const char *alias, const char *tenant);
/* "SELECT tenant FROM ...": every tenant that there is, in order. */
void sql_tenants(struct str *sql, const struct program *program);
/* " FROM the subject's table t WHERE it is a subject of this tenant, or (NULL) of any that there is", and that archives can
 * seal it: its key is no empty text. */
void sql_subjects(struct str *sql, const struct program *program, const char *tenant);

#endif

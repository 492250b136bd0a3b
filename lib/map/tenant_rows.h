/*
 * tenant_rows: whose the rows of the tenant's own tables (action "tenant") are, as SQL. Their owner paths lead to the
 * tenant's table, or to the subject's, whose rows name their tenant; in a database of one tenant all are its own.
 */
#ifndef EXPUNGE_MAP_TENANT_ROWS_H
#define EXPUNGE_MAP_TENANT_ROWS_H

#include "map/program.h"

/* Rows that belong to no subject are those of the only tenant there is; of several, of this one, which is none of them. So
 * are rows of the tenant's own tables that name no tenant. */
#define TENANT_NOBODY "@nobody"

bool tenant_is_nobody(const struct program *program, const char *tenant);
/* Its archives hold what belongs to no subject. */
bool tenant_has_unowned(const struct program *program, const char *tenant);

/* A condition: the row `alias` of the table is this tenant's; tenant NULL: of any that there is. False, and nothing added,
 * when the map does not say whose its rows are. A path that leads back to a table that it came through is not followed. */
bool sql_of_tenant(struct str *sql, const struct program *program, int table, const char *alias, const char *tenant);
/* The same: some owner path leads to another tenant than this one, or to none. */
bool sql_of_other(struct str *sql, const struct program *program, int table, const char *alias, const char *tenant);
/* "SELECT tenant FROM ...": every tenant that there is, in order, and behind them TENANT_NOBODY where it has rows. */
void sql_tenants(struct str *sql, const struct program *program);
/* " FROM the subject's table t WHERE it is a subject of this tenant, or (NULL) of any that there is", and that archives can
 * seal it: its key is no empty text. */
void sql_subjects(struct str *sql, const struct program *program, const char *tenant);
/* That condition, of the row `alias` of the subject's table. */
void sql_is_subject(struct str *sql, const struct program *program, const char *alias, const char *tenant);

#endif

#include "erasure/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "map/name.h"
#include "query.h"

static int
read_state(struct db *db, char *state, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (db_query(db, &QUERY_TRIGGER_STATE, NULL, &res, err) != 0)
		return -1;
	(void)snprintf(state, 72, "%s", db_get_text(res, 0, 0));
	return 0;
}

static int
alter(struct db *db, const struct map *map, const struct map_disable *disable, const char *verb, struct err *err)
{
	CLEANUP(free_text) char *name = db_quote_name(db, disable->rule != NULL ? disable->rule : disable->trigger);
	CLEANUP(str_release) struct str sql = STR_INIT;

	if (name == NULL)
		return err_set(err, ERR_USAGE, "%s: malformed name of a rule or trigger", disable->table);
	str_addf(&sql, "ALTER TABLE %s %s %s %s", map->catalog->tables[disable->cat].quoted, verb,
		disable->rule != NULL ? "RULE" : "TRIGGER", name);
	return db_command(db, sql.s, 0, NULL, NULL, err);
}

static int
set_constraints(struct db *db, const struct map *map, struct err *err)
{
	CLEANUP(str_release) struct str sql = STR_INIT;

	if (map->constraints_immediate)
		return db_command(db, "SET CONSTRAINTS ALL IMMEDIATE", 0, NULL, NULL, err);
	if (map->constraints.n == 0)
		return 0;
	for (size_t i = 0; i < map->constraints.n; i++) {
		const char *p = map->constraints.names[i];
		CLEANUP(free_text) char *schema = name_read(&p);
		CLEANUP(free_text) char *name = NULL;
		CLEANUP(free_text) char *quoted_schema = NULL;
		CLEANUP(free_text) char *quoted_name = NULL;

		p += *p == '.' ? 1 : 0;
		name = name_read(&p);
		if (schema == NULL || name == NULL)
			return err_set(err, ERR_USAGE, "session.constraints: malformed name");
		quoted_schema = db_quote_name(db, schema);
		quoted_name = db_quote_name(db, name);
		if (quoted_schema == NULL || quoted_name == NULL)
			return err_set(err, ERR_USAGE, "session.constraints: malformed name");
		str_addf(&sql, "%s%s.%s", i == 0 ? "SET CONSTRAINTS " : ", ", quoted_schema, quoted_name);
	}
	str_add(&sql, " IMMEDIATE");
	return db_command(db, sql.s, 0, NULL, NULL, err);
}

/* The path of db_open, with the map's schemas between pg_catalog and pg_temp. */
static int
set_search_path(struct db *db, const struct map_names *schemas, struct err *err)
{
	CLEANUP(str_release) struct str sql = STR_INIT;

	str_add(&sql, "SET LOCAL search_path = pg_catalog, ");
	for (size_t i = 0; i < schemas->n; i++) {
		CLEANUP(free_text) char *name = db_quote_name(db, schemas->names[i]);

		if (name == NULL)
			return err_set(err, ERR_USAGE, "session.search_path: malformed name of a schema");
		str_addf(&sql, "%s, ", name);
	}
	str_add(&sql, "pg_temp");
	return db_command(db, sql.s, 0, NULL, NULL, err);
}

int
session_prepare(struct db *db, const struct map *map, char *state, struct err *err)
{
	if (read_state(db, state, err) != 0 || set_constraints(db, map, err) != 0 ||
	    set_search_path(db, &map->search_path, err) != 0)
		return -1;
	for (size_t i = 0; i < map->n_disable; i++)
		if (alter(db, map, &map->disable[i], "DISABLE", err) != 0)
			return -1;
	return 0;
}

int
session_restore(struct db *db, const struct map *map, const char *state, struct err *err)
{
	const struct map_names none = { 0 };
	char now[72];

	if (set_search_path(db, &none, err) != 0)
		return -1;
	for (size_t i = 0; i < map->n_disable; i++)
		if (alter(db, map, &map->disable[i], "ENABLE", err) != 0)
			return -1;
	if (read_state(db, now, err) != 0)
		return -1;
	if (strcmp(now, state) != 0) {
		(void)err_set(err, ERR_FAILED, "rules and triggers are not as they were before the removal");
		return err_hint(err, "only those enabled in the ordinary way (not REPLICA, not ALWAYS) can be declared in session.disable");
	}
	return 0;
}

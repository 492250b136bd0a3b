#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "map/check_part.h"
#include "map/name.h"
#include "query.h"

/* Large objects looked at per column: enough to find a wrong owner, cheap on any table. */
#define LO_SAMPLE 1000

/* Adds an item to the text form of an array; the caller puts the braces. */
static void
add_item(struct str *array, const char *text)
{
	str_add(array, array->len > 1 ? ",\"" : "\"");
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			str_add(array, "\\");
		str_add_n(array, text, 1);
	}
	str_add(array, "\"");
}

static void
missing(struct checker *c, const struct map_table *table, const char *login, const char *privilege)
{
	check_error(c, "privilege", table, mem_printf("%s may not %s %s", login, privilege, table->name),
		mem_printf("GRANT %s ON %s TO %s;", privilege, c->catalog->tables[table->cat].quoted, login));
}

static void
judge_privileges(struct checker *c, const struct map_table *table, const struct db_result *res, int row)
{
	const char *login = db_get_text(res, row, 7);
	bool removes = map_action_removes(table->action);

	if (!db_get_bool(res, row, 1))
		check_error(c, "privilege", table, mem_printf("%s may not use the schema of %s", login, table->name),
			mem_printf("GRANT USAGE ON SCHEMA %s TO %s;", c->catalog->tables[table->cat].schema, login));
	if (!db_get_bool(res, row, 2))
		missing(c, table, login, "SELECT");
	if (removes && !db_get_bool(res, row, 3))
		missing(c, table, login, "DELETE");
	if (!removes && !db_get_bool(res, row, 4))
		missing(c, table, login, "UPDATE");
	if (db_get_bool(res, row, 6))
		check_error(c, "row-security", table,
			mem_printf("row-level security of %s hides rows from %s: they would stay, uncounted", table->name, login),
			mem_printf("ALTER ROLE %s BYPASSRLS; or let the owner of the table be the login", login));
}

static int
check_privileges(struct checker *c, struct db *db, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	CLEANUP(str_release) struct str oids = STR_INIT;
	const struct map *map = c->map;

	str_add(&oids, "{");
	for (size_t i = 0; i < c->catalog->n_tables; i++)
		str_addf(&oids, "%s%u", i > 0 ? "," : "", c->catalog->tables[i].oid);
	str_add(&oids, "}");
	if (db_query(db, &QUERY_CHECK_PRIVILEGES, DB_PARAMS(map->login, oids.s), &res, err) < 0)
		return -1;
	for (int row = 0; row < db_rows(res); row++) {
		uint32_t oid = (uint32_t)db_get_int(res, row, 0);

		for (size_t i = 0; i < map->n_tables; i++)
			if (c->catalog->tables[map->tables[i].cat].oid == oid && map_action_is_owned(map->tables[i].action))
				judge_privileges(c, &map->tables[i], res, row);
		for (size_t i = 0; i < map->n_disable; i++)
			if (c->catalog->tables[map->disable[i].cat].oid == oid && !db_get_bool(res, row, 5))
				findings_add(c->findings, FINDING_ERROR, "privilege", map->disable[i].table, map->disable[i].line,
					mem_printf("%s does not own %s and cannot disable a rule or trigger of it",
						db_get_text(res, row, 7), map->disable[i].table),
					mem_printf("name %s, its owner, as session.login",
						c->catalog->tables[map->disable[i].cat].owner));
	}
	return 0;
}

/* lo_unlink() is for the owner only. */
static int
check_large_objects(struct checker *c, struct db *db, const char *login, const struct map_table *table,
	const struct cat_column *column, struct err *err)
{
	const struct cat_table *cat = &c->catalog->tables[table->cat];
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	CLEANUP(free_text) char *sql = mem_printf(
		"SELECT count(*) FROM (SELECT t.%s::text::oid AS lo FROM %s%s t WHERE t.%s IS NOT NULL LIMIT %d) s "
		"JOIN pg_catalog.pg_largeobject_metadata m ON m.oid = s.lo WHERE NOT pg_has_role($1::name, m.lomowner, 'USAGE')",
		column->quoted, cat->kind == 'p' ? "" : "ONLY ", cat->quoted, column->quoted, LO_SAMPLE);
	struct err denied = { .code = ERR_NONE };

	if (db_text(db, DB_ONE, sql, 1, DB_PARAMS(login), &res, &denied) < 0) {
		if (strcmp(denied.sqlstate, "42501") != 0) {
			if (err != NULL)
				*err = denied;
			return err_prefix(err, "looking for large objects of %s", table->name);
		}
		check_warn(c, "lo-owner", table,
			mem_printf("who owns the large objects of %s.%s cannot be seen: this login may not read the table",
				table->name, column->name),
			mem_printf("run the check as %s", login));
		return 0;
	}
	if (db_get_int(res, 0, 0) > 0)
		check_error(c, "lo-owner", table,
			mem_printf("%lld of the first %d large objects of %s.%s do not belong to %s, which cannot unlink them",
				(long long)db_get_int(res, 0, 0), LO_SAMPLE, table->name, column->name, login),
			mem_printf("ALTER LARGE OBJECT ... OWNER TO %s for each, or set lo_compat_privileges = on for this login", login));
	return 0;
}

static int
check_login(struct checker *c, struct db *db, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	const struct map *map = c->map;

	if (db_query(db, &QUERY_CHECK_LOGIN, DB_PARAMS(map->login), &res, err) < 0)
		return -1;
	if (db_rows(res) == 0) {
		findings_add(c->findings, FINDING_ERROR, "privilege", "session", 0,
			mem_printf("there is no role %s, which session.login names", map->login),
			mem_copy("correct session.login, or create the role"));
		return 0;
	}
	for (size_t i = 0; i < map->n_tables && !db_get_bool(res, 0, 1); i++) {
		const struct map_table *table = &map->tables[i];

		for (size_t k = 0; k < table->n_columns; k++)
			if (table->columns[k].lo && check_large_objects(c, db, db_get_text(res, 0, 0), table,
				&c->catalog->tables[table->cat].columns[table->columns[k].column], err) < 0)
				return -1;
	}
	return 0;
}

static int
check_constraints(struct checker *c, struct db *db, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	CLEANUP(str_release) struct str schemas = STR_INIT;
	CLEANUP(str_release) struct str names = STR_INIT;

	str_add(&schemas, "{");
	str_add(&names, "{");
	for (size_t i = 0; i < c->map->constraints.n; i++) {
		const char *p = c->map->constraints.names[i];
		CLEANUP(free_text) char *schema = name_read(&p);
		CLEANUP(free_text) char *name = NULL;

		p++; /* the dot of a canonical name */
		name = name_read(&p);
		add_item(&schemas, schema);
		add_item(&names, name);
	}
	str_add(&schemas, "}");
	str_add(&names, "}");
	if (db_query(db, &QUERY_CHECK_CONSTRAINTS, DB_PARAMS(schemas.s, names.s), &res, err) < 0)
		return -1;
	for (int row = 0; row < db_rows(res); row++)
		findings_add(c->findings, FINDING_ERROR, "constraint", "session", 0,
			mem_printf("session.constraints names %s, which does not exist or cannot be deferred", db_get_text(res, row, 0)),
			mem_copy("correct the name, or say constraints = \"immediate\""));
	return 0;
}

int
check_session(struct checker *c, struct db *db, struct err *err)
{
	if (check_privileges(c, db, err) < 0 || check_login(c, db, err) < 0)
		return -1;
	return c->map->constraints.n == 0 ? 0 : check_constraints(c, db, err);
}

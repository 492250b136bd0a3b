#include "erasure/contact.h"

#include <string.h>

#include "base/cleanup.h"
#include "erasure/sql.h"

/* A table without a foreign key has nothing else that would keep a row from joining what was collected. */
int
contact_lock(const struct run *run, struct err *err)
{
	CLEANUP(str_release) struct str sql = STR_INIT;

	for (size_t i = 0; i < run->map->n_contacts; i++) {
		const struct cat_table *cat = program_cat(run->program, run->map->contacts[i].table);

		str_addf(&sql, "%s%s%s", i == 0 ? "LOCK TABLE " : ", ", cat->kind == 'p' ? "" : "ONLY ", cat->quoted);
	}
	if (sql.len == 0)
		return 0;
	str_add(&sql, " IN SHARE ROW EXCLUSIVE MODE");
	return db_command(run->db, sql.s, 0, NULL, NULL, err);
}

/* SELECT request, why FROM the collected rows k of a table, and the rows t themselves; the caller adds conditions */
static void
add_select(struct str *sql, const struct program *program, int table, const char *why)
{
	str_add(sql, sql->len == 0 ? "SELECT k.request_id, " : " UNION ALL SELECT k.request_id, ");
	sql_literal(sql, why);
	str_add(sql, " AS why FROM expunge.key_set k JOIN expunge.support_test_subject s ON s.id = k.request_id JOIN ");
	sql_from(sql, program, table, "t");
	str_add(sql, " ON ");
	sql_match(sql, program, table, 0, "t", "k");
	str_addf(sql, " WHERE k.request_id = ANY($1) AND k.table_id = %d AND k.via = 0", program->tables[table].id);
}

static void
add_contact(struct str *sql, const struct program *program, const struct map_contact *contact)
{
	CLEANUP(str_release) struct str why = STR_INIT;

	str_addf(&why, "touched: %s", contact->name);
	add_select(sql, program, contact->table, why.s);
	if (contact->by != NULL) {
		const char *by = program_cat(program, contact->table)->columns[contact->by_column].quoted;

		str_addf(sql, " AND (t.%s::text IN (s.staff, s.session::text)) IS NOT TRUE", by);
	}
}

static bool
is_instant(const struct cat_column *column)
{
	return strncmp(column->type, "timestamp", 9) == 0;
}

/* The row itself: made in its session, the one that was registered, and nobody's duplicate. */
static void
add_subject(struct str *sql, const struct program *program)
{
	const struct map *map = program->map;
	const struct cat_table *cat = program_cat(program, map->subject);

	for (size_t i = 0; i < map->subject_birth.n; i++) {
		const struct cat_column *column = &cat->columns[map->subject_birth_columns[i]];

		if (!is_instant(column))
			continue;
		add_select(sql, program, map->subject, "touched: it was there before its session");
		str_addf(sql, " AND (t.%s::timestamptz >= s.opened_at) IS NOT TRUE", column->quoted);
	}
	add_select(sql, program, map->subject, "touched: its row is not the one that was registered");
	str_add(sql, " AND s.row_hash IS DISTINCT FROM (SELECT f.row_hash FROM expunge.find_subject(s.tenant, s.subject) f)");
	str_addf(sql, " UNION ALL SELECT r.id, CASE count(k.key) WHEN 0 THEN 'gone' ELSE 'touched: merged with another subject' END"
		" FROM expunge.request r LEFT JOIN expunge.key_set k ON k.request_id = r.id AND k.table_id = %d AND k.via = 0"
		" WHERE r.id = ANY($1) GROUP BY r.id HAVING count(k.key) <> 1", program->tables[map->subject].id);
}

int
contact_find(const struct run *run, struct db *db, const char *requests, struct db_result **ret, struct err *err)
{
	CLEANUP(str_release) struct str found = STR_INIT;
	CLEANUP(str_release) struct str sql = STR_INIT;
	const struct map *map = run->map;

	if (map->support_line == 0) {
		(void)err_set(err, ERR_FAILED, "the data map does not say what shows that a practice has used a test subject");
		return err_hint(err, "add its group support (doc/map.md), and run expunge init");
	}
	for (size_t i = 0; i < map->n_contacts; i++)
		if (map->contacts[i].table != map->subject)
			add_contact(&found, run->program, &map->contacts[i]);
	add_subject(&found, run->program);
	str_addf(&sql, "SELECT w.request_id, min(w.why) FROM (%s) w JOIN expunge.request r ON r.id = w.request_id"
		" WHERE r.kind = 'test-subject' GROUP BY 1", found.s);
	return db_text(db, DB_MANY, sql.s, 1, DB_PARAMS(requests), ret, err);
}

/* What tells the row from another one, and, where a change of it is a contact, from what it was. */
static void
add_row_text(struct str *sql, const struct program *program)
{
	if (map_contact(program->map, program->map->subject) != NULL)
		str_add(sql, "t::text");
	else
		sql_birth(sql, program, "t");
}

void
contact_function(struct str *sql, const struct program *program, struct db *db)
{
	const struct map *map = program->map;
	const struct cat_table *cat = program_cat(program, map->subject);
	const struct cat_column *key = &cat->columns[map->subject_key_column];
	CLEANUP(str_release) struct str body = STR_INIT;
	CLEANUP(free_text) char *quoted = NULL;
	CLEANUP(free_text) char *login = db_quote_name(db, map->login);
	const char *between = "";

	str_add(&body, "BEGIN SELECT least(");
	for (size_t i = 0; i < map->subject_birth.n; i++)
		if (is_instant(&cat->columns[map->subject_birth_columns[i]])) {
			str_addf(&body, "%scoalesce(t.%s::timestamptz, '-infinity')", between, cat->columns[map->subject_birth_columns[i]].quoted);
			between = ", ";
		}
	str_add(&body, "), encode(sha256(convert_to(");
	add_row_text(&body, program);
	str_add(&body, ", 'UTF8')), 'hex') INTO born_at, row_hash FROM ");
	sql_from(&body, program, map->subject, "t");
	str_addf(&body, " WHERE t.%s = $2::", key->quoted);
	sql_type(&body, key->type);
	str_add(&body, " AND $1 = ");
	sql_tenant(&body, program, "t");
	/* a text that is no key of this type is nobody's */
	str_add(&body, "; EXCEPTION WHEN data_exception THEN NULL; END");
	quoted = db_quote_literal(db, body.s);
	str_addf(sql, "CREATE OR REPLACE FUNCTION expunge.find_subject(tenant text, subject text, OUT born_at timestamptz, OUT row_hash text)"
		" LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off"
		" SET TimeZone = 'UTC' SET DateStyle = 'ISO' SET IntervalStyle = 'postgres' SET bytea_output = 'hex' SET extra_float_digits = 1 AS %s;"
		"COMMENT ON FUNCTION expunge.find_subject(text, text) IS 'since when a subject is there, and a hash of its row; made by init from the data map';"
		"REVOKE ALL ON FUNCTION expunge.find_subject(text, text) FROM PUBLIC;"
		"GRANT EXECUTE ON FUNCTION expunge.find_subject(text, text) TO expunge_owner;"
		"ALTER FUNCTION expunge.find_subject(text, text) OWNER TO %s;", quoted, login);
}

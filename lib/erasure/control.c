#include "erasure/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "map/collect.h"
#include "query.h"
#include "svc/crypt.h"

static int
pick(const struct program *program, struct db *db, const char *requests, const char *apart_from, const char *id, int n,
	int64_t *ret_rows, struct err *err)
{
	CLEANUP(str_release) struct str sql = STR_INIT;
	int table = program->map->subject;
	const char *key = program_cat(program, table)->columns[program->map->subject_key_column].quoted;

	str_addf(&sql, "INSERT INTO expunge.control_set (request_id, table_id, via, key) SELECT $2::uuid, %d, 0, s.key FROM (",
		program->tables[table].id);
	for (int up = 0; up < 2; up++) {
		str_addf(&sql, "%s(SELECT c.key FROM (SELECT ", up ? " UNION " : "");
		sql_key(&sql, program, table, 0, "t");
		str_addf(&sql, " AS key, t.%s AS place, t.%s::text AS subject, ", key, key);
		sql_tenant(&sql, program, "t");
		str_add(&sql, " AS tenant FROM ");
		sql_from(&sql, program, table, "t");
		str_addf(&sql, " WHERE t.%s %s (SELECT b.%s FROM ", key, up ? ">" : "<", key);
		sql_from(&sql, program, table, "b");
		str_add(&sql, " JOIN expunge.key_set k ON ");
		sql_match(&sql, program, table, 0, "b", "k");
		str_addf(&sql, " WHERE k.request_id = ANY($1) AND k.table_id = %d AND k.via = 0 ORDER BY b.%s%s LIMIT 1)"
			" ORDER BY t.%s%s OFFSET 0) c", program->tables[table].id, key, up ? " DESC" : "", key, up ? "" : " DESC");
		/* another worker may be erasing those who are next: a change of theirs says nothing about us. Asked of the
		 * few that are taken, by what row-level security lets an index be asked: no expression of their columns */
		str_addf(&sql, " WHERE NOT EXISTS (SELECT FROM expunge.request q WHERE q.tenant = c.tenant AND q.subject = c.subject"
			" AND q.state IN ('scheduled', 'running') OFFSET 0)%s ORDER BY c.place%s LIMIT %d)",
			apart_from == NULL ? "" : " AND c.tenant <> $3::text", up ? "" : " DESC", n);
	}
	str_add(&sql, ") s ON CONFLICT DO NOTHING");
	return db_command(db, sql.s, apart_from == NULL ? 2 : 3, DB_PARAMS(requests, id, apart_from), ret_rows, err);
}

/* One row a table: number, rows, order-independent hash of whole rows. */
static int
measure(const struct program *program, struct db *db, const char *array, struct db_result **ret, struct err *err)
{
	CLEANUP(str_release) struct str sql = STR_INIT;
	bool first = true;

	for (size_t i = 0; i < program->map->n_tables; i++) {
		if (!program->tables[i].owned || program->tables[i].log || program->tables[i].keyless)
			continue;
		str_addf(&sql, "%sSELECT %d, count(*), sum(hashtextextended(t::text, 0)) FROM ", first ? "" : " UNION ALL ",
			program->tables[i].id);
		sql_from(&sql, program, (int)i, "t");
		str_add(&sql, " JOIN expunge.control_set k ON ");
		sql_match(&sql, program, (int)i, 0, "t", "k");
		str_addf(&sql, " WHERE k.request_id = ANY($1) AND k.table_id = %d AND k.via = 0", program->tables[i].id);
		first = false;
	}
	str_add(&sql, " ORDER BY 1");
	return db_text(db, DB_MANY, sql.s, 1, DB_PARAMS(array), ret, err);
}

static void
array_of(const struct control *control, char *array, size_t n)
{
	(void)snprintf(array, n, "{%s}", control->id);
}

int
control_take(struct control *ret, const struct program *program, struct db *db, const char *requests, const char *apart_from,
	int n, struct err *err)
{
	char array[40];

	*ret = (struct control){ 0 };
	if (n == 0)
		return 0;
	if (crypt_uuid(ret->id, err) != 0)
		return -1;
	array_of(ret, array, sizeof(array));
	if (pick(program, db, requests, apart_from, ret->id, n, &ret->n_subjects, err) != 0)
		return -1;
	if (ret->n_subjects == 0)
		return 0;
	if (collect_subjects(program, db, COLLECT_CONTROL, array, 0, err) != 0)
		return -1;
	return measure(program, db, array, &ret->before, err);
}

int
control_compare(struct control *control, const struct program *program, struct db *db, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *after = NULL;
	char array[40];

	if (control->before == NULL)
		return 0;
	array_of(control, array, sizeof(array));
	if (measure(program, db, array, &after, err) != 0)
		return -1;
	for (int i = 0; i < db_rows(after); i++) {
		int table = program_table_by_id(program, (int)db_get_int(after, i, 0));

		if (i < db_rows(control->before) && strcmp(db_get_text(after, i, 1), db_get_text(control->before, i, 1)) == 0 &&
		    strcmp(db_get_text(after, i, 2), db_get_text(control->before, i, 2)) == 0)
			continue;
		(void)err_set(err, ERR_RETRY, "%s: rows of other subjects in the control sample changed during the removal",
			program->map->tables[table].name);
		return err_hint(err, "nothing was removed; if it comes again, a trigger or rule touches other subjects' rows");
	}
	return db_query(db, &QUERY_CONTROL_EMPTY, DB_PARAMS(control->id), NULL, err);
}

void
control_release(struct control *control)
{
	db_result_free(control->before);
	*control = (struct control){ 0 };
}

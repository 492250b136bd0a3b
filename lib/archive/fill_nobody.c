/* Rows that belong to nobody: of patients' tables, and to no patient of any tenant. */
#include <inttypes.h>
#include <stdio.h>

#include "archive/fill_private.h"
#include "base/cleanup.h"
#include "map/collect.h"
#include "map/straight.h"
#include "map/tenant_rows.h"

/* Everybody as one owner, 0, which is no leaf's number. */
static int
collect_everybody(struct fill *fill, enum collect_set set, struct err *err)
{
	const struct program *program = fill->program;
	const struct map *map = program->map;
	const struct cat_table *cat = program_cat(program, map->subject);
	CLEANUP(str_release) struct str sql = STR_INIT;

	str_add(&sql, "INSERT INTO pg_temp.seal_owner (id, tenant, subject) SELECT 0, ");
	sql_tenant(&sql, program, "t");
	str_addf(&sql, ", t.%s::text", cat->columns[map->subject_key_column].quoted);
	sql_subjects(&sql, program, NULL);
	return fill_empty_tables(fill->db, err) != 0 || db_command(fill->db, sql.s, 0, NULL, NULL, err) != 0 ? -1
		: collect_subjects(program, fill->db, set, "{0}", 0, err);
}

/* What of this table is in nobody's set becomes the leaf's. */
static int
take_unowned(struct fill *fill, size_t table, int64_t leaf, struct err *err)
{
	const struct program *program = fill->program;
	int id = program->tables[table].id;
	CLEANUP(str_release) struct str sql = STR_INIT;

	str_addf(&sql, "INSERT INTO pg_temp.seal_set (request_id, table_id, via, key, arrived, round) SELECT %" PRId64 ", %d, 0, ", leaf, id);
	sql_key(&sql, program, (int)table, 0, "t");
	str_add(&sql, ", false, 0 FROM ");
	sql_from(&sql, program, (int)table, "t");
	str_addf(&sql, " WHERE NOT EXISTS (SELECT FROM pg_temp.seal_set k WHERE k.request_id = 0 AND k.table_id = %d AND k.via = 0 AND ", id);
	sql_match(&sql, program, (int)table, 0, "t", "k");
	str_add(&sql, ")");
	return db_command(fill->db, sql.s, 0, NULL, NULL, err);
}

/* Every table, straight or not, for who reads the set. */
int
fill_collect_unowned(struct fill *fill, int64_t leaf, struct err *err)
{
	if (collect_everybody(fill, COLLECT_SEAL, err) != 0)
		return -1;
	for (size_t i = 0; i < fill->program->collect.n; i++)
		if (take_unowned(fill, (size_t)fill->program->collect.tables[i], leaf, err) != 0)
			return -1;
	return db_command(fill->db, "DELETE FROM pg_temp.seal_set WHERE request_id = 0", 0, NULL, NULL, err);
}

bool
fill_all_straight(const struct program *program)
{
	for (size_t i = 0; i < program->collect.n; i++)
		if (!program->tables[program->collect.tables[i]].straight)
			return false;
	return true;
}

/* Of a straight table: what hangs on nobody. */
static int
copy_unowned_straight(struct fill *fill, size_t table, int64_t leaf, struct err *err)
{
	CLEANUP(str_release) struct str sql = STR_INIT;

	str_addf(&sql, "COPY (SELECT %" PRId64, leaf);
	fill_add_columns(&sql, fill->program, table);
	sql_straight_unowned(&sql, fill->program, (int)table);
	str_add(&sql, ") TO STDOUT");
	return fill_copy(fill, fill->numbers[table], sql.s, err) == 0 ? 0 : err_prefix(err, "%s", fill->program->map->tables[table].name);
}

int
fill_copy_unowned(struct fill *fill, int64_t leaf, struct err *err)
{
	const struct map_order *tables = &fill->program->collect;
	bool straight = fill_all_straight(fill->program);

	if ((straight ? fill_empty_tables(fill->db, err) : collect_everybody(fill, COLLECT_CROOKED, err)) != 0)
		return -1;
	for (size_t i = 0; i < tables->n; i++) {
		size_t table = (size_t)tables->tables[i];

		if ((fill->program->tables[table].straight ? copy_unowned_straight : take_unowned)(fill, table, leaf, err) != 0)
			return -1;
	}
	/* straight tables are joined to owners, of whom there are none here */
	if (!straight && (db_command(fill->db, "DELETE FROM pg_temp.seal_set WHERE request_id = 0", 0, NULL, NULL, err) != 0 ||
				 db_command(fill->db, "TRUNCATE pg_temp.seal_owner", 0, NULL, NULL, err) != 0))
		return -1;
	return fill_copy_owned(fill, err);
}

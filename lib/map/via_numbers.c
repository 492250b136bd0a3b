#include "map/via_numbers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "query.h"

/* columns of mapped_vias */
enum { V_TABLE, V_VIA, V_COLUMNS };

/* Whose number a row of mapped_vias gives; -1 for tables whose rows are not collected any more. */
static int
owned_table(const struct program *program, const struct db_result *res, int row)
{
	int table = program_table_by_id(program, (int)db_get_int(res, row, V_TABLE));

	return table >= 0 && program->tables[table].owned ? table : -1;
}

/* "a, \"odd name\""; "" for no columns */
static void
columns_text(struct str *text, const struct program *program, int table, const struct program_via *via)
{
	for (size_t i = 0; i < via->n; i++)
		str_addf(text, "%s%s", i == 0 ? "" : ", ", program_cat(program, table)->columns[via->columns[i]].quoted);
}

/* The columns that such a text names, or none when one of them is gone. */
static void
find_columns(const struct program *program, int table, const char *text, struct program_via *ret)
{
	const struct cat_table *cat = program_cat(program, table);

	*ret = (struct program_via){ .columns = mem_zero(cat->n_columns + 1, sizeof(int)) };
	while (*text != '\0') {
		size_t c = 0, n = 0;

		for (; c < cat->n_columns; c++) {
			n = strlen(cat->columns[c].quoted);
			if (strncmp(text, cat->columns[c].quoted, n) == 0 && (text[n] == '\0' || text[n] == ','))
				break;
		}
		if (c == cat->n_columns) {
			ret->n = 0;
			return;
		}
		ret->columns[ret->n++] = (int)c;
		text += n;
		text += *text == ',' ? 2 : 0;
	}
}

static int
check_key(const struct program *program, int table, const char *saved, struct db *db, struct err *err)
{
	CLEANUP(str_release) struct str now = STR_INIT;
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	char id[16];

	columns_text(&now, program, table, &program->tables[table].vias[0]);
	if (strcmp(str_cstr(&now), saved) == 0)
		return 0;
	(void)snprintf(id, sizeof(id), "%d", program->tables[table].id);
	if (db_query(db, &QUERY_MAPPED_KEY_CHANGE, DB_PARAMS(id, str_cstr(&now)), &res, err) != 0)
		return -1;
	if (db_rows(res) == 1)
		return 0;
	(void)err_set(err, ERR_REFUSED, "rows of %s that were removed are known by (%s), and the map now says (%s)",
		program->map->tables[table].name, saved, str_cstr(&now));
	return err_hint(err, "give the table's line its former key until those requests are certified");
}

int
via_numbers_read(struct program *program, struct db *db, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (db_query(db, &QUERY_MAPPED_VIAS, NULL, &res, err) != 0)
		return -1;
	for (int i = 0; i < db_rows(res); i++) {
		int table = owned_table(program, res, i);
		size_t number = (size_t)db_get_int(res, i, V_VIA);
		struct program_table *pt = table < 0 ? NULL : &program->tables[table];

		if (pt == NULL)
			continue;
		if (number == 0) {
			if (check_key(program, table, db_get_text(res, i, V_COLUMNS), db, err) != 0)
				return -1;
			continue;
		}
		if (number != pt->n_vias || number >= PROGRAM_VIA_LO)
			return err_set(err, ERR_FAILED, "the numbers of the columns of %s have a gap", program->map->tables[table].name);
		find_columns(program, table, db_get_text(res, i, V_COLUMNS), MEM_PUSH(pt->vias, pt->n_vias));
	}
	return 0;
}

/* What is stored by now, against ours. */
static int
compare(const struct program *program, struct db *db, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (db_query(db, &QUERY_MAPPED_VIAS, NULL, &res, err) != 0)
		return -1;
	for (int i = 0; i < db_rows(res); i++) {
		int table = owned_table(program, res, i);
		size_t number = (size_t)db_get_int(res, i, V_VIA);
		CLEANUP(str_release) struct str ours = STR_INIT;

		if (table < 0)
			continue;
		if (number < program->tables[table].n_vias)
			columns_text(&ours, program, table, &program->tables[table].vias[number]);
		if (ours.len > 0 && strcmp(ours.s, db_get_text(res, i, V_COLUMNS)) != 0)
			return err_set(err, ERR_RETRY, "another run numbered the columns of %s at the same time",
				program->map->tables[table].name);
	}
	return 0;
}

int
via_numbers_keep(const struct program *program, struct db *db, struct err *err)
{
	CLEANUP(str_release) struct str tables = STR_INIT;
	CLEANUP(str_release) struct str numbers = STR_INIT;
	CLEANUP(str_release) struct str lists = STR_INIT;

	for (size_t i = 0; i < program->map->n_tables; i++)
		for (size_t v = 0; program->tables[i].owned && v < program->tables[i].n_vias; v++) {
			CLEANUP(str_release) struct str columns = STR_INIT;

			columns_text(&columns, program, (int)i, &program->tables[i].vias[v]);
			if (columns.len == 0 && v > 0)
				continue;
			array_add_int(&tables, program->tables[i].id);
			array_add_int(&numbers, (int64_t)v);
			array_add(&lists, str_cstr(&columns));
		}
	if (db_query(db, &QUERY_MAPPED_VIA_STORE, DB_PARAMS(array_end(&tables), array_end(&numbers), array_end(&lists)), NULL,
		    err) != 0)
		return -1;
	return compare(program, db, err);
}

#include <string.h>

#include "base/mem.h"
#include "fuzz.h"
#include "query.h"
#include "svc/db.h"

#define COLUMNS 16
#define ROWS_MAX 200

int __wrap_db_query(struct db *db, const struct query *query, const char *const *params, struct db_result **ret,
	struct err *err);
int __wrap_db_text(struct db *db, enum db_shape shape, const char *sql, int n_params, const char *const *params,
	struct db_result **ret, struct err *err);

static char *next; /* answers to come; NULL behind the last */

void
fuzz_server_start(char *answers)
{
	next = answers;
}

/* Columns that may be NULL, by statement; all of one that is not listed. */
static bool
may_be_null(const struct query *query, int column)
{
	if (query == &QUERY_CATALOG_COLUMNS)
		return column == 6 || column >= 12;
	if (query == &QUERY_CATALOG_TABLES)
		return column == 6;
	return query == NULL || strncmp(query->name, "catalog_", 8) != 0;
}

static void
add_row(struct db_result *res, char *line, const struct query *query)
{
	const char *cells[COLUMNS] = { NULL };

	for (int i = 0; i < COLUMNS; i++) {
		const char *cell = line == NULL ? "\\N" : fuzz_piece(&line, '\t');

		cells[i] = strcmp(cell, "\\N") != 0 ? cell : may_be_null(query, i) ? NULL : "";
	}
	db_result_add(res, cells);
}

static struct db_result *
answer(const struct query *query)
{
	static const char *const names[COLUMNS] = { "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n",
		"o", "p" };
	struct db_result *res = db_result_make(COLUMNS, names, NULL);

	while (next != NULL) {
		char *line = fuzz_piece(&next, '\n');

		if (line[0] == '\0')
			break;
		if (db_rows(res) < ROWS_MAX)
			add_row(res, line, query);
	}
	return res;
}

static int
give(const struct query *query, enum db_shape shape, struct db_result **ret, struct err *err)
{
	struct db_result *res = answer(query);
	int rows = db_rows(res);

	if ((shape == DB_ONE && rows != 1) || (shape == DB_MAYBE && rows > 1)) {
		db_result_free(res);
		return err_set(err, ERR_FAILED, "another number of rows was expected, %d came", rows);
	}
	if (ret == NULL)
		db_result_free(res);
	else
		*ret = res;
	return 0;
}

int
__wrap_db_query(struct db *db, const struct query *query, const char *const *params, struct db_result **ret,
	struct err *err)
{
	(void)db;
	(void)params;
	return give(query, query->shape, ret, err);
}

int
__wrap_db_text(struct db *db, enum db_shape shape, const char *sql, int n_params, const char *const *params,
	struct db_result **ret, struct err *err)
{
	(void)db;
	(void)n_params;
	(void)params;
	REQUIRE(sql[0] != '\0');
	return give(NULL, shape, ret, err);
}

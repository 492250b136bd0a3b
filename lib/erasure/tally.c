#include "erasure/tally.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/mem.h"
#include "query.h"

void
tallies_make(struct tallies *ret, const char *const *ids, size_t n, size_t n_tables)
{
	ret->requests = mem_zero(n, sizeof(*ret->requests));
	ret->cells = mem_zero(n * n_tables, sizeof(*ret->cells));
	ret->n_requests = n;
	ret->n_tables = n_tables;
	for (size_t i = 0; i < n; i++)
		(void)snprintf(ret->requests[i], sizeof(ret->requests[i]), "%s", ids[i]);
	finder_make(&ret->finder, ret->requests[0], n, sizeof(ret->requests[0]));
}

void
tallies_release(struct tallies *tallies)
{
	finder_release(&tallies->finder);
	free(tallies->requests);
	free(tallies->cells);
	*tallies = (struct tallies){ 0 };
}

struct tally *
tally_of(struct tallies *tallies, const char *request, int table)
{
	long i = finder_find(&tallies->finder, request);

	return i < 0 ? NULL : &tallies->cells[(size_t)i * tallies->n_tables + (size_t)table];
}

void
tallies_plan(struct tallies *tallies, const struct plans *plans)
{
	tallies->planned = true;
	for (size_t i = 0; i < plans->n; i++)
		for (size_t t = 0; t < plans->items[i].n_tables; t++) {
			const struct plan_table *pt = &plans->items[i].tables[t];
			struct tally *tally = tally_of(tallies, plans->items[i].request, pt->table);

			if (tally == NULL)
				continue;
			tally->planned = pt->n;
			tally->arrived = pt->n_arrived;
		}
}

int
tallies_store(const struct tallies *tallies, const struct program *program, struct db *db, bool again, struct err *err)
{
	enum { REQUEST, TABLE, CLASS, PLANNED, ARRIVED, REMOVED, MASKED, RETAINED, CREATED, COLUMNS };
	struct str columns[COLUMNS] = { 0 };
	const char *params[COLUMNS + 1];
	int failed = 0;

	for (size_t r = 0; r < tallies->n_requests; r++)
		for (size_t t = 0; t < tallies->n_tables; t++) {
			const struct tally *tally = &tallies->cells[r * tallies->n_tables + t];

			if (tally->planned + tally->created == 0)
				continue;
			array_add(&columns[REQUEST], tallies->requests[r]);
			array_add_int(&columns[TABLE], program->tables[t].id);
			array_add(&columns[CLASS], program->map->tables[t].class);
			array_add_int(&columns[PLANNED], tally->planned);
			array_add_int(&columns[ARRIVED], tally->arrived);
			array_add_int(&columns[REMOVED], tally->removed);
			array_add_int(&columns[MASKED], tally->masked);
			array_add_int(&columns[RETAINED], tally->retained);
			array_add_int(&columns[CREATED], tally->created);
		}
	for (int c = 0; c < COLUMNS; c++)
		params[c] = array_end(&columns[c]);
	params[COLUMNS] = again ? "true" : "false";
	failed = db_query(db, &QUERY_TALLY_ADD, params, NULL, err);
	for (int c = 0; c < COLUMNS; c++)
		str_release(&columns[c]);
	return failed;
}

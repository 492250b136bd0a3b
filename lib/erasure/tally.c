#include "erasure/tally.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
}

void
tallies_release(struct tallies *tallies)
{
	free(tallies->requests);
	free(tallies->cells);
	*tallies = (struct tallies){ 0 };
}

struct tally *
tally_of(struct tallies *tallies, const char *request, int table)
{
	for (size_t i = 0; i < tallies->n_requests; i++)
		if (strcmp(tallies->requests[i], request) == 0)
			return &tallies->cells[i * tallies->n_tables + (size_t)table];
	return NULL;
}

void
tallies_plan(struct tallies *tallies, const struct plans *plans)
{
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

static void
add_element(struct str *array, const char *text)
{
	str_addf(array, "%s%s", array->len == 0 ? "{" : ",", text);
}

static void
add_number(struct str *array, int64_t n)
{
	str_addf(array, "%s%" PRId64, array->len == 0 ? "{" : ",", n);
}

static void
add_quoted(struct str *array, const char *text)
{
	str_add(array, array->len == 0 ? "{\"" : ",\"");
	for (const char *c = text; *c != '\0'; c++)
		str_addf(array, "%s%c", *c == '"' || *c == '\\' ? "\\" : "", *c);
	str_add(array, "\"");
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
			add_element(&columns[REQUEST], tallies->requests[r]);
			add_number(&columns[TABLE], program->tables[t].id);
			add_quoted(&columns[CLASS], program->map->tables[t].class);
			add_number(&columns[PLANNED], tally->planned);
			add_number(&columns[ARRIVED], tally->arrived);
			add_number(&columns[REMOVED], tally->removed);
			add_number(&columns[MASKED], tally->masked);
			add_number(&columns[RETAINED], tally->retained);
			add_number(&columns[CREATED], tally->created);
		}
	for (int c = 0; c < COLUMNS; c++) {
		str_add(&columns[c], columns[c].len == 0 ? "{}" : "}");
		params[c] = columns[c].s;
	}
	params[COLUMNS] = again ? "true" : "false";
	failed = db_query(db, &QUERY_TALLY_ADD, params, NULL, err);
	for (int c = 0; c < COLUMNS; c++)
		str_release(&columns[c]);
	return failed;
}

#include "erasure/tally.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

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

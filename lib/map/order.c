/*
 * order: Tarjan's strongly connected components (SIAM J. Comput. 1, 1972), which come out in the
 * order wanted when an edge leads from a table to those that must go before it.
 */
#include "map/order.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"

struct edges {
	int *to;
	size_t n;
};

/* first[i]: the tables that go before table i. chosen[i]: table i takes part. */
struct graph {
	struct edges *first;
	bool *chosen;
	size_t n;
};

struct tarjan {
	const struct graph *graph;
	struct map_order *order;
	int *index, *low; /* index 0: not visited */
	bool *on_stack;
	int *stack;
	size_t n_stack;
	int next;
};

static void
graph_init(struct graph *graph, size_t n)
{
	graph->n = n;
	graph->first = mem_zero(n, sizeof(*graph->first));
	graph->chosen = mem_zero(n, sizeof(*graph->chosen));
}

static void
graph_release(struct graph *graph)
{
	for (size_t i = 0; i < graph->n; i++)
		free(graph->first[i].to);
	free(graph->first);
	free(graph->chosen);
}

static bool
has_edge(const struct graph *graph, int table, int first)
{
	for (size_t i = 0; i < graph->first[table].n; i++)
		if (graph->first[table].to[i] == first)
			return true;
	return false;
}

static void
add_edge(struct graph *graph, int table, int first)
{
	struct edges *edges = &graph->first[table];

	if (!has_edge(graph, table, first))
		*MEM_PUSH(edges->to, edges->n) = first;
}

static void
drop_edge(struct graph *graph, int table, int first)
{
	struct edges *edges = &graph->first[table];
	size_t kept = 0;

	for (size_t i = 0; i < edges->n; i++)
		if (edges->to[i] != first)
			edges->to[kept++] = edges->to[i];
	edges->n = kept;
}

/* Whether `to` goes before `from`, directly or through others. */
static bool
reaches(const struct graph *graph, int from, int to, bool *seen)
{
	if (from == to)
		return true;
	seen[from] = true;
	for (size_t i = 0; i < graph->first[from].n; i++) {
		int next = graph->first[from].to[i];

		if (!seen[next] && reaches(graph, next, to, seen))
			return true;
	}
	return false;
}

/* One component is complete: the tables on the stack down to `table`. */
static void
pop_group(struct tarjan *t, int table)
{
	struct map_order *order = t->order;
	size_t group = order->n_groups++;
	size_t begin = order->n;
	int member;

	do {
		member = t->stack[--t->n_stack];
		t->on_stack[member] = false;
		order->tables[order->n] = member;
		order->group[order->n++] = (int)group;
	} while (member != table);
	order->cyclic[group] = order->n - begin > 1 || has_edge(t->graph, table, table);
}

/* The depth is bounded by the number of tables. */
static void
visit(struct tarjan *t, int table)
{
	const struct edges *edges = &t->graph->first[table];

	t->index[table] = t->low[table] = ++t->next;
	t->stack[t->n_stack++] = table;
	t->on_stack[table] = true;
	for (size_t i = 0; i < edges->n; i++) {
		int other = edges->to[i];

		if (!t->graph->chosen[other])
			continue;
		if (t->index[other] == 0) {
			visit(t, other);
			if (t->low[other] < t->low[table])
				t->low[table] = t->low[other];
		} else if (t->on_stack[other] && t->index[other] < t->low[table])
			t->low[table] = t->index[other];
	}
	if (t->low[table] == t->index[table])
		pop_group(t, table);
}

/* Adds the chosen tables to the order. Tables that nothing orders stay in the order of the map. */
static void
sort_chosen(struct map_order *order, const struct graph *graph)
{
	struct tarjan t = { .graph = graph, .order = order };

	t.index = mem_zero(graph->n, sizeof(int));
	t.low = mem_zero(graph->n, sizeof(int));
	t.on_stack = mem_zero(graph->n, sizeof(bool));
	t.stack = mem_zero(graph->n, sizeof(int));
	for (size_t i = 0; i < graph->n; i++)
		if (graph->chosen[i] && t.index[i] == 0)
			visit(&t, (int)i);
	free(t.index);
	free(t.low);
	free(t.on_stack);
	free(t.stack);
}

static void
order_init(struct map_order *order, size_t n)
{
	memset(order, 0, sizeof(*order));
	order->tables = mem_zero(n, sizeof(*order->tables));
	order->group = mem_zero(n, sizeof(*order->group));
	order->cyclic = mem_zero(n, sizeof(*order->cyclic));
}

static bool
is_owned(const struct map *map, size_t i)
{
	return map_action_is_owned(map->tables[i].action);
}

static int
must_be_bound(const struct map *map, struct err *err)
{
	return map->catalog != NULL ? 0 : err_set(err, ERR_FAILED, "data map %s is not bound", map->path);
}

int
map_collect_order(struct map_order *ret, const struct map *map, struct err *err)
{
	CLEANUP(graph_release) struct graph graph = { NULL, NULL, 0 };

	if (must_be_bound(map, err) < 0)
		return -1;
	graph_init(&graph, map->n_tables);
	order_init(ret, map->n_tables);
	for (size_t i = 0; i < map->n_tables; i++) {
		const struct map_table *table = &map->tables[i];

		graph.chosen[i] = is_owned(map, i);
		for (size_t k = 0; graph.chosen[i] && k < table->n_paths; k++)
			if (table->paths[k].target >= 0)
				add_edge(&graph, (int)i, table->paths[k].target);
	}
	sort_chosen(ret, &graph);
	return 0;
}

static void
add_foreign_keys(struct graph *graph, const struct map *map)
{
	const struct catalog *catalog = map->catalog;
	int *line = map_lines(map);

	for (size_t i = 0; i < catalog->n_fks; i++) {
		int table = line[catalog->fks[i].table], target = line[catalog->fks[i].target];

		if (table >= 0 && target >= 0 && is_owned(map, (size_t)table) && is_owned(map, (size_t)target))
			add_edge(graph, target, table);
	}
	free(line);
}

/* What a person wrote wins over the foreign key between the same two tables. */
static void
add_wish(struct graph *graph, int table, int first)
{
	if (table < 0 || first < 0 || table == first)
		return;
	drop_edge(graph, first, table);
	add_edge(graph, table, first);
}

static void
add_wishes(struct graph *graph, const struct map *map)
{
	for (size_t i = 0; i < map->n_tables; i++) {
		const struct map_table *table = &map->tables[i];

		for (size_t k = 0; k < table->before.n; k++)
			add_wish(graph, table->before_tables[k], (int)i);
		for (size_t k = 0; k < table->after.n; k++)
			add_wish(graph, (int)i, table->after_tables[k]);
	}
}

/* A created table goes after its creator if that is possible without a cycle; if not, a further
 * round of removal takes what was created. */
static void
add_creations(struct graph *graph, const struct map *map)
{
	for (size_t i = 0; i < map->n_tables; i++)
		for (size_t k = 0; k < map->tables[i].creates.n; k++) {
			int created = map->tables[i].creates_tables[k];
			bool *seen = mem_zero(graph->n, sizeof(*seen));

			if (created >= 0 && !reaches(graph, (int)i, created, seen))
				add_edge(graph, created, (int)i);
			free(seen);
		}
}

/* Log tables are last, unless a foreign key or a wish makes an ordinary table wait for one. */
static bool
is_last(const struct map *map, const struct graph *graph, size_t table)
{
	if (map->tables[table].log_table < 0)
		return false;
	for (size_t i = 0; i < graph->n; i++)
		if (map->tables[i].log_table < 0 && has_edge(graph, (int)i, (int)table))
			return false;
	return true;
}

static void
graph_of_removal(struct graph *graph, const struct map *map)
{
	graph_init(graph, map->n_tables);
	add_foreign_keys(graph, map);
	add_wishes(graph, map);
	add_creations(graph, map);
}

bool *
map_removed_before(const struct map *map, int table, struct err *err)
{
	CLEANUP(graph_release) struct graph graph = { NULL, NULL, 0 };
	bool *ret;

	if (must_be_bound(map, err) < 0)
		return NULL;
	graph_of_removal(&graph, map);
	ret = mem_zero(map->n_tables, sizeof(*ret));
	for (size_t i = 0; i < map->n_tables; i++)
		ret[i] = i != (size_t)table && has_edge(&graph, table, (int)i);
	return ret;
}

int
map_remove_order(struct map_order *ret, const struct map *map, struct err *err)
{
	CLEANUP(graph_release) struct graph graph = { NULL, NULL, 0 };
	bool *last;

	if (must_be_bound(map, err) < 0)
		return -1;
	graph_of_removal(&graph, map);
	order_init(ret, map->n_tables);
	last = mem_zero(map->n_tables, sizeof(*last));
	for (size_t i = 0; i < map->n_tables; i++) {
		last[i] = is_last(map, &graph, i);
		graph.chosen[i] = is_owned(map, i) && !last[i];
	}
	sort_chosen(ret, &graph);
	for (size_t i = 0; i < map->n_tables; i++)
		graph.chosen[i] = is_owned(map, i) && last[i];
	sort_chosen(ret, &graph);
	free(last);
	return 0;
}

void
map_order_release(struct map_order *order)
{
	free(order->tables);
	free(order->group);
	free(order->cyclic);
	memset(order, 0, sizeof(*order));
}

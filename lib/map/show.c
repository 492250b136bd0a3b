#include "map/show.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "map/order.h"
#include "svc/listing.h"

static const char *const what_happens[] = {
	[MAP_DELETE] = "the subject's rows are deleted",
	[MAP_MASK] = "the rows stay, listed columns are masked",
	[MAP_TOMBSTONE] = "the row stays as a tombstone, listed columns are masked",
	[MAP_RETAIN] = "the rows stay, without their reference to the subject",
	[MAP_SHARED] = "a row is deleted with the last subject that owns it",
	[MAP_TENANT] = "the tenant's own rows, no subject's: untouched",
	[MAP_REFERENCE] = "the same for everybody: untouched",
	[MAP_NONE] = "untouched",
};

static struct json *
json_names(const struct map_names *names)
{
	struct json *array = json_new_array();

	for (size_t i = 0; i < names->n; i++)
		json_push_text(array, names->names[i]);
	return array;
}

static struct json *
json_columns(const struct map_table *table)
{
	struct json *array = json_new_array();

	for (size_t i = 0; i < table->n_columns; i++) {
		const struct map_column *column = &table->columns[i];
		struct json *object = json_new_object();

		json_set_text(object, "column", column->name);
		json_set_text(object, "mask", column->mask);
		json_set_bool(object, "identifying", column->identifying);
		json_set_bool(object, "lo", column->lo);
		json_set_text(object, "documents", column->documents);
		json_push(array, object);
	}
	return array;
}

static struct json *
json_table(const struct map_table *table)
{
	struct json *object = json_new_object(), *paths = json_new_array();

	for (size_t i = 0; i < table->n_paths; i++)
		json_push_text(paths, table->paths[i].text);
	json_set_text(object, "table", table->name);
	json_set_text(object, "action", map_action_text(table->action));
	json_set_text(object, "class", table->class);
	json_set_text(object, "reason", table->reason);
	json_set(object, "owner", paths);
	json_set_text(object, "log_of", table->log_of);
	json_set(object, "columns", json_columns(table));
	json_set(object, "before", json_names(&table->before));
	json_set(object, "after", json_names(&table->after));
	json_set(object, "creates", json_names(&table->creates));
	json_set(object, "acknowledge", json_names(&table->acknowledge));
	return object;
}

static struct json *
json_external(const struct map_external *external)
{
	struct json *object = json_new_object();

	json_set_text(object, "name", external->name);
	json_set_text(object, "owner", external->owner);
	json_set(object, "command", json_names(&external->command));
	if (external->account.n > 0)
		json_set(object, "account", json_names(&external->account));
	json_set_int(object, "timeout_seconds", external->timeout_seconds);
	return object;
}

/* "payer_name: null, scan: large object" */
static void
add_masks(struct str *text, const struct map_table *table)
{
	for (size_t i = 0; i < table->n_columns; i++) {
		const struct map_column *column = &table->columns[i];

		if (column->mask == NULL && !column->lo && column->documents == NULL)
			continue;
		str_addf(text, "%s%s: %s%s", text->len > 0 ? ", " : "", column->name,
			column->mask == NULL ? "" : column->mask,
			!column->lo ? "" : column->mask == NULL ? "large object" : " and large object");
		if (column->documents != NULL)
			str_addf(text, "%sdocuments %s", column->mask == NULL ? "" : " and ", column->documents);
	}
}

/* What a person wants to know of a table besides its action and class. */
static void
add_owner(struct str *text, const struct map *map, const struct map_table *table)
{
	CLEANUP(str_release) struct str masks = STR_INIT;

	if (strcmp(table->name, map->subject_table) == 0)
		str_add(text, "the subject");
	for (size_t i = 0; i < table->n_paths; i++)
		str_addf(text, "%s%s", text->len > 0 ? "; " : "", table->paths[i].text);
	if (table->log_of != NULL && table->log_table < 0)
		str_addf(text, "%slog of %s", text->len > 0 ? "; " : "", table->log_of);
	if (text->len == 0)
		str_add(text, table->reason == NULL ? "-" : table->reason);
	add_masks(&masks, table);
	if (masks.len > 0)
		str_addf(text, " [%s]", masks.s);
}

static size_t
widest(const struct map *map, bool class)
{
	size_t width = 5;

	for (size_t i = 0; i < map->n_tables; i++) {
		size_t n = strlen(class ? map->tables[i].class : map->tables[i].name);

		if (n > width)
			width = n;
	}
	return width;
}

static int
flushed(FILE *out, struct err *err)
{
	return fflush(out) == 0 && !ferror(out) ? 0 : err_sys(err, "writing the map");
}

int
map_show(FILE *out, const struct map *map, bool json, struct err *err)
{
	int name = (int)widest(map, false), class = (int)widest(map, true);

	if (json) {
		struct json *object = json_new_object(), *tables = json_new_array(), *externals = json_new_array();

		for (size_t i = 0; i < map->n_tables; i++)
			json_push(tables, json_table(&map->tables[i]));
		for (size_t i = 0; i < map->n_externals; i++)
			json_push(externals, json_external(&map->externals[i]));
		json_set(object, "tables", tables);
		json_set(object, "external", externals);
		return json_print(out, object, err);
	}
	(void)fprintf(out, "%-*s  %-9s  %-*s  %s\n", name, "table", "action", class, "class", "owner [masks]");
	for (size_t i = 0; i < map->n_tables; i++) {
		const struct map_table *table = &map->tables[i];
		CLEANUP(str_release) struct str owner = STR_INIT;

		add_owner(&owner, map, table);
		(void)fprintf(out, "%-*s  %-9s  %-*s  %s\n", name, table->name, map_action_text(table->action), class,
			*table->class == '\0' ? "-" : table->class, owner.s);
	}
	for (size_t i = 0; i < map->n_externals; i++) {
		CLEANUP(str_release) struct str command = STR_INIT;

		for (size_t k = 0; k < map->externals[i].command.n; k++)
			str_addf(&command, " %s", map->externals[i].command.names[k]);
		(void)fprintf(out, "external %s of %s:%s\n", map->externals[i].name, map->externals[i].owner, command.s);
	}
	return flushed(out, err);
}

/* The shortest way from each table to the subject's: steps[i] is the path to take, -1 at the
 * subject's table and where no way leads there. */
static int *
shortest_steps(const struct map *map)
{
	int *steps = mem_zero(map->n_tables, sizeof(*steps));
	int *distance = mem_zero(map->n_tables, sizeof(*distance));
	bool changed = true;

	for (size_t i = 0; i < map->n_tables; i++)
		steps[i] = distance[i] = -1;
	distance[map->subject] = 0;
	for (int d = 0; changed; d++) {
		changed = false;
		for (size_t i = 0; i < map->n_tables; i++)
			for (size_t k = 0; distance[i] < 0 && k < map->tables[i].n_paths; k++)
				if (distance[map->tables[i].paths[k].target] == d) {
					distance[i] = d + 1;
					steps[i] = (int)k;
					changed = true;
				}
	}
	free(distance);
	return steps;
}

/* "appointment_id -> app.appointment, and there patient_id -> app.patient" */
static void
add_chain(struct str *text, const struct map *map, const int *steps, const struct map_path *path)
{
	int at = path->target;

	str_add(text, path->text);
	while (steps[at] >= 0) {
		const struct map_path *next = &map->tables[at].paths[steps[at]];

		str_addf(text, ", and there %s", next->text);
		at = next->target;
	}
	if (at != map->subject && map_action_is_owned(map->tables[at].action))
		str_add(text, ", where the chain ends: no path leads on to the subject");
}

static void
explain_lines(FILE *out, const struct map *map, const struct map_table *table, const char *const *chains)
{
	CLEANUP(str_release) struct str masks = STR_INIT;

	(void)fprintf(out, "%s (line %d): %s%s%s%s, %s\n", table->name, table->line, map_action_text(table->action),
		*table->class == '\0' ? "" : " (class ", table->class, *table->class == '\0' ? "" : ")",
		what_happens[table->action]);
	if (table->reason != NULL)
		(void)fprintf(out, "reason: %s\n", table->reason);
	if (table == &map->tables[map->subject])
		(void)fprintf(out, "each row is a subject, known by its %s\n", map->subject_key);
	for (size_t i = 0; i < table->n_paths; i++)
		(void)fprintf(out, "%s %s because %s\n", i == 0 ? table->name : "or it",
			map_action_is_owned(table->action) ? "belongs to the subject" : "belongs to the tenant", chains[i]);
	if (table->log_of != NULL)
		(void)fprintf(out, "log: holds old rows of %s, cleared last\n", table->log_of);
	add_masks(&masks, table);
	if (masks.len > 0)
		(void)fprintf(out, "columns: %s\n", masks.s);
}

static void
explain_names(FILE *out, const char *what, const struct map_names *names)
{
	for (size_t i = 0; i < names->n; i++)
		(void)fprintf(out, "%s%s", i == 0 ? what : ", ", names->names[i]);
	if (names->n > 0)
		(void)fprintf(out, "\n");
}

static struct json *
explain_json(const struct map_table *table, const char *const *chains, const struct map_names *waits)
{
	struct json *object = json_table(table), *array = json_new_array();

	for (size_t i = 0; i < table->n_paths; i++)
		json_push_text(array, chains[i]);
	json_set(object, "because", array);
	json_set(object, "waits_for", json_names(waits));
	return object;
}

int
map_explain(FILE *out, const struct map *map, const char *table, bool json, struct err *err)
{
	int at = map_table(map, table), *steps, rc = 0;
	const struct map_table *t = at < 0 ? NULL : &map->tables[at];
	struct map_names waits = { NULL, 0 };
	bool *before;
	char **chains;

	if (t == NULL) {
		(void)err_set(err, ERR_USAGE, "the map has no line for \"%s\"", table);
		return err_hint(err, "name it as schema.table; `expunge map show` lists all");
	}
	before = map_removed_before(map, at, err);
	if (before == NULL)
		return -1;
	for (size_t i = 0; i < map->n_tables; i++)
		if (before[i])
			*MEM_PUSH(waits.names, waits.n) = map->tables[i].name;
	steps = shortest_steps(map);
	chains = mem_zero(t->n_paths, sizeof(*chains));
	for (size_t i = 0; i < t->n_paths; i++) {
		struct str chain = STR_INIT;

		add_chain(&chain, map, steps, &t->paths[i]);
		chains[i] = str_take(&chain);
	}
	if (json)
		rc = json_print(out, explain_json(t, (const char *const *)chains, &waits), err);
	else {
		explain_lines(out, map, t, (const char *const *)chains);
		explain_names(out, "creates rows in: ", &t->creates);
		explain_names(out, "waits for: ", &waits);
		rc = flushed(out, err);
	}
	for (size_t i = 0; i < t->n_paths; i++)
		free(chains[i]);
	free(chains);
	free(waits.names);
	free(steps);
	free(before);
	return rc;
}

#include <string.h>

#include "base/mem.h"
#include "map/check_part.h"

static bool
has_name(const struct map_names *names, const char *name)
{
	for (size_t i = 0; i < names->n; i++)
		if (strcmp(names->names[i], name) == 0)
			return true;
	return false;
}

bool
check_is_acknowledged(const struct checker *c, const struct map_table *table, const char *name)
{
	return has_name(&table->acknowledge, name) || has_name(&c->map->acknowledge, name);
}

static bool
is_disabled(const struct map *map, int cat, const char *rule, const char *trigger)
{
	for (size_t i = 0; i < map->n_disable; i++) {
		const struct map_disable *d = &map->disable[i];

		if (d->cat == cat && ((rule != NULL && d->rule != NULL && strcmp(rule, d->rule) == 0) ||
			(trigger != NULL && d->trigger != NULL && strcmp(trigger, d->trigger) == 0)))
			return true;
	}
	return false;
}

static void
check_code(struct checker *c, const char *code, int cat, const struct map_table *table, const char *what,
	const char *name, const char *does)
{
	bool is_rule = strcmp(what, "rule") == 0;

	if (check_is_acknowledged(c, table, name) ||
		is_disabled(c->map, cat, is_rule ? name : NULL, is_rule ? NULL : name))
		return;
	check_error(c, code, table, mem_printf("%s %s of %s %s, and the map does not acknowledge it", what, name, table->name, does),
		mem_printf("read it, then add \"%s\" to acknowledge of %s (and what it writes to creates), or to session.disable",
			name, table->name));
}

static const struct map_table *
owned_line(const struct checker *c, int cat)
{
	const struct map_table *table = c->line[cat] < 0 ? NULL : &c->map->tables[c->line[cat]];

	return table != NULL && map_action_is_owned(table->action) ? table : NULL;
}

void
check_triggers(struct checker *c)
{
	for (size_t i = 0; i < c->catalog->n_triggers; i++) {
		const struct cat_trigger *t = &c->catalog->triggers[i];
		const struct map_table *table = owned_line(c, t->table);

		if (table == NULL || !t->enabled)
			continue;
		if (t->on_delete && map_action_removes(table->action))
			check_code(c, "delete-trigger", t->table, table, "trigger", t->name, "runs when a row is deleted");
		else if (t->on_update && !map_action_removes(table->action))
			check_code(c, "delete-trigger", t->table, table, "trigger", t->name, "runs when a row is masked");
		else if (t->deferrable)
			check_code(c, "deferred-trigger", t->table, table, "trigger", t->name, "may be deferred to the commit");
	}
}

void
check_rules(struct checker *c)
{
	for (size_t i = 0; i < c->catalog->n_rules; i++) {
		const struct cat_rule *r = &c->catalog->rules[i];
		const struct map_table *table = owned_line(c, r->table);

		if (table == NULL || !r->enabled)
			continue;
		if (r->event == (map_action_removes(table->action) ? '4' : '2'))
			check_code(c, "delete-rule", r->table, table, "rule", r->name,
				r->instead ? "puts something else in the place of the statement" : "adds to the statement");
	}
}

/* A name on this table (line < 0: on any), of a trigger, a rule or a foreign key. */
static bool
has_code(const struct checker *c, int line, const char *name)
{
	for (size_t i = 0; i < c->catalog->n_triggers; i++)
		if ((line < 0 || c->line[c->catalog->triggers[i].table] == line) &&
			strcmp(c->catalog->triggers[i].name, name) == 0)
			return true;
	for (size_t i = 0; i < c->catalog->n_rules; i++)
		if ((line < 0 || c->line[c->catalog->rules[i].table] == line) &&
			strcmp(c->catalog->rules[i].name, name) == 0)
			return true;
	for (size_t i = 0; i < c->catalog->n_fks; i++)
		if ((line < 0 || c->line[c->catalog->fks[i].table] == line) &&
			strcmp(c->catalog->fks[i].name, name) == 0)
			return true;
	return false;
}

void
check_stale(struct checker *c, const struct map_names *names, int line)
{
	for (size_t i = 0; i < names->n; i++)
		if (!has_code(c, line, names->names[i]))
			findings_add(c->findings, FINDING_WARNING, "stale-acknowledge",
				line < 0 ? "session" : c->map->tables[line].name, line < 0 ? 0 : c->map->tables[line].line,
				mem_printf("acknowledge names %s, and %s has no such trigger, rule or foreign key", names->names[i],
					line < 0 ? "the database" : c->map->tables[line].name),
				mem_copy("take the name away, or correct it"));
}

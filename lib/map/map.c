#include "map/map.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/parse.h"
#include "sys/command.h"
#include "sys/file.h"

/* A map of ten thousand tables is some five megabytes. */
#define MAX_MAP_SIZE ((size_t)32 << 20)

static const char *const action_texts[] = {
	[MAP_DELETE] = "delete",
	[MAP_MASK] = "mask",
	[MAP_TOMBSTONE] = "tombstone",
	[MAP_RETAIN] = "retain",
	[MAP_SHARED] = "shared",
	[MAP_TENANT] = "tenant",
	[MAP_REFERENCE] = "reference",
	[MAP_NONE] = "none",
};

bool
map_action_is_owned(enum map_action action)
{
	return action <= MAP_SHARED;
}

bool
map_action_removes(enum map_action action)
{
	return action == MAP_DELETE || action == MAP_SHARED;
}

const char *
map_action_text(enum map_action action)
{
	return action_texts[action];
}

int
map_read(struct map **ret, const char *path, struct str *problems, struct err *err)
{
	CLEANUP(free_text) char *text = NULL;
	size_t n;

	if (file_check_writers(path, err) < 0 || file_read(path, MAX_MAP_SIZE, &text, &n, err) < 0) {
		if (err != NULL)
			err->code = ERR_USAGE;
		return err_prefix(err, "reading the data map");
	}
	if (!parse_is_utf8(text, n))
		return err_set(err, ERR_USAGE, "data map %s is not UTF-8 text", path);
	return map_read_text(ret, text, path, problems, err);
}

int
map_table(const struct map *map, const char *name)
{
	for (size_t i = 0; i < map->n_tables; i++)
		if (map->tables[i].name != NULL && strcmp(map->tables[i].name, name) == 0)
			return (int)i;
	return -1;
}

const struct map_contact *
map_contact(const struct map *map, int table)
{
	for (size_t i = 0; i < map->n_contacts; i++)
		if (map->contacts[i].table == table)
			return &map->contacts[i];
	return NULL;
}

const struct map_column *
map_column(const struct map_table *table, int column)
{
	for (size_t i = 0; i < table->n_columns; i++)
		if (table->columns[i].column == column)
			return &table->columns[i];
	return NULL;
}

char *
map_external_argument(const char *argument, const char *tenant, const char *subject, const char *request)
{
	const struct command_word words[] = { { "{tenant}", tenant }, { "{subject}", subject }, { "{request}", request } };

	return command_argument(argument, words, 3);
}

static void
free_names(struct map_names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->names[i]);
	free(names->names);
}

static void
free_table(struct map_table *t)
{
	for (size_t i = 0; i < t->n_paths; i++)
		map_path_release(&t->paths[i]);
	for (size_t i = 0; i < t->n_columns; i++) {
		free(t->columns[i].name);
		free(t->columns[i].mask);
		free(t->columns[i].documents);
	}
	free_names(&t->key);
	free_names(&t->before);
	free_names(&t->after);
	free_names(&t->creates);
	free_names(&t->log_key);
	free_names(&t->mentions);
	free_names(&t->acknowledge);
	free(t->paths);
	free(t->columns);
	free(t->name);
	free(t->class);
	free(t->reason);
	free(t->created);
	free(t->log_of);
	free(t->key_columns);
	free(t->log_columns);
	free(t->before_tables);
	free(t->after_tables);
	free(t->creates_tables);
	free(t->mention_columns);
}

void
map_free(struct map *map)
{
	if (map == NULL)
		return;
	for (size_t i = 0; i < map->n_tables; i++)
		free_table(&map->tables[i]);
	for (size_t i = 0; i < map->n_disable; i++) {
		free(map->disable[i].table);
		free(map->disable[i].rule);
		free(map->disable[i].trigger);
		free(map->disable[i].reason);
	}
	for (size_t i = 0; i < map->n_externals; i++) {
		free(map->externals[i].name);
		free(map->externals[i].owner);
		free_names(&map->externals[i].command);
		free_names(&map->externals[i].account);
	}
	for (size_t i = 0; i < map->n_contacts; i++) {
		free(map->contacts[i].name);
		free(map->contacts[i].by);
	}
	free_names(&map->harmless);
	free_names(&map->subject_birth);
	free_names(&map->constraints);
	free_names(&map->search_path);
	free_names(&map->acknowledge);
	free(map->tables);
	free(map->disable);
	free(map->externals);
	free(map->contacts);
	free(map->path);
	free(map->tenant_table);
	free(map->tenant_key);
	free(map->tenant_constant);
	free(map->subject_table);
	free(map->subject_key);
	free(map->subject_tenant);
	free(map->subject_merged_into);
	free(map->subject_birth_columns);
	free(map->login);
	free(map);
}

void
map_freep(struct map **map)
{
	map_free(*map);
	*map = NULL;
}

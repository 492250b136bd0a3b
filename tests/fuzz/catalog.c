/* The schema as the server describes it: read, hashed, and made into the draft of a map. */
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/parse.h"
#include "fuzz.h"
#include "map/catalog.h"
#include "map/discover.h"

static void
in_range(const struct cat_table *table, const int *columns, size_t n)
{
	for (size_t i = 0; i < n; i++)
		REQUIRE(columns[i] >= 0 && (size_t)columns[i] < table->n_columns);
}

static void
judge(const struct catalog *c)
{
	for (size_t i = 0; i < c->n_tables; i++) {
		REQUIRE(c->tables[i].root < (int)c->n_tables);
		in_range(&c->tables[i], c->tables[i].key, c->tables[i].n_key);
		for (size_t k = 0; k < c->tables[i].n_parents; k++)
			REQUIRE(c->tables[i].parents[k] >= 0 && c->tables[i].parents[k] < (int)c->n_tables);
	}
	for (size_t i = 0; i < c->n_fks; i++) {
		in_range(&c->tables[c->fks[i].table], c->fks[i].columns, c->fks[i].n_columns);
		in_range(&c->tables[c->fks[i].target], c->fks[i].target_columns, c->fks[i].n_columns);
	}
}

/* Names that a map can hold: others a person has to give up on. */
static bool
are_plain(const struct catalog *c)
{
	bool plain = true;

	for (size_t i = 0; i < c->n_tables; i++) {
		const struct cat_table *t = &c->tables[i];

		plain = plain && t->schema[0] != '\0' && t->name[0] != '\0' && parse_is_plain_text(t->full, 100) &&
			parse_is_plain_text(t->owner, 100);
		for (size_t k = 0; k < t->n_columns; k++)
			plain = plain && parse_is_plain_text(t->columns[k].name, 100);
	}
	return plain;
}

/* No two tables or columns have one name. */
static bool
are_distinct(const struct catalog *c)
{
	for (size_t i = 0; i < c->n_tables; i++) {
		const struct cat_table *t = &c->tables[i];

		if (i > 0 && strcmp(c->tables[i - 1].full, t->full) == 0)
			return false;
		for (size_t k = 0; k < t->n_columns; k++)
			if (catalog_column(t, t->columns[k].name) != (int)k)
				return false;
	}
	return true;
}

int
fuzz_catalog(const uint8_t *data, size_t n)
{
	CLEANUP(free_text) char *text = fuzz_text(data, n);
	CLEANUP(catalog_freep) struct catalog *catalog = NULL;
	CLEANUP(map_freep) struct map *map = NULL;
	CLEANUP(str_release) struct str draft = STR_INIT;
	CLEANUP(str_release) struct str problems = STR_INIT;
	struct err err = { 0 };
	char hash[72];

	fuzz_server_start(text);
	if (catalog_read(&catalog, NULL, &err) != 0) {
		REQUIRE(err.code == ERR_RETRY && err.msg[0] != '\0' && catalog == NULL);
		return 0;
	}
	judge(catalog);
	REQUIRE(catalog_hash(catalog, hash, &err) == 0 && parse_is_sha256(hash));
	if (!are_distinct(catalog) || map_discover(&draft, catalog, NULL, NULL, &err) != 0)
		return 0;
	/* a draft can be read, whatever the names */
	if (map_read_text(&map, draft.s, "draft.conf", &problems, &err) == 0)
		(void)map_bind(map, catalog, &problems, &err);
	else
		REQUIRE(!are_plain(catalog));
	return 0;
}

/* The data map: read, bound to the sample's catalogue, shown, ordered, and turned into SQL. */
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "fuzz.h"
#include "map/catalog.h"
#include "map/map.h"
#include "map/plan.h"
#include "map/show.h"

#define SAMPLE "tests/fuzz/seeds/catalog/sample"

static const struct catalog *
sample_catalog(void)
{
	static struct catalog *catalog;

	if (catalog == NULL) {
		CLEANUP(free_text) char *answers = fuzz_slurp(SAMPLE, NULL);

		fuzz_server_start(answers);
		REQUIRE(catalog_read(&catalog, NULL, NULL) == 0);
		fuzz_server_start(NULL);
	}
	return catalog;
}

static void
show(const struct map *map)
{
	CLEANUP(free_text) char *bytes = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&bytes, &size);

	REQUIRE(out != NULL);
	for (int json = 0; json < 2; json++) {
		REQUIRE(map_show(out, map, json == 1, NULL) == 0);
		for (size_t i = 0; i < map->n_tables && i < 8; i++)
			(void)map_explain(out, map, map->tables[i].name, json == 1, NULL);
	}
	(void)fclose(out);
}

/* No rows anywhere: the statements are composed all the same. */
static void
plan(const struct map *map)
{
	CLEANUP(program_freep) struct program *program = NULL;
	CLEANUP(str_release) struct str text = STR_INIT;
	CLEANUP(free_text) char *numbers = NULL;
	CLEANUP(str_release) struct str answers = STR_INIT;
	struct plans plans = { 0 };
	struct err err = { 0 };

	for (size_t i = 0; i < map->n_tables; i++)
		str_addf(&answers, "%zu\n\n", i + 1);
	numbers = str_take(&answers);
	fuzz_server_start(numbers);
	if (program_make(&program, map, NULL, &err) != 0) {
		REQUIRE(err.msg[0] != '\0');
		return;
	}
	fuzz_server_start(NULL);
	REQUIRE(plan_read(program, NULL, DB_PARAMS("11111111-2222-3333-4444-555555555555"), 1, 0, true, &plans, &err) == 0);
	plan_document(&plans.items[0], program, "", &text);
	REQUIRE(plans.items[0].n_rows == 0 && text.len > 0);
	plans_release(&plans);
}

int
fuzz_map(const uint8_t *data, size_t n)
{
	CLEANUP(free_text) char *text = fuzz_text(data, n);
	CLEANUP(map_freep) struct map *map = NULL;
	CLEANUP(str_release) struct str problems = STR_INIT;
	struct err err = { 0 };

	if (map_read_text(&map, text, "fuzz.conf", &problems, &err) != 0) {
		REQUIRE(err.msg[0] != '\0' && map == NULL);
		return 0;
	}
	REQUIRE(problems.len == 0 && map->n_tables > 0);
	if (map_bind(map, sample_catalog(), &problems, &err) != 0) {
		REQUIRE(err.msg[0] != '\0' && problems.len > 0);
		return 0;
	}
	show(map);
	plan(map);
	return 0;
}

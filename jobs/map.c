/* map discover, check, show, explain: the data map, from a draft to a map that may erase. */
#include <stdio.h>

#include "base/cleanup.h"
#include "jobs/job.h"
#include "map/catalog.h"
#include "map/check.h"
#include "map/discover.h"
#include "map/map.h"
#include "map/name.h"
#include "map/show.h"
#include "svc/listing.h"

static int
read_map(const struct job *job, struct map **ret, struct err *err)
{
	CLEANUP(str_release) struct str problems = STR_INIT;
	const char *path = job_option(job, "map");

	if (map_read(ret, path != NULL ? path : config_text(job->config, SET_MAP), &problems, err) == 0)
		return 0;
	(void)fputs(str_cstr(&problems), stderr);
	return -1;
}

static int
bind_map(const struct job *job, struct map **ret_map, struct catalog **ret_catalog, struct err *err)
{
	CLEANUP(str_release) struct str problems = STR_INIT;
	CLEANUP(map_freep) struct map *map = NULL;
	CLEANUP(catalog_freep) struct catalog *catalog = NULL;

	if (read_map(job, &map, err) < 0 || catalog_read(&catalog, job->db, err) < 0)
		return -1;
	if (map_bind(map, catalog, &problems, err) < 0) {
		(void)fputs(str_cstr(&problems), stderr);
		return -1;
	}
	*ret_map = TAKE_PTR(map);
	*ret_catalog = TAKE_PTR(catalog);
	return 0;
}

static int
run_discover(struct job *job, struct err *err)
{
	CLEANUP(catalog_freep) struct catalog *catalog = NULL;
	CLEANUP(str_release) struct str text = STR_INIT;

	if (catalog_read(&catalog, job->db, err) < 0 ||
		map_discover(&text, catalog, job_option(job, "subject"), job_option(job, "tenant"), err) < 0)
		return -1;
	if (fputs(str_cstr(&text), stdout) < 0 || fflush(stdout) != 0)
		return err_sys(err, "writing the draft");
	return 0;
}

static int
print_findings_json(const struct findings *findings, struct err *err)
{
	struct json *array = json_new_array();

	for (size_t i = 0; i < findings->n; i++) {
		const struct finding *f = &findings->items[i];
		struct json *object = json_new_object();

		json_set_text(object, "level", f->level == FINDING_ERROR ? "error" : "warning");
		json_set_text(object, "code", f->code);
		json_set_text(object, "table", f->table);
		json_set_int(object, "line", f->line);
		json_set_text(object, "message", f->message);
		json_set_text(object, "remedy", f->remedy);
		json_push(array, object);
	}
	return json_print(stdout, array, err);
}

/* Errors first: what blocks an erasure must not drown in advice. */
static void
print_findings(const struct map *map, const struct findings *findings)
{
	for (int level = FINDING_ERROR; level >= FINDING_WARNING; level--)
		for (size_t i = 0; i < findings->n; i++) {
			const struct finding *f = &findings->items[i];

			if ((int)f->level != level)
				continue;
			(void)printf("%s:%d: %s: %s [%s]\n    %s\n", map->path, f->line,
				level == FINDING_ERROR ? "error" : "warning", f->message, f->code, f->remedy);
		}
	(void)printf("%zu tables, %zu errors, %zu warnings\n", map->n_tables, findings->n_errors,
		findings->n - findings->n_errors);
}

static int
run_check(struct job *job, struct err *err)
{
	CLEANUP(catalog_freep) struct catalog *catalog = NULL;
	CLEANUP(map_freep) struct map *map = NULL;
	CLEANUP(findings_release) struct findings findings = { NULL, 0, 0 };

	if (bind_map(job, &map, &catalog, err) < 0 || map_check(&findings, map, job->db, err) < 0)
		return -1;
	if (findings.n_errors > 0)
		job->exit_code = 2;
	if (job_flag(job, "json"))
		return print_findings_json(&findings, err);
	print_findings(map, &findings);
	return 0;
}

static int
run_show(struct job *job, struct err *err)
{
	CLEANUP(map_freep) struct map *map = NULL;

	if (read_map(job, &map, err) < 0)
		return -1;
	return map_show(stdout, map, job_flag(job, "json"), err);
}

static int
run_explain(struct job *job, struct err *err)
{
	CLEANUP(catalog_freep) struct catalog *catalog = NULL;
	CLEANUP(map_freep) struct map *map = NULL;
	CLEANUP(free_text) char *name = name_canonical(job->args[0]);

	if (bind_map(job, &map, &catalog, err) < 0)
		return -1;
	return map_explain(stdout, map, name != NULL ? name : job->args[0], job_flag(job, "json"), err);
}

#define OPTION_MAP { "map", "FILE", "read this data map instead of the configured one", NULL }

static const struct option_row discover_options[] = {
	{ "subject", "TABLE", "the table of the data subjects; guessed without", NULL },
	{ "tenant", "TABLE", "the table of the tenants; guessed without", NULL },
	OPTION_END,
};
static const struct option_row map_options[] = {
	OPTION_MAP,
	OPTION_JSON,
	OPTION_END,
};

const struct command map_commands[] = {
	{ "map discover", "draft a data map from the live schema", "", 0, 0, NEEDS_DB, discover_options, run_discover,
		"Writes a draft to standard output: owner paths from foreign keys, everything else from names and types. "
		"Each guess ends in a comment that says \"unsure\" and why. Rules and triggers are listed, not acknowledged." },
	{ "map check", "hold the data map against the live schema", "", 0, 0, NEEDS_DB, map_options, run_check,
		"Prints every table, column, rule, trigger and privilege that stands in the way, each with its remedy. "
		"Exit code 2 if one is an error: nothing is erased until it is settled. Fit for the application's own CI." },
	{ "map show", "print the data map, a line a table", "", 0, 0, NEEDS_CONFIG, map_options, run_show, NULL },
	{ "map explain", "say who owns a table's rows and why", "TABLE", 1, 1, NEEDS_DB, map_options, run_explain,
		"Prints the chain of owner paths up to the subject, what becomes of the rows, and which tables are cleared before." },
	{ NULL, NULL, NULL, 0, 0, 0, NULL, NULL, NULL },
};

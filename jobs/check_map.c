/* check_map: the data map against the live schema, over the connection that removes. */
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "erasure/external.h"
#include "erasure/guard.h"
#include "jobs/check.h"
#include "map/check.h"
#include "map/documents.h"

static void
add_lines(struct checks *checks, const struct str *problems)
{
	for (char *line = problems->s, *end; line != NULL && (end = strchr(line, '\n')) != NULL; line = end + 1)
		check_add(checks, CHECK_ERROR, "data map", mem_copy_n(line, (size_t)(end - line)), NULL);
}

/* A cap that no number of subjects can reach protects nobody. */
static void
check_cap(struct checks *checks, const struct config *config, const struct map *map)
{
	int64_t subjects = map->subject < 0 ? -1 : map->catalog->tables[map->tables[map->subject].cat].rows;
	int64_t cap = config_int(config, SET_CAP_SUBJECTS_PER_RUN);

	if (subjects > 0 && cap >= subjects)
		check_add(checks, CHECK_WARNING, "caps", mem_printf("caps.subjects_per_run is %lld, and there are about %lld subjects",
			(long long)cap, (long long)subjects), mem_copy("choose what an ordinary night takes; expunge cap raise lifts it for one run"));
}

static void
add_findings(struct checks *checks, const struct map *map, const struct findings *findings)
{
	for (size_t i = 0; i < findings->n; i++) {
		const struct finding *f = &findings->items[i];

		if (f->level != FINDING_ERROR)
			continue;
		checks->refused = true;
		check_add(checks, CHECK_ERROR, "data map", mem_printf("%s:%d: %s [%s]", map->path, f->line, f->message, f->code),
			mem_copy(f->remedy));
	}
	if (findings->n > findings->n_errors)
		check_add(checks, CHECK_WARNING, "data map", mem_printf("%zu warnings", findings->n - findings->n_errors),
			mem_copy("expunge map check lists them with their remedies"));
	if (findings->n_errors == 0)
		check_add(checks, CHECK_OK, "data map", mem_printf("%s fits the schema: %zu tables", map->path, map->n_tables), NULL);
}

static void
check_schema(struct checks *checks, const struct job *job, struct map *map, struct db *db)
{
	CLEANUP(str_release) struct str problems = STR_INIT;
	CLEANUP(catalog_freep) struct catalog *catalog = NULL;
	CLEANUP(findings_release) struct findings findings = { 0 };
	struct err err = { 0 };

	if (catalog_read(&catalog, db, &err) != 0) {
		check_err(checks, "data map", &err);
		return;
	}
	if (map_bind(map, catalog, &problems, &err) != 0) {
		checks->refused = true; /* the map and the schema have drifted apart */
		add_lines(checks, &problems);
		if (problems.len == 0)
			check_err(checks, "data map", &err);
		return;
	}
	if (map_check(&findings, map, db, &err) != 0) {
		check_err(checks, "data map", &err);
		return;
	}
	add_findings(checks, map, &findings);
	check_cap(checks, job->config, map);
	map->catalog = NULL; /* freed here */
}

/* What is told of erasures must be there, and nobody else's to replace. */
static void
check_externals(struct checks *checks, const struct map *map)
{
	struct err err = { 0 };

	if (map->n_externals == 0)
		return;
	if (external_check(map, &err) != 0)
		check_err(checks, "external stores", &err);
	else
		check_add(checks, CHECK_OK, "external stores", mem_printf("%zu, their programs can be run", map->n_externals), NULL);
}

/* Where the files lie that go with rows. */
static void
check_documents(struct checks *checks, const struct job *job, const struct map *map)
{
	struct err err = { 0 };
	char instance[37];
	size_t n = 0;

	if (!documents_are_named(map))
		return;
	if (guard_bound_instance(job->config, instance, &err) != 0 || documents_check(map, job->config, instance, &n, &err) != 0)
		check_err(checks, "documents", &err);
	else
		check_add(checks, CHECK_OK, "documents", mem_printf("%zu, their directories are there and bear our mark", n), NULL);
}

void
check_data_map(struct checks *checks, const struct job *job, struct map **ret_map)
{
	CLEANUP(str_release) struct str problems = STR_INIT;
	CLEANUP(db_closep) struct db *db = NULL;
	struct err err = { 0 };

	if (map_read(ret_map, config_text(job->config, SET_MAP), &problems, &err) != 0) {
		add_lines(checks, &problems);
		if (problems.len == 0)
			check_err(checks, "data map", &err);
		return;
	}
	check_externals(checks, *ret_map);
	check_documents(checks, job, *ret_map);
	if (job->db == NULL)
		return;
	if (job_connect(job, (*ret_map)->login, &db, &err) != 0) {
		(void)err_prefix(&err, "session.login %s", (*ret_map)->login != NULL ? (*ret_map)->login : "(the present login)");
		(void)err_hint(&err, "pg_hba.conf and the password file must let this user in under that login");
		check_err(checks, "removing login", &err);
		return;
	}
	check_schema(checks, job, *ret_map, db);
}

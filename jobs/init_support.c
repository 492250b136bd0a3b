#include "jobs/init_support.h"

#include <stdio.h>

#include "base/cleanup.h"
#include "erasure/contact.h"
#include "query.h"
#include "sys/file.h"
#include "sys/log.h"

static int
store_policy(const struct job *job, struct err *err)
{
	static const enum setting_id numbers[] = { SET_SUPPORT_REQUEST_HOURS, SET_SUPPORT_SESSION_HOURS, SET_SUPPORT_CONSENT_DAYS,
		SET_SUPPORT_TEST_SUBJECT_DAYS, SET_SUPPORT_OFFICE_FROM_HOUR, SET_SUPPORT_OFFICE_UNTIL_HOUR, SET_SUPPORT_TENANTS_PER_DAY };
	char text[sizeof(numbers) / sizeof(numbers[0])][24];

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		(void)snprintf(text[i], sizeof(text[i]), "%lld", (long long)config_int(job->config, numbers[i]));
	return db_query(job->db, &QUERY_SUPPORT_POLICY, DB_PARAMS(text[0], text[1], text[2], text[3],
		config_bool(job->config, SET_SUPPORT_OVERRIDE) ? "true" : "false", text[4], text[5], text[6]), NULL, err);
}

static int
make_function(const struct job *job, const struct map *map, struct err *err)
{
	CLEANUP(program_freep) struct program *program = NULL;
	CLEANUP(str_release) struct str sql = STR_INIT;

	if (program_make(&program, map, job->db, err) != 0)
		return -1;
	contact_function(&sql, program, job->db);
	return db_script(job->db, "making expunge.find_subject", sql.s, err);
}

int
init_support(const struct job *job, struct err *err)
{
	CLEANUP(catalog_freep) struct catalog *catalog = NULL;
	CLEANUP(map_freep) struct map *map = NULL;
	CLEANUP(str_release) struct str problems = STR_INIT;
	const char *path = config_text(job->config, SET_MAP);

	if (store_policy(job, err) != 0)
		return -1;
	if (!file_exists(path))
		return 0; /* said by init */
	if (map_read(&map, path, NULL, err) != 0)
		return -1;
	if (map->support_line == 0)
		return 0;
	if (catalog_read(&catalog, job->db, err) != 0)
		return -1;
	if (map_bind(map, catalog, &problems, err) == 0)
		return make_function(job, map, err);
	log_warning("%s: no test patients can be registered; when expunge map check is content, run init again", err->msg);
	err_clear(err);
	return 0;
}

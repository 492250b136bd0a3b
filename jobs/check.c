/* check: every precondition of a nightly run, each failure with its remedy, all at once. */
#include "jobs/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "svc/listing.h"

static const char *const level_text[] = { "ok", "skipped", "warning", "error" };

void
check_add(struct checks *checks, enum check_level level, const char *what, char *message, char *remedy)
{
	struct check_row *row = MEM_PUSH(checks->rows, checks->n);

	*row = (struct check_row){ level, what, message, remedy };
	checks->n_errors += level == CHECK_ERROR;
	checks->n_warnings += level == CHECK_WARNING;
}

void
check_err(struct checks *checks, const char *what, struct err *err)
{
	checks->refused = checks->refused || err->code == ERR_REFUSED;
	check_add(checks, CHECK_ERROR, what, mem_copy(err->msg), err->hint[0] == '\0' ? NULL : mem_copy(err->hint));
	err_clear(err);
}

/* A password in a file that everybody may read is everybody's. */
static void
check_readers(struct checks *checks, const struct job *job)
{
	struct stat st;

	if (stat(job->config_path, &st) == 0 && (st.st_mode & S_IROTH) != 0 &&
	    strstr(config_text(job->config, SET_DATABASE_CONNINFO), "password") != NULL)
		check_add(checks, CHECK_WARNING, "configuration", mem_printf("database.conninfo holds a password and everybody may read %s",
			job->config_path), mem_printf("chmod 640 %s, or move the password to a password file", job->config_path));
}

static void
check_configuration(struct checks *checks, struct job *job)
{
	CLEANUP(str_release) struct str problems = STR_INIT;
	struct err err = { 0 };

	if (config_load(&job->config, job->config_path, &problems, &err) == 0) {
		check_add(checks, CHECK_OK, "configuration", mem_copy(job->config_path), NULL);
		check_readers(checks, job);
		return;
	}
	for (char *line = problems.s, *end; line != NULL && (end = strchr(line, '\n')) != NULL; line = end + 1)
		check_add(checks, CHECK_ERROR, "configuration", mem_copy_n(line, (size_t)(end - line)),
			mem_copy("expunge(1), CONFIGURATION"));
	if (problems.len == 0)
		check_err(checks, "configuration", &err);
}

static void
check_connection(struct checks *checks, struct job *job)
{
	struct err err = { 0 };

	if (job_connect(job, NULL, &job->db, &err) == 0) {
		check_add(checks, CHECK_OK, "connection", mem_copy("direct, to the server itself"), NULL);
		return;
	}
	if (err.hint[0] == '\0')
		(void)err_hint(&err, "see database.conninfo, pg_hba.conf and the password file");
	check_err(checks, "connection", &err);
}

static int
print_json(const struct checks *checks, struct err *err)
{
	struct json *array = json_new_array();

	for (size_t i = 0; i < checks->n; i++) {
		const struct check_row *row = &checks->rows[i];
		struct json *object = json_new_object();

		json_set_text(object, "level", level_text[row->level]);
		json_set_text(object, "what", row->what);
		json_set_text(object, "message", row->message);
		json_set_text(object, "remedy", row->remedy);
		json_push(array, object);
	}
	return json_print(stdout, array, err);
}

static void
print_text(const struct checks *checks)
{
	for (size_t i = 0; i < checks->n; i++) {
		const struct check_row *row = &checks->rows[i];
		CLEANUP(str_release) struct str text = STR_INIT;

		str_add_visible(&text, row->message);
		if (row->remedy != NULL) {
			str_add(&text, "; ");
			str_add_visible(&text, row->remedy);
		}
		printf("%-8s %s: %s\n", level_text[row->level], row->what, str_cstr(&text));
	}
	printf("%zu errors, %zu warnings\n", checks->n_errors, checks->n_warnings);
}

static int
run_check(struct job *job, struct err *err)
{
	struct checks checks = { 0 };
	int failed = 0;

	check_configuration(&checks, job);
	if (job->config != NULL) {
		check_host(&checks, job->config);
		check_connection(&checks, job);
		check_database(&checks, job);
		check_keys(&checks, job);
		check_notices(&checks, job);
	}
	if (job_flag(job, "json"))
		failed = print_json(&checks, err);
	else
		print_text(&checks);
	job->exit_code = checks.refused ? 5 : checks.n_errors > 0 ? 1 : 0;
	for (size_t i = 0; i < checks.n; i++) {
		free(checks.rows[i].message);
		free(checks.rows[i].remedy);
	}
	free(checks.rows);
	return failed;
}

static const struct option_row check_options[] = { OPTION_JSON, OPTION_END };

const struct command check_commands[] = {
	{ "check", "every precondition of a nightly run, each failure with its remedy", "", 0, 0, NEEDS_NOTHING, check_options,
		run_check,
	  "Changes nothing. Run it as the user and the role that run the job. Exit code 5 if a safeguard would stop\n"
	  "the run (binding, freeze, clock, data map), 1 if something else would, 0 if only warnings are left." },
	{ 0 }
};

/* expunge: finds the command, reads the configuration, connects, runs, and turns errors into exit codes. */
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/str.h"
#include "erasure/guard.h"
#include "jobs/job.h"
#include "jobs/options.h"
#include "svc/crypt.h"
#include "sys/log.h"
#include "sys/stop.h"

const char expunge_version[] = EXPUNGE_VERSION;
const char expunge_commit[] = EXPUNGE_COMMIT;

static const struct command *const groups[] = {
	init_commands, check_commands, map_commands, guard_commands, request_commands, hold_commands, account_commands, account_export_commands,
	lifecycle_commands, support_commands, store_commands,
	nightly_commands, erase_commands, certificate_commands, keys_commands, backup_commands,
	restore_commands, notify_commands, status_commands, NULL
};

const char *
job_option(const struct job *job, const char *name)
{
	const struct option_row *options = job->command->options;

	for (int i = 0; options != NULL && options[i].name != NULL; i++)
		if (strcmp(options[i].name, name) == 0)
			return job->values[i];
	return NULL;
}

bool
job_flag(const struct job *job, const char *name)
{
	return job_option(job, name) != NULL;
}

int
job_connect(const struct job *job, const char *login, struct db **ret, struct err *err)
{
	CLEANUP(free_text) char *name = mem_printf("expunge %s", job->command->name);
	struct db_options options = {
		.conninfo = config_text(job->config, SET_DATABASE_CONNINFO),
		.user = login != NULL ? login : job->user,
		.name = name,
		.connect_timeout_s = (int)config_int(job->config, SET_DATABASE_CONNECT_TIMEOUT_SECONDS),
		.network_timeout_s = (int)config_int(job->config, SET_DATABASE_NETWORK_TIMEOUT_SECONDS),
		.lock_timeout_ms = (int)config_int(job->config, SET_DATABASE_LOCK_TIMEOUT_MS),
		.statement_timeout_ms = (int)config_int(job->config, SET_DATABASE_STATEMENT_TIMEOUT_MS),
		.read_write = true,
	};

	return db_open(ret, &options, err);
}

int
job_bind(struct job *job, struct err *err)
{
	return job_connect(job, NULL, &job->db, err) != 0 ? -1 : guard_binding(job->db, job->config, err);
}

static int
prepare(struct job *job, struct err *err)
{
	CLEANUP(str_release) struct str problems = STR_INIT;
	enum log_level level = LOG_LEVEL_INFO;

	if ((job->command->needs & (NEEDS_CONFIG | NEEDS_DB | NEEDS_BINDING)) == 0)
		return 0;
	if (config_load(&job->config, job->config_path, &problems, err) != 0) {
		/* a file that cannot be read is one problem, which the error itself tells */
		if (problems.len > 0 && strncmp(problems.s, err->msg, strlen(err->msg)) != 0)
			(void)fputs(problems.s, stderr);
		return -1;
	}
	if (!job->verbose && log_level_from_text(config_text(job->config, SET_LOG_LEVEL), &level) == 0)
		log_start(level, job->command->name);
	if ((job->command->needs & NEEDS_BINDING) != 0)
		return job_bind(job, err);
	return (job->command->needs & NEEDS_DB) != 0 ? job_connect(job, NULL, &job->db, err) : 0;
}

static int
run(struct job *job)
{
	struct err err = { 0 };
	int code = 0;

	if (prepare(job, &err) != 0 || job->command->run(job, &err) != 0) {
		log_err(&err);
		code = err_exit_code(&err);
		if (code == 0)
			code = 1;
	}
	if (code == 0)
		code = job->exit_code;
	db_close(job->db);
	config_free(job->config);
	/* a report cut short by a full disk must not look like a success */
	if (fflush(stdout) != 0 || ferror(stdout)) {
		log_error("writing to standard output failed");
		code = code == 0 ? 1 : code;
	}
	return code;
}

/* Closed ones would be given to a file or to the database's socket, and messages written into it. What takes their
 * place fails, as they would have. */
static bool
standard_files_open(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) != fd)
			return false;
	return true;
}

int
main(int argc, char **argv)
{
	struct invocation inv;
	struct err err = { 0 };
	const char *warning = NULL;
	int code;

	if (!standard_files_open())
		return 1;
	(void)setlocale(LC_CTYPE, "C.UTF-8");
	(void)umask(077);
	log_start(LOG_LEVEL_INFO, "expunge");
	if (options_parse(&inv, argc, argv, groups, &err) != 0) {
		log_err(&err);
		return err_exit_code(&err);
	}
	if (inv.version)
		printf("expunge %s (%s)\n", expunge_version, expunge_commit);
	else if (inv.help && inv.command == NULL)
		options_print_help(groups);
	else if (inv.help)
		options_print_command(inv.command);
	if (inv.version || inv.help) {
		options_release(&inv);
		return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
	}
	log_start(inv.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, inv.command->name);
	if (crypt_start(&warning, &err) != 0) {
		log_err(&err);
		return 1;
	}
	if (warning != NULL)
		log_debug("%s", warning);
	stop_install();
	struct job job = {
		.command = inv.command,
		.user = inv.user,
		.config_path = inv.config_path != NULL ? inv.config_path : EXPUNGE_CONF,
		.verbose = inv.verbose,
		.args = inv.args,
		.n_args = inv.n_args,
		.values = inv.values,
	};
	code = run(&job);
	options_release(&inv);
	return code;
}

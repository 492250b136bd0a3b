/*
 * job: what every command gets, and how a command describes itself.
 *
 * A command is a row of a table: name, summary, arguments, options, what it needs, run(). From these
 * rows come the parser, --help and the checks of man page and completion. run() returns 0, or -1
 * with err; a run that finished although some items failed returns 0 and sets job->exit_code.
 */
#ifndef EXPUNGE_JOBS_JOB_H
#define EXPUNGE_JOBS_JOB_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "svc/config.h"
#include "svc/db.h"

/* A row whose name is one letter is the short form, -o, of the row before it: same value, same help. */
struct option_row {
	const char *name; /* "received" for --received; NULL ends the table */
	const char *value; /* "DATE", or NULL for a flag */
	const char *help;
	const char *choices; /* "a|b|c", or NULL */
};

enum job_needs {
	NEEDS_NOTHING = 0,
	NEEDS_CONFIG = 1,
	NEEDS_DB = 2,     /* job->db: the person's own connection (implies the configuration) */
	NEEDS_BINDING = 4 /* refuse unless this is the database the configuration is bound to (implies DB) */
};

struct job;

struct command {
	const char *name;      /* "request decide"; NULL ends the table */
	const char *summary;   /* one line */
	const char *arguments; /* "ID", "", "FILE..." */
	int min_args, max_args; /* max_args -1: any number */
	unsigned needs;        /* enum job_needs */
	const struct option_row *options;
	int (*run)(struct job *job, struct err *err);
	const char *detail;    /* a paragraph for --help, or NULL */
};

struct job {
	const struct command *command;
	struct config *config;
	struct db *db;
	const char *user;        /* -U, or NULL */
	const char *config_path; /* -c */
	bool verbose;
	const char *const *args; /* positional */
	int n_args;
	const char *const *values; /* by option row: the value, "" for a flag given, NULL when absent */
	int exit_code;
};

/* The value of an option of this command, NULL when it was not given. */
const char *job_option(const struct job *job, const char *name);
bool job_flag(const struct job *job, const char *name);
/* What NEEDS_BINDING does, for a command that finds out first whether it has anything to do: job->db, or a refusal. */
int job_bind(struct job *job, struct err *err);
/* Opens a further connection; login NULL: as the person. The caller closes. */
int job_connect(const struct job *job, const char *login, struct db **ret, struct err *err);

extern const struct command init_commands[], check_commands[], map_commands[], guard_commands[],
	request_commands[], hold_commands[], account_commands[], account_export_commands[], lifecycle_commands[], support_commands[], store_commands[],
	erase_commands[], nightly_commands[], certificate_commands[], keys_commands[], backup_commands[], restore_commands[],
	notify_commands[], status_commands[];

/* Options that several commands share. */
#define OPTION_JSON { "json", NULL, "print JSON", NULL }
#define OPTION_DRY_RUN { "dry-run", NULL, "print what would be done, change nothing", NULL }
#define OPTION_END { NULL, NULL, NULL, NULL }

extern const char expunge_version[], expunge_commit[];

#endif

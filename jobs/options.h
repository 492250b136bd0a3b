/* options: the command line, parsed against the table of commands. Pure. */
#ifndef EXPUNGE_JOBS_OPTIONS_H
#define EXPUNGE_JOBS_OPTIONS_H

#include "jobs/job.h"

struct invocation {
	const struct command *command; /* NULL with `help` or `version` of the program itself */
	const char *config_path;
	const char *user;
	bool verbose, help, version;
	const char **args;
	int n_args;
	const char **values; /* as many as the command has options */
};

/* groups: NULL-terminated list of command tables. ERR_USAGE with a hint. Free with options_release. */
int options_parse(struct invocation *ret, int argc, char *const *argv,
	const struct command *const *groups, struct err *err);
void options_release(struct invocation *invocation);
/* Every command in one line each / one command in full. */
void options_print_help(const struct command *const *groups);
void options_print_command(const struct command *command);

#endif

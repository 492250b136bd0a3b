/* freeze on, off, show; cap raise; clock accept: the safeguards that people set. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "erasure/guard.h"
#include "jobs/job.h"
#include "jobs/person.h"
#include "query.h"
#include "svc/listing.h"
#include "sys/log.h"

/* Both brakes are tried, and one that holds is enough: the database's stops every host, the file stops
 * this one even where the database cannot be reached. */
static int
run_freeze_on(struct job *job, struct err *err)
{
	const char *reason = job_option(job, "reason");
	struct err file = { 0 };
	bool by_file, by_database;

	if (reason == NULL)
		return err_set(err, ERR_USAGE, "freeze on needs --reason");
	by_file = guard_sentinel(job->config, true, reason, &file) == 0;
	by_database = person_asks(job, &QUERY_FREEZE_ON, DB_PARAMS(reason), NULL, NULL, err) == 0;
	if (!by_file && !by_database)
		return err_prefix(err, "NOT frozen: %s; and", file.msg);
	if (!by_file)
		log_warning("frozen in the database only: %s", file.msg);
	if (!by_database) {
		log_error("frozen on this host only, by the file: %s", err->msg);
		err_clear(err);
		job->exit_code = 3; /* other hosts go on */
	}
	printf("frozen\n");
	return 0;
}

static int
run_freeze_off(struct job *job, struct err *err)
{
	struct err file = { 0 };

	if (person_asks(job, &QUERY_FREEZE_OFF, NULL, NULL, NULL, err) != 0)
		return -1;
	if (guard_sentinel(job->config, false, NULL, &file) != 0) {
		*err = file;
		(void)err_prefix(err, "the database is not frozen any more, but this host is");
		return err_hint(err, "somebody who may write the state directory removes the file");
	}
	printf("not frozen\n");
	return 0;
}

static int
run_freeze_show(struct job *job, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	bool json = job_flag(job, "json");

	if (db_query(job->db, &QUERY_FREEZE_SHOW, NULL, &res, err) != 0)
		return -1;
	if (db_rows(res) > 0 || json)
		return listing_print(stdout, res, json, err);
	printf(guard_has_sentinel(job->config) ? "frozen on this host, by the file freeze in the state directory\n" : "not frozen\n");
	return 0;
}

static int
with_reason(struct job *job, const struct query *query, const char *done, struct err *err)
{
	const char *reason = job_option(job, "reason");

	if (reason == NULL)
		return err_set(err, ERR_USAGE, "%s needs --reason", job->command->name);
	if (person_asks(job, query, DB_PARAMS(reason), NULL, NULL, err) != 0)
		return -1;
	printf("%s\n", done);
	return 0;
}

static int
run_cap_raise(struct job *job, struct err *err)
{
	return with_reason(job, &QUERY_CAP_RAISE, "the caps are lifted for the next run that needs it", err);
}

static int
run_clock_accept(struct job *job, struct err *err)
{
	return with_reason(job, &QUERY_CLOCK_ACCEPT, "the present time is accepted", err);
}

static const struct option_row reason_options[] = {
	{ "reason", "TEXT", "why; recorded; required", NULL },
	OPTION_END
};
static const struct option_row show_options[] = { OPTION_JSON, OPTION_END };

const struct command guard_commands[] = {
	{ "freeze on", "stop every destructive step at the next batch", "", 0, 0, NEEDS_BINDING, reason_options, run_freeze_on, NULL },
	{ "freeze off", "let destructive steps go on", "", 0, 0, NEEDS_BINDING, NULL, run_freeze_off, NULL },
	{ "freeze show", "say whether it is frozen, by whom and why", "", 0, 0, NEEDS_BINDING, show_options, run_freeze_show, NULL },
	{ "cap raise", "lift the caps for one run", "", 0, 0, NEEDS_BINDING, reason_options, run_cap_raise, NULL },
	{ "clock accept", "vouch for the present time after the clock jumped", "", 0, 0, NEEDS_BINDING, reason_options,
		run_clock_accept, NULL },
	{ 0 }
};

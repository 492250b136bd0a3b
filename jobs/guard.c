/* freeze on, off, show; cap raise; clock accept: the safeguards that people set. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "erasure/guard.h"
#include "jobs/job.h"
#include "jobs/person.h"
#include "query.h"
#include "svc/listing.h"

static int
run_freeze_on(struct job *job, struct err *err)
{
	const char *reason = job_option(job, "reason");

	if (reason == NULL)
		return err_set(err, ERR_USAGE, "freeze on needs --reason");
	/* the file first: it stops runs even if the database cannot be reached */
	if (guard_sentinel(job->config, true, reason, err) != 0)
		return -1;
	if (person_asks(job, &QUERY_FREEZE_ON, DB_PARAMS(reason), NULL, NULL, err) != 0)
		return err_prefix(err, "the sentinel file is set, but not the database's freeze");
	printf("frozen\n");
	return 0;
}

static int
run_freeze_off(struct job *job, struct err *err)
{
	if (person_asks(job, &QUERY_FREEZE_OFF, NULL, NULL, NULL, err) != 0 ||
	    guard_sentinel(job->config, false, NULL, err) != 0)
		return -1;
	printf("not frozen\n");
	return 0;
}

static int
run_freeze_show(struct job *job, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (db_query(job->db, &QUERY_FREEZE_SHOW, NULL, &res, err) != 0)
		return -1;
	if (db_rows(res) == 0 && !job_flag(job, "json")) {
		printf("not frozen in the database\n");
		return 0;
	}
	return listing_print(stdout, res, job_flag(job, "json"), err);
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
	{ "reason", "TEXT", "why; recorded", NULL },
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

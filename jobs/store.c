/* store list, end: the copies outside that interim certificates wait for. */
#include <stdio.h>

#include "base/cleanup.h"
#include "jobs/job.h"
#include "jobs/person.h"
#include "query.h"
#include "svc/listing.h"

static int
run_list(struct job *job, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (db_query(job->db, &QUERY_STORE_LIST, NULL, &res, err) != 0)
		return -1;
	if (db_rows(res) == 0 && !job_flag(job, "json")) {
		printf("no certificate waits for a store\n");
		return 0;
	}
	return listing_print(stdout, res, job_flag(job, "json"), err);
}

static int
run_end(struct job *job, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	const char *reason = job_option(job, "reason");

	if (reason == NULL)
		return err_set(err, ERR_USAGE, "store end needs --reason");
	if (person_asks(job, &QUERY_STORE_END, DB_PARAMS(job->args[0], reason), NULL, &res, err) != 0)
		return -1;
	printf("%s certificates wait for it no longer\n", db_get_text(res, 0, 0));
	return 0;
}

static const struct option_row list_options[] = { OPTION_JSON, OPTION_END };
static const struct option_row end_options[] = {
	{ "reason", "TEXT", "how it is known that no copy is left; recorded; required", NULL },
	OPTION_END
};

const struct command store_commands[] = {
	{ "store list", "copies outside that interim certificates wait for", "", 0, 0, NEEDS_BINDING, list_options, run_list, NULL },
	{ "store end", "state that a store holds no copy any more", "NAME", 1, 1, NEEDS_BINDING, end_options, run_end,
	  "For a standby that was taken down, or a retention that was shorter than declared. The final certificates\n"
	  "say that a person stated it." },
	{ 0 }
};

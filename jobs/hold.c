/* hold place, release, list: what keeps a subject or a tenant from being erased. */
#include <stdio.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "jobs/job.h"
#include "jobs/person.h"
#include "query.h"
#include "svc/listing.h"
#include "sys/log.h"

static int
run_place(struct job *job, struct err *err)
{
	static const char *const wanted[] = { "tenant", "kind", "reason", "review" };
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	int year, month, day;

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (job_option(job, wanted[i]) == NULL)
			return err_set(err, ERR_USAGE, "hold place needs --%s", wanted[i]);
	if (parse_date(job_option(job, "review"), &year, &month, &day) != 0)
		return err_set(err, ERR_USAGE, "--review takes a date YYYY-MM-DD");
	if (person_asks(job, &QUERY_HOLD_PLACE, DB_PARAMS(job_option(job, "tenant"), job_option(job, "subject"),
		    job_option(job, "kind"), job_option(job, "reason"), job_option(job, "review")), NULL, &res, err) != 0)
		return -1;
	printf("%s\n", db_get_text(res, 0, 0));
	if (db_get_bool(res, 0, 1))
		log_warning("an erasure had removed rows before this hold was placed: they cannot be kept by it");
	return 0;
}

static int
run_release(struct job *job, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (!parse_is_uuid(job->args[0]))
		return err_set(err, ERR_USAGE, "%.40s is not the id of a hold", job->args[0]);
	if (person_asks(job, &QUERY_HOLD_RELEASE, DB_PARAMS(job->args[0]), NULL, &res, err) != 0)
		return -1;
	printf("released; %s requests go on\n", db_get_text(res, 0, 0));
	return 0;
}

static int
run_list(struct job *job, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (db_query(job->db, &QUERY_HOLD_LIST, NULL, &res, err) != 0)
		return -1;
	if (db_rows(res) == 0 && !job_flag(job, "json")) {
		printf("no open holds\n");
		return 0;
	}
	return listing_print(stdout, res, job_flag(job, "json"), err);
}

static const struct option_row place_options[] = {
	{ "tenant", "T", "the practice; required", NULL },
	{ "subject", "S", "the patient's key; without it, the whole practice", NULL },
	{ "kind", "K", "litigation, complaint, regulator, public-inquiry, police-or-court, safeguarding, open-access-request",
	  "litigation|complaint|regulator|public-inquiry|police-or-court|safeguarding|open-access-request" },
	{ "reason", "TEXT", "why; required", NULL },
	{ "review", "DATE", "when somebody looks whether it is still needed; required", NULL },
	OPTION_END
};
static const struct option_row list_options[] = { OPTION_JSON, OPTION_END };

const struct command hold_commands[] = {
	{ "hold place", "keep a subject or a practice from being erased", "", 0, 0, NEEDS_BINDING, place_options, run_place, NULL },
	{ "hold release", "end a hold; what it blocked goes on", "ID", 1, 1, NEEDS_BINDING, NULL, run_release, NULL },
	{ "hold list", "open holds and those past their review", "", 0, 0, NEEDS_BINDING, list_options, run_list, NULL },
	{ 0 }
};

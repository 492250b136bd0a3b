/* account cancel, terminate, reactivate, approve, told, list, show: how a practice's account is closed. */
#include <stdio.h>

#include "account/dormancy.h"
#include "base/cleanup.h"
#include "base/parse.h"
#include "jobs/job.h"
#include "jobs/person.h"
#include "jobs/removal.h"
#include "query.h"
#include "svc/listing.h"
#include "sys/log.h"

static int
needed(const struct job *job, const char *option, struct err *err)
{
	if (job_option(job, option) != NULL)
		return 0;
	return err_set(err, ERR_USAGE, "%s needs --%s", job->command->name, option);
}

/* When it is purged, for whoever has just closed it. */
static int
print_dates(struct job *job, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (db_query(job->db, &QUERY_ACCOUNT_DATES, DB_PARAMS(job->args[0]), &res, err) != 0)
		return -1;
	if (db_rows(res) == 1)
		printf("the practice's own until %s; purged from %s on (%s), complete by %s\n", db_get_text(res, 0, 0), db_get_text(res, 0, 1),
			db_get_text(res, 0, 3), db_get_text(res, 0, 2));
	return 0;
}

static int
cancel_account(struct job *job, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	int year, month, day;

	if (needed(job, "paid-until", err) != 0)
		return -1;
	if (parse_date(job_option(job, "paid-until"), &year, &month, &day) != 0)
		return err_set(err, ERR_USAGE, "--paid-until takes a date YYYY-MM-DD");
	if (person_asks(job, &QUERY_ACCOUNT_CANCEL, DB_PARAMS(job->args[0], job_option(job, "paid-until"), job_option(job, "reason"),
		    job_option(job, "zone")), NULL, &res, err) != 0)
		return -1;
	return print_dates(job, err);
}

static int
run_terminate(struct job *job, struct err *err)
{
	const char *paid_until = job_option(job, "paid-until");
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	int year, month, day;

	if (needed(job, "reason", err) != 0)
		return -1;
	if (paid_until != NULL && parse_date(paid_until, &year, &month, &day) != 0)
		return err_set(err, ERR_USAGE, "--paid-until takes a date YYYY-MM-DD");
	if (person_asks(job, &QUERY_ACCOUNT_TERMINATE, DB_PARAMS(job->args[0], job_option(job, "reason"), paid_until, job_option(job, "zone")),
		    NULL, &res, err) != 0)
		return -1;
	return print_dates(job, err);
}

/* The rows of one that was dormant, at once; what is in the way of that keeps nobody active. */
static int
wake(struct job *job, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *waking = NULL;
	struct dormancy_done done = { 0 };
	struct run run = { 0 };
	int failed;

	if (db_query(job->db, &QUERY_DORMANCY_WAKING, DB_PARAMS(job->args[0]), &waking, err) != 0)
		return -1;
	if (db_rows(waking) == 0)
		return 0;
	failed = removal_open(job, &run, REMOVAL_LOOK, err) != 0 || dormancy_wake(&run, job->args[0], &done, err) != 0;
	if (!failed)
		job->exit_code = run_exit_code(&run);
	removal_close(&run);
	if (done.n_woken > 0)
		printf("%lld rows are loaded, and compared with its archives\n", (long long)done.n_rows);
	else
		log_warning("its rows are sealed and not loaded yet: the next run of lifecycle or nightly tries again, and so does this command");
	return failed ? -1 : 0;
}

static int
run_reactivate(struct job *job, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (needed(job, "reason", err) != 0 ||
	    person_asks(job, &QUERY_ACCOUNT_REACTIVATE, DB_PARAMS(job->args[0], job_option(job, "reason")), NULL, &res, err) != 0)
		return -1;
	printf("%s\n", db_get_bool(res, 0, 0) ? "active again" : "this account was not closing");
	return wake(job, err);
}

static int
run_approve(struct job *job, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (needed(job, "plan", err) != 0 ||
	    person_asks(job, &QUERY_ACCOUNT_APPROVE, DB_PARAMS(job->args[0], job_option(job, "plan")), NULL, &res, err) != 0)
		return -1;
	printf("approved by %s of 2\n", db_get_text(res, 0, 0));
	return 0;
}

static int
run_told(struct job *job, struct err *err)
{
	if (needed(job, "reason", err) != 0 ||
	    person_asks(job, &QUERY_ACCOUNT_TOLD, DB_PARAMS(job->args[0], job_option(job, "reason")), NULL, NULL, err) != 0)
		return -1;
	printf("noted: the practice has been told\n");
	return 0;
}

static int
run_list(struct job *job, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (db_query(job->db, &QUERY_ACCOUNT_LIST, DB_PARAMS(job_flag(job, "all") ? "true" : "false"), &res, err) != 0)
		return -1;
	if (db_rows(res) == 0 && !job_flag(job, "json")) {
		printf("no account %s\n", job_flag(job, "all") ? "was ever closed" : "is closing");
		return 0;
	}
	return listing_print(stdout, res, job_flag(job, "json"), err);
}

static struct json *
rows_of(const struct db_result *res)
{
	struct json *array = json_new_array();

	for (int i = 0; i < db_rows(res); i++)
		json_push(array, json_of_row(res, i));
	return array;
}

static int
print_part(const char *title, const struct db_result *res, struct err *err)
{
	if (db_rows(res) == 0)
		return 0;
	printf("\n%s\n", title);
	return listing_print(stdout, res, false, err);
}

static int
run_show(struct job *job, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	CLEANUP(db_result_freep) struct db_result *plan = NULL;
	CLEANUP(db_result_freep) struct db_result *obstacles = NULL;
	CLEANUP(db_result_freep) struct db_result *notices = NULL;
	CLEANUP(db_result_freep) struct db_result *events = NULL;
	const char *id;

	if (db_query(job->db, &QUERY_ACCOUNT_SHOW, DB_PARAMS(job->args[0]), &res, err) != 0)
		return -1;
	if (db_rows(res) == 0) {
		(void)err_set(err, ERR_FAILED, "the account of %.100s is not closing, and never was", job->args[0]);
		return err_hint(err, "expunge account list shows those that are");
	}
	id = db_get_text(res, 0, 0);
	if (db_query(job->db, &QUERY_ACCOUNT_PLAN, DB_PARAMS(id), &plan, err) != 0 ||
	    db_query(job->db, &QUERY_ACCOUNT_OBSTACLES, DB_PARAMS(id), &obstacles, err) != 0 ||
	    db_query(job->db, &QUERY_ACCOUNT_NOTICES, DB_PARAMS(id), &notices, err) != 0 ||
	    db_query(job->db, &QUERY_EVENT_LIST, DB_PARAMS(id), &events, err) != 0)
		return -1;
	if (job_flag(job, "json")) {
		struct json *object = json_of_row(res, 0);

		json_set_text(object, "plan_document", db_rows(plan) == 1 ? db_get_text(plan, 0, 0) : NULL);
		json_set(object, "obstacles", rows_of(obstacles));
		json_set(object, "notices", rows_of(notices));
		json_set(object, "history", rows_of(events));
		return json_print(stdout, object, err);
	}
	if (listing_print_one(stdout, res, false, err) != 0)
		return -1;
	if (db_rows(plan) == 1)
		printf("\n%s", db_get_text(plan, 0, 0));
	return print_part("in the way of its purge", obstacles, err) != 0 || print_part("notices", notices, err) != 0 ? -1 :
		print_part("history", events, err);
}

static const struct option_row cancel_options[] = {
	{ "paid-until", "DATE", "the last paid day; required", NULL },
	{ "reason", "TEXT", "why, in the register", NULL },
	{ "zone", "ZONE", "the practice's time zone, if it is not that of policy.zone", NULL },
	OPTION_END
};
static const struct option_row terminate_options[] = {
	{ "reason", "TEXT", "why; required", NULL },
	{ "paid-until", "DATE", "the last paid day, where the rule counts from it", NULL },
	{ "zone", "ZONE", "the practice's time zone, if it is not that of policy.zone", NULL },
	OPTION_END
};
static const struct option_row reason_options[] = { { "reason", "TEXT", "why; required", NULL }, OPTION_END };
static const struct option_row approve_options[] = {
	{ "plan", "HASH", "the plan's hash, as account show prints it; required", NULL },
	OPTION_END
};
static const struct option_row list_options[] = { { "all", NULL, "those that came back or are gone, too", NULL }, OPTION_JSON, OPTION_END };
static const struct option_row show_options[] = { OPTION_JSON, OPTION_END };

const struct command account_commands[] = {
	{ "account cancel", "close the account of a practice that has cancelled", "TENANT", 1, 1, NEEDS_BINDING, cancel_options, cancel_account,
	  "Its cooling-off is counted by closure.rules. Until its purge begins it can come back: account reactivate." },
	{ "account terminate", "close the account of a practice that does not pay", "TENANT", 1, 1, NEEDS_BINDING, terminate_options,
		run_terminate, "A person's decision; no run ever makes it." },
	{ "account reactivate", "let a closing account be active again", "TENANT", 1, 1, NEEDS_BINDING, reason_options, run_reactivate, NULL },
	{ "account approve", "approve the purge of an account; it takes two people", "TENANT", 1, 1, NEEDS_BINDING, approve_options,
		run_approve, NULL },
	{ "account told", "note that the practice was told otherwise than by e-mail", "TENANT", 1, 1, NEEDS_BINDING, reason_options, run_told,
	  "Where its notices did not all reach somebody, nothing is purged before this. In the last week of its days, or later:\n"
	  "what was said before that does not count." },
	{ "account list", "closing accounts, and what each waits for", "", 0, 0, NEEDS_BINDING, list_options, run_list, NULL },
	{ "account show", "one account with its plan, its notices and its history", "TENANT", 1, 1, NEEDS_BINDING, show_options, run_show, NULL },
	{ 0 }
};

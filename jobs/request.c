/* request erase, list, show, identify, plan, decide, withdraw, extend, recipients, acknowledge: an erasure request's way. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/str.h"
#include "erasure/draft.h"
#include "jobs/job.h"
#include "jobs/person.h"
#include "jobs/removal.h"
#include "query.h"
#include "svc/listing.h"

/* The argument as a request id, or NULL with an error; nothing else reaches the server. */
static const char *
id_argument(const struct job *job, struct err *err)
{
	if (parse_is_uuid(job->args[0]))
		return job->args[0];
	(void)err_set(err, ERR_USAGE, "%.40s is not a request id", job->args[0]);
	(void)err_hint(err, "expunge request list shows the ids");
	return NULL;
}

static int
needed(const struct job *job, const char *option, struct err *err)
{
	if (job_option(job, option) != NULL)
		return 0;
	return err_set(err, ERR_USAGE, "%s needs --%s", job->command->name, option);
}

/* Runs one function and prints what it answers: an id, a date, a state. */
static int
ask_and_print(struct job *job, const struct query *query, const char *const *params, const char *id, const char *label,
	struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (person_asks(job, query, params, id, &res, err) != 0)
		return -1;
	printf("%s%s\n", label, db_get_text(res, 0, 0));
	return 0;
}

static int
run_erase_request(struct job *job, struct err *err)
{
	const char *received = job_option(job, "received");
	int year, month, day;

	if (needed(job, "tenant", err) != 0 || needed(job, "subject", err) != 0 || needed(job, "ground", err) != 0)
		return -1;
	if (received != NULL && parse_date(received, &year, &month, &day) != 0)
		return err_set(err, ERR_USAGE, "--received takes a date YYYY-MM-DD");
	return ask_and_print(job, &QUERY_REQUEST_FILE, DB_PARAMS(job_option(job, "tenant"), job_option(job, "subject"),
		job_option(job, "ground"), job_option(job, "channel"), received, job_option(job, "key")), NULL, "", err);
}

static int
run_list(struct job *job, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (db_query(job->db, &QUERY_REQUEST_LIST, DB_PARAMS(job_option(job, "tenant"), job_flag(job, "all") ? "true" : "false"),
		    &res, err) != 0)
		return -1;
	if (db_rows(res) == 0 && !job_flag(job, "json")) {
		printf("no %srequests\n", job_flag(job, "all") ? "" : "open ");
		return 0;
	}
	return listing_print(stdout, res, job_flag(job, "json"), err);
}

static int
run_show(struct job *job, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	CLEANUP(db_result_freep) struct db_result *events = NULL;
	CLEANUP(db_result_freep) struct db_result *plan = NULL;
	const char *id = id_argument(job, err);

	if (id == NULL || db_query(job->db, &QUERY_REQUEST_SHOW, DB_PARAMS(id), &res, err) != 0)
		return -1;
	if (db_rows(res) == 0)
		return err_set(err, ERR_FAILED, "there is no request %s", id);
	if (db_query(job->db, &QUERY_PLAN_SHOW, DB_PARAMS(id), &plan, err) != 0 ||
	    db_query(job->db, &QUERY_EVENT_LIST, DB_PARAMS(id), &events, err) != 0)
		return -1;
	if (job_flag(job, "json")) {
		struct json *object = json_of_row(res, 0), *history = json_new_array();

		for (int i = 0; i < db_rows(events); i++)
			json_push(history, json_of_row(events, i));
		json_set_text(object, "plan", db_rows(plan) == 1 ? db_get_text(plan, 0, 0) : NULL);
		json_set(object, "history", history);
		return json_print(stdout, object, err);
	}
	if (listing_print_one(stdout, res, false, err) != 0)
		return -1;
	if (db_rows(plan) == 1)
		printf("\n%splan: %s\n", db_get_text(plan, 0, 0), db_get_text(plan, 0, 1));
	printf("\n");
	return listing_print(stdout, events, false, err);
}

static int
run_identify(struct job *job, struct err *err)
{
	const char *id = id_argument(job, err);

	if (id == NULL)
		return -1;
	return ask_and_print(job, &QUERY_REQUEST_IDENTIFY, DB_PARAMS(id), id, "due on ", err);
}

static int
run_plan(struct job *job, struct err *err)
{
	CLEANUP(draft_release) struct draft draft = { 0 };
	struct run run = { 0 };
	const char *id = id_argument(job, err);
	int failed;

	if (id == NULL)
		return -1;
	failed = removal_open(job, &run, REMOVAL_LOOK, err) != 0 || draft_plan(&run, id, true, &draft, err) != 0;
	removal_close(&run);
	if (failed)
		return -1;
	printf("%splan: %s\n", draft.document.s, draft.hash);
	return 0;
}

static int
run_decide(struct job *job, struct err *err)
{
	const char *accept = job_option(job, "accept"), *partial = job_option(job, "partial"), *refuse = job_option(job, "refuse");
	const char *plan = job_option(job, "plan");
	const char *id = id_argument(job, err);

	if (id == NULL)
		return -1;
	if ((accept != NULL) + (partial != NULL) + (refuse != NULL) != 1)
		return err_set(err, ERR_USAGE, "decide takes one of --accept, --partial CODE, --refuse CODE");
	if (refuse == NULL && plan == NULL) {
		(void)err_set(err, ERR_USAGE, "an approval names the plan it approves: --plan sha256:...");
		return err_hint(err, "expunge request show %s prints the plan and its hash", id);
	}
	return ask_and_print(job, &QUERY_REQUEST_DECIDE, DB_PARAMS(id, accept != NULL ? "accept" : partial != NULL ? "partial" : "refuse",
		partial != NULL ? partial : refuse, refuse != NULL ? NULL : plan), id, "", err);
}

static int
run_withdraw(struct job *job, struct err *err)
{
	const char *id = id_argument(job, err);

	if (id == NULL || person_asks(job, &QUERY_REQUEST_WITHDRAW, DB_PARAMS(id), id, NULL, err) != 0)
		return -1;
	printf("withdrawn\n");
	return 0;
}

static int
run_extend(struct job *job, struct err *err)
{
	const char *id = id_argument(job, err);

	if (id == NULL || needed(job, "reason", err) != 0)
		return -1;
	return ask_and_print(job, &QUERY_REQUEST_EXTEND, DB_PARAMS(id, job_option(job, "reason")), id, "due on ", err);
}

static int
run_recipients(struct job *job, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	const char *id = job->n_args == 0 ? NULL : id_argument(job, err);

	if (job->n_args > 0 && id == NULL)
		return -1;
	if (db_query(job->db, &QUERY_RECIPIENT_LIST, DB_PARAMS(id, job_flag(job, "open") ? "true" : "false"), &res, err) != 0)
		return -1;
	if (db_rows(res) == 0 && !job_flag(job, "json")) {
		printf("no external store %s\n", job_flag(job, "open") ? "that was told has an acknowledgement outstanding" : "was told");
		return 0;
	}
	return listing_print(stdout, res, job_flag(job, "json"), err);
}

static int
run_acknowledge(struct job *job, struct err *err)
{
	const char *id = id_argument(job, err);

	if (id == NULL)
		return -1;
	return ask_and_print(job, &QUERY_RECIPIENT_ACKNOWLEDGE, DB_PARAMS(id, job->args[1]), id, "acknowledged at ", err);
}

static const struct option_row erase_options[] = {
	{ "tenant", "T", "the practice, as the application names it; required", NULL },
	{ "subject", "S", "the patient's key; required", NULL },
	{ "ground", "GROUND", "17-1-a to 17-1-g; required", NULL },
	{ "received", "DATE", "the day on which it was received, if not today", NULL },
	{ "channel", "C", "how it came: letter, e-mail, telephone", NULL },
	{ "key", "K", "the same key twice files one request", NULL },
	OPTION_END
};
static const struct option_row list_options[] = {
	{ "tenant", "T", "of this practice only", NULL },
	{ "all", NULL, "those at their end, too", NULL },
	OPTION_JSON,
	OPTION_END
};
static const struct option_row show_options[] = { OPTION_JSON, OPTION_END };
static const struct option_row decide_options[] = {
	{ "accept", NULL, "all of it is erased", NULL },
	{ "partial", "CODE", "what the law keeps is kept: basis, such as 17-3-b", NULL },
	{ "refuse", "CODE", "refused: basis, such as 17-3-e", NULL },
	{ "plan", "HASH", "the plan that is approved", NULL },
	OPTION_END
};
static const struct option_row recipients_options[] = {
	{ "open", NULL, "only those that have not acknowledged", NULL },
	OPTION_JSON,
	OPTION_END
};
static const struct option_row extend_options[] = {
	{ "reason", "TEXT", "why; the person is told within the first month; required", NULL },
	OPTION_END
};

const struct command request_commands[] = {
	{ "request erase", "file an erasure request; prints its id", "", 0, 0, NEEDS_DB, erase_options, run_erase_request, NULL },
	{ "request list", "open requests, days left, what is late and why", "", 0, 0, NEEDS_BINDING, list_options, run_list, NULL },
	{ "request show", "one request: state, why not yet, plan, history", "ID", 1, 1, NEEDS_BINDING, show_options, run_show, NULL },
	{ "request identify", "the person's identity is established: the clock runs", "ID", 1, 1, NEEDS_BINDING, NULL, run_identify, NULL },
	{ "request plan", "plan it now and keep the plan for approval", "ID", 1, 1, NEEDS_BINDING, NULL, run_plan,
	  "The nightly run does the same for every request that waits for an approval." },
	{ "request decide", "accept, accept in part, or refuse; not the filer", "ID", 1, 1, NEEDS_BINDING, decide_options, run_decide, NULL },
	{ "request withdraw", "take it back", "ID", 1, 1, NEEDS_BINDING, NULL, run_withdraw, NULL },
	{ "request extend", "extend the time once, to three months", "ID", 1, 1, NEEDS_BINDING, extend_options, run_extend, NULL },
	{ "request recipients", "external stores that were told of erasures", "[ID]", 0, 1, NEEDS_BINDING, recipients_options,
		run_recipients, NULL },
	{ "request acknowledge", "an external store has said that it erased", "ID STORE", 2, 2, NEEDS_BINDING, NULL, run_acknowledge,
	  "For stores whose program answers that the acknowledgement comes later." },
	{ 0 }
};

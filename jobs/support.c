/* support request, consent, revoke, open, close, list, show, export: visits of the support staff, under a practice's consent. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "jobs/job.h"
#include "jobs/person.h"
#include "query.h"
#include "svc/listing.h"

static const char *
id_argument(const struct job *job, struct err *err)
{
	if (parse_is_uuid(job->args[0]))
		return job->args[0];
	(void)err_set(err, ERR_USAGE, "%.40s is not an id", job->args[0]);
	(void)err_hint(err, "expunge support list shows the ids");
	return NULL;
}

static int
needed(const struct job *job, const char *const *names, struct err *err)
{
	for (; *names != NULL; names++)
		if (job_option(job, *names) == NULL)
			return err_set(err, ERR_USAGE, "%s needs --%s", job->command->name, *names);
	return 0;
}

/* Runs one function and prints what it answers: an id, a time, a count. */
static int
ask_and_print(struct job *job, const struct query *query, const char *const *params, const char *label, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (person_asks(job, query, params, NULL, &res, err) != 0)
		return -1;
	printf("%s%s\n", label, db_get_text(res, 0, 0));
	return 0;
}

static const char *const visit[] = { "tenant", "ticket", "scope", "reason", NULL };

static int
run_request(struct job *job, struct err *err)
{
	if (needed(job, visit, err) != 0)
		return -1;
	return ask_and_print(job, &QUERY_SUPPORT_ASK, DB_PARAMS(job_option(job, "tenant"), job_option(job, "ticket"), job_option(job, "scope"),
		job_option(job, "reason"), job_option(job, "subject"), job_option(job, "key"), job_flag(job, "override") ? "true" : "false"), "", err);
}

static int
run_open(struct job *job, struct err *err)
{
	if (needed(job, visit, err) != 0)
		return -1;
	return ask_and_print(job, &QUERY_SUPPORT_OPEN, DB_PARAMS(job_option(job, "tenant"), job_option(job, "ticket"), job_option(job, "scope"),
		job_option(job, "reason"), job_option(job, "subject"), job_option(job, "key")), "", err);
}

static int
run_consent(struct job *job, struct err *err)
{
	static const char *const always[] = { "tenant", "until", NULL }, *const alone[] = { "ticket", "scope", NULL };
	const char *request = job->n_args == 0 ? NULL : id_argument(job, err);

	if (job->n_args > 0 && request == NULL)
		return -1;
	if (job_flag(job, "override")) {
		if (request == NULL)
			return err_set(err, ERR_USAGE, "support consent --override takes the id of an override");
		return ask_and_print(job, &QUERY_SUPPORT_CONFIRM, DB_PARAMS(request), "until ", err);
	}
	if (needed(job, always, err) != 0 || (request == NULL && needed(job, alone, err) != 0))
		return -1;
	if (!parse_is_utc_time(job_option(job, "until")))
		return err_set(err, ERR_USAGE, "--until takes a time of UTC such as 2026-09-03T17:00:00Z");
	return ask_and_print(job, &QUERY_SUPPORT_GRANT, DB_PARAMS(job_option(job, "tenant"), job_option(job, "until"), job_option(job, "ticket"),
		job_option(job, "scope"), job_option(job, "subject"), job_option(job, "staff"), request, job_option(job, "key")), "", err);
}

static int
run_revoke(struct job *job, struct err *err)
{
	const char *id = id_argument(job, err);

	return id == NULL ? -1 : ask_and_print(job, &QUERY_SUPPORT_REVOKE, DB_PARAMS(id), "revoked; open sessions that this has ended: ", err);
}

static int
run_close(struct job *job, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	const char *id = id_argument(job, err);

	if (id == NULL || person_asks(job, &QUERY_SUPPORT_CLOSE, DB_PARAMS(id), NULL, &res, err) != 0)
		return -1;
	printf("%s\n", db_get_bool(res, 0, 0) ? "closed" : "it had ended before");
	return 0;
}

/* What was, from a day to a day; all: whatever its state. */
static int
read_list(struct job *job, bool all, struct db_result **ret, struct err *err)
{
	static const char *const days[] = { "from", "to" };
	int year, month, day;

	for (size_t i = 0; i < 2; i++)
		if (job_option(job, days[i]) != NULL && parse_date(job_option(job, days[i]), &year, &month, &day) != 0)
			return err_set(err, ERR_USAGE, "--%s takes a date YYYY-MM-DD", days[i]);
	return db_query(job->db, &QUERY_SUPPORT_LIST, DB_PARAMS(job_option(job, "tenant"), job_option(job, "from"), job_option(job, "to"),
		all ? "true" : "false"), ret, err);
}

static int
run_list(struct job *job, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (read_list(job, job_flag(job, "all"), &res, err) != 0)
		return -1;
	if (db_rows(res) == 0 && !job_flag(job, "json")) {
		printf("nothing%s\n", job_flag(job, "all") ? "" : " that is open or in force");
		return 0;
	}
	return listing_print(stdout, res, job_flag(job, "json"), err);
}

static int
run_export(struct job *job, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (read_list(job, true, &res, err) != 0)
		return -1;
	return job_flag(job, "json") ? listing_print(stdout, res, true, err) : listing_print_csv(stdout, res, err);
}

static int
run_show(struct job *job, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	CLEANUP(db_result_freep) struct db_result *events = NULL;
	const char *id = id_argument(job, err);

	if (id == NULL || db_query(job->db, &QUERY_SUPPORT_SHOW, DB_PARAMS(id), &res, err) != 0 ||
	    db_query(job->db, &QUERY_SUPPORT_EVENTS, DB_PARAMS(id), &events, err) != 0)
		return -1;
	if (db_rows(res) == 0)
		return err_set(err, ERR_FAILED, "there is no %s in support mode", id);
	if (job_flag(job, "json")) {
		struct json *object = json_of_row(res, 0), *history = json_new_array();

		for (int i = 0; i < db_rows(events); i++)
			json_push(history, json_of_row(events, i));
		json_set(object, "events", history);
		return json_print(stdout, object, err);
	}
	if (listing_print(stdout, res, false, err) != 0)
		return -1;
	printf("\n");
	return listing_print(stdout, events, false, err);
}

#define OPTION_SCOPE { "scope", "SCOPE", "settings, records, or record with --subject", "settings|records|record" }
#define OPTION_KEY { "key", "K", "the same key twice is one call", NULL }
#define OPTION_OF_TENANT { "tenant", "T", "of this practice only", NULL }
#define OPTION_FROM { "from", "DATE", "what was on this day and after", NULL }
#define OPTION_TO { "to", "DATE", "what was on this day and before", NULL }

static const struct option_row request_options[] = {
	{ "tenant", "T", "the practice; required", NULL },
	{ "ticket", "TICKET", "what it is about; required", NULL },
	OPTION_SCOPE,
	{ "subject", "S", "the one patient of scope record", NULL },
	{ "reason", "TEXT", "why; required", NULL },
	{ "override", NULL, "ask a colleague to let you in without consent, where that is configured", NULL },
	OPTION_KEY,
	OPTION_END
};
static const struct option_row consent_options[] = {
	{ "tenant", "T", "the practice; required", NULL },
	{ "until", "TIME", "the end, in UTC: 2026-09-03T17:00:00Z; required", NULL },
	{ "ticket", "TICKET", "for this one only; that of the request, if there is one", NULL },
	OPTION_SCOPE,
	{ "subject", "S", "the one patient of scope record", NULL },
	{ "staff", "LOGIN", "for this member of staff only", NULL },
	{ "override", NULL, "you are the second person of the override ID", NULL },
	OPTION_KEY,
	OPTION_END
};
static const struct option_row open_options[] = {
	{ "tenant", "T", "the practice; required", NULL },
	{ "ticket", "TICKET", "as in the consent; required", NULL },
	OPTION_SCOPE,
	{ "subject", "S", "the one patient of scope record", NULL },
	{ "reason", "TEXT", "why; required", NULL },
	OPTION_KEY,
	OPTION_END
};
static const struct option_row list_options[] = {
	OPTION_OF_TENANT,
	OPTION_FROM,
	OPTION_TO,
	{ "all", NULL, "what has ended, too", NULL },
	OPTION_JSON,
	OPTION_END
};
static const struct option_row show_options[] = { OPTION_JSON, OPTION_END };
static const struct option_row export_options[] = { OPTION_OF_TENANT, OPTION_FROM, OPTION_TO, OPTION_JSON, OPTION_END };

const struct command support_commands[] = {
	{ "support request", "the staff asks for a practice's consent; prints the id", "", 0, 0, NEEDS_DB, request_options, run_request,
	  "Unanswered, it lapses after support.request_hours." },
	{ "support consent", "the practice lets the staff in; prints the id", "[ID]", 0, 1, NEEDS_DB, consent_options, run_consent,
	  "With the ID of a request, to what that asks for." },
	{ "support revoke", "take a consent back: its sessions end at once", "ID", 1, 1, NEEDS_DB, NULL, run_revoke, NULL },
	{ "support open", "enter under a consent; prints the session's id", "", 0, 0, NEEDS_DB, open_options, run_open,
	  "A session ends with its consent, and after support.session_hours at the latest." },
	{ "support close", "leave", "ID", 1, 1, NEEDS_DB, NULL, run_close, NULL },
	{ "support list", "what is asked for, in force, open, waiting or unusual", "", 0, 0, NEEDS_DB, list_options, run_list, NULL },
	{ "support show", "one of them, with its events", "ID", 1, 1, NEEDS_DB, show_options, run_show, NULL },
	{ "support export", "all of a period, as comma-separated values", "", 0, 0, NEEDS_DB, export_options, run_export, NULL },
	{ 0 }
};

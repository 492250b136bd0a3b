/* notify: sends the notices that wait; says what became of them. contact add, remove, list: whom they go to. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "jobs/job.h"
#include "jobs/notices.h"
#include "jobs/person.h"
#include "query.h"
#include "svc/listing.h"
#include "sys/log.h"

#define LIST_DAYS "30"

static int
show(struct job *job, const struct query *query, const char *const *params, const char *none, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (db_query(job->db, query, params, &res, err) != 0)
		return -1;
	if (db_rows(res) > 0 || job_flag(job, "json"))
		return listing_print(stdout, res, job_flag(job, "json"), err);
	printf("%s\n", none);
	return 0;
}

static int
say_of_one(struct job *job, const char *option, const struct query *query, const char *done, struct err *err)
{
	const char *id = job_option(job, option);

	if (!parse_is_uuid(id))
		return err_set(err, ERR_USAGE, "--%s takes the id of a notice", option);
	if (person_asks(job, query, DB_PARAMS(id), NULL, NULL, err) != 0)
		return -1;
	printf("%s\n", done);
	return 0;
}

static int
send_all(struct job *job, struct err *err)
{
	struct notices n = { 0 };
	struct json *object;

	if (notices_send(job, &n, err) != 0)
		return -1;
	job->exit_code = n.bad ? 3 : 0;
	if (!job_flag(job, "json") && n.sent + n.bounced + n.given_up + n.failed + n.waiting == 0)
		return 0; /* quiet under cron */
	if (!job_flag(job, "json")) {
		printf("%lld sent, %lld refused, %lld given up, %lld to be tried again, %lld waiting\n", (long long)n.sent, (long long)n.bounced,
			(long long)n.given_up, (long long)n.failed, (long long)n.waiting);
		return 0;
	}
	object = json_new_object();
	json_set_int(object, "sent", n.sent);
	json_set_int(object, "bounced", n.bounced);
	json_set_int(object, "given_up", n.given_up);
	json_set_int(object, "failed", n.failed);
	json_set_int(object, "waiting", n.waiting);
	json_set_bool(object, "server_down", n.down);
	return json_print(stdout, object, err);
}

static int
run_notify(struct job *job, struct err *err)
{
	static const char *const choices[] = { "dry-run", "list", "again", "bounced" };
	int n = 0;

	for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++)
		n += job_option(job, choices[i]) != NULL;
	if (n > 1)
		return err_set(err, ERR_USAGE, "--dry-run, --list, --again and --bounced exclude each other");
	if (job_flag(job, "dry-run"))
		return show(job, &QUERY_NOTICE_DUE, NULL, "nothing is to be sent now", err);
	if (job_flag(job, "list"))
		return show(job, &QUERY_NOTICE_LIST, DB_PARAMS(LIST_DAYS), "no notices wait, and none were sent in the last " LIST_DAYS " days", err);
	if (job_option(job, "again") != NULL)
		return say_of_one(job, "again", &QUERY_NOTICE_AGAIN, "to be sent by the next run", err);
	if (job_option(job, "bounced") != NULL)
		return say_of_one(job, "bounced", &QUERY_NOTICE_BOUNCE, "recorded", err);
	return send_all(job, err);
}

/* ---- contacts ------------------------------------------------------------------------------ */

static int
change(struct job *job, const struct query *query, const char *const words[2], struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (job_option(job, "audience") == NULL)
		return err_set(err, ERR_USAGE, "%s needs --audience", job->command->name);
	if (person_asks(job, query, DB_PARAMS(job_option(job, "tenant"), job_option(job, "audience"), job->args[0]), NULL, &res, err) != 0)
		return -1;
	printf("%s\n", words[!db_get_bool(res, 0, 0)]);
	return 0;
}

static int
run_add(struct job *job, struct err *err)
{
	static const char *const words[] = { "added", "was there before" };

	return change(job, &QUERY_CONTACT_ADD, words, err);
}

static int
run_remove(struct job *job, struct err *err)
{
	static const char *const words[] = { "removed", "was not there" };

	return change(job, &QUERY_CONTACT_REMOVE, words, err);
}

static int
run_list(struct job *job, struct err *err)
{
	return show(job, &QUERY_CONTACT_LIST, DB_PARAMS(job_option(job, "tenant")), "no contacts", err);
}

static const struct option_row notify_options[] = {
	OPTION_DRY_RUN,
	{ "list", NULL, "what waits, and what became of the notices of the last " LIST_DAYS " days", NULL },
	{ "again", "ID", "have a notice tried again that was refused or given up", NULL },
	{ "bounced", "ID", "say that a notice, once sent, came back", NULL },
	OPTION_JSON, OPTION_END
};
static const struct option_row contact_options[] = {
	{ "tenant", "T", "the practice; without it, every practice (not for controllers)", NULL },
	{ "audience", "WHO", "controller, dpo, operator or approver; required", "controller|dpo|operator|approver" },
	OPTION_END
};
static const struct option_row list_options[] = {
	{ "tenant", "T", "those of one practice only", NULL },
	OPTION_JSON, OPTION_END
};

const struct command notify_commands[] = {
	{ "notify", "send the notices that wait", "", 0, 0, NEEDS_BINDING, notify_options, run_notify,
	  "Hands what is in the outbox to the mail server, each notice once. nightly does so at its end; more often does no harm." },
	{ "contact add", "an address that notices go to", "ADDRESS", 1, 1, NEEDS_BINDING, contact_options, run_add, NULL },
	{ "contact remove", "an address that notices go to no longer", "ADDRESS", 1, 1, NEEDS_BINDING, contact_options, run_remove, NULL },
	{ "contact list", "whom notices go to", "", 0, 0, NEEDS_BINDING, list_options, run_list, NULL },
	{ 0 }
};

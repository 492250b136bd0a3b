/* check_notices: whether those who have to be told can be. */
#include <string.h>

#include "account/notice.h"
#include "account/outbox.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "jobs/check.h"
#include "query.h"

static void
check_server(struct checks *checks, const struct config *config)
{
	CLEANUP(mailer_closep) struct mailer *mailer = NULL;
	struct mail_answer answer;
	const char *detail;
	struct err err = { 0 };

	if (outbox_mailer(config, &mailer, &err) != 0) {
		check_err(checks, "mail server", &err);
		return;
	}
	mailer_greet(mailer, &answer, &detail);
	if (answer.verdict == MAIL_SENT)
		check_add(checks, CHECK_OK, "mail server", mem_copy(config_text(config, SET_MAIL_SERVER)), NULL);
	else
		check_add(checks, CHECK_ERROR, "mail server", mem_printf("%s: %s (%s)", config_text(config, SET_MAIL_SERVER), detail, answer.code),
			mem_copy("see the settings mail.server, ca_file, user and password_file, and whether it can be reached from here"));
}

static void
check_templates(struct checks *checks, const struct config *config)
{
	const char *directory = config_text(config, SET_NOTICES_DIRECTORY);
	struct err err = { 0 };
	size_t n_bad = 0;

	for (const struct notice_kind *kind = notice_kinds; kind->name != NULL; kind++)
		if (notice_rehearse(directory, kind, &err) != 0) {
			check_err(checks, "notices", &err);
			n_bad++;
		}
	if (n_bad == 0)
		check_add(checks, CHECK_OK, "notices", mem_copy(directory), NULL);
}

/* Somebody has to hear of a bad night. */
static void
check_operators(struct checks *checks, struct db *db)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	struct err err = { 0 };
	int n = 0;

	if (db_query(db, &QUERY_CONTACT_LIST, DB_PARAMS(NULL), &res, &err) != 0) {
		check_err(checks, "contacts", &err);
		return;
	}
	for (int i = 0; i < db_rows(res); i++)
		n += strcmp(db_get_text(res, i, 0), "operator") == 0;
	if (n == 0)
		check_add(checks, CHECK_WARNING, "contacts", mem_copy("no operator is told of a night that went wrong"),
			mem_copy("expunge contact add --audience operator ADDRESS"));
	else
		check_add(checks, CHECK_OK, "contacts", mem_printf("%d for operators, %d in all", n, db_rows(res)), NULL);
}

void
check_notices(struct checks *checks, const struct job *job)
{
	if (!outbox_is_configured(job->config)) {
		check_add(checks, CHECK_SKIPPED, "mail server", mem_copy("none is configured: notices wait in the outbox"), NULL);
		return;
	}
	check_server(checks, job->config);
	check_templates(checks, job->config);
	if (job->db != NULL)
		check_operators(checks, job->db);
}

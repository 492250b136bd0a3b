#include "jobs/notices.h"

#include <stdio.h>

#include "account/outbox.h"
#include "base/cleanup.h"
#include "query.h"
#include "sys/log.h"
#include "sys/progress.h"
#include "sys/stop.h"

static void
note(bool bad, const char *text)
{
	if (bad)
		log_error("%s", text);
	else
		log_info("%s", text);
}

static void
show_progress(int64_t done, int64_t total)
{
	(void)total;
	progress_at(done);
}

static int
count_waiting(struct job *job, int64_t *ret, int64_t *ret_late, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (db_query(job->db, &QUERY_STATUS_NOTICES, NULL, &res, err) != 0)
		return -1;
	*ret = db_get_int(res, 0, 0);
	*ret_late = db_get_int(res, 0, 1);
	return 0;
}

int
notices_send(struct job *job, struct notices *ret, struct err *err)
{
	CLEANUP(mailer_closep) struct mailer *mailer = NULL;
	struct outbox outbox = { .db = job->db, .config = job->config, .note = note, .progress = show_progress, .stop = stop_asked };
	bool configured = outbox_is_configured(job->config);
	int64_t late = 0;
	int failed = 0;

	if (configured) {
		if (outbox_mailer(job->config, &mailer, err) != 0)
			return -1;
		outbox.mailer = mailer;
		progress_start("sending notices", 0);
		failed = outbox_send(&outbox, err);
		progress_end();
	}
	if (failed != 0 || count_waiting(job, &ret->waiting, &late, err) != 0)
		return -1;
	ret->sent = outbox.n_sent;
	ret->bounced = outbox.n_bounced;
	ret->given_up = outbox.n_given_up;
	ret->failed = outbox.n_failed;
	ret->down = outbox.down;
	ret->bad = outbox.down || late > 0 || outbox.n_bounced + outbox.n_given_up + outbox.n_unfit > 0;
	if (!configured && ret->waiting > 0)
		log_warning("%lld notices wait, and mail.server is not set", (long long)ret->waiting);
	else if (late > 0)
		log_error("%lld notices have waited for longer than a day", (long long)late);
	return 0;
}

void
notices_end_run(struct job *job, const char *run, int *exit_code)
{
	struct notices n = { 0 };
	struct err err = { 0 };
	char code[16];

	if (*exit_code != 0) {
		(void)snprintf(code, sizeof(code), "%d", *exit_code);
		if (db_query(job->db, &QUERY_NOTICE_FAILURE, DB_PARAMS("nightly", run, code), NULL, &err) != 0)
			log_err(&err);
	}
	if (notices_send(job, &n, &err) != 0)
		log_err(&err);
	if (*exit_code == 0 && (n.bad || err.code != ERR_NONE))
		*exit_code = 3;
}

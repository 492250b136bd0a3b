/* status, for JSON and for Prometheus. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "jobs/status.h"
#include "svc/listing.h"

/* ---- JSON ---------------------------------------------------------------------------------- */

static void
set_number(struct json *object, const char *name, const struct db_result *res, int row, int column)
{
	if (db_get(res, row, column) == NULL)
		json_set_text(object, name, NULL);
	else
		json_set_int(object, name, db_get_int(res, row, column));
}

static struct json *
archives_json(const struct status *s)
{
	struct json *object = json_new_object();

	for (int c = ARCHIVES; c <= ARCHIVE_EXPIRED; c++)
		set_number(object, db_column_name(s->archives, c), s->archives, 0, c);
	json_set_int(object, "copies_missing", s->n_missing);
	json_set_int(object, "copies_bad", s->n_damaged);
	json_set_int(object, "copies_sending", s->n_sending);
	json_set_text(object, "change_waits_for", db_get(s->archives, 0, CHANGE_WAITS));
	json_set_text(object, "last_drill", db_get(s->archives, 0, DRILL_AT));
	if (db_get(s->archives, 0, DRILL_AT) != NULL)
		json_set_bool(object, "last_drill_passed", db_get_bool(s->archives, 0, DRILL_PASSED));
	return object;
}

static struct json *
accounts_json(const struct status *s)
{
	struct json *object = json_new_object();

	for (int c = ACCOUNTS_CLOSING; c <= ACCOUNTS_FAILED; c++)
		json_set_int(object, db_column_name(s->accounts, c), db_get_int(s->accounts, 0, c));
	return object;
}

static struct json *
support_json(const struct status *s)
{
	struct json *object = json_new_object();

	for (int c = SUPPORT_OPEN; c <= SUPPORT_QUARANTINED; c++)
		json_set_int(object, db_column_name(s->support, c), db_get_int(s->support, 0, c));
	return object;
}

static struct json *
notices_json(const struct status *s)
{
	struct json *object = json_new_object();

	for (int c = NOTICES_QUEUED; c <= NOTICES_SENT; c++)
		json_set_int(object, db_column_name(s->notices, c), db_get_int(s->notices, 0, c));
	json_set_text(object, "last_sent", db_get(s->notices, 0, NOTICES_LAST_SENT));
	return object;
}

int
status_print_json(const struct status *s, struct err *err)
{
	struct json *object = json_new_object(), *reasons = json_new_array(), *jobs = json_new_array();
	struct json *findings = json_new_array();

	json_set_text(object, "verdict", status_verdict(s));
	json_set_text(object, "wrong", s->wrong.len > 0 ? s->wrong.s : NULL);
	for (size_t i = 0; i < s->n_findings; i++) {
		struct json *finding = json_new_object();

		json_set_text(finding, "what", s->findings[i].what);
		json_set_text(finding, "remedy", s->findings[i].remedy);
		json_set_bool(finding, "red", s->findings[i].red);
		json_push(findings, finding);
	}
	json_set(object, "findings", findings);
	for (int c = 0; c < FROZEN; c++)
		json_set_int(object, db_column_name(s->counts, c), db_get_int(s->counts, 0, c));
	json_set_bool(object, "frozen", status_is_frozen(s));
	for (int i = 0; i < db_rows(s->reasons); i++) {
		struct json *reason = json_new_object();

		json_set_text(reason, "state", db_get_text(s->reasons, i, REASON_STATE));
		json_set_text(reason, "reason", db_get_text(s->reasons, i, REASON_CODE));
		json_set_int(reason, "n", db_get_int(s->reasons, i, REASON_N));
		json_set_int(reason, "oldest_days", db_get_int(s->reasons, i, REASON_OLDEST));
		json_push(reasons, reason);
	}
	for (int i = 0; i < db_rows(s->jobs); i++) {
		struct json *job = json_new_object();

		json_set_text(job, "job", db_get_text(s->jobs, i, JOB_NAME));
		json_set_text(job, "last_start", db_get(s->jobs, i, JOB_STARTED));
		json_set_text(job, "last_success", db_get(s->jobs, i, JOB_SUCCEEDED));
		set_number(job, "last_exit_code", s->jobs, i, JOB_EXIT);
		json_push(jobs, job);
	}
	if (s->archives != NULL)
		json_set(object, "archives", archives_json(s));
	json_set(object, "notices", notices_json(s));
	json_set(object, "accounts", accounts_json(s));
	json_set(object, "support", support_json(s));
	json_set(object, "reasons", reasons);
	json_set(object, "jobs", jobs);
	return json_print(stdout, object, err);
}

/* ---- Prometheus, text format 0.0.4 --------------------------------------------------------- */

static const struct {
	const char *name, *type, *help;
	enum count column;
	int scale;
} metrics[] = {
	{ "expunge_requests_open", "gauge", "Requests that are not at their end.", OPEN, 1 },
	{ "expunge_requests_due_soon", "gauge", "Open requests due within 7 days.", DUE_SOON, 1 },
	{ "expunge_requests_overdue", "gauge", "Open requests past their due date.", OVERDUE, 1 },
	{ "expunge_requests_past_target", "gauge", "Open requests past the internal target.", PAST_TARGET, 1 },
	{ "expunge_requests_undecided", "gauge", "Open requests that nobody has decided.", UNDECIDED, 1 },
	{ "expunge_requests_oldest_age_seconds", "gauge", "Age of the oldest open request.", OLDEST_DAYS, 86400 },
	{ "expunge_holds", "gauge", "Holds in force.", HOLDS, 1 },
	{ "expunge_holds_past_review", "gauge", "Holds in force past their review date.", HOLDS_PAST_REVIEW, 1 },
	{ "expunge_certificates_total", "counter", "Certificates issued.", CERTIFICATES, 1 },
	{ "expunge_certificates_unpublished", "gauge", "Certificates issued but not written to files.", UNPUBLISHED, 1 },
	{ "expunge_certificates_interim", "gauge", "Interim certificates whose final ones are to follow.", INTERIM, 1 },
	{ "expunge_finals_overdue", "gauge", "Interim certificates past the last day of every store they wait for.", FINALS_OVERDUE, 1 },
	{ "expunge_openings", "gauge", "Openings of subject references that nobody has collected.", OPENINGS, 1 },
	{ "expunge_requests_uncertified", "gauge", "Removed requests that the run after their removal could not certify.", UNCERTIFIED, 1 },
	{ "expunge_recipients_unacknowledged", "gauge", "External stores told of an erasure that have not acknowledged it.", UNACKNOWLEDGED, 1 },
};

static void
print_head(const char *name, const char *type, const char *help)
{
	printf("# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void
print_metric(const char *name, const char *help, int64_t value)
{
	print_head(name, "gauge", help);
	printf("%s %lld\n", name, (long long)value);
}

/* A label's value: backslash, quote and line feed escaped. */
static void
print_label(const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\n')
			printf("\\n");
		else
			printf("%s%c", *text == '\\' || *text == '"' ? "\\" : "", *text);
	}
}

static void
print_jobs(const struct status *s, const char *name, const char *help, enum job_column column)
{
	print_head(name, "gauge", help);
	for (int i = 0; i < db_rows(s->jobs); i++) {
		if (db_get(s->jobs, i, (int)column) == NULL)
			continue;
		printf("%s{job=\"", name);
		print_label(db_get_text(s->jobs, i, JOB_NAME));
		printf("\"} %lld\n", (long long)db_get_int(s->jobs, i, (int)column));
	}
}

static void
print_reasons(const struct status *s)
{
	static const char *const states[] = { "blocked", "failed" };

	for (size_t state = 0; state < 2; state++) {
		CLEANUP(free_text) char *name = mem_printf("expunge_requests_%s", states[state]);

		print_head(name, "gauge", state == 0 ? "Requests that something blocks, by reason." : "Requests that failed, by reason.");
		for (int i = 0; i < db_rows(s->reasons); i++) {
			if (strcmp(db_get_text(s->reasons, i, REASON_STATE), states[state]) != 0)
				continue;
			printf("%s{reason=\"", name);
			print_label(db_get_text(s->reasons, i, REASON_CODE));
			printf("\"} %lld\n", (long long)db_get_int(s->reasons, i, REASON_N));
		}
		/* a series that is always there, so that an alert on it can be written and clears */
		if (status_count(s, state == 0 ? BLOCKED : FAILED) == 0)
			printf("%s{reason=\"\"} 0\n", name);
	}
}

static const struct {
	const char *name, *help;
	enum archive_column column;
} archive_metrics[] = {
	{ "expunge_archives", "Sealed archives that open.", ARCHIVES },
	{ "expunge_archive_newest_age_seconds", "Age of the newest archive of the tenant that is worst off.", ARCHIVE_AGE },
	{ "expunge_archives_unnamed", "Archives that a run has left before they had their name.", ARCHIVE_UNNAMED },
	{ "expunge_archives_expired", "Expired archives whose files are not removed yet.", ARCHIVE_EXPIRED },
	{ "expunge_drill_last_timestamp_seconds", "When the drills were last run.", DRILL_AT_S },
};

static const struct {
	const char *name, *type, *help;
	enum notice_column column;
} notice_metrics[] = {
	{ "expunge_notices_waiting", "gauge", "Notices that are to be sent.", NOTICES_QUEUED },
	{ "expunge_notices_late", "gauge", "Notices that have waited for more than a day.", NOTICES_LATE },
	{ "expunge_notices_refused", "gauge", "Notices that a mail server refused for good in the last 30 days.", NOTICES_BOUNCED },
	{ "expunge_notices_given_up", "gauge", "Notices that were given up in the last 30 days.", NOTICES_GIVEN_UP },
	{ "expunge_notices_unreached", "gauge", "Notices of the last 30 days that every address refused.", NOTICES_UNREACHED },
	{ "expunge_notices_sent_total", "counter", "Notices that a mail server took.", NOTICES_SENT },
};

static void
print_notice_metrics(const struct status *s)
{
	for (size_t i = 0; i < sizeof(notice_metrics) / sizeof(notice_metrics[0]); i++) {
		print_head(notice_metrics[i].name, notice_metrics[i].type, notice_metrics[i].help);
		printf("%s %lld\n", notice_metrics[i].name, (long long)status_notice_count(s, notice_metrics[i].column));
	}
}

static void
print_archive_metrics(const struct status *s)
{
	for (size_t i = 0; i < sizeof(archive_metrics) / sizeof(archive_metrics[0]); i++) {
		if (db_get(s->archives, 0, (int)archive_metrics[i].column) == NULL)
			continue;
		print_head(archive_metrics[i].name, "gauge", archive_metrics[i].help);
		printf("%s %lld\n", archive_metrics[i].name, (long long)status_archive_count(s, archive_metrics[i].column));
	}
	print_metric("expunge_archive_copies_missing", "Copies of archives that a destination of the configuration does not have.", s->n_missing);
	print_metric("expunge_archive_copies_bad", "Copies of archives that the last verification found bad.", s->n_damaged);
	print_metric("expunge_archive_copies_sending", "Copies of archives that a command has not taken yet.", s->n_sending);
	print_metric("expunge_key_change_waits", "1 while a change of the root waits at a barrier.", db_get(s->archives, 0, CHANGE_WAITS) != NULL);
	if (db_get(s->archives, 0, DRILL_AT) == NULL)
		return;
	print_head("expunge_drill_last_passed", "gauge", "1 if the last drills passed.");
	printf("expunge_drill_last_passed %d\n", db_get_bool(s->archives, 0, DRILL_PASSED) ? 1 : 0);
}

void
status_print_prometheus(const struct status *s)
{
	print_head("expunge_well", "gauge", "0 when something is overdue or failed, else 1.");
	printf("expunge_well %d\n", s->red ? 0 : 1);
	for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++) {
		print_head(metrics[i].name, metrics[i].type, metrics[i].help);
		printf("%s %lld\n", metrics[i].name, (long long)status_count(s, metrics[i].column) * metrics[i].scale);
	}
	print_reasons(s);
	print_head("expunge_frozen", "gauge", "1 while every destructive step is stopped.");
	printf("expunge_frozen %d\n", status_is_frozen(s) ? 1 : 0);
	if (s->archives != NULL)
		print_archive_metrics(s);
	print_notice_metrics(s);
	print_metric("expunge_accounts_closing", "Accounts that are closing and not claimed.", status_account_count(s, ACCOUNTS_CLOSING));
	print_metric("expunge_accounts_due", "Accounts whose cooling-off is over and that are not claimed.", status_account_count(s, ACCOUNTS_DUE));
	print_metric("expunge_accounts_under_way", "Accounts that are claimed and not certified.", status_account_count(s, ACCOUNTS_UNDER_WAY));
	print_metric("expunge_accounts_overdue", "Accounts past the day on which they were to be gone.", status_account_count(s, ACCOUNTS_OVERDUE));
	print_metric("expunge_accounts_disagreeing", "Accounts that the application says otherwise of.", status_account_count(s, ACCOUNTS_DISAGREEING));
	print_metric("expunge_accounts_failed", "Accounts whose purge failed.", status_account_count(s, ACCOUNTS_FAILED));
	print_metric("expunge_accounts_dormant", "Closing accounts whose rows are sealed and out of the live database.",
		status_account_count(s, ACCOUNTS_DORMANT));
	print_metric("expunge_accounts_unsealed", "Accounts past the day on which they were to be dormant.", status_account_count(s, ACCOUNTS_UNSEALED));
	print_metric("expunge_accounts_waking", "Accounts that came back and whose rows are not loaded yet.", status_account_count(s, ACCOUNTS_WAKING));
	print_metric("expunge_support_sessions_open", "Sessions of the support staff that are open.", status_support_count(s, SUPPORT_OPEN));
	print_metric("expunge_test_subjects_overdue", "Test patients that are past their time.", status_support_count(s, SUPPORT_OVERDUE));
	print_metric("expunge_test_subjects_quarantined", "Test patients that wait for a practice's decision.",
		status_support_count(s, SUPPORT_QUARANTINED));
	print_jobs(s, "expunge_job_last_start_timestamp_seconds", "When the job was last started.", JOB_STARTED_S);
	print_jobs(s, "expunge_job_last_success_timestamp_seconds", "When the job last ended with exit code 0.", JOB_SUCCEEDED_S);
	print_jobs(s, "expunge_job_last_exit_code", "The exit code of the job's last run.", JOB_EXIT);
}

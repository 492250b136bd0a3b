/* status: one sentence on whether all is well, then the counts; for people, for JSON, for Prometheus. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "jobs/job.h"
#include "keys/keys.h"
#include "query.h"
#include "svc/listing.h"
#include "sys/file.h"

#define STALE_HOURS 50 /* two nights without a success */

/* columns of status_counts */
enum count {
	OPEN, DUE_SOON, OVERDUE, PAST_TARGET, BLOCKED, FAILED, UNDECIDED, OLDEST_DAYS, HOLDS, HOLDS_PAST_REVIEW,
	CERTIFICATES, UNPUBLISHED, INTERIM, FINALS_OVERDUE, OPENINGS, UNACKNOWLEDGED, FROZEN, N_COUNTS
};
enum reason_column { REASON_STATE, REASON_CODE, REASON_N, REASON_OLDEST };
enum job_column { JOB_NAME, JOB_STARTED, JOB_SUCCEEDED, JOB_EXIT, JOB_STARTED_S, JOB_SUCCEEDED_S, JOB_HOURS };

enum archive_column {
	ARCHIVES, ARCHIVE_TENANTS, ARCHIVE_AGE, ARCHIVE_UNNAMED, ARCHIVE_PARTIAL, ARCHIVE_EXPIRED, DRILL_AT, DRILL_PASSED, DRILL_AT_S,
	CHANGE_WAITS
};

struct status {
	const struct config *config;
	struct db_result *counts, *reasons, *jobs;
	struct db_result *archives; /* NULL: there is no key tree */
	bool sentinel;       /* the freeze file of the state directory */
	bool red;            /* overdue or failed: the exit code says so too */
	struct str wrong;    /* red, then what deserves a look; empty when all is well */
};

static int64_t
count(const struct status *s, enum count column)
{
	return db_get_int(s->counts, 0, (int)column);
}

static bool
is_frozen(const struct status *s)
{
	return s->sentinel || db_get_bool(s->counts, 0, FROZEN);
}

static void __attribute__((format(printf, 2, 3)))
complain(struct status *s, const char *fmt, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	str_addf(&s->wrong, "%s%s", s->wrong.len == 0 ? "" : ", ", text);
}

/* Whether the nights come to their end: what nobody runs reports no failure either. */
static void
judge_jobs(struct status *s)
{
	int night = -1;

	for (int i = 0; i < db_rows(s->jobs); i++)
		if (strcmp(db_get_text(s->jobs, i, JOB_NAME), "nightly") == 0)
			night = i;
	if (night < 0)
		complain(s, "the nightly run has never run");
	else if (db_get(s->jobs, night, JOB_SUCCEEDED) == NULL)
		complain(s, "the nightly run has never succeeded");
	else if (db_get_int(s->jobs, night, JOB_HOURS) >= STALE_HOURS) {
		/* a cron that died tells nobody else */
		s->red = true;
		complain(s, "the nightly run has not succeeded for %lld hours", (long long)db_get_int(s->jobs, night, JOB_HOURS));
	}
}

static int64_t
archive_count(const struct status *s, enum archive_column column)
{
	return db_get_int(s->archives, 0, (int)column);
}

/* Whether backups are taken, and open. */
static void
judge_archives(struct status *s)
{
	int64_t hours = config_int(s->config, SET_ARCHIVES_MAX_AGE_HOURS);

	if (s->archives == NULL)
		return;
	if (db_get(s->archives, 0, DRILL_AT) != NULL && !db_get_bool(s->archives, 0, DRILL_PASSED)) {
		s->red = true;
		complain(s, "the last drill failed");
	}
	if (db_get(s->archives, 0, CHANGE_WAITS) != NULL) {
		s->red = true;
		complain(s, "a change of the root waits at a barrier");
	}
	if (archive_count(s, ARCHIVES) == 0)
		complain(s, "there is no backup");
	else if (archive_count(s, ARCHIVE_AGE) > hours * 3600)
		complain(s, "the newest backup of a tenant is %lld hours old", (long long)archive_count(s, ARCHIVE_AGE) / 3600);
	if (archive_count(s, ARCHIVE_EXPIRED) > 0)
		complain(s, "%lld expired backups whose files are not removed", (long long)archive_count(s, ARCHIVE_EXPIRED));
}

static void
judge(struct status *s)
{
	s->red = count(s, OVERDUE) > 0 || count(s, FAILED) > 0 || count(s, FINALS_OVERDUE) > 0;
	if (count(s, OVERDUE) > 0)
		complain(s, "%lld overdue", (long long)count(s, OVERDUE));
	if (count(s, FAILED) > 0)
		complain(s, "%lld failed", (long long)count(s, FAILED));
	if (count(s, FINALS_OVERDUE) > 0)
		complain(s, "%lld final certificates overdue", (long long)count(s, FINALS_OVERDUE));
	if (is_frozen(s))
		complain(s, "everything is frozen");
	if (count(s, BLOCKED) > 0)
		complain(s, "%lld blocked", (long long)count(s, BLOCKED));
	if (count(s, PAST_TARGET) > count(s, OVERDUE))
		complain(s, "%lld past the internal target", (long long)count(s, PAST_TARGET));
	if (count(s, HOLDS_PAST_REVIEW) > 0)
		complain(s, "%lld holds past their review", (long long)count(s, HOLDS_PAST_REVIEW));
	if (count(s, UNPUBLISHED) > 0)
		complain(s, "%lld certificates not written to files", (long long)count(s, UNPUBLISHED));
	judge_archives(s);
	judge_jobs(s);
}

static int
read_status(struct status *s, const struct job *job, struct err *err)
{
	CLEANUP(free_text) char *sentinel = file_join(config_text(job->config, SET_STATE_DIRECTORY), "freeze");

	if (db_query(job->db, &QUERY_STATUS_COUNTS, NULL, &s->counts, err) != 0 ||
	    db_query(job->db, &QUERY_STATUS_REASONS, NULL, &s->reasons, err) != 0 ||
	    db_query(job->db, &QUERY_STATUS_JOBS, NULL, &s->jobs, err) != 0 ||
	    (keys_declared(job->config) && db_query(job->db, &QUERY_STATUS_ARCHIVES, NULL, &s->archives, err) != 0)) {
		if (strcmp(err->sqlstate, "42501") == 0)
			(void)err_hint(err, "the login needs expunge_monitor or another expunge_ role");
		return -1;
	}
	s->config = job->config;
	s->sentinel = file_exists(sentinel);
	judge(s);
	return 0;
}

static const char *
verdict(const struct status *s)
{
	return s->red ? "NOT WELL" : s->wrong.len > 0 ? "attention" : "all well";
}

/* ---- text ---------------------------------------------------------------------------------- */

#define PRINT(LABEL, ...) (printf("%-14s", LABEL), printf(__VA_ARGS__), printf("\n"))

static void
print_archives(const struct status *s)
{
	if (archive_count(s, ARCHIVES) == 0)
		PRINT("backups", "none");
	else
		PRINT("backups", "%lld archives of %lld tenants; the newest of each at most %lld minutes old; %lld not named yet, %lld in fewer places "
			"than others, %lld expired and not removed", (long long)archive_count(s, ARCHIVES),
			(long long)archive_count(s, ARCHIVE_TENANTS), (long long)archive_count(s, ARCHIVE_AGE) / 60,
			(long long)archive_count(s, ARCHIVE_UNNAMED), (long long)archive_count(s, ARCHIVE_PARTIAL),
			(long long)archive_count(s, ARCHIVE_EXPIRED));
	if (db_get(s->archives, 0, CHANGE_WAITS) != NULL)
		PRINT("barrier", "%s", db_get_text(s->archives, 0, CHANGE_WAITS));
	if (db_get(s->archives, 0, DRILL_AT) == NULL)
		PRINT("drill", "none yet");
	else
		PRINT("drill", "%s %s", db_get_bool(s->archives, 0, DRILL_PASSED) ? "passed" : "FAILED", db_get_text(s->archives, 0, DRILL_AT));
}

static void
print_text(const struct status *s)
{
	if (s->wrong.len == 0)
		printf("all well: nothing is overdue, failed, blocked or frozen\n\n");
	else
		printf("%s: %s\n\n", verdict(s), s->wrong.s);
	PRINT("open", "%lld, %lld of them due within 7 days, %lld undecided, the oldest %lld days old",
		(long long)count(s, OPEN), (long long)count(s, DUE_SOON), (long long)count(s, UNDECIDED),
		(long long)count(s, OLDEST_DAYS));
	PRINT("overdue", "%lld%s", (long long)count(s, OVERDUE), count(s, OVERDUE) > 0 ? "   (expunge request list names them)" : "");
	if (db_rows(s->reasons) == 0)
		PRINT("in the way", "nothing");
	for (int i = 0; i < db_rows(s->reasons); i++)
		PRINT(db_get_text(s->reasons, i, REASON_STATE), "%s: %s, the oldest %s days old",
			db_get_text(s->reasons, i, REASON_CODE), db_get_text(s->reasons, i, REASON_N),
			db_get_text(s->reasons, i, REASON_OLDEST));
	PRINT("holds", "%lld, %lld past their review", (long long)count(s, HOLDS), (long long)count(s, HOLDS_PAST_REVIEW));
	PRINT("certificates", "%lld, %lld not yet written to files; %lld openings wait to be collected",
		(long long)count(s, CERTIFICATES), (long long)count(s, UNPUBLISHED), (long long)count(s, OPENINGS));
	PRINT("interim", "%lld, their final certificates to follow; %lld of those overdue%s", (long long)count(s, INTERIM),
		(long long)count(s, FINALS_OVERDUE), count(s, INTERIM) > 0 ? "   (expunge store list)" : "");
	PRINT("recipients", "%lld told, but without an acknowledgement%s", (long long)count(s, UNACKNOWLEDGED),
		count(s, UNACKNOWLEDGED) > 0 ? "   (expunge request recipients --open)" : "");
	PRINT("frozen", "%s", is_frozen(s) ? "YES   (expunge freeze show says why)" : "no");
	if (s->archives != NULL)
		print_archives(s);
	for (int i = 0; i < db_rows(s->jobs); i++)
		PRINT(db_get_text(s->jobs, i, JOB_NAME), "last success %s; last start %s, exit code %s",
			db_get(s->jobs, i, JOB_SUCCEEDED) == NULL ? "never" : db_get_text(s->jobs, i, JOB_SUCCEEDED),
			db_get_text(s->jobs, i, JOB_STARTED),
			db_get(s->jobs, i, JOB_EXIT) == NULL ? "none: running, or broken off" : db_get_text(s->jobs, i, JOB_EXIT));
}

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
	json_set_text(object, "change_waits_for", db_get(s->archives, 0, CHANGE_WAITS));
	json_set_text(object, "last_drill", db_get(s->archives, 0, DRILL_AT));
	if (db_get(s->archives, 0, DRILL_AT) != NULL)
		json_set_bool(object, "last_drill_passed", db_get_bool(s->archives, 0, DRILL_PASSED));
	return object;
}

static int
print_json(const struct status *s, struct err *err)
{
	struct json *object = json_new_object(), *reasons = json_new_array(), *jobs = json_new_array();

	json_set_text(object, "verdict", verdict(s));
	json_set_text(object, "wrong", s->wrong.len > 0 ? s->wrong.s : NULL);
	for (int c = 0; c < FROZEN; c++)
		json_set_int(object, db_column_name(s->counts, c), db_get_int(s->counts, 0, c));
	json_set_bool(object, "frozen", is_frozen(s));
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
	{ "expunge_recipients_unacknowledged", "gauge", "External stores told of an erasure that have not acknowledged it.", UNACKNOWLEDGED, 1 },
};

static void
print_head(const char *name, const char *type, const char *help)
{
	printf("# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
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
		if (count(s, state == 0 ? BLOCKED : FAILED) == 0)
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
	{ "expunge_archives_partial", "Archives that are in fewer places than others.", ARCHIVE_PARTIAL },
	{ "expunge_archives_expired", "Expired archives whose files are not removed yet.", ARCHIVE_EXPIRED },
	{ "expunge_drill_last_timestamp_seconds", "When the drills were last run.", DRILL_AT_S },
};

static void
print_archive_metrics(const struct status *s)
{
	for (size_t i = 0; i < sizeof(archive_metrics) / sizeof(archive_metrics[0]); i++) {
		if (db_get(s->archives, 0, (int)archive_metrics[i].column) == NULL)
			continue;
		print_head(archive_metrics[i].name, "gauge", archive_metrics[i].help);
		printf("%s %lld\n", archive_metrics[i].name, (long long)archive_count(s, archive_metrics[i].column));
	}
	print_head("expunge_key_change_waits", "gauge", "1 while a change of the root waits at a barrier.");
	printf("expunge_key_change_waits %d\n", db_get(s->archives, 0, CHANGE_WAITS) != NULL ? 1 : 0);
	if (db_get(s->archives, 0, DRILL_AT) == NULL)
		return;
	print_head("expunge_drill_last_passed", "gauge", "1 if the last drills passed.");
	printf("expunge_drill_last_passed %d\n", db_get_bool(s->archives, 0, DRILL_PASSED) ? 1 : 0);
}

static void
print_prometheus(const struct status *s)
{
	print_head("expunge_well", "gauge", "0 when something is overdue or failed, else 1.");
	printf("expunge_well %d\n", s->red ? 0 : 1);
	for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++) {
		print_head(metrics[i].name, metrics[i].type, metrics[i].help);
		printf("%s %lld\n", metrics[i].name, (long long)count(s, metrics[i].column) * metrics[i].scale);
	}
	print_reasons(s);
	print_head("expunge_frozen", "gauge", "1 while every destructive step is stopped.");
	printf("expunge_frozen %d\n", is_frozen(s) ? 1 : 0);
	if (s->archives != NULL)
		print_archive_metrics(s);
	print_jobs(s, "expunge_job_last_start_timestamp_seconds", "When the job was last started.", JOB_STARTED_S);
	print_jobs(s, "expunge_job_last_success_timestamp_seconds", "When the job last ended with exit code 0.", JOB_SUCCEEDED_S);
	print_jobs(s, "expunge_job_last_exit_code", "The exit code of the job's last run.", JOB_EXIT);
}

static int
run_status(struct job *job, struct err *err)
{
	struct status s = { 0 };
	int failed = 0;

	if (job_flag(job, "json") && job_flag(job, "prometheus"))
		return err_set(err, ERR_USAGE, "--json and --prometheus exclude each other");
	failed = read_status(&s, job, err);
	if (failed == 0) {
		if (job_flag(job, "json"))
			failed = print_json(&s, err);
		else if (job_flag(job, "prometheus"))
			print_prometheus(&s);
		else
			print_text(&s);
		job->exit_code = s.red ? 3 : 0;
	}
	db_result_free(s.counts);
	db_result_free(s.reasons);
	db_result_free(s.jobs);
	db_result_free(s.archives);
	str_release(&s.wrong);
	return failed;
}

static const struct option_row status_options[] = {
	OPTION_JSON,
	{ "prometheus", NULL, "print metrics in Prometheus' text format", NULL },
	OPTION_END
};

const struct command status_commands[] = {
	{ "status", "whether all is well, and what is open, late or in the way", "", 0, 0, NEEDS_BINDING, status_options, run_status,
	  "The first line is the verdict. Exit code 3 when something is overdue or failed." },
	{ 0 }
};

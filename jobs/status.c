/* status: one sentence on whether all is well, then the counts; for people, for JSON, for Prometheus. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account/outbox.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "jobs/status.h"
#include "keys/keys.h"
#include "query.h"
#include "sys/file.h"

#define STALE_HOURS 50 /* two nights without a success */

int64_t
status_count(const struct status *s, enum count column)
{
	return db_get_int(s->counts, 0, (int)column);
}

int64_t
status_archive_count(const struct status *s, enum archive_column column)
{
	return db_get_int(s->archives, 0, (int)column);
}

int64_t
status_account_count(const struct status *s, enum account_column column)
{
	return db_get_int(s->accounts, 0, (int)column);
}

int64_t
status_support_count(const struct status *s, enum support_column column)
{
	return db_get_int(s->support, 0, (int)column);
}

int64_t
status_notice_count(const struct status *s, enum notice_column column)
{
	return db_get_int(s->notices, 0, (int)column);
}

bool
status_is_frozen(const struct status *s)
{
	return s->sentinel || db_get_bool(s->counts, 0, FROZEN);
}

/* ---- findings ------------------------------------------------------------------------------ */

enum weight { LOOK, RED };

static void __attribute__((format(printf, 4, 5)))
complain(struct status *s, enum weight weight, const char *remedy, const char *fmt, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	str_addf(&s->wrong, "%s%s", s->wrong.len == 0 ? "" : ", ", text);
	*MEM_PUSH(s->findings, s->n_findings) = (struct finding){ mem_copy(text), remedy, weight == RED };
	s->red = s->red || weight == RED;
}

static void
complain_of(struct status *s, enum weight weight, int64_t n, const char *what, const char *remedy)
{
	if (n > 0)
		complain(s, weight, remedy, "%lld %s", (long long)n, what);
}

static int
find_job(const struct status *s, const char *name)
{
	for (int i = 0; i < db_rows(s->jobs); i++)
		if (strcmp(db_get_text(s->jobs, i, JOB_NAME), name) == 0)
			return i;
	return -1;
}

/* Whether the nights come to their end: what nobody runs reports no failure either. Of exit code 3 every cause has a count of
 * its own; a night that was refused or could not run has none. */
static void
judge_night(struct status *s)
{
	static const char cron[] = "see that cron or expunge.timer runs expunge nightly, and what it logs";
	int night = find_job(s, "nightly");
	int64_t code;

	if (night < 0) {
		complain(s, LOOK, cron, "the nightly run has never run");
		return;
	}
	if (db_get(s->jobs, night, JOB_SUCCEEDED) == NULL)
		complain(s, LOOK, cron, "the nightly run has never succeeded");
	else if (db_get_int(s->jobs, night, JOB_HOURS) >= STALE_HOURS)
		/* a cron that died tells nobody else */
		complain(s, RED, cron, "the nightly run has not succeeded for %lld hours", (long long)db_get_int(s->jobs, night, JOB_HOURS));
	code = db_get(s->jobs, night, JOB_EXIT) == NULL ? 0 : db_get_int(s->jobs, night, JOB_EXIT);
	if (code != 0 && code != 3 && !status_is_frozen(s))
		complain(s, RED, "expunge check names what is in the way; then expunge nightly", "the last nightly run ended with exit code %lld",
			(long long)code);
}

/* 4: another run had a tenant, and backs it up. */
static void
judge_backups(struct status *s)
{
	int backup = find_job(s, "backup");
	int64_t code = backup < 0 || db_get(s->jobs, backup, JOB_EXIT) == NULL ? 0 : db_get_int(s->jobs, backup, JOB_EXIT);

	if (code != 0 && code != 4)
		complain(s, RED, "its log names destination and tenant; expunge backup runs it again", "the last backup ended with exit code %lld",
			(long long)code);
}

static void
judge_copies(struct status *s)
{
	static const char repair[] = "expunge backup --verify --repair copies them from a good one";

	complain_of(s, RED, s->n_missing, s->n_missing == 1 ? "copy of an archive is missing in its destination"
							    : "copies of archives are missing in destinations", repair);
	complain_of(s, RED, s->n_damaged, s->n_damaged == 1 ? "copy of an archive is bad" : "copies of archives are bad", repair);
}

/* Whether backups are taken, and open. */
static void
judge_archives(struct status *s)
{
	int64_t hours = config_int(s->config, SET_ARCHIVES_MAX_AGE_HOURS);

	if (s->archives == NULL)
		return;
	if (db_get(s->archives, 0, DRILL_AT) != NULL && !db_get_bool(s->archives, 0, DRILL_PASSED))
		complain(s, RED, "expunge drill says why, and clears this when it passes", "the last drill failed");
	if (db_get(s->archives, 0, CHANGE_WAITS) != NULL)
		complain(s, RED, "expunge check says which; the next run, or keys rotate, goes on when it has come as far",
			"a change of the root waits at a barrier");
	if (status_archive_count(s, ARCHIVES) == 0)
		complain(s, LOOK, "expunge backup", "there is no backup");
	else if (status_archive_count(s, ARCHIVE_AGE) > hours * 3600) /* one that fails is looked at; none for a day is an alarm */
		complain(s, status_archive_count(s, ARCHIVE_AGE) > (hours + 24) * 3600 ? RED : LOOK, "expunge backup; see that cron or expunge-backup.timer runs it", "the newest backup of a tenant is %lld hours old",
			(long long)status_archive_count(s, ARCHIVE_AGE) / 3600);
	complain_of(s, LOOK, status_archive_count(s, ARCHIVE_EXPIRED), "expired backups whose files are not removed", "expunge backup --expire says why");
	judge_copies(s);
	judge_backups(s);
}

/* Whether those who have to be told are. */
static void
judge_notices(struct status *s)
{
	static const char who[] = "expunge notify --list names them; another address: expunge contact add, once more: expunge notify --again";

	if (!outbox_is_configured(s->config))
		complain_of(s, status_notice_count(s, NOTICES_LATE) > 0 ? RED : LOOK, status_notice_count(s, NOTICES_QUEUED), "notices wait, and there is no mail server",
			"mail.server in the configuration; expunge(1), NOTICES");
	else
		complain_of(s, RED, status_notice_count(s, NOTICES_LATE), "notices have waited for more than a day",
			"expunge notify sends them, or says why not");
	complain_of(s, RED, status_notice_count(s, NOTICES_UNREACHED), "notices have reached nobody", who);
}

/* A hold is in the way on purpose; everything else waits for somebody. */
static int64_t
blocked_by_hold(const struct status *s)
{
	for (int i = 0; i < db_rows(s->reasons); i++)
		if (strcmp(db_get_text(s->reasons, i, REASON_STATE), "blocked") == 0 && strcmp(db_get_text(s->reasons, i, REASON_CODE), "hold") == 0)
			return db_get_int(s->reasons, i, REASON_N);
	return 0;
}

static void
judge_requests(struct status *s)
{
	static const char why[] = "expunge request list says what is in the way of each";
	int64_t held = blocked_by_hold(s);

	complain_of(s, RED, status_count(s, OVERDUE), "overdue", why);
	complain_of(s, RED, status_count(s, FAILED), "failed", why);
	complain_of(s, RED, status_count(s, FINALS_OVERDUE), "final certificates overdue", "expunge store list says which store they wait for");
	complain_of(s, RED, status_count(s, UNCERTIFIED), "removed, and not certified",
		"the log of the last run names the destination, directory or transaction they wait for; expunge check looks again");
	if (status_is_frozen(s))
		complain(s, LOOK, "expunge freeze show says why", "everything is frozen");
	complain_of(s, RED, status_count(s, BLOCKED) - held, "blocked",
		"expunge request list says why; a changed plan is approved anew: expunge request decide");
	complain_of(s, LOOK, held, "blocked by a hold", "expunge hold list");
	if (status_count(s, PAST_TARGET) > status_count(s, OVERDUE))
		complain_of(s, LOOK, status_count(s, PAST_TARGET), "past the internal target", why);
	complain_of(s, LOOK, status_count(s, HOLDS_PAST_REVIEW), "holds past their review", "expunge hold list");
	complain_of(s, LOOK, status_count(s, UNPUBLISHED), "certificates not written to files", "expunge nightly writes them, or says why not");
}

static void
judge_accounts(struct status *s)
{
	static const char list[] = "expunge account list says what each waits for; expunge account show says what to do";

	complain_of(s, RED, status_account_count(s, ACCOUNTS_OVERDUE), "closed accounts past the day on which they were to be gone", list);
	complain_of(s, RED, status_account_count(s, ACCOUNTS_FAILED), "accounts whose purge failed", list);
	complain_of(s, RED, status_account_count(s, ACCOUNTS_WAKING), "accounts that came back and whose rows are not loaded yet",
		"expunge account show says why; lifecycle, nightly and account reactivate load them");
	complain_of(s, RED, status_account_count(s, ACCOUNTS_UNSEALED), "accounts past the day on which they were to leave the live database", list);
	complain_of(s, LOOK, status_account_count(s, ACCOUNTS_DISAGREEING), "accounts that the application says otherwise of", list);
}

/* ---- reading ------------------------------------------------------------------------------- */

/* columns of status_copies */
enum { COPY_DESTINATION, COPY_THERE, COPY_SENDING, COPY_DAMAGED };

/* Against what the configuration says now: what was taken out of it lacks nothing. */
static int
count_copies(struct status *s, struct db *db, struct err *err)
{
	const struct conf_node *list = config_list(s->config, SET_ARCHIVES_DESTINATIONS);
	CLEANUP(db_result_freep) struct db_result *copies = NULL;

	if (db_query(db, &QUERY_STATUS_COPIES, NULL, &copies, err) != 0)
		return -1;
	for (size_t i = 0; list != NULL && i < conf_count(list); i++) {
		const char *name = conf_text(conf_member(conf_at(list, i), "name"));

		s->n_missing += status_archive_count(s, ARCHIVES);
		for (int row = 0; row < db_rows(copies); row++) {
			if (strcmp(db_get_text(copies, row, COPY_DESTINATION), name) != 0)
				continue;
			s->n_missing -= db_get_int(copies, row, COPY_THERE) + db_get_int(copies, row, COPY_SENDING);
			s->n_sending += db_get_int(copies, row, COPY_SENDING);
			s->n_damaged += db_get_int(copies, row, COPY_DAMAGED);
		}
	}
	return 0;
}

static int
read_all(struct status *s, const struct job *job, struct err *err)
{
	if (db_query(job->db, &QUERY_STATUS_COUNTS, NULL, &s->counts, err) != 0 ||
	    db_query(job->db, &QUERY_STATUS_REASONS, NULL, &s->reasons, err) != 0 ||
	    db_query(job->db, &QUERY_STATUS_JOBS, NULL, &s->jobs, err) != 0 ||
	    db_query(job->db, &QUERY_STATUS_NOTICES, NULL, &s->notices, err) != 0 ||
	    db_query(job->db, &QUERY_STATUS_SUPPORT, NULL, &s->support, err) != 0 ||
	    db_query(job->db, &QUERY_STATUS_ACCOUNTS, NULL, &s->accounts, err) != 0)
		return -1;
	if (!keys_declared(job->config))
		return 0;
	return db_query(job->db, &QUERY_STATUS_ARCHIVES, NULL, &s->archives, err) != 0 ? -1 : count_copies(s, job->db, err);
}

static int
read_status(struct status *s, const struct job *job, struct err *err)
{
	CLEANUP(free_text) char *sentinel = file_join(config_text(job->config, SET_STATE_DIRECTORY), "freeze");

	s->config = job->config;
	if (read_all(s, job, err) != 0) {
		if (strcmp(err->sqlstate, "42501") == 0)
			(void)err_hint(err, "the login needs expunge_monitor or another expunge_ role");
		return -1;
	}
	s->sentinel = file_exists(sentinel);
	judge_requests(s);
	judge_archives(s);
	judge_notices(s);
	judge_accounts(s);
	complain_of(s, RED, status_support_count(s, SUPPORT_OVERDUE), "test patients past their time",
		"the log of the last night says what is in the way; expunge support list");
	complain_of(s, LOOK, status_support_count(s, SUPPORT_QUARANTINED), "test patients in quarantine",
		"the practice has used them and decides (expunge_api.decide_test_subject); expunge support list");
	judge_night(s);
	return 0;
}

const char *
status_verdict(const struct status *s)
{
	return s->red ? "NOT WELL" : s->wrong.len > 0 ? "attention" : "all well";
}

/* ---- text ---------------------------------------------------------------------------------- */

#define PRINT(LABEL, ...) (printf("%-14s", LABEL), printf(__VA_ARGS__), printf("\n"))

static void
print_archives(const struct status *s)
{
	if (status_archive_count(s, ARCHIVES) == 0)
		PRINT("backups", "none");
	else
		PRINT("backups", "%lld archives of %lld tenants; the newest of each at most %lld minutes old; %lld not named yet, %lld "
			"expired and not removed", (long long)status_archive_count(s, ARCHIVES),
			(long long)status_archive_count(s, ARCHIVE_TENANTS), (long long)status_archive_count(s, ARCHIVE_AGE) / 60,
			(long long)status_archive_count(s, ARCHIVE_UNNAMED), (long long)status_archive_count(s, ARCHIVE_EXPIRED));
	PRINT("copies", "%lld missing, %lld bad, %lld on their way to a command", (long long)s->n_missing, (long long)s->n_damaged,
		(long long)s->n_sending);
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
	else {
		printf("%s: %s\n\n", status_verdict(s), s->wrong.s);
		for (size_t i = 0; i < s->n_findings; i++)
			printf("%s: %s\n", s->findings[i].what, s->findings[i].remedy);
		printf("\n");
	}
	PRINT("open", "%lld, %lld of them due within 7 days, %lld undecided, the oldest %lld days old",
		(long long)status_count(s, OPEN), (long long)status_count(s, DUE_SOON), (long long)status_count(s, UNDECIDED),
		(long long)status_count(s, OLDEST_DAYS));
	PRINT("overdue", "%lld%s", (long long)status_count(s, OVERDUE), status_count(s, OVERDUE) > 0 ? "   (expunge request list names them)" : "");
	if (db_rows(s->reasons) == 0)
		PRINT("in the way", "nothing");
	for (int i = 0; i < db_rows(s->reasons); i++)
		PRINT(db_get_text(s->reasons, i, REASON_STATE), "%s: %s, the oldest %s days old",
			db_get_text(s->reasons, i, REASON_CODE), db_get_text(s->reasons, i, REASON_N),
			db_get_text(s->reasons, i, REASON_OLDEST));
	PRINT("holds", "%lld, %lld past their review", (long long)status_count(s, HOLDS), (long long)status_count(s, HOLDS_PAST_REVIEW));
	PRINT("certificates", "%lld, %lld not yet written to files; %lld openings wait to be collected",
		(long long)status_count(s, CERTIFICATES), (long long)status_count(s, UNPUBLISHED), (long long)status_count(s, OPENINGS));
	PRINT("interim", "%lld, their final certificates to follow; %lld of those overdue%s", (long long)status_count(s, INTERIM),
		(long long)status_count(s, FINALS_OVERDUE), status_count(s, INTERIM) > 0 ? "   (expunge store list)" : "");
	PRINT("recipients", "%lld told, but without an acknowledgement%s", (long long)status_count(s, UNACKNOWLEDGED),
		status_count(s, UNACKNOWLEDGED) > 0 ? "   (expunge request recipients --open)" : "");
	PRINT("accounts", "%lld closing, %lld of them due; %lld being purged; %lld past their day; %lld dormant%s",
		(long long)status_account_count(s, ACCOUNTS_CLOSING), (long long)status_account_count(s, ACCOUNTS_DUE), (long long)status_account_count(s, ACCOUNTS_UNDER_WAY),
		(long long)status_account_count(s, ACCOUNTS_OVERDUE), (long long)status_account_count(s, ACCOUNTS_DORMANT),
		status_account_count(s, ACCOUNTS_CLOSING) > 0 ? "   (expunge account list)" : "");
	PRINT("support", "%lld sessions open; %lld test patients, %lld of them past their time, %lld in quarantine%s",
		(long long)status_support_count(s, SUPPORT_OPEN), (long long)status_support_count(s, SUPPORT_SUBJECTS),
		(long long)status_support_count(s, SUPPORT_OVERDUE), (long long)status_support_count(s, SUPPORT_QUARANTINED),
		status_support_count(s, SUPPORT_QUARANTINED) > 0 ? "   (expunge support list)" : "");
	PRINT("notices", "%lld waiting, %lld of them for more than a day; refused in the last 30 days: %lld, given up: %lld",
		(long long)status_notice_count(s, NOTICES_QUEUED), (long long)status_notice_count(s, NOTICES_LATE),
		(long long)status_notice_count(s, NOTICES_BOUNCED), (long long)status_notice_count(s, NOTICES_GIVEN_UP));
	PRINT("frozen", "%s", status_is_frozen(s) ? "YES   (expunge freeze show says why)" : "no");
	if (s->archives != NULL)
		print_archives(s);
	for (int i = 0; i < db_rows(s->jobs); i++)
		PRINT(db_get_text(s->jobs, i, JOB_NAME), "last success %s; last start %s, exit code %s",
			db_get(s->jobs, i, JOB_SUCCEEDED) == NULL ? "never" : db_get_text(s->jobs, i, JOB_SUCCEEDED),
			db_get_text(s->jobs, i, JOB_STARTED),
			db_get(s->jobs, i, JOB_EXIT) == NULL ? "none: running, or broken off" : db_get_text(s->jobs, i, JOB_EXIT));
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
			failed = status_print_json(&s, err);
		else if (job_flag(job, "prometheus"))
			status_print_prometheus(&s);
		else
			print_text(&s);
		job->exit_code = s.red ? 3 : 0;
	}
	db_result_free(s.counts);
	db_result_free(s.reasons);
	db_result_free(s.jobs);
	db_result_free(s.notices);
	db_result_free(s.support);
	db_result_free(s.accounts);
	db_result_free(s.archives);
	for (size_t i = 0; i < s.n_findings; i++)
		free(s.findings[i].what);
	free(s.findings);
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
	  "The first line is the verdict; then a line for each finding, with what to do. Exit code 3 when something is overdue\n"
	  "or failed, waits in vain, or is in fewer places than it should be." },
	{ 0 }
};

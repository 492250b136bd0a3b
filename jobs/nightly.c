/* nightly: the jobs of a night in their order, one run at a time in the whole database. */
#include <stdio.h>
#include <unistd.h>

#include "account/closing.h"
#include "account/dormancy.h"
#include "account/lifecycle.h"
#include "base/cleanup.h"
#include "erasure/draft.h"
#include "erasure/finals.h"
#include "jobs/job.h"
#include "jobs/notices.h"
#include "jobs/removal.h"
#include "query.h"
#include "support/night.h"
#include "svc/listing.h"
#include "sys/log.h"

/* Among all hosts: an advisory lock of this session. */
static int
take_lock(struct db *db, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (db_query(db, &QUERY_NIGHTLY_LOCK, NULL, &res, err) != 0)
		return -1;
	if (db_get_bool(res, 0, 0))
		return 0;
	(void)err_set(err, ERR_LOCKED, "another nightly run is under way");
	return err_hint(err, "expunge status shows since when; nothing is to be done");
}

/* A promise that is broken is loud: in the log, in the exit code, and in the register, where it stays. */
static int
tell_overdue(struct job *job, struct run *run, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *late = NULL;

	if (db_query(run->db, &QUERY_REQUEST_OVERDUE_RECORD, NULL, NULL, err) != 0 ||
	    db_query(run->db, &QUERY_REQUEST_OVERDUE, NULL, &late, err) != 0)
		return -1;
	for (int i = 0; i < db_rows(late); i++)
		log_error("request %s of tenant %s was due on %s: %s", db_get_text(late, i, 0), db_get_text(late, i, 1),
			db_get_text(late, i, 2), db_get_text(late, i, 3));
	job->exit_code = run_exit_code(run);
	if (job->exit_code == 0 && db_rows(late) > 0)
		job->exit_code = 3;
	return 0;
}

/* Final certificates of what has aged out; and which store is past its day and still in the way. */
static int
issue_finals(struct run *run, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *late = NULL;
	int64_t n = 0;

	if (finals_issue(run, &n, err) != 0 || db_query(run->db, &QUERY_FINAL_LATE, NULL, &late, err) != 0)
		return -1;
	if (n > 0)
		log_info("final certificates: %lld", (long long)n);
	for (int i = 0; i < db_rows(late); i++)
		log_error("%s final certificates wait for %s \"%s\", %s", db_get_text(late, i, 3), db_get_text(late, i, 1),
			db_get_text(late, i, 0), db_get_bool(late, i, 2) ? "which the server has not reported past their erasures"
									  : "which nobody has declared");
	run->n_failed += db_rows(late);
	return 0;
}

/* The application's table is not ours: what is wrong with it keeps no patient's erasure. */
static int
move_accounts_on(struct run *run, struct lifecycle *accounts, struct err *err)
{
	if (lifecycle_carry_out(run, accounts, err) == 0)
		return 0;
	if (err->code == ERR_LOST || err->code == ERR_UNKNOWN)
		return -1;
	run->n_failed++;
	log_err(err);
	err_clear(err);
	return 0;
}

/* What takes rows and keys, up to the certificates. */
static int
remove_and_certify(struct run *run, struct closing *closing, struct dormancy_done *dormancy, struct err *err)
{
	struct lifecycle accounts;

	if (move_accounts_on(run, &accounts, err) != 0 || closing_remove(run, closing, err) != 0 ||
	    dormancy_seal(run, dormancy, err) != 0 || dormancy_wake(run, NULL, dormancy, err) != 0 ||
	    removal_carry_out(run, err) != 0 || (!run->drill_failed && closing_attest(run, closing, err) != 0))
		return -1;
	return support_settle(run, err);
}

static int
night(struct job *job, struct run *run, struct err *err)
{
	struct dormancy_done dormancy = { 0 };
	struct closing closing = { 0 };
	struct err unused;

	if (run_begin(run, "nightly", err) != 0)
		return -1;
	if (remove_and_certify(run, &closing, &dormancy, err) != 0 || issue_finals(run, err) != 0 || removal_publish(run, err) != 0 ||
	    draft_all(run, err) != 0 || db_query(run->db, &QUERY_OPENINGS_FORGET, NULL, NULL, err) != 0 ||
	    db_query(run->db, &QUERY_CONTACTS_FORGET, NULL, NULL, err) != 0 || tell_overdue(job, run, err) != 0) {
		(void)run_end(run, err_exit_code(err), &unused);
		return -1;
	}
	notices_end_run(job, run->id, &job->exit_code);
	if (closing.n_claimed + closing.n_removed + closing.n_certified > 0)
		log_info("accounts: %lld claimed, %lld removed, %lld certified", (long long)closing.n_claimed, (long long)closing.n_removed,
			(long long)closing.n_certified);
	if (dormancy.n_sealed + dormancy.n_woken > 0)
		log_info("accounts: %lld dormant, %lld awake", (long long)dormancy.n_sealed, (long long)dormancy.n_woken);
	log_info("done: %lld removed, %lld certified, %lld blocked, %lld failed, %lld waiting", (long long)run->n_removed,
		(long long)run->n_certified, (long long)run->n_blocked, (long long)run->n_failed, (long long)run->n_waiting);
	return run_end(run, job->exit_code, err);
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
show_due(struct job *job, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *due = NULL;
	CLEANUP(db_result_freep) struct db_result *finals = NULL;
	struct json *object;

	if (db_query(job->db, &QUERY_REQUEST_DUE_LIST, NULL, &due, err) != 0 ||
	    db_query(job->db, &QUERY_FINAL_DUE_LIST, NULL, &finals, err) != 0)
		return -1;
	if (job_flag(job, "json")) {
		object = json_new_object();
		json_set(object, "requests", rows_of(due));
		json_set(object, "finals", rows_of(finals));
		return json_print(stdout, object, err);
	}
	if (listing_print(stdout, due, false, err) != 0)
		return -1;
	if (db_rows(finals) == 0)
		return 0;
	printf("\nfinal certificates\n");
	return listing_print(stdout, finals, false, err);
}

/* A night that was refused before it began is one of those that status counts. */
static void
record_refusal(const struct job *job, const struct err *why)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	struct err unused = { 0 };
	char code[16], host[256] = "";

	(void)gethostname(host, sizeof(host) - 1);
	(void)snprintf(code, sizeof(code), "%d", err_exit_code(why));
	if (db_query(job->db, &QUERY_RUN_BEGIN, DB_PARAMS("nightly", host), &res, &unused) == 0)
		(void)db_query(job->db, &QUERY_RUN_END, DB_PARAMS(db_get_text(res, 0, 0), code, "0", "0", "0", "0"), NULL, &unused);
}

static int
run_nightly(struct job *job, struct err *err)
{
	struct run run = { 0 };
	int failed, code;

	if (job_flag(job, "dry-run"))
		return show_due(job, err);
	if (take_lock(job->db, err) != 0)
		return -1;
	/* what support approves is taken by a run that begins after it */
	failed = removal_open(job, &run, REMOVAL_RUN, err) != 0 || support_prepare(&run, err) != 0;
	if (failed)
		record_refusal(job, err);
	else
		failed = night(job, &run, err) != 0;
	code = failed ? err_exit_code(err) : 0;
	if (failed && !db_is_lost(job->db))
		notices_end_run(job, run.id[0] != '\0' ? run.id : "refused before it began", &code);
	removal_close(&run);
	return failed ? -1 : 0;
}

static const struct option_row nightly_options[] = { OPTION_DRY_RUN, OPTION_JSON, OPTION_END };

const struct command nightly_commands[] = {
	{ "nightly", "everything that a night has to do, in order", "", 0, 0, NEEDS_BINDING, nightly_options, run_nightly,
	  "Moves closing accounts on, carries out approved requests, recounts and certifies them, issues the final\n"
	  "certificates of what has aged out, plans requests that wait for an approval, forgets what has expired, says what is overdue,\n"
	  "and sends the notices that wait. For cron: quiet but for what matters." },
	{ 0 }
};

/* account export: a practice's data in open form, for one that leaves; or the note that it wants none. */
#include <stdio.h>

#include "archive/handover.h"
#include "base/cleanup.h"
#include "jobs/job.h"
#include "jobs/person.h"
#include "jobs/removal.h"
#include "query.h"
#include "sys/log.h"
#include "sys/progress.h"
#include "sys/stop.h"

static int
waive(struct job *job, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (job_option(job, "reason") == NULL)
		return err_set(err, ERR_USAGE, "account export --not-needed needs --reason");
	if (person_asks(job, &QUERY_ACCOUNT_WAIVE_EXPORT, DB_PARAMS(job->args[0], job_option(job, "reason")), NULL, &res, err) != 0)
		return -1;
	printf("%s\n", db_get_bool(res, 0, 0) ? "noted: no export needed" : "that was so already");
	return 0;
}

static void
show_progress(int64_t rows)
{
	progress_at(rows);
}

/* The files are there when it is noted that they are. */
static int
hand_over(struct job *job, struct run *run, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	const struct handover handover = { .config = job->config, .program = run->program, .db = run->recount,
		.instance = run->instance.id, .tenant = job->args[0], .directory = job_option(job, "to"), .progress = show_progress,
		.stop = stop_asked };
	struct handover_result done;
	int failed;

	progress_start("exporting", 0);
	failed = handover_write(&handover, &done, err);
	progress_end();
	if (failed != 0 || db_begin(run->db, err) != 0)
		return -1;
	if (db_query(run->db, &QUERY_ACCOUNT_EXPORTED, DB_PARAMS(handover.tenant, done.made_at, done.sha256), &res, err) != 0) {
		db_rollback(run->db);
		return err_hint(err, "the files are complete, and nothing is noted of them; run it again, to another directory");
	}
	if (db_commit(run->db, err) != 0)
		return -1;
	printf("%lld patients, %lld rows, %lld files as of %s\nSHA256SUMS: %s\n", (long long)done.subjects, (long long)done.rows,
		(long long)done.files, done.made_at, done.sha256);
	if (done.missing > 0)
		log_warning("%lld document files that rows name are not there", (long long)done.missing);
	if (!db_get_bool(res, 0, 0))
		log_info("the account is not closing, or its purge has begun: no purge waits for this export");
	return 0;
}

static int
run_export(struct job *job, struct err *err)
{
	bool to = job_option(job, "to") != NULL;
	struct run run = { 0 };
	int failed;

	if (to == job_flag(job, "not-needed")) {
		(void)err_set(err, ERR_USAGE, "account export needs --to, or --not-needed");
		return err_hint(err, "--to takes a new directory; --not-needed notes that the practice wants no copy");
	}
	if (!to)
		return waive(job, err);
	failed = removal_open(job, &run, REMOVAL_LOOK, err) != 0 || hand_over(job, &run, err) != 0;
	removal_close(&run);
	return failed ? -1 : 0;
}

static const struct option_row export_options[] = {
	{ "to", "DIRECTORY", "where the data goes, in clear; new, or empty", NULL },
	{ "not-needed", NULL, "write nothing: the practice wants no copy of its data", NULL },
	{ "reason", "TEXT", "with --not-needed: how that is known", NULL },
	OPTION_END
};

const struct command account_export_commands[] = {
	{ "account export", "a practice's data in open form", "TENANT", 1, 1, NEEDS_BINDING, export_options, run_export,
	  "A CSV file for each table, a JSON file for each patient, documents and large objects as files, and SHA256SUMS for\n"
	  "sha256sum -c. No purge without an export made after the last paid day, or the note that none is needed." },
	{ 0 }
};

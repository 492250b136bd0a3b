/* erase: carries out approved requests; --dry-run shows plans, --rehearse removes and rolls back. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "erasure/draft.h"
#include "erasure/erase.h"
#include "jobs/job.h"
#include "jobs/removal.h"
#include "query.h"
#include "svc/listing.h"
#include "sys/log.h"

static void
print_plan(const char *request, const struct draft *draft, struct json *array)
{
	struct json *object;

	if (array == NULL) {
		printf("%splan: %s\n\n", draft->document.s, draft->hash);
		return;
	}
	object = json_new_object();
	json_set_text(object, "request", request);
	json_set_text(object, "plan", draft->hash);
	json_set_int(object, "rows", draft->n_rows);
	json_set_int(object, "arrived_later", draft->n_arrived);
	json_set_text(object, "obstacles", draft->obstacles.len == 0 ? NULL : draft->obstacles.s);
	json_set_text(object, "document", draft->document.s);
	json_push(array, object);
}

static int
dry_run(struct job *job, struct run *run, const struct db_result *requests, struct err *err)
{
	struct json *array = job_flag(job, "json") ? json_new_array() : NULL;

	for (int i = 0; i < db_rows(requests); i++) {
		CLEANUP(draft_release) struct draft draft = { 0 };

		if (draft_plan(run, db_get_text(requests, i, 0), false, &draft, err) != 0) {
			json_free(array);
			return -1;
		}
		print_plan(db_get_text(requests, i, 0), &draft, array);
	}
	return array == NULL ? 0 : json_print(stdout, array, err);
}

static void
print_tallies(const struct run *run, const struct tallies *tallies)
{
	for (size_t t = 0; t < tallies->n_tables; t++) {
		const struct tally *y = &tallies->cells[t];

		if (y->planned + y->created > 0)
			printf("  %-32s planned %lld removed %lld masked %lld retained %lld created %lld\n",
				run->map->tables[t].name, (long long)y->planned, (long long)y->removed, (long long)y->masked,
				(long long)y->retained, (long long)y->created);
	}
}

static int
rehearse_one(struct run *run, const char *request, struct err *err)
{
	CLEANUP(tallies_release) struct tallies tallies = { 0 };
	CLEANUP(plans_release) struct plans plans = { 0 };
	CLEANUP(str_release) struct str residue = STR_INIT;
	struct err why = { 0 };
	int failed = erase_rehearse(run, request, &tallies, &plans, &residue, &why);

	if (failed != 0 && (why.code == ERR_LOST || why.code == ERR_UNKNOWN)) {
		*err = why;
		return -1;
	}
	printf("rehearsal of request %s: %s\n", request, failed == 0 ? "everything would go through" : "refused");
	if (plans.n > 0 && plans.items[0].obstacles.len > 0)
		(void)fputs(plans.items[0].obstacles.s, stdout);
	if (failed != 0) {
		printf("%s\n", why.msg);
		if (why.hint[0] != '\0')
			printf("hint: %s\n", why.hint);
		run->n_failed++;
	} else
		print_tallies(run, &tallies);
	if (residue.len > 0)
		printf("text elsewhere that names the subject (the erasure leaves it; certificates list declared columns):\n%s",
			residue.s);
	printf("rolled back: nothing was changed\n\n");
	return 0;
}

static int
preview(struct job *job, struct run *run, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *requests = NULL;
	const char *one = job_option(job, "request");

	if (db_query(run->db, &QUERY_REQUEST_OPEN, DB_PARAMS(one), &requests, err) != 0)
		return -1;
	if (db_rows(requests) == 0) {
		if (one != NULL)
			return err_set(err, ERR_FAILED, "request %.40s is not open", one);
		log_info("no request is open");
	}
	if (job_flag(job, "dry-run"))
		return dry_run(job, run, requests, err);
	for (int i = 0; i < db_rows(requests); i++)
		if (rehearse_one(run, db_get_text(requests, i, 0), err) != 0)
			return -1;
	return 0;
}

static int
carry_out(struct run *run, struct err *err)
{
	struct err unused;
	int code;

	if (run_begin(run, "erase", err) != 0)
		return -1;
	if (removal_carry_out(run, err) != 0 || removal_publish(run, err) != 0) {
		(void)run_end(run, err_exit_code(err), &unused);
		return -1;
	}
	if (run->n_removed + run->n_certified + run->n_blocked + run->n_failed + run->n_waiting == 0)
		log_info("nothing is due: expunge request list says what is open, and what it waits for");
	code = run_exit_code(run);
	return run_end(run, code, err);
}

static int
run_erase(struct job *job, struct err *err)
{
	struct run run = { 0 };
	bool look = job_flag(job, "dry-run") || job_flag(job, "rehearse");
	int failed;

	if (job_option(job, "request") != NULL && !look)
		return err_set(err, ERR_USAGE, "--request goes with --dry-run or --rehearse: a run takes what is due");
	if (job_flag(job, "dry-run") && job_flag(job, "rehearse"))
		return err_set(err, ERR_USAGE, "--dry-run prints plans, --rehearse carries them out and rolls back: give one of them");
	if (job_flag(job, "json") && !job_flag(job, "dry-run"))
		return err_set(err, ERR_USAGE, "--json goes with --dry-run");
	failed = removal_open(job, &run, look ? REMOVAL_LOOK : REMOVAL_RUN, err) != 0 || (look ? preview(job, &run, err) : carry_out(&run, err)) != 0;
	job->exit_code = run_exit_code(&run);
	removal_close(&run);
	return failed ? -1 : 0;
}

static const struct option_row erase_options[] = {
	OPTION_DRY_RUN,
	{ "rehearse", NULL, "remove and verify in a transaction that is rolled back", NULL },
	{ "request", "ID", "with --dry-run or --rehearse: this request only", NULL },
	OPTION_JSON,
	OPTION_END
};

const struct command erase_commands[] = {
	{ "erase", "carry out approved requests: plan, remove, verify, attest", "", 0, 0, NEEDS_BINDING, erase_options, run_erase,
	  "Takes every approved request whose undo window is over, verifies each removal by an independent\n"
	  "recount and writes its certificate. Part of nightly." },
	{ 0 }
};

/* lifecycle, account plan: what a run does for accounts that are closing, without purging any. */
#include "account/closing.h"
#include "account/dormancy.h"
#include "account/lifecycle.h"
#include "jobs/job.h"
#include "jobs/removal.h"
#include "sys/log.h"

static int
run_lifecycle(struct job *job, struct err *err)
{
	struct run run = { 0 };
	struct lifecycle done = { 0 };
	struct dormancy_done woken = { 0 };
	bool dry = job_flag(job, "dry-run");
	int failed = removal_open(job, &run, REMOVAL_LOOK, err) != 0;

	if (!failed && dry)
		failed = lifecycle_try(&run, &done, err) != 0;
	else if (!failed) {
		struct err unused = { 0 };

		failed = run_begin(&run, "lifecycle", err) != 0 || lifecycle_carry_out(&run, &done, err) != 0 ||
			dormancy_wake(&run, NULL, &woken, err) != 0;
		job->exit_code = run_exit_code(&run);
		if (failed)
			(void)run_end(&run, err_exit_code(err), &unused);
		else
			failed = run_end(&run, job->exit_code, err) != 0;
	}
	removal_close(&run);
	if (failed)
		return -1;
	log_info("%s: %lld changed, %lld disagree with the application, %lld late", dry ? "nothing was changed; there would be" : "accounts",
		(long long)done.n_changed, (long long)done.n_disagree, (long long)done.n_late);
	return 0;
}

static int
run_plan(struct job *job, struct err *err)
{
	struct run run = { 0 };
	int failed = removal_open(job, &run, REMOVAL_LOOK, err) != 0 || closing_plan(&run, job->args[0], err) != 0;

	removal_close(&run);
	if (failed)
		return -1;
	log_info("planned; expunge account show %s prints the plan", job->args[0]);
	return 0;
}

static const struct option_row lifecycle_options[] = { OPTION_DRY_RUN, OPTION_END };

const struct command lifecycle_commands[] = {
	{ "account plan", "plan the purge of an account now", "TENANT", 1, 1, NEEDS_BINDING, NULL, run_plan,
	  "The nightly run does it in the last week of the cooling-off. Another plan voids the approvals of the one before." },
	{ "lifecycle", "what the passing of days changes for closing accounts", "", 0, 0, NEEDS_BINDING, lifecycle_options, run_lifecycle,
	  "Compares them with the application's subscriptions, moves them on, queues their notices, and says what is late.\n"
	  "Loads the rows of accounts that were dormant and came back. Part of nightly. Removes nothing." },
	{ 0 }
};

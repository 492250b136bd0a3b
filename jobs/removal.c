#include "jobs/removal.h"

#include <stdio.h>

#include "base/cleanup.h"
#include "erasure/attest.h"
#include "erasure/drilling.h"
#include "erasure/erase.h"
#include "erasure/external.h"
#include "erasure/publish.h"
#include "erasure/shredding.h"
#include "erasure/verify.h"
#include "map/documents.h"
#include "sys/clock.h"
#include "sys/log.h"
#include "sys/progress.h"
#include "sys/stop.h"

static int
connect_as(void *ctx, const char *login, struct db **ret, struct err *err)
{
	return job_connect(ctx, login, ret, err);
}

static void
say(enum note_level level, const char *text)
{
	switch (level) {
	case NOTE_INFO:
		log_info("%s", text);
		break;
	case NOTE_WARNING:
		log_warning("%s", text);
		break;
	case NOTE_ERROR:
		log_error("%s", text);
		break;
	}
}

static void
show_progress(int64_t done, int64_t total)
{
	(void)total;
	progress_at(done);
}

/* The second signal: the statements under way end, their transactions roll back. */
static void
cancel_statements(void *run)
{
	run_cancel(run);
}

int
removal_open(struct job *job, struct run *run, enum removal_purpose purpose, struct err *err)
{
	CLEANUP(str_release) struct str problems = STR_INIT;
	bool destructive = purpose != REMOVAL_LOOK;
	size_t kinds;

	if ((destructive && guard_freeze(job->db, job->config, err) != 0) || guard_clock(job->db, job->config, err) != 0)
		return -1;
	run->tool = (struct run_tool){ expunge_version, expunge_commit };
	run->note = say;
	run->progress = show_progress;
	run->stop = stop_asked;
	if (run_open(run, job->config, connect_as, job, &problems, err) == 0 &&
	    (!destructive || (external_check(run->map, err) == 0 &&
		documents_check(run->map, job->config, run->instance.id, &kinds, err) == 0)) && (purpose != REMOVAL_RUN || shredding_enter(run, err) == 0)) {
		stop_on_second(cancel_statements, run);
		return 0;
	}
	(void)fputs(str_cstr(&problems), stderr);
	return -1;
}

void
removal_close(struct run *run)
{
	stop_on_second(NULL, NULL);
	run_close(run);
}

int
removal_carry_out(struct run *run, struct err *err)
{
	int64_t start = clock_ms();
	int failed;

	progress_start("erasing", 0);
	failed = erase_due(run, err);
	progress_end();
	if (failed != 0)
		return -1;
	if (run->n_removed > 0)
		log_info("requests removed: %lld, rows: %lld, in %lld ms", (long long)run->n_removed, (long long)run->n_rows,
			(long long)(clock_ms() - start));
	if (verify_removed(run, err) != 0 || shredding_carry_out(run, err) != 0 || external_tell(run, err) != 0 ||
	    drilling_carry_out(run, err) != 0)
		return -1;
	start = clock_ms();
	if (!run->drill_failed && attest_recounted(run, err) != 0)
		return -1;
	if (run->n_certified > 0)
		log_info("requests certified: %lld, signed and stored in %lld ms, recount and files included, in %lld ms", (long long)run->n_certified,
			(long long)run->ms_issuing, (long long)(clock_ms() - start));
	return 0;
}

int
removal_publish(struct run *run, struct err *err)
{
	int64_t serial;

	return shredding_journal(run, &serial, err) != 0 ? -1 : publish_rest(run, serial, err);
}

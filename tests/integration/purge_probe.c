/*
 * purge_probe CONFIG CONNINFO COMMAND...: the removal of a whole account, without the commands and clocks around it.
 *   plan TENANT         the plan's document, and on the last line its hash
 *   remove CLOSURE      takes the rows of a claimed closure; with STOP_AFTER=n it is asked to stop after n chunks
 *   recount CLOSURE     proves that they are gone
 *   attest CLOSURE      the certificate of one whose keys are shredded
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "erasure/purge.h"

static const char *conninfo;
static long stop_after = -1;

static int
connect_as(void *ctx, const char *login, struct db **ret, struct err *err)
{
	struct db_options options = { .conninfo = conninfo, .user = login, .name = "expunge probe", .connect_timeout_s = 10,
		.lock_timeout_ms = 1000, .read_write = true };

	(void)ctx;
	return db_open(ret, &options, err);
}

static void
say(enum note_level level, const char *text)
{
	(void)level;
	(void)fprintf(stderr, "%s\n", text);
}

static bool
stop(void)
{
	return stop_after >= 0 && stop_after-- == 0;
}

static int
plan(const struct purge *purge, const char *tenant, struct err *err)
{
	CLEANUP(purge_plan_release) struct purge_plan plan = { 0 };
	const char *closure = getenv("CLOSURE");

	if (purge_plan(purge, closure == NULL ? "00000000-0000-4000-8000-000000000000" : closure, tenant, &plan, err) != 0)
		return -1;
	printf("%s%s\n", plan.document.s, plan.hash);
	return 0;
}

static int
carry_out(struct run *run, const struct purge *purge, const char *closure, struct err *err)
{
	bool stopped;

	if (run_begin(run, "account", err) != 0 || purge_remove(purge, closure, &stopped, err) != 0)
		return -1;
	printf("%s, %" PRId64 " rows\n", stopped ? "stopped" : "removed", run->n_rows);
	return 0;
}

static int
recount(const struct purge *purge, const char *closure, struct err *err)
{
	bool waiting;

	if (purge_recount(purge, closure, &waiting, err) != 0)
		return -1;
	purge->run->n_waiting = waiting;
	printf("%s\n", waiting ? "waiting" : "nothing left");
	return 0;
}

int
main(int argc, char **argv)
{
	CLEANUP(str_release) struct str problems = STR_INIT;
	struct run run = { .tool = { "0.1.0", "probe" }, .note = say, .stop = stop };
	struct purge purge = { 0 };
	struct config *config = NULL;
	struct err err = { 0 };
	int failed, code;

	if (argc != 5)
		return 2;
	conninfo = argv[2];
	if (getenv("STOP_AFTER") != NULL)
		stop_after = strtol(getenv("STOP_AFTER"), NULL, 10);
	failed = config_load(&config, argv[1], &problems, &err) != 0 || run_open(&run, config, connect_as, NULL, &problems, &err) != 0 ||
		purge_open(&purge, &run, &err) != 0;
	if (!failed && strcmp(argv[3], "plan") == 0)
		failed = plan(&purge, argv[4], &err);
	else if (!failed && strcmp(argv[3], "remove") == 0)
		failed = carry_out(&run, &purge, argv[4], &err);
	else if (!failed && strcmp(argv[3], "recount") == 0)
		failed = recount(&purge, argv[4], &err);
	else if (!failed && strcmp(argv[3], "attest") == 0)
		failed = purge_attest(&purge, argv[4], &err);
	if (failed)
		(void)fprintf(stderr, "%s%s%s%s\n", str_cstr(&problems), err.msg, err.hint[0] == '\0' ? "" : "\nhint: ", err.hint);
	code = run_exit_code(&run);
	purge_release(&purge);
	run_close(&run);
	config_free(config);
	return failed ? err_exit_code(&err) : code;
}

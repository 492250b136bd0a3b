#include "account/closing.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "account/subscriptions.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "erasure/external.h"
#include "erasure/purge.h"
#include "query.h"
#include "sys/clock.h"

/* columns of closure_work */
enum { W_ID, W_TENANT, W_STATE, W_ROWS, W_TO_PLAN, W_HASH };
/* columns of account_obstacles */
enum { O_CODE, O_WHAT, O_REMEDY };
/* the obstacle that no restore has been tried, or no backup made, of late: a safeguard of this program, and not a wish of anybody */
#define UNTRIED_RESTORE "EX528"

/* A night's accounts. */
struct work {
	struct run *run;
	struct closing *ret;
	struct purge purge;
	struct subscriptions subscriptions;
	struct db_result *accounts; /* closure_work */
};

static void
work_release(struct work *work)
{
	purge_release(&work->purge);
	subscriptions_release(&work->subscriptions);
	db_result_free(work->accounts);
}

static const char *
field(const struct work *work, int row, int column)
{
	return db_get_text(work->accounts, row, column);
}

static bool
is_state(const struct work *work, int row, const char *state)
{
	return strcmp(field(work, row, W_STATE), state) == 0;
}

static bool
is_lost(const struct err *err)
{
	return err->code == ERR_LOST || err->code == ERR_UNKNOWN;
}

/* What keeps one account is told, and kept with it; -1 when nothing can be gone on with. */
static int
keep_problem(struct work *work, int row, struct err *why, struct err *err)
{
	if (is_lost(why)) {
		*err = *why;
		return -1;
	}
	if (db_in_transaction(work->run->db))
		db_rollback(work->run->db);
	work->run->n_failed++;
	work->run->refused = work->run->refused || why->code == ERR_REFUSED;
	run_note(work->run, NOTE_ERROR, "account %s: %s", field(work, row, W_TENANT), why->msg);
	if (why->hint[0] != '\0')
		run_note(work->run, NOTE_ERROR, "%s", why->hint);
	return db_query(work->run->db, &QUERY_CLOSURE_PROBLEM, DB_PARAMS(field(work, row, W_ID), why->msg), NULL, err);
}

/* ---- plans --------------------------------------------------------------------------------------- */

static int
make_plan(struct work *work, int row, struct err *err)
{
	CLEANUP(purge_plan_release) struct purge_plan plan = { 0 };
	CLEANUP(db_result_freep) struct db_result *kept = NULL;
	char rows[24], subjects[24];

	if (purge_plan(&work->purge, field(work, row, W_ID), field(work, row, W_TENANT), &plan, err) != 0)
		return -1;
	(void)snprintf(rows, sizeof(rows), "%" PRId64, plan.n_rows);
	(void)snprintf(subjects, sizeof(subjects), "%" PRId64, plan.n_subjects);
	if (db_query(work->run->db, &QUERY_CLOSURE_PLAN_STORE, DB_PARAMS(field(work, row, W_ID), plan.hash, plan.document.s, rows, subjects,
		    plan.obstacles.len > 0 ? plan.obstacles.s : NULL), &kept, err) != 0)
		return -1;
	work->ret->n_planned += db_rows(kept);
	if (plan.obstacles.len > 0)
		run_note(work->run, NOTE_WARNING, "account %s: its plan has blockers, which expunge account show lists", field(work, row, W_TENANT));
	return 0;
}

static int
make_plans(struct work *work, struct err *err)
{
	for (int i = 0; i < db_rows(work->accounts); i++) {
		struct err why = { 0 };

		if (run_stop_asked(work->run))
			return 0;
		if (db_get_bool(work->accounts, i, W_TO_PLAN) && make_plan(work, i, &why) != 0 && keep_problem(work, i, &why, err) != 0)
			return -1;
	}
	return 0;
}

/* ---- one account --------------------------------------------------------------------------------- */

/* Removes and recounts what is claimed, wherever a run broke off. */
static int
remove_claimed(struct work *work, int row, struct err *err)
{
	const char *id = field(work, row, W_ID);
	bool stopped = false, waiting = false;

	if (purge_remove(&work->purge, id, &stopped, err) != 0)
		return -1;
	if (stopped)
		return 0;
	if (purge_recount(&work->purge, id, &waiting, err) != 0)
		return -1;
	work->ret->n_waiting += waiting;
	work->ret->n_removed += !waiting;
	run_note(work->run, NOTE_INFO, "account %s: %s", field(work, row, W_TENANT),
		waiting ? "removed; older transactions are open, and the next run recounts it" : "removed and recounted");
	return db_query(work->run->db, &QUERY_CLOSURE_PROBLEM, DB_PARAMS(id, NULL), NULL, err);
}

/* Whatever would stop the purge is found before the point of no return: rows that came since the plan may tie the account to
 * another one, or a hold may have been meant for it. */
static int
look_ahead(struct work *work, int row, struct err *err)
{
	CLEANUP(purge_plan_release) struct purge_plan plan = { 0 };

	if (purge_check_holds(&work->purge, field(work, row, W_TENANT), err) != 0 ||
	    purge_plan(&work->purge, field(work, row, W_ID), field(work, row, W_TENANT), &plan, err) != 0)
		return -1;
	if (plan.obstacles.len == 0)
		return 0;
	(void)err_set(err, ERR_REFUSED, "what has come since its plan is in the way of the purge");
	return err_hint(err, "expunge account plan %s, and then account show, list it", field(work, row, W_TENANT));
}

/* What the application says is read, and where that can be, held, in the transaction that claims. */
static int
claim(struct work *work, int row, struct err *err)
{
	struct run *run = work->run;
	const char *says;

	if (guard_freeze(run->db, run->config, err) != 0 || look_ahead(work, row, err) != 0 || db_begin(run->db, err) != 0)
		return -1;
	if (subscriptions_say(&work->subscriptions, run->db, field(work, row, W_TENANT), &says, err) != 0 ||
	    db_query(run->db, &QUERY_CLOSURE_CLAIM, DB_PARAMS(field(work, row, W_TENANT), run->id, field(work, row, W_HASH), says), NULL, err) != 0)
		return -1;
	if (db_commit(run->db, err) != 0)
		return -1;
	work->ret->n_claimed++;
	run_note(run, NOTE_INFO, "account %s: claimed", field(work, row, W_TENANT));
	return 0;
}

/* ---- all of them --------------------------------------------------------------------------------- */

/* What is claimed already comes first, whatever else there is: nothing leads back from there. */
static int
go_on(struct work *work, struct err *err)
{
	for (int i = 0; i < db_rows(work->accounts); i++) {
		struct err why = { 0 };

		if (is_state(work, i, "claimed") && !run_stop_asked(work->run) && remove_claimed(work, i, &why) != 0 &&
		    keep_problem(work, i, &why, err) != 0)
			return -1;
	}
	return 0;
}

/* What people wait for is told. Where nothing but a safeguard is in the way, somebody must see to it. */
static void
tell_obstacles(struct work *work, int row, const struct db_result *obstacles)
{
	bool refused = db_rows(obstacles) > 0;

	for (int o = 0; o < db_rows(obstacles); o++)
		refused = refused && strcmp(db_get_text(obstacles, o, O_CODE), UNTRIED_RESTORE) == 0;
	for (int o = 0; o < db_rows(obstacles); o++)
		run_note(work->run, refused ? NOTE_ERROR : NOTE_INFO, "account %s: %s%s%s", field(work, row, W_TENANT),
			db_get_text(obstacles, o, O_WHAT), refused ? "; " : "", refused ? db_get_text(obstacles, o, O_REMEDY) : "");
	work->run->refused = work->run->refused || refused;
}

/* Due, and nothing in the way; what is, is told of each. */
static int
find_ready(struct work *work, bool *ready, struct caps_wanted *wanted, struct err *err)
{
	for (int i = 0; i < db_rows(work->accounts); i++) {
		CLEANUP(db_result_freep) struct db_result *obstacles = NULL;

		/* one that is to be planned, and could not be, is not claimed by a plan that no longer fits */
		if (!is_state(work, i, "due") || db_get_bool(work->accounts, i, W_TO_PLAN))
			continue;
		if (db_query(work->run->db, &QUERY_ACCOUNT_OBSTACLES, DB_PARAMS(field(work, i, W_ID)), &obstacles, err) != 0)
			return -1;
		tell_obstacles(work, i, obstacles);
		ready[i] = db_rows(obstacles) == 0;
		if (!ready[i])
			continue;
		wanted->tenants++;
		wanted->rows += db_get_int(work->accounts, i, W_ROWS);
	}
	return 0;
}

/* Between the first account and the rest somebody may notice, and freeze. */
static int
pause_after_first(struct work *work, struct err *err)
{
	struct run *run = work->run;
	int64_t seconds = config_int(run->config, SET_CLOSURE_PAUSE_SECONDS), end = clock_ms() + 1000 * seconds;

	if (seconds > 0)
		run_note(run, NOTE_INFO, "a pause of %" PRId64 " seconds after the first account; expunge freeze on keeps the others", seconds);
	while (clock_ms() < end && !run_stop_asked(run))
		(void)nanosleep(&(struct timespec){ .tv_sec = 1 }, NULL);
	return guard_freeze(run->db, run->config, err);
}

static int
purge_ready(struct work *work, const bool *ready, int64_t n, struct err *err)
{
	int64_t done = 0;

	for (int i = 0; i < db_rows(work->accounts); i++) {
		struct err why = { 0 };

		if (!ready[i] || run_stop_asked(work->run))
			continue;
		if (done == 1 && n > 1 && pause_after_first(work, err) != 0)
			return -1;
		done++;
		if ((claim(work, i, &why) != 0 || remove_claimed(work, i, &why) != 0) && keep_problem(work, i, &why, err) != 0)
			return -1;
		/* the smallest went wrong: the larger ones would */
		if (why.code != 0 && done == 1 && n > 1) {
			run_note(work->run, NOTE_WARNING, "the first account failed: the others wait for the next run");
			return 0;
		}
	}
	return 0;
}

static int
purge_due(struct work *work, struct err *err)
{
	CLEANUP(free_text) char *memory = mem_zero((size_t)db_rows(work->accounts) + 1, sizeof(bool));
	bool *ready = (bool *)(void *)memory;
	struct caps_wanted wanted = { 0 };

	if (find_ready(work, ready, &wanted, err) != 0)
		return -1;
	if (wanted.tenants == 0)
		return 0;
	if (guard_caps(work->run->db, work->run->config, &wanted, work->run->id, err) != 0 || purge_ready(work, ready, wanted.tenants, err) != 0)
		return run_keep_refusal(work->run, "no account is purged", err); /* all of them wait; the rest of the night goes on */
	return 0;
}

/* What there is to do, for one tenant or (NULL) for all. */
static int
find_work(struct work *work, const char *tenant, struct err *err)
{
	const struct run *run = work->run;

	db_result_free(TAKE_PTR(work->accounts));
	return db_query(run->db, &QUERY_CLOSURE_WORK, DB_PARAMS(tenant, run->map->hash, run->program->schema_hash), &work->accounts, err);
}

int
closing_remove(struct run *run, struct closing *ret, struct err *err)
{
	CLEANUP(work_release) struct work work = { .run = run, .ret = ret };
	struct err why = { 0 };

	if (find_work(&work, NULL, err) != 0)
		return -1;
	if (db_rows(work.accounts) == 0)
		return 0;
	if (purge_open(&work.purge, run, &why) != 0 || subscriptions_open(&work.subscriptions, run->config, run->db, &why) != 0)
		return keep_problem(&work, 0, &why, err);
	if (go_on(&work, err) != 0 || make_plans(&work, err) != 0)
		return -1;
	return find_work(&work, NULL, err) != 0 ? -1 : purge_due(&work, err);
}

/* ---- certificates -------------------------------------------------------------------------------- */

int
closing_attest(struct run *run, struct closing *ret, struct err *err)
{
	CLEANUP(work_release) struct work work = { .run = run, .ret = ret };
	struct err why = { 0 };

	if (db_query(run->db, &QUERY_CLOSURE_SHREDDED, NULL, &work.accounts, err) != 0)
		return -1;
	if (db_rows(work.accounts) == 0)
		return 0;
	if (purge_open(&work.purge, run, &why) != 0)
		return keep_problem(&work, 0, &why, err);
	for (int i = 0; i < db_rows(work.accounts); i++) {
		why = (struct err){ 0 };
		if (purge_check_holds(&work.purge, field(&work, i, W_TENANT), &why) == 0 &&
		    external_tell_account(run, field(&work, i, W_ID), &why) == 0 &&
		    purge_attest(&work.purge, field(&work, i, W_ID), &why) == 0) {
			ret->n_certified++;
			run_note(run, NOTE_INFO, "account %s: certified", field(&work, i, W_TENANT));
		} else if (keep_problem(&work, i, &why, err) != 0)
			return -1;
	}
	return 0;
}

/* ---- a person's wish ----------------------------------------------------------------------------- */

int
closing_plan(struct run *run, const char *tenant, struct err *err)
{
	struct closing unused = { 0 };
	CLEANUP(work_release) struct work work = { .run = run, .ret = &unused };

	if (find_work(&work, tenant, err) != 0)
		return -1;
	if (db_rows(work.accounts) == 0) {
		(void)err_set(err, ERR_FAILED, "the account of %.100s is not between its last day and its purge", tenant);
		return err_hint(err, "expunge account list shows those that are closing");
	}
	return purge_open(&work.purge, run, err) != 0 ? -1 : make_plan(&work, 0, err);
}

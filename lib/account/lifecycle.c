#include "account/lifecycle.h"

#include <string.h>

#include "account/subscriptions.h"
#include "base/array.h"
#include "base/cleanup.h"
#include "erasure/guard.h"
#include "map/program.h"
#include "query.h"

#define RECONCILED_AT_ONCE 1000

/* columns of subscriptions.all */
enum { A_TENANT, A_SAYS, A_CANCELLED_AT, A_PAID_UNTIL, A_REASON, A_ZONE, A_COLUMNS };

/* A SELECT whose functions write belongs in a transaction; the caller's, if there is one. */
static int
query(struct run *run, const struct query *query, const char *const *params, struct db_result **ret, struct err *err)
{
	bool own = !db_in_transaction(run->db);

	if (own && db_begin(run->db, err) != 0)
		return -1;
	if (db_query(run->db, query, params, ret, err) == 0)
		return own ? db_commit(run->db, err) : 0;
	if (own)
		db_rollback(run->db);
	return -1;
}

/* Rows on their way from the application's table to the function that compares them. */
struct reconciling {
	struct run *run;
	struct lifecycle *ret;
	struct str columns[A_COLUMNS];
	int n;
	bool believed; /* when it says that accounts have ended; that one has come back, it may always say */
};

static void
reconciling_release(struct reconciling *reconciling)
{
	for (int i = 0; i < A_COLUMNS; i++)
		str_release(&reconciling->columns[i]);
}

static bool
begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static void
tell(struct reconciling *reconciling, const char *tenant, const char *outcome)
{
	struct lifecycle *ret = reconciling->ret;

	if (begins(outcome, "disagrees: ")) {
		ret->n_disagree++;
		run_note(reconciling->run, NOTE_WARNING, "account %s: the application %s", tenant, outcome);
	} else if (begins(outcome, "failed: ")) {
		ret->n_failed++;
		run_note(reconciling->run, NOTE_ERROR, "account %s: comparing it with the application failed (%s)", tenant,
			outcome + strlen("failed: "));
	} else {
		ret->n_changed++;
		run_note(reconciling->run, NOTE_INFO, "account %s: %s by the application's word", tenant, outcome);
	}
}

static int
compare(struct reconciling *reconciling, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	const char *params[A_COLUMNS];

	if (reconciling->n == 0)
		return 0;
	for (int i = 0; i < A_COLUMNS; i++)
		params[i] = array_end(&reconciling->columns[i]);
	if (query(reconciling->run, &QUERY_CLOSURE_RECONCILE, params, &res, err) != 0)
		return -1;
	for (int i = 0; i < db_rows(res); i++)
		tell(reconciling, db_get_text(res, i, 0), db_get_text(res, i, 1));
	for (int i = 0; i < A_COLUMNS; i++)
		str_clear(&reconciling->columns[i]);
	reconciling->n = 0;
	return 0;
}

static int
take_row(void *ctx, const struct db_result *row, struct err *err)
{
	struct reconciling *reconciling = ctx;
	const char *says = db_get_text(row, 0, A_SAYS);

	if (!reconciling->believed && (strcmp(says, "closed") == 0 || strcmp(says, "expired") == 0))
		return 0;
	for (int i = 0; i < A_COLUMNS; i++)
		array_add_or_null(&reconciling->columns[i], db_get(row, 0, i));
	return ++reconciling->n < RECONCILED_AT_ONCE ? 0 : compare(reconciling, err);
}

/* A table that is suddenly empty of customers, or full of those who left, is a mistake before it is the truth. */
static int
check_cap(struct run *run, const struct subscriptions *subscriptions, bool *ret_believed, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	struct caps_wanted wanted = { 0 };

	*ret_believed = true;
	if (db_text(run->recount, DB_ONE, subscriptions->opening.s, 3,
		    DB_PARAMS(subscriptions->open.s, subscriptions->closed.s, subscriptions->expired.s), &res, err) != 0)
		return -1;
	wanted.closings = db_get_int(res, 0, 0);
	if (guard_caps(run->db, run->config, &wanted, run->id, err) == 0)
		return 0;
	*ret_believed = false;
	return run_keep_refusal(run, "no account is closed by the application's word", err);
}

/* Read on one connection, compared on the other, however many there are. */
static int
reconcile(struct run *run, struct lifecycle *ret, struct err *err)
{
	CLEANUP(subscriptions_release) struct subscriptions subscriptions = { 0 };
	CLEANUP(reconciling_release) struct reconciling reconciling = { .run = run, .ret = ret };
	if (subscriptions_open(&subscriptions, run->config, run->db, err) != 0)
		return -1;
	if (!subscriptions.declared)
		return 0;
	if (check_cap(run, &subscriptions, &reconciling.believed, err) != 0)
		return -1;
	if (db_each(run->recount, subscriptions.all.s, 3, DB_PARAMS(subscriptions.open.s, subscriptions.closed.s, subscriptions.expired.s),
		    take_row, &reconciling, err) != 0)
		return -1;
	return compare(&reconciling, err);
}

/* A mistyped name closes nobody's account, and would be found out only when it is due. */
static int
find_strangers(struct run *run, struct lifecycle *ret, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	CLEANUP(str_release) struct str sql = STR_INIT;

	str_add(&sql, "SELECT c.tenant FROM expunge.closure c WHERE c.state IN ('cancelled', 'cooling-off', 'due')"
		" AND NOT EXISTS (SELECT FROM expunge.dormancy d WHERE d.tenant = c.tenant AND d.phase <> 'awake' AND d.n_rows > 0) AND NOT ");
	sql_is_tenant(&sql, run->program, "c.tenant");
	if (db_text(run->db, DB_MANY, sql.s, 0, NULL, &res, err) != 0)
		return -1;
	for (int i = 0; i < db_rows(res); i++)
		run_note(run, NOTE_WARNING, "account %s: it is closing, and there is no such practice; expunge account reactivate ends that",
			db_get_text(res, i, 0));
	ret->n_failed += db_rows(res);
	return 0;
}

static int
advance(struct run *run, struct lifecycle *ret, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *moved = NULL;
	CLEANUP(db_result_freep) struct db_result *late = NULL;

	if (query(run, &QUERY_CLOSURE_ADVANCE, NULL, &moved, err) != 0 || query(run, &QUERY_CLOSURE_LATE, NULL, &late, err) != 0)
		return -1;
	for (int i = 0; i < db_rows(moved); i++)
		run_note(run, NOTE_INFO, "account %s: %s", db_get_text(moved, i, 1), db_get_text(moved, i, 2));
	for (int i = 0; i < db_rows(late); i++)
		run_note(run, NOTE_ERROR, "account %s was to be gone by %s and is %s: %s", db_get_text(late, i, 0), db_get_text(late, i, 2),
			db_get_text(late, i, 1), db_get_text(late, i, 3));
	ret->n_changed += db_rows(moved);
	ret->n_late += db_rows(late);
	return 0;
}

int
lifecycle_carry_out(struct run *run, struct lifecycle *ret, struct err *err)
{
	*ret = (struct lifecycle){ 0 };
	if (reconcile(run, ret, err) != 0 || find_strangers(run, ret, err) != 0 || advance(run, ret, err) != 0)
		return -1;
	run->n_failed += ret->n_failed + ret->n_disagree + ret->n_late;
	return 0;
}

int
lifecycle_try(struct run *run, struct lifecycle *ret, struct err *err)
{
	int failed;

	if (db_begin(run->db, err) != 0)
		return -1;
	failed = lifecycle_carry_out(run, ret, err);
	db_rollback(run->db);
	return failed;
}
